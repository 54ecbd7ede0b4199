"""Small values to put into an adapter; whatever a test is about, it names itself."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

from identity.application.letters import WebhookIntent
from identity.application.mail import MailIntent, MailKind
from identity.domain.login_code import LoginCode
from identity.domain.names import EmailAddress, Username
from identity.domain.one_time_token import OneTimeToken, Purpose
from identity.domain.secrets import Digest, PasswordHash
from identity.domain.session import Session
from identity.domain.signing_key import SigningKey
from identity.domain.user import NewUser, User

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
RESET = Purpose.RESET_PASSWORD


def new_user(username: str = "ann", email: str | None = None, **values: Any) -> NewUser:
    given: dict[str, Any] = {"password_hash": PasswordHash("hash"), "joined_at": NOW}
    address = EmailAddress(email or f"{username}@example.org")
    return NewUser(username=Username(username), email=address, **given | values)


def new_session(user: User, id: str = "s", **values: Any) -> Session:
    given: dict[str, Any] = {"current": "c", "created_at": NOW, "last_used_at": NOW, "expires_at": NOW + HOUR}
    return Session(id=id, user_id=user.id, **given | values)


def new_device(name: str = "d") -> Digest:
    return Digest(hashlib.sha256(name.encode()).digest())


def new_token(user: User, digest: bytes = b"1" * 32, **values: Any) -> OneTimeToken:
    given: dict[str, Any] = {"intent_id": "i", "created_at": NOW, "expires_at": NOW + HOUR}
    return OneTimeToken(
        digest=Digest(digest), purpose=RESET, user_id=user.id, email_key=user.email.key, **given | values
    )


def new_login_code(request: bytes = b"1" * 32, **values: Any) -> LoginCode:
    given: dict[str, Any] = {"email_key": "ann@example.org", "created_at": NOW, "expires_at": NOW + HOUR}
    return LoginCode(request=Digest(request), **given | values)


def new_intent(id: str = "i", *, at: datetime = NOW, email_key: str | None = None) -> MailIntent:
    """A reader of its own for each, so that no two become one unless a test wants them to."""
    reader = email_key or f"{id}@example.org"
    return MailIntent(id=id, kind=MailKind.PASSWORD_RESET, created_at=at, email_key=reader)


def new_webhook(id: str = "w", *, at: datetime = NOW, queue: str = "webhook:a") -> WebhookIntent:
    return WebhookIntent(
        id=id, queue=queue, kind="LoggedIn", created_at=at, user_id=7, body='{"type": "LoggedIn", "ü": "🦊"}'
    )


def new_key(kid: str = "k", *, at: datetime = NOW, sealed: bytes = b"\x00\xff" * 50) -> SigningKey:
    return SigningKey(kid=kid, algorithm="ES256", sealed_private_key=sealed, created_at=at, signs_from=at)
