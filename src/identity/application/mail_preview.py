"""What every mail would look like: one of each kind, about somebody who does not exist."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

from identity.application.composing import RECIPES
from identity.application.links import Link
from identity.application.mail import LoginCodeMail, Mail, kinds_of_mail
from identity.domain.login_code import LIFETIME
from identity.domain.names import EmailAddress, Username
from identity.domain.one_time_token import Purpose
from identity.domain.secrets import PasswordHash, Secret
from identity.domain.session import Client
from identity.domain.user import NewUser

SAMPLE_TIME = datetime(2026, 3, 1, 13, 2, tzinfo=UTC)
SAMPLE_TOKEN = Secret("sample-k3Jx0vE8m1VnQ2cUq9Zb7tYhR5sLdWf4aGp")
JOHN = NewUser(
    username=Username("john_doe"),
    email=EmailAddress("john@example.com"),
    password_hash=PasswordHash(""),
    joined_at=SAMPLE_TIME,
).with_id(1)
SAMPLE_VALUES: Mapping[str, Any] = {
    "to": JOHN.email,
    "username": JOHN.username,
    "link": Secret(f"http://localhost:3000/reset-password/MQ/{SAMPLE_TOKEN.reveal()}"),
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


def sample_mails(*, locale: str = "", links: Mapping[Purpose, Link] | None = None) -> tuple[Mail, ...]:
    """A mail of each kind there is. `links`: where those in mails lead, and how long they last."""
    purposes = {recipe.mail: recipe.purpose for recipe in RECIPES.values()}
    mails = []
    for kind in kinds_of_mail():
        values = {**SAMPLE_VALUES, "locale": locale}
        link = (links or {}).get(purposes.get(kind) or Purpose.RESET_PASSWORD)
        if kind is LoginCodeMail:
            values["expires_in"] = LIFETIME
        elif link is not None:
            values |= {"link": link.to(JOHN, SAMPLE_TOKEN), "expires_in": link.lifetime}
        mails.append(kind(**{field.name: values[field.name] for field in fields(kind)}))
    return tuple(mails)
