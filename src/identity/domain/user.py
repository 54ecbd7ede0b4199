"""The account."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Self

from identity.domain.names import EmailAddress, Username
from identity.domain.one_time_token import UNDOING, Purpose
from identity.domain.secrets import NO_PASSWORD, PasswordHash

_LONGEST_REFERENCE = 32  # characters; a 64-bit id in base64url takes 26


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUser:
    """An account that has no id yet; the storage gives it one, and never the same twice."""

    username: Username
    email: EmailAddress
    password_hash: PasswordHash = field(repr=False)
    joined_at: datetime
    superuser_since: datetime | None = None
    email_verified_at: datetime | None = None
    locale: str = ""

    def with_id(self, user_id: int) -> User:
        return User(
            id=user_id,
            username=self.username,
            email=self.email,
            password_hash=self.password_hash,
            joined_at=self.joined_at,
            password_changed_at=self.joined_at,
            superuser_since=self.superuser_since,
            email_verified_at=self.email_verified_at,
            locale=self.locale,
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
    email_verified_at: datetime | None = None
    display_name: str = ""
    locale: str = ""
    """A language tag (BCP 47) such as `de-AT`, or empty where it is not known."""
    time_zone: str = ""
    """A name of the IANA database such as `Europe/Vienna`, or empty where it is not known."""
    disabled_at: datetime | None = None
    """An operator's act."""
    erasure_due_at: datetime | None = None
    """The owner's: when the account will be erased, unless they change their mind before."""
    version: int = 1
    """Counts the saves; a save of a copy that is no longer the latest is refused."""

    @property
    def is_disabled(self) -> bool:
        return self.disabled_at is not None

    @property
    def is_closed(self) -> bool:
        """Nobody can sign in, and no session goes on."""
        return self.is_disabled or self.erasure_due_at is not None

    @property
    def is_superuser(self) -> bool:
        return self.superuser_since is not None

    @property
    def has_password(self) -> bool:
        return self.password_hash != NO_PASSWORD

    @property
    def is_verified(self) -> bool:
        """Its owner has shown that mail to its address reaches them."""
        return self.email_verified_at is not None

    def admits(self, purpose: Purpose | None) -> bool:
        """Whether a mail with a token for this, or one without, may go out, and the token be used."""
        if self.is_disabled:
            return False
        if self.erasure_due_at is not None:  # whoever has taken the account over may be the one who asked
            return purpose in UNDOING
        return purpose is not Purpose.UNDO_DELETION

    def with_password(self, password_hash: PasswordHash, *, at: datetime) -> Self:
        return replace(self, password_hash=password_hash, password_changed_at=at)

    def with_email(self, email: EmailAddress, *, at: datetime) -> Self:
        """With another address, from which mail has just reached its owner. A username that was the old
        address follows, if the new one can be a username."""
        username = Username.of_address(email) if self.username.is_address(self.email) else None
        return replace(self, username=username or self.username, email=email, email_verified_at=at)

    def spared(self) -> Self:
        return replace(self, erasure_due_at=None)

    def verified(self, *, at: datetime) -> Self:
        return self if self.is_verified else replace(self, email_verified_at=at)

    def disabled(self, *, at: datetime) -> Self:
        return self if self.is_disabled else replace(self, disabled_at=at)

    def enabled(self) -> Self:
        return replace(self, disabled_at=None)

    def promoted(self, *, at: datetime) -> Self:
        return self if self.is_superuser else replace(self, superuser_since=at)

    def demoted(self) -> Self:
        return replace(self, superuser_since=None)

    def awaiting_erasure(self, *, due_at: datetime) -> Self:
        return replace(self, erasure_due_at=due_at)


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
