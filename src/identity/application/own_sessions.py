"""What an account's owner sees of their sessions, and ending them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from identity.application.conflicts import retried_on_conflict
from identity.application.ports import BeginUnitOfWork, Clock, ReadUnitOfWork
from identity.application.sessions import Principal
from identity.domain.errors import SessionNotFound
from identity.domain.events import AllSessionsEnded, OtherSessionsEnded, SessionEnded
from identity.domain.session import UNKNOWN_CLIENT, Client, Session
from identity.domain.text import has_control_characters


@dataclass(frozen=True, slots=True, kw_only=True)
class ListSessions:
    """The live sessions of the principal's account, the one used last first."""

    read: ReadUnitOfWork
    clock: Clock
    idle: timedelta

    async def __call__(self, *, principal: Principal) -> tuple[Session, ...]:
        async with self.read() as uow:
            sessions = await uow.sessions.of_user(principal.user.id)
        now = self.clock.now()
        return tuple(session for session in sessions if session.is_live(at=now, idle=self.idle))


@dataclass(frozen=True, slots=True, kw_only=True)
class EndSession:
    """Ends one session of the principal's account, their present one too. It holds for the next request.

    Raises:
        SessionNotFound: the account has no such session, or it is over.
    """

    begin: BeginUnitOfWork
    clock: Clock

    @retried_on_conflict
    async def __call__(
        self, *, principal: Principal, session_id: str, client: Client = UNKNOWN_CLIENT
    ) -> None:
        if has_control_characters(session_id):
            raise SessionNotFound  # no session has such an id, and some databases refuse to look for it
        now, user_id = self.clock.now(), principal.user.id
        async with self.begin() as uow:
            if not await uow.sessions.revoke(session_id, at=now, user_id=user_id):
                raise SessionNotFound
            await uow.audit_log.append(
                SessionEnded(at=now, user_id=user_id, session_id=session_id, client=client)
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class EndOtherSessions:
    """Ends every session of the principal's account but the present one. Of none no trace is left."""

    begin: BeginUnitOfWork
    clock: Clock

    @retried_on_conflict
    async def __call__(self, *, principal: Principal, client: Client = UNKNOWN_CLIENT) -> None:
        now, user_id, present = self.clock.now(), principal.user.id, principal.session.id
        async with self.begin() as uow:
            if await uow.sessions.revoke_all(user_id, at=now, besides=present):
                await uow.audit_log.append(
                    OtherSessionsEnded(at=now, user_id=user_id, session_id=present, client=client)
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class EndAllSessions:
    """Ends every session of the principal's account, the present one too."""

    begin: BeginUnitOfWork
    clock: Clock

    @retried_on_conflict
    async def __call__(self, *, principal: Principal, client: Client = UNKNOWN_CLIENT) -> None:
        now, user_id, present = self.clock.now(), principal.user.id, principal.session.id
        async with self.begin() as uow:
            if await uow.sessions.revoke_all(user_id, at=now):
                await uow.audit_log.append(
                    AllSessionsEnded(at=now, user_id=user_id, session_id=present, client=client)
                )
