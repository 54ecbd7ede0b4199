"""Opening an account."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from identity.application.conflicts import retried_on_conflict
from identity.application.passwords import JudgePassword
from identity.application.ports import BeginUnitOfWork, Clock, ReadUnitOfWork
from identity.application.throttling import CountRequest, HashPassword, Request
from identity.domain.errors import EmailTaken, InvalidInput, UsernameTaken
from identity.domain.events import SuperuserCreated, UserRegistered
from identity.domain.names import USERNAME_CHARACTERS, EmailAddress, Username
from identity.domain.secrets import Secret
from identity.domain.session import UNKNOWN_CLIENT, Client
from identity.domain.text import Malformed
from identity.domain.user import NewUser, User


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterUser:
    """Opens an account with a username, an e-mail address and a password.

    Raises:
        InvalidInput: with every problem of every field in one answer.
        Throttled: too many names were asked for from this address.
    """

    read: ReadUnitOfWork
    begin: BeginUnitOfWork
    hash_password: HashPassword
    count_request: CountRequest
    judge_password: JudgePassword
    clock: Clock

    @retried_on_conflict
    async def __call__(
        self,
        *,
        username: str,
        email: str,
        password: Secret,
        superuser: bool = False,
        client: Client = UNKNOWN_CLIENT,
    ) -> User:
        problems = await self.problems(username=username, email=email, password=password, client=client)
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
            email_verified_at=now if superuser else None,  # the operator vouches for it
        )
        happened = SuperuserCreated if superuser else UserRegistered
        async with self.begin() as uow:
            user = await uow.users.add(registration)
            await uow.audit_log.append(happened(at=now, user_id=user.id, client=client))
        return user

    async def problems(
        self,
        *,
        username: str | None = None,
        email: str | None = None,
        password: Secret | None = None,
        client: Client = UNKNOWN_CLIENT,
    ) -> Mapping[str, tuple[str, ...]]:
        """What is wrong with these, by field. What is not given is not judged."""
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
        if name is not None and name.looks_like_an_address and not _is_own_address(name, address):
            problems["username"] = (USERNAME_CHARACTERS,)
        async with self.read() as uow:
            if name is not None and "username" not in problems and await uow.users.with_username(name):
                problems["username"] = (UsernameTaken.message,)
            if address is not None and await uow.users.with_email(address):
                problems["email"] = (EmailTaken.message,)
        if password is not None:
            unacceptable = self.judge_password(password, username=name, email=address)
            if unacceptable:
                problems["password"] = unacceptable
        return problems


def _is_own_address(name: Username, address: EmailAddress | None) -> bool:
    return address is not None and EmailAddress(name.value).key == address.key
