"""The account."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Self

from identity.domain.names import EmailAddress, Username
from identity.domain.secrets import PasswordHash

_LONGEST_REFERENCE = 32  # characters; a 64-bit id in base64url takes 26


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUser:
    """An account that has no id yet; the storage gives it one, and never the same twice."""

    username: Username
    email: EmailAddress
    password_hash: PasswordHash = field(repr=False)
    joined_at: datetime
    superuser_since: datetime | None = None

    def with_id(self, user_id: int) -> User:
        return User(
            id=user_id,
            username=self.username,
            email=self.email,
            password_hash=self.password_hash,
            joined_at=self.joined_at,
            password_changed_at=self.joined_at,
            superuser_since=self.superuser_since,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    id: int
    username: Username
    email: EmailAddress
    password_hash: PasswordHash = field(repr=False)
    joined_at: datetime
    password_changed_at: datetime
    last_login_at: datetime | None = None
    superuser_since: datetime | None = None
    disabled_at: datetime | None = None
    version: int = 1
    """Counts the saves; a save of a copy that is no longer the latest is refused."""

    @property
    def is_disabled(self) -> bool:
        return self.disabled_at is not None

    def with_password(self, password_hash: PasswordHash, *, at: datetime) -> Self:
        return replace(self, password_hash=password_hash, password_changed_at=at)

    def disabled(self, *, at: datetime) -> Self:
        return replace(self, disabled_at=at)


def user_reference(user_id: int) -> str:
    """The id as it stands in a mailed link: unpadded base64url of its decimal digits (Django's `uidb64`)."""
    return base64.urlsafe_b64encode(str(user_id).encode()).rstrip(b"=").decode()


def parse_user_reference(text: str) -> int | None:
    """The id such a reference names, or `None` for anything that `user_reference` would not have written."""
    if not text.isascii() or len(text) > _LONGEST_REFERENCE:
        return None
    try:
        digits = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        user_id = int(digits)
    except (binascii.Error, ValueError):
        return None
    return user_id if 0 < user_id < 2**63 and user_reference(user_id) == text else None
