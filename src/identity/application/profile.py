"""What an account's owner sees of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Self

from identity.application.sessions import Principal
from identity.domain.user import User


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    id: int
    username: str
    email: str
    email_verified: bool
    date_joined: datetime
    last_updated: datetime
    """When the password was last changed; at first, when the account was opened."""

    @classmethod
    def of(cls, user: User) -> Self:
        return cls(
            id=user.id,
            username=user.username.value,
            email=user.email.value,
            email_verified=user.is_verified,
            date_joined=user.joined_at,
            last_updated=user.password_changed_at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowProfile:
    """The profile of the principal's account. Needs no port: authenticating has read the account already."""

    async def __call__(self, *, principal: Principal) -> Profile:
        return Profile.of(principal.user)
