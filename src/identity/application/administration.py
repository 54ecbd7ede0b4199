"""Who may administer accounts, and what they see of them. What they do is in `user_administration`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from identity.application.ports import Clock, ReadUnitOfWork, UnitOfWork
from identity.application.sessions import Principal, find_owner
from identity.domain.errors import AccountNotFound, InvalidInput, LoginTooOld, NotPermitted
from identity.domain.events import OPERATOR, Actor, NumberedEvent
from identity.domain.names import EmailAddress, Username
from identity.domain.session import Session
from identity.domain.text import CONTROL_CHARACTERS, has_control_characters
from identity.domain.user import User
from identity.domain.user_search import Cursor, UserPage

MOST_IN_A_PAGE = 100
SHOWN_WITH_AN_ACCOUNT = 50
"""Of its sessions, and of its events."""

INVALID_CURSOR = "Invalid cursor."


@dataclass(frozen=True, slots=True, kw_only=True)
class RequireSuperuser:
    """Lets a superuser pass whose session began lately. That it goes on does not make it any younger.

    Raises:
        NotPermitted: the account is no superuser's.
        LoginTooOld: the session began too long ago.
    """

    clock: Clock
    login_lifetime: timedelta

    async def __call__(self, *, principal: Principal) -> Principal:
        _admit(principal.user, principal.session, at=self.clock.now(), login_lifetime=self.login_lifetime)
        return principal


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorise:
    """Lets an administrator act on an account, in the unit of work that does so: who is a superuser no more
    by then has done nothing. Answers who acts, and the account.

    Of two superusers who act on each other at once, the second is refused.

    Raises:
        NotPermitted, LoginTooOld: as `RequireSuperuser`.
        AccessTokenRefused: the session has ended meanwhile, or their account was closed.
        AccountNotFound: there is none with this id.
    """

    idle: timedelta
    login_lifetime: timedelta

    async def __call__(
        self, uow: UnitOfWork, *, by: Principal | Actor, user_id: int, at: datetime
    ) -> tuple[Actor, User]:
        """`by`: a superuser, or `OPERATOR`."""
        user = await uow.users.get(user_id)
        if user is not None and user.is_superuser:
            # From here on nobody else changes any of them, who acts among them.
            await uow.users.open_superusers()
            user = await uow.users.get(user_id)
        actor = await self.actor(uow, by=by, at=at)
        if user is None:
            raise AccountNotFound
        return actor, user

    async def actor(self, uow: UnitOfWork, *, by: Principal | Actor, at: datetime) -> Actor:
        if isinstance(by, Principal):
            owner = await find_owner(uow, by, at=at, idle=self.idle)
            _admit(owner, by.session, at=at, login_lifetime=self.login_lifetime)
            return Actor.administrator(owner.id)
        if by != OPERATOR:
            raise NotPermitted
        return by


def _admit(user: User, session: Session, *, at: datetime, login_lifetime: timedelta) -> None:
    if not user.is_superuser or user.is_closed:
        raise NotPermitted
    if at >= session.created_at + login_lifetime:
        raise LoginTooOld


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchUsers:
    """A page of the accounts whose username or address begins with the text, or of all of them.

    It costs the same however many there are.

    Raises:
        InvalidInput: the text or the cursor cannot be one.
    """

    read: ReadUnitOfWork

    async def __call__(
        self, *, search: str = "", after: str | None = None, limit: int = MOST_IN_A_PAGE
    ) -> UserPage:
        """`after`: the `next` of the page before, as text."""
        prefix, cursor = search.strip(), Cursor.parse(after) if after else None
        if has_control_characters(prefix):
            raise InvalidInput({"search": [CONTROL_CHARACTERS]})
        if after and cursor is None:
            raise InvalidInput({"after": [INVALID_CURSOR]})
        async with self.read() as uow:
            return await uow.users.search(prefix, after=cursor, limit=min(limit, MOST_IN_A_PAGE))


@dataclass(frozen=True, slots=True, kw_only=True)
class FindUser:
    """The account that an operator calls by its id, its username or its address. Digits are an id, always.

    Raises:
        AccountNotFound: there is none.
    """

    read: ReadUnitOfWork

    async def __call__(self, *, name: str) -> User:
        async with self.read() as uow:
            user = await _called(uow, name.strip())
        if user is None:
            raise AccountNotFound
        return user


async def _called(uow: UnitOfWork, name: str) -> User | None:
    if has_control_characters(name):
        return None
    if name.isascii() and name.isdigit():
        return await uow.users.get(int(name)) if len(name) < 19 else None
    if "@" in name:
        return await uow.users.with_email(EmailAddress(name))
    return await uow.users.with_username(Username(name))


@dataclass(frozen=True, slots=True, kw_only=True)
class UserDetails:
    """What an administrator sees of an account."""

    user: User
    sessions: tuple[Session, ...]
    """Those that are over too, the one begun last first, and no more than `SHOWN_WITH_AN_ACCOUNT`."""
    live: frozenset[str]
    """The ids of those that are not over."""
    events: tuple[NumberedEvent, ...]
    """What was noted last first, and no more than `SHOWN_WITH_AN_ACCOUNT`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowUser:
    """An account with its sessions and what happened to it.

    Raises:
        AccountNotFound: there is none with this id.
    """

    read: ReadUnitOfWork
    clock: Clock
    idle: timedelta

    async def __call__(self, *, user_id: int) -> UserDetails:
        async with self.read() as uow:
            user = await uow.users.get(user_id)
            if user is None:
                raise AccountNotFound
            sessions = await uow.sessions.history(user_id, limit=SHOWN_WITH_AN_ACCOUNT)
            events = await uow.audit_log.find(user_id=user_id, limit=SHOWN_WITH_AN_ACCOUNT)
        now = self.clock.now()
        live = frozenset(
            each.id for each in sessions if each.is_live(at=now, idle=self.idle) and not user.is_closed
        )
        return UserDetails(user=user, sessions=sessions, live=live, events=events)
