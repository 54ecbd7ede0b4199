"""A mail that is not easy to send, and reading what arrived."""

from __future__ import annotations

import email
import email.policy
from datetime import UTC, datetime
from email.message import EmailMessage

from identity.application.mail import Message
from identity.domain.names import EmailAddress
from identity.domain.secrets import Secret

SENDER = "Acme Cloud <no-reply@acme.example>"
TOKEN = "k3Jx0vE8m1VnQ2cUq9Zb7tYhR5sLdWf4aGpXoTiBcEM"
LINK = f"https://app.acme.example/{'x' * 80}/reset-password/MQ/{TOKEN}"
MESSAGE = Message(
    id="00112233445566778899aabbccddeeff",
    to=EmailAddress("Ann.O'Neil+Tag@Example.ORG"),
    date=datetime(2026, 11, 22, 13, 2, 59, 123456, tzinfo=UTC),
    subject="Reset your password",
    text=f"Hello,\n\n{LINK}\n.\nFrom here on nothing.\n",
    html=f'<p><a href="{LINK}">Choose a new password</a></p>\n',
)
PASSWORD = Secret("päss/w0rd-of-the-mail-server")
HOST = "127.0.0.1"


def parsed(content: str | bytes | None) -> EmailMessage:
    assert isinstance(content, bytes)
    return email.message_from_bytes(content, policy=email.policy.default)


def bodies(mail: EmailMessage) -> list[str]:
    return [part.get_content().replace("\r\n", "\n") for part in mail.iter_parts()]
