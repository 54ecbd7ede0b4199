"""What administrators do to an account: superusers over HTTP, operators on the command line.

Nobody among them sees or sets a password. Each act is one unit of work, with the state, the event that names
who did it, and the mail; what is so already is left as it is, and leaves no event.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

from identity.application.administration import Authorise
from identity.application.conflicts import retried_on_conflict
from identity.application.deletion import erase
from identity.application.links import Link
from identity.application.mail import MailIntent, MailKind
from identity.application.ports import BeginUnitOfWork, Clock, Randomness, UnitOfWork
from identity.application.sessions import Principal
from identity.domain.errors import Conflict, LastSuperuser
from identity.domain.events import (
    AccountDisabled,
    AccountEnabled,
    AccountErased,
    Actor,
    EmailVouchedFor,
    Event,
    PasswordResetForced,
    ResetLinkMinted,
    SessionsRevoked,
    SuperuserGranted,
    SuperuserTaken,
)
from identity.domain.one_time_token import OneTimeToken, Purpose
from identity.domain.secrets import NO_PASSWORD, Secret
from identity.domain.session import UNKNOWN_CLIENT, Client
from identity.domain.user import User

LINK_LIFETIME = timedelta(hours=1)
"""Of a reset link that is handed over instead of mailed, whatever that of the others is."""


class AccountClosed(Exception):
    """The account is disabled, or about to be erased: a link would be of no use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdministerUser:
    """Does something to an account. Answers with the account as it is then.

    Raises:
        NotPermitted, LoginTooOld, AccessTokenRefused: they may not, or may not any more.
        AccountNotFound: there is none with this id.
        LastSuperuser: there would be no open account of a superuser any more.
    """

    event: ClassVar[type[Event]]
    fate: ClassVar[str | None] = None
    """What becomes of a superuser who is none any more, or cannot log in."""

    begin: BeginUnitOfWork
    authorise: Authorise
    clock: Clock
    randomness: Randomness

    @retried_on_conflict
    async def __call__(self, *, by: Principal | Actor, user_id: int, client: Client = UNKNOWN_CLIENT) -> User:
        """`by`: a superuser, or `OPERATOR`."""
        now = self.clock.now()
        async with self.begin() as uow:
            actor, user = await self.authorise(uow, by=by, user_id=user_id, at=now)
            changed = self._changed(user, at=now)
            if self.fate and changed != user:
                await spare_last_superuser(uow, user, fate=self.fate)
            saved = await uow.users.save(changed) if changed != user else user
            if await self._act(uow, user, at=now) or saved is not user:
                await uow.audit_log.append(self.event(at=now, user_id=user.id, actor=actor, client=client))
        return saved

    def _changed(self, user: User, *, at: datetime) -> User:
        """The account as it is to be."""
        return user

    async def _act(self, uow: UnitOfWork, user: User, *, at: datetime) -> bool:
        """What else there is to do, with the account as it was; whether anything was done."""
        return False


class DisableUser(AdministerUser):
    """Closes the account: all sessions end, nobody can log in, and links that were mailed are void."""

    event = AccountDisabled
    fate = "disabled"

    def _changed(self, user: User, *, at: datetime) -> User:
        return user.disabled(at=at)

    async def _act(self, uow: UnitOfWork, user: User, *, at: datetime) -> bool:
        if user.is_disabled:
            return False
        await uow.sessions.revoke_all(user.id, at=at)
        await uow.one_time_tokens.void(user.id, at=at)
        return True


class EnableUser(AdministerUser):
    """Opens a disabled account again. Its sessions stay over."""

    event = AccountEnabled

    def _changed(self, user: User, *, at: datetime) -> User:
        return user.enabled()


class ForceReset(AdministerUser):
    """Takes the password away and mails a link to set another; all sessions end. Of an account that has none
    any more too, as often as it is asked for, up to the number of links that are mailed in a day. One that is
    closed is mailed nothing.
    """

    event = PasswordResetForced

    def _changed(self, user: User, *, at: datetime) -> User:
        return user.with_password(NO_PASSWORD, at=at)

    async def _act(self, uow: UnitOfWork, user: User, *, at: datetime) -> bool:
        await uow.sessions.revoke_all(user.id, at=at)
        await uow.one_time_tokens.void(user.id, at=at)
        intent = MailIntent(
            id=self.randomness.identifier(),
            kind=MailKind.PASSWORD_RESET,
            created_at=at,
            email_key=user.email.key,
        )
        await uow.outbox.put(intent)
        return True


class EndUserSessions(AdministerUser):
    """Ends every session of the account."""

    event = SessionsRevoked

    async def _act(self, uow: UnitOfWork, user: User, *, at: datetime) -> bool:
        return await uow.sessions.revoke_all(user.id, at=at) > 0


