"""An owner's way out: having the account closed, thinking better of it, and its erasure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from identity.application.conflicts import retried_on_conflict
from identity.application.links import FollowLink
from identity.application.mail import MailIntent, MailKind
from identity.application.ports import BeginUnitOfWork, Clock, Randomness, ReadUnitOfWork, UnitOfWork
from identity.application.sessions import Principal, find_owner
from identity.application.throttling import ConfirmPassword
from identity.domain.errors import (
    IncorrectPassword,
    InvalidInput,
    LastSuperuser,
    OneTimeTokenRefused,
)
from identity.domain.events import SERVICE, AccountErased, DeletionRequested, DeletionUndone, Event
from identity.domain.one_time_token import Purpose
from identity.domain.secrets import Secret
from identity.domain.session import UNKNOWN_CLIENT, Client
from identity.domain.text import BLANK
from identity.domain.user import User

ERASED_IN_A_ROUND = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestDeletion:
    """Closes the account of an owner who knows its password, to be erased when the `grace` is over.

    All sessions end, and the owner is mailed a link to undo it; without any grace there is nothing to undo.
    Nobody can sign in meanwhile. Answers from when on the account will be erased.

    Raises:
        InvalidInput: there is no password.
        IncorrectPassword: it is another one.
        LastSuperuser: there is no other superuser whose account is open.
        AccessTokenRefused: the session has ended meanwhile, or the account was closed.
        Throttled: there were too many failures, of the account or from the address.
    """

    read: ReadUnitOfWork
    begin: BeginUnitOfWork
    confirm_password: ConfirmPassword
    clock: Clock
    randomness: Randomness
    idle: timedelta
    grace: timedelta

    @retried_on_conflict
    async def __call__(
        self, *, principal: Principal, password: Secret, client: Client = UNKNOWN_CLIENT
    ) -> datetime:
        async with self.read() as uow:
            user = await find_owner(uow, principal, at=self.clock.now(), idle=self.idle)
        if not password:
            raise InvalidInput({"password": [BLANK]})
        if not await self.confirm_password(
            password, user=user, session_id=principal.session.id, client=client
        ):
            raise IncorrectPassword
        now = self.clock.now()
        due_at = now + self.grace
        mail = MailIntent.about(
            user.id, MailKind.DELETION_REQUESTED, id=self.randomness.identifier(), at=now, client=client
        )
        async with self.begin() as uow:
            if user.superuser_since and len(await uow.users.open_superusers()) == 1:
                raise LastSuperuser
            await find_owner(uow, principal, at=now, idle=self.idle)
            await uow.users.save(user.awaiting_erasure(due_at=due_at))
            await uow.sessions.revoke_all(user.id, at=now)
            await uow.one_time_tokens.void(user.id, at=now)
            await uow.audit_log.append(
                DeletionRequested(at=now, user_id=user.id, session_id=principal.session.id, client=client)
            )
            await uow.outbox.put(mail)
        return due_at


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoDeletion:
    """Opens an account again that was to be erased, with the token of a mailed link, and tells its owner.

    Its password stays as it was, and its sessions stay over.

    Raises:
        OneTimeTokenRefused: the token is wrong, spent, expired, another account's, or of another deletion.
        Throttled: too many tokens from the address were wrong, and this one is.
    """

    begin: BeginUnitOfWork
    follow_link: FollowLink
    clock: Clock
    randomness: Randomness

    @retried_on_conflict
    async def __call__(self, *, uidb64: str, token: Secret, client: Client = UNKNOWN_CLIENT) -> None:
        user, found = await self.follow_link(
            uidb64=uidb64, token=token, purpose=Purpose.UNDO_DELETION, client=client
        )
        if found.expires_at != user.erasure_due_at:
            raise OneTimeTokenRefused  # it was made for an earlier one, which was undone by another
        now = self.clock.now()
        notice = MailIntent.about(
            user.id, MailKind.DELETION_UNDONE, id=self.randomness.identifier(), at=now, client=client
        )
        async with self.begin() as uow:
            await uow.users.save(user.spared())
            if not await uow.one_time_tokens.spend(
                token.digest(), purpose=Purpose.UNDO_DELETION, user_id=user.id, at=now
            ):
                raise OneTimeTokenRefused
            await uow.audit_log.append(DeletionUndone(at=now, user_id=user.id, client=client))
            await uow.outbox.put(notice)


async def erase(uow: UnitOfWork, user: User, *, trace: Event) -> bool:
    """Deletes the account with all that tells whose it was, and leaves this trace of it in the audit log.

    What the log has of it already stays too, but for where its requests came from: under an id that nobody
    will ever have again. False: the account was changed since it was read, or logged in to, or is gone;
    nothing was changed.
    """
    if not await uow.users.erase(user):
        return False
    await uow.audit_log.forget_clients(user.id)
    await uow.audit_log.append(trace)
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class EraseAccounts:
    """Erases the accounts whose time has come, each in a transaction of its own; how many.

    One whose owner undoes it at the same moment is either erased or open again.
    """

    read: ReadUnitOfWork
    begin: BeginUnitOfWork
    clock: Clock

    async def __call__(self) -> int:
        total = 0
        while count := await self._round():
            total += count
        return total

    async def _round(self) -> int:
        now = self.clock.now()
        async with self.read() as uow:
            due = await uow.users.due_for_erasure(at=now, limit=ERASED_IN_A_ROUND)
        return sum([await self._erase(user, at=now) for user in due])

    @retried_on_conflict
    async def _erase(self, user: User, *, at: datetime) -> bool:
        async with self.begin() as uow:
            return await erase(uow, user, trace=AccountErased(at=at, user_id=user.id, actor=SERVICE))
