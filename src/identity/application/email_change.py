"""Changing the address of an account by a link to the new one, and taking that back by a link to the old."""

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
    EmailTaken,
    IncorrectPassword,
    InvalidInput,
    OneTimeTokenRefused,
    UsernameTaken,
)
from identity.domain.events import EmailChanged, EmailChangeRequested, EmailChangeUndone
from identity.domain.names import EmailAddress, Username
from identity.domain.one_time_token import OneTimeToken, Purpose
from identity.domain.secrets import Secret
from identity.domain.session import UNKNOWN_CLIENT, Client
from identity.domain.text import BLANK, Malformed
from identity.domain.user import User

CONFIRMED_WITHIN = timedelta(hours=24)  # NIST SP 800-63A, 3.8: no longer for a code that is sent by e-mail
UNDONE_WITHIN = timedelta(hours=72)
KEPT_FOR = 2 * UNDONE_WITHIN  # the link may leave as late as it lasts, and lasts as long then

OWN_ADDRESS = "This is already your email address."
NO_USERNAME = "Your username is your email address and cannot be this one. Choose another username first."


def parse_new_address(text: str, user: User) -> EmailAddress:
    """The address that the account is to have instead of its own.

    Raises:
        Malformed: it is none, or the account's own, or the username, which is the old one, cannot follow.
    """
    address = EmailAddress.parse(text)
    if address.key == user.email.key:
        raise Malformed(OWN_ADDRESS)
    if user.username.is_address(user.email) and Username.of_address(address) is None:
        raise Malformed(NO_USERNAME)
    return address


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestEmailChange:
    """Asks for a mail to a new address, with a link that makes it the account's. Nothing changes before.

    Blind: whether the address is another account's already is not asked here. The mail is not written then.

    Raises:
        InvalidInput: the text is not an address that the account could have.
        IncorrectPassword: the password is another one.
        AccessTokenRefused: the session has ended meanwhile, or the account was closed.
        Throttled: there were too many failures, of the account or from the address.
    """

    read: ReadUnitOfWork
    begin: BeginUnitOfWork
    confirm_password: ConfirmPassword
    clock: Clock
    randomness: Randomness
    idle: timedelta

    async def __call__(
        self,
        *,
        principal: Principal,
        new_email: str,
        password: Secret,
        client: Client = UNKNOWN_CLIENT,
        language: str = "",
    ) -> None:
        """`language`: the tag of the one that whoever asks would like the mail to be in."""
        async with self.read() as uow:
            user = await find_owner(uow, principal, at=self.clock.now(), idle=self.idle)
        problems: dict[str, tuple[str, ...]] = {} if password else {"password": (BLANK,)}
        try:
            address = parse_new_address(new_email, user)
        except Malformed as malformed:
            raise InvalidInput({"new_email": malformed.problems, **problems}) from None
        if problems:
            raise InvalidInput(problems)
        if not await self.confirm_password(
            password, user=user, session_id=principal.session.id, client=client
        ):
            raise IncorrectPassword
        await self._ask(principal, address, client, language)

    @retried_on_conflict
    async def _ask(self, principal: Principal, address: EmailAddress, client: Client, language: str) -> None:
        now = self.clock.now()
        intent = MailIntent.about(
            principal.user.id,
            MailKind.EMAIL_CHANGE,
            id=self.randomness.identifier(),
            at=now,
            client=client,
            to=address,
            language=language,
        )
        async with self.begin() as uow:
            await find_owner(uow, principal, at=now, idle=self.idle)
            await uow.audit_log.append(
                EmailChangeRequested(
                    at=now, user_id=principal.user.id, session_id=principal.session.id, client=client
                )
            )
            await uow.outbox.put(intent)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmEmailChange:
    """Gives the account the address to which the link was mailed. Both addresses get a mail, the old one with
    a link that undoes it; so long it is kept from others.

    Sessions go on: whoever did this knew the password and reads the mail.

    Raises:
        OneTimeTokenRefused: the token is wrong, spent, void, expired or another account's, or the address was
            taken meanwhile.
        Throttled: too many tokens from the address were wrong, and this one is.
    """

    begin: BeginUnitOfWork
    follow_link: FollowLink
    clock: Clock
    randomness: Randomness

    @retried_on_conflict
    async def __call__(self, *, uidb64: str, token: Secret, client: Client = UNKNOWN_CLIENT) -> None:
        user, found = await self.follow_link(
            uidb64=uidb64, token=token, purpose=Purpose.CHANGE_EMAIL, client=client
        )
        now = self.clock.now()
        try:
            async with self.begin() as uow:
                changed = await _follow(uow, user, found, at=now)
                await uow.reservations.hold(user.email, user_id=user.id, until=now + KEPT_FOR)
                await uow.one_time_tokens.void(user.id, at=now)
                await uow.audit_log.append(EmailChanged(at=now, user_id=user.id, client=client))
                for kind, reader in (
                    (MailKind.EMAIL_CHANGED, user.email),
                    (MailKind.EMAIL_CONFIRMED, changed.email),
                ):
                    notice = MailIntent.about(
                        user.id,
                        kind,
                        id=self.randomness.identifier(),
                        at=now,
                        client=client,
                        to=reader,
                    )
                    await uow.outbox.put(notice)
        except (EmailTaken, UsernameTaken):
            raise OneTimeTokenRefused from None


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoEmailChange:
    """Gives the account back the address that it had before a change, whatever was changed since. All
    sessions end, and its owner gets a mail that says to reset the password.

    Later changes cannot be undone any more, for that would bring back what this one took away; earlier ones
    still can. A deletion that was asked for is off: whoever changed the address may be the one who asked.

    Raises:
        OneTimeTokenRefused: the token is wrong, spent, expired, or another account's, or the change was taken
            back with an earlier one.
        Throttled: too many tokens from the address were wrong, and this one is.
    """

    begin: BeginUnitOfWork
    follow_link: FollowLink
    clock: Clock
    randomness: Randomness

    @retried_on_conflict
    async def __call__(self, *, uidb64: str, token: Secret, client: Client = UNKNOWN_CLIENT) -> None:
        user, found = await self.follow_link(
            uidb64=uidb64, token=token, purpose=Purpose.UNDO_EMAIL_CHANGE, client=client
        )
        now = self.clock.now()
        try:
            async with self.begin() as uow:
                restored = await _follow(uow, user.spared(), found, at=now)
                if not await uow.reservations.release_from(restored.email, user_id=user.id):
                    raise OneTimeTokenRefused
                await uow.sessions.revoke_all(user.id, at=now)
                await uow.one_time_tokens.void(user.id, at=now)
                await uow.audit_log.append(EmailChangeUndone(at=now, user_id=user.id, client=client))
                notice = MailIntent.about(
                    user.id,
                    MailKind.EMAIL_CHANGE_UNDONE,
                    id=self.randomness.identifier(),
                    at=now,
                    client=client,
                    to=restored.email,
                )
                await uow.outbox.put(notice)
        except (EmailTaken, UsernameTaken):
            raise OneTimeTokenRefused from None


async def _follow(uow: UnitOfWork, user: User, link: OneTimeToken, *, at: datetime) -> User:
    """Uses the link up, and gives the account the address that it was mailed to, or that it restores.

    Raises:
        OneTimeTokenRefused: somebody was first, or the name is kept for another.
        UsernameTaken, EmailTaken: another account has it.
    """
    if link.email is None:
        raise OneTimeTokenRefused
    # The account first, as everybody locks it: the other order could end in a deadlock.
    changed = await uow.users.save(user.with_email(link.email, at=at))
    if not await uow.one_time_tokens.spend(link.digest, purpose=link.purpose, user_id=user.id, at=at):
        raise OneTimeTokenRefused
    is_held = await uow.reservations.is_held(changed.email, besides=user.id)
    if not changed.username.is_address(changed.email):  # else it is that of whoever has the address
        is_held = is_held or await uow.reservations.is_held(changed.username, besides=user.id)
    if is_held:
        raise OneTimeTokenRefused
    return changed
