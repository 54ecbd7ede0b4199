"""What an account's owner sees of it, and changes in it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Self

from identity.application.conflicts import retried_on_conflict
from identity.application.ports import BeginUnitOfWork, Clock, ReadUnitOfWork, UnitOfWork
from identity.application.sessions import Principal, find_owner
from identity.application.throttling import CountRequest, Request
from identity.domain.errors import InvalidInput, UsernameTaken
from identity.domain.events import ProfileChanged
from identity.domain.language import parse_language_tag
from identity.domain.names import USERNAME_CHARACTERS, Username, parse_display_name
from identity.domain.session import UNKNOWN_CLIENT, Client
from identity.domain.text import Malformed
from identity.domain.user import User

TIME_ZONE = "Enter a valid time zone."


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    id: int
    username: str
    email: str
    email_verified: bool
    display_name: str
    locale: str
    time_zone: str
    is_superuser: bool
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
            display_name=user.display_name,
            locale=user.locale,
            time_zone=user.time_zone,
            is_superuser=user.is_superuser,
            date_joined=user.joined_at,
            last_updated=user.password_changed_at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowProfile:
    """The profile of the principal's account. Needs no port: authenticating has read the account already."""

    async def __call__(self, *, principal: Principal) -> Profile:
        return Profile.of(principal.user)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateProfile:
    """Changes what is given of the profile. What is blank is unset, but for the username, which has to be.

    Raises:
        InvalidInput: with every problem of every field in one answer.
        AccessTokenRefused: the session has ended meanwhile, or the account was closed.
        Throttled: too many names were asked for from this address.
    """

    read: ReadUnitOfWork
    begin: BeginUnitOfWork
    count_request: CountRequest
    clock: Clock
    idle: timedelta
    time_zones: Collection[str]
    """The names of those that there are."""

    @retried_on_conflict
    async def __call__(
        self,
        *,
        principal: Principal,
        username: str | None = None,
        display_name: str | None = None,
        locale: str | None = None,
        time_zone: str | None = None,
        client: Client = UNKNOWN_CLIENT,
    ) -> Profile:
        texts = {"username": username, "display_name": display_name, "locale": locale, "time_zone": time_zone}
        given = {field: text for field, text in texts.items() if text is not None}
        user, values, problems = await self._judge(principal, given, client)
        if problems:
            raise InvalidInput(problems)
        changed = replace(user, **values)
        if changed == user:
            return Profile.of(user)
        now = self.clock.now()
        async with self.begin() as uow:
            await find_owner(uow, principal, at=now, idle=self.idle)
            saved = await uow.users.save(changed)
            if await uow.reservations.is_held(saved.username, besides=saved.id):
                raise UsernameTaken
            await uow.audit_log.append(
                ProfileChanged(at=now, user_id=user.id, session_id=principal.session.id, client=client)
            )
        return Profile.of(saved)

    async def problems(
        self, *, principal: Principal, client: Client = UNKNOWN_CLIENT, **given: str
    ) -> Mapping[str, tuple[str, ...]]:
        """What is wrong with these, by field. What is not given is not judged."""
        _, _, problems = await self._judge(principal, given, client)
        return problems

    async def _judge(
        self, principal: Principal, given: Mapping[str, str], client: Client
    ) -> tuple[User, dict[str, Any], dict[str, tuple[str, ...]]]:
        """The account as it is now, the values that these texts stand for, and what is wrong with them."""
        parsers = {
            "username": Username.parse,
            "display_name": parse_display_name,
            "locale": parse_language_tag,
            "time_zone": self._parse_time_zone,
        }
        values: dict[str, Any] = {}
        problems: dict[str, tuple[str, ...]] = {}
        for field, text in given.items():
            try:
                values[field] = parsers[field](text)
            except Malformed as malformed:
                problems[field] = malformed.problems
        if "username" in values:
            await self.count_request(Request.REGISTER, client)  # it tells who is registered
        async with self.read() as uow:
            user = await find_owner(uow, principal, at=self.clock.now(), idle=self.idle)
            if "username" in values:
                problems |= await _problems_of_name(uow, values["username"], user)
        return user, values, problems

    def _parse_time_zone(self, text: str) -> str:
        name = text.strip()
        if name and name not in self.time_zones:
            raise Malformed(TIME_ZONE)
        return name


async def _problems_of_name(uow: UnitOfWork, name: Username, user: User) -> dict[str, tuple[str, ...]]:
    if name.looks_like_an_address and not name.is_address(user.email):
        return {"username": (USERNAME_CHARACTERS,)}
    holder = await uow.users.with_username(name)
    taken = holder.id != user.id if holder else await uow.reservations.is_held(name, besides=user.id)
    return {"username": (UsernameTaken.message,)} if taken else {}
