"""What every mail would look like: one of each kind, about somebody who does not exist."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

from identity.application.mail import Mail, kinds_of_mail
from identity.domain.names import EmailAddress, Username
from identity.domain.secrets import Secret
from identity.domain.session import Client

SAMPLE_TIME = datetime(2026, 3, 1, 13, 2, tzinfo=UTC)
SAMPLE_VALUES: Mapping[str, Any] = {
    "to": EmailAddress("john@example.com"),
    "username": Username("john_doe"),
    "link": Secret("http://localhost:3000/reset-password/MQ/sample-k3Jx0vE8m1VnQ2cUq9Zb7tYhR5sLdWf4aGp"),
    "code": Secret("48151623"),
    "expires_in": timedelta(hours=1),
    "expires_at": SAMPLE_TIME + timedelta(days=14),
    "at": SAMPLE_TIME,
    "client": Client(address="192.0.2.7", user_agent="Mozilla/5.0 (Windows NT 10.0; rv:140.0) Firefox/140.0"),
    "signed_out": Client(
        address="2001:db8::7",
        user_agent="Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Safari/604.1",
    ),
}
"""By the name of the field, which means the same in every mail that has it."""


def sample_mails(*, locale: str = "") -> tuple[Mail, ...]:
    """A mail of each kind there is."""
    values = {**SAMPLE_VALUES, "locale": locale}
    return tuple(
        kind(**{field.name: values[field.name] for field in fields(kind)}) for kind in kinds_of_mail()
    )
