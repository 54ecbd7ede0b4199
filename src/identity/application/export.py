"""All that is kept of an account, for its owner."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from identity.application.conflicts import retried_on_conflict
from identity.application.ports import BeginUnitOfWork, Clock, ReadUnitOfWork
from identity.application.sessions import Principal
from identity.domain.errors import AccessTokenRefused
from identity.domain.events import DataExported, Event
from identity.domain.names import EmailAddress, Username
from identity.domain.session import UNKNOWN_CLIENT, Client, Session
from identity.domain.user import User

MOST_EVENTS = 1_000  # some hundred kilobytes, put together in a few hundredths of a second
MOST_SESSIONS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonalData:
    """What is kept of an account, but for its secrets, of which only digests are."""

    at: datetime
    user: User
    sessions: tuple[Session, ...]
    """The one begun last first, and no more than `MOST_SESSIONS`; one that ended long ago is not kept."""
    live: frozenset[str]
    """The ids of those that are not over."""
    devices: tuple[datetime, ...]
    """When each was seen last."""
    reserved_names: tuple[tuple[Username | EmailAddress, datetime], ...]
    """Names that nobody else can have until then."""
    events: tuple[Event, ...]
    """The latest first, and no more than `MOST_EVENTS`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportData:
    """Collects what is kept of the principal's account, and notes that it was given out.

    Raises:
        AccessTokenRefused: the account was erased meanwhile.
    """

    read: ReadUnitOfWork
    begin: BeginUnitOfWork
    clock: Clock
    idle: timedelta

    @retried_on_conflict
    async def __call__(self, *, principal: Principal, client: Client = UNKNOWN_CLIENT) -> PersonalData:
        now, user_id = self.clock.now(), principal.user.id
        async with self.read() as uow:
            user = await uow.users.get(user_id)
            if user is None:
                raise AccessTokenRefused
            sessions = await uow.sessions.history(user_id, limit=MOST_SESSIONS)
            data = PersonalData(
                at=now,
                user=user,
                sessions=sessions,
                live=frozenset(each.id for each in sessions if each.is_live(at=now, idle=self.idle)),
                devices=await uow.devices.of_user(user_id),
                reserved_names=await uow.reservations.of_user(user_id),
                events=await uow.audit_log.of_user(user_id, limit=MOST_EVENTS),
            )
        async with self.begin() as uow:
            await uow.audit_log.append(
                DataExported(at=now, user_id=user_id, session_id=principal.session.id, client=client)
            )
        return data
