"""A mailer for a mail API: JSON over HTTP, as most mail services have it. Needs httpx (`pip install httpx`).

    IDENTITY_MAIL_URL=examples.http_mailer:HttpMailer
    MAIL_API_URL=https://api.mail.example/messages
    MAIL_API_TOKEN=...
    MAIL_API_SENDER="Acme <no-reply@acme.example>"

What the fields of the JSON are called differs from service to service: fit `_as_json` to yours.
"""

from __future__ import annotations

import asyncio
import os
from email.utils import parseaddr
from urllib.parse import urlsplit

import httpx

from identity.application.mail import Message
from identity.domain.errors import MailDeferred, MailRefused
from identity.domain.secrets import Secret
from identity.domain.text import has_control_characters

# Statuses below 500 that speak of a moment, or of a token or an address that an operator can mend (RFC 9110).
_LATER = {401, 403, 404, 405, 408, 409, 425, 429}


class HttpMailer:
    """Hands each message to the API by one POST, with the message's id as idempotency key.

    No error repeats what the API or the HTTP client said: either may quote the token or the mail's link.
    """

    def __init__(self, *, time_limit: float = 30) -> None:  # seconds; after 45 the worker would give up
        self._url, self._token = _variable("MAIL_API_URL"), Secret(_variable("MAIL_API_TOKEN"))
        self._sender = _variable("MAIL_API_SENDER")
        self._domain = parseaddr(self._sender)[1].rpartition("@")[2]
        if urlsplit(self._url).scheme != "https" and urlsplit(self._url).hostname != "127.0.0.1":
            raise ValueError("MAIL_API_URL must be https://, or the token would travel in clear text")
        self._time_limit = time_limit
        self._tls = httpx.create_ssl_context()  # once: it reads every certificate that there is

    async def send(self, message: Message) -> None:
        if any(map(has_control_characters, (message.id, message.to.value, message.subject))):
            raise MailRefused("a header of the mail would have control characters")
        headers = {"Authorization": f"Bearer {self._token.reveal()}", "Idempotency-Key": message.id}
        try:
            async with (
                asyncio.timeout(self._time_limit),
                httpx.AsyncClient(verify=self._tls, timeout=None, follow_redirects=False) as client,  # noqa: S113
                client.stream("POST", self._url, json=self._as_json(message), headers=headers) as answer,
            ):
                status = answer.status_code
        except TimeoutError:
            raise MailDeferred("the mail API did not answer in time") from None
        except httpx.HTTPError as error:
            raise MailDeferred(f"the mail API cannot be reached: {type(error).__name__}") from None
        if 400 <= status <= 499 and status not in _LATER:
            raise MailRefused(f"the mail API answered {status}")
        if not 200 <= status <= 299:
            raise MailDeferred(f"the mail API answered {status}")

    def _as_json(self, message: Message) -> dict[str, object]:
        return {
            "from": self._sender,
            "to": message.to.value,
            "subject": message.subject,
            "text": message.text,
            "html": message.html,
            "headers": {"Message-ID": f"<{message.id}@{self._domain}>", "Auto-Submitted": "auto-generated"},
        }


def _variable(name: str) -> str:
    value = os.environ.get(name, "").strip()
    if not value or not value.isprintable():
        raise ValueError(f"the environment variable {name} is missing or not one line")
    return value