class VerifyUserEmail(AdministerUser):
    """Vouches that mail to the account's address reaches its owner. Links of before are void."""

    event = EmailVouchedFor

    def _changed(self, user: User, *, at: datetime) -> User:
        return user.verified(at=at)

    async def _act(self, uow: UnitOfWork, user: User, *, at: datetime) -> bool:
        if user.is_verified:
            return False
        await settle_address(uow, user, at=at)
        return True


class PromoteUser(AdministerUser):
    """Gives the account every permission, and vouches for its address, as `createsuperuser` does."""

    event = SuperuserGranted

    def _changed(self, user: User, *, at: datetime) -> User:
        return user if user.is_superuser else user.promoted(at=at).verified(at=at)

    async def _act(self, uow: UnitOfWork, user: User, *, at: datetime) -> bool:
        if user.is_superuser or user.is_verified:
            return False
        await settle_address(uow, user, at=at)
        return True


class DemoteUser(AdministerUser):
    """Takes the permissions of a superuser away, from the next request on. The account's sessions go on."""

    event = SuperuserTaken
    fate = "demoted"

    def _changed(self, user: User, *, at: datetime) -> User:
        return user.demoted()


@dataclass(frozen=True, slots=True, kw_only=True)
class EraseUser:
    """Erases an account at once and for good, without any grace and without a mail.

    Raises:
        NotPermitted, LoginTooOld, AccessTokenRefused: they may not, or may not any more.
        AccountNotFound: there is none with this id.
        LastSuperuser: there is no other superuser whose account is open.
    """

    begin: BeginUnitOfWork
    authorise: Authorise
    clock: Clock

    @retried_on_conflict
    async def __call__(self, *, by: Principal | Actor, user_id: int, client: Client = UNKNOWN_CLIENT) -> None:
        """`by`: a superuser, or `OPERATOR`."""
        now = self.clock.now()
        async with self.begin() as uow:
            actor, user = await self.authorise(uow, by=by, user_id=user_id, at=now)
            await spare_last_superuser(uow, user, fate="deleted")
            trace = AccountErased(at=now, user_id=user.id, actor=actor, client=client)
            if not await erase(uow, user, trace=trace):
                raise Conflict("the account was changed or logged in to while it was erased")


@dataclass(frozen=True, slots=True, kw_only=True)
class MintResetLink:
    """Makes a link to set another password, good once and for an hour, for an operator to hand over where no
    mail arrives. Until it is followed nothing changes: the password works, and sessions go on. Then the
    address counts as verified, as by any reset: whoever hands the link over vouches for it.

    Raises:
        NotPermitted, AccessTokenRefused: they may not, or may not any more.
        AccountNotFound: there is none with this id.
        AccountClosed: it is disabled, or about to be erased.
    """

    begin: BeginUnitOfWork
    authorise: Authorise
    clock: Clock
    randomness: Randomness
    link: Link
    """Of its lifetime nothing is taken."""

    @retried_on_conflict
    async def __call__(
        self, *, by: Principal | Actor, user_id: int, client: Client = UNKNOWN_CLIENT
    ) -> Secret:
        """`by`: a superuser, or `OPERATOR`."""
        now, token = self.clock.now(), self.randomness.token()
        async with self.begin() as uow:
            actor, user = await self.authorise(uow, by=by, user_id=user_id, at=now)
            if not user.admits(Purpose.RESET_PASSWORD):
                raise AccountClosed
            await uow.one_time_tokens.add(
                OneTimeToken(
                    digest=token.digest(),
                    purpose=Purpose.RESET_PASSWORD,
                    user_id=user.id,
                    email_key=user.email.key,
                    intent_id=self.randomness.identifier(),
                    created_at=now,
                    expires_at=now + LINK_LIFETIME,
                )
            )
            await uow.audit_log.append(ResetLinkMinted(at=now, user_id=user.id, actor=actor, client=client))
        return self.link.to(user, token)


async def spare_last_superuser(uow: UnitOfWork, user: User, *, fate: str) -> None:
    """Raises `LastSuperuser` if nobody but this account could administer others."""
    if user.is_superuser and not user.is_closed and len(await uow.users.open_superusers()) == 1:
        raise LastSuperuser(fate)


async def settle_address(uow: UnitOfWork, user: User, *, at: datetime) -> None:
    """Of an account whose address has just been verified: it keeps its username, and earlier links are void,
    for whoever opened it may not be who reads its mail."""
    await uow.one_time_tokens.void(user.id, at=at)
    await uow.reservations.release(user.username, user_id=user.id)
