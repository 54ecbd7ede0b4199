"""Opening an account."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from identity.application.conflicts import retried_on_conflict
from identity.application.mail import MailIntent, MailKind
from identity.application.passwords import JudgePassword
from identity.application.ports import BeginUnitOfWork, Clock, Randomness, ReadUnitOfWork, UnitOfWork
from identity.application.throttling import CountRequest, HashPassword, Request
from identity.domain.errors import EmailTaken, InvalidInput, UsernameTaken
from identity.domain.events import (
    ANYBODY,
    OPERATOR,
    OWNER,
    AddressReused,
    SuperuserCreated,
    UserRegistered,
)
from identity.domain.names import USERNAME_CHARACTERS, EmailAddress, Username
from identity.domain.secrets import Secret
from identity.domain.session import UNKNOWN_CLIENT, Client
from identity.domain.text import Malformed
from identity.domain.user import NewUser, User

VERIFIED_WITHIN = timedelta(hours=48)
"""An account whose address has to be verified, or only the name that was asked for, is kept for so long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeRegistration:
    """What is wrong with the fields of a registration, by field. What is not given is not judged.

    Raises:
        Throttled: too many names were asked for from this address.
    """

    read: ReadUnitOfWork
    count_request: CountRequest
    judge_password: JudgePassword
    tells_of_addresses: bool = True
    """Whether it is a problem, to be told, that the address is taken."""

    async def __call__(
        self,
        *,
        username: str | None = None,
        email: str | None = None,
        password: Secret | None = None,
        client: Client = UNKNOWN_CLIENT,
    ) -> Mapping[str, tuple[str, ...]]:
        await self.count_request(Request.REGISTER, client)  # it tells who is registered
        problems: dict[str, tuple[str, ...]] = {}
        name = address = None
        if username is not None:
            try:
                name = Username.parse(username)
            except Malformed as malformed:
                problems["username"] = malformed.problems
        if email is not None:
            try:
                address = EmailAddress.parse(email)
            except Malformed as malformed:
                problems["email"] = malformed.problems
        is_one_name = name is not None and address is not None and name.is_address(address)
        if name is not None and name.looks_like_an_address and not is_one_name:
            problems["username"] = (USERNAME_CHARACTERS,)
        async with self.read() as uow:
            if name is not None and "username" not in problems:
                # Both are asked, or the time would tell whether there is an account behind the name.
                holder, is_held = await uow.users.with_username(name), await uow.reservations.is_held(name)
                # Of a name that is the address itself it is told no more than of the address.
                if is_held or (holder is not None and (self.tells_of_addresses or not is_one_name)):
                    problems["username"] = (UsernameTaken.message,)
            if address is not None and self.tells_of_addresses and await _is_taken(uow, address):
                problems["email"] = (EmailTaken.message,)
        if password is not None:
            unacceptable = self.judge_password(password, username=name, email=address)
            if unacceptable:
                problems["password"] = unacceptable
        return problems


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterUser:
    """Opens an account with a username, an e-mail address and a password.

    Raises:
        InvalidInput: with every problem of every field in one answer.
        Throttled: too many names were asked for from this address.
    """

    begin: BeginUnitOfWork
    hash_password: HashPassword
    judge_registration: JudgeRegistration
    clock: Clock
    randomness: Randomness
    verification_mail: bool
    """Whether the owner gets a link to verify the address. A superuser does not: the operator vouches."""

    @retried_on_conflict
    async def __call__(
        self,
        *,
        username: str,
        email: str,
        password: Secret,
        superuser: bool = False,
        client: Client = UNKNOWN_CLIENT,
        language: str = "",
    ) -> User:
        """`language`: the tag of the one that mail to the account is in."""
        problems = await self.judge_registration(
            username=username, email=email, password=password, client=client
        )
        if problems:
            raise InvalidInput(problems)
        password_hash = await self.hash_password(password)
        now = self.clock.now()
        registration = NewUser(
            username=Username.parse(username),
            email=EmailAddress.parse(email),
            password_hash=password_hash,
            joined_at=now,
            superuser_since=now if superuser else None,
            email_verified_at=now if superuser else None,
            locale=language,
        )
        happened, actor = (SuperuserCreated, OPERATOR) if superuser else (UserRegistered, OWNER)
        async with self.begin() as uow:
            user = await uow.users.add(registration)
            await uow.audit_log.append(happened(at=now, user_id=user.id, actor=actor, client=client))
            if self.verification_mail and not superuser:
                intent = MailIntent(
                    id=self.randomness.identifier(),
                    kind=MailKind.VERIFY_EMAIL,
                    created_at=now,
                    email_key=user.email.key,
                )
                await uow.outbox.put(intent)
        return user


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterBlindly:
    """Opens an account that nobody can log in to before its address is verified.

    Nobody is told that an address is taken: its owner gets a mail instead, and the same is done for as long.
    The username is reserved either way until it is certain that the account stays, so that asking for it
    again tells nothing either.

    Raises:
        InvalidInput: with every problem of every field in one answer, but not that the address is taken.
        Throttled: too many names were asked for from this address.
    """

    begin: BeginUnitOfWork
    hash_password: HashPassword
    judge_registration: JudgeRegistration
    clock: Clock
    randomness: Randomness

    @retried_on_conflict
    async def __call__(
        self,
        *,
        username: str,
        email: str,
        password: Secret,
        client: Client = UNKNOWN_CLIENT,
        language: str = "",
    ) -> None:
        """`language`: the tag of the one that mail to a new account is in."""
        problems = await self.judge_registration(
            username=username, email=email, password=password, client=client
        )
        if problems:
            raise InvalidInput(problems)
        password_hash = await self.hash_password(password)
        now = self.clock.now()
        registration = NewUser(
            username=Username.parse(username),
            email=EmailAddress.parse(email),
            password_hash=password_hash,
            joined_at=now,
            locale=language,
        )
        intent_id = self.randomness.identifier()
        async with self.begin() as uow:
            user, is_new = await uow.users.add_or_find(registration)
            await uow.reservations.hold(
                registration.username, user_id=user.id if is_new else None, until=now + VERIFIED_WITHIN
            )
            happened, actor = (UserRegistered, OWNER) if is_new else (AddressReused, ANYBODY)
            await uow.audit_log.append(happened(at=now, user_id=user.id, actor=actor, client=client))
            kind = MailKind.VERIFY_EMAIL if is_new else MailKind.ACCOUNT_EXISTS
            is_kept = user.email.key != registration.email.key  # for the account, which has another one now
            to = registration.email if is_kept else None
            await uow.outbox.put(MailIntent.about(user.id, kind, id=intent_id, at=now, client=client, to=to))


async def _is_taken(uow: UnitOfWork, address: EmailAddress) -> bool:
    is_used = await uow.users.with_email(address) is not None
    return is_used or await uow.reservations.is_held(address)
