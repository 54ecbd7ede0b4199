"""Beginning a session."""

from __future__ import annotations

from dataclasses import dataclass

from identity.application.conflicts import retried_on_conflict
from identity.application.mail import MailIntent, MailKind
from identity.application.ports import BeginUnitOfWork, Clock, PasswordHasher, Randomness, ReadUnitOfWork
from identity.application.sessions import BeginSession, SignTokens
from identity.application.throttling import HashPassword, VerifyPassword
from identity.domain import events
from identity.domain.errors import InvalidInput, LoginRefused
from identity.domain.names import EMAIL_LIMIT, EmailAddress, Username
from identity.domain.password_policy import is_oversized
from identity.domain.secrets import Secret
from identity.domain.session import UNKNOWN_CLIENT, Client
from identity.domain.text import BLANK, has_control_characters
from identity.domain.tokens import TokenPair
from identity.domain.user import User

# Typed with its marks apart, a name has at most three times its characters. What is longer is not even
# normalised: the time that takes grows with the square of the length, to 0.1 s for a body full of marks.
LONGEST_NAME = 4 * EMAIL_LIMIT


@dataclass(frozen=True, slots=True, kw_only=True)
class LogIn:
    """Begins a session for the account with this username, or this e-mail address, and this password.

    A text with an `@` is looked up as an address only, so that no username can stand in for an address.
    Unknown, wrong and closed make the same port calls and take the same time.

    Where verification is required, an account whose address is not verified is refused too, and with the
    right password its owner gets a fresh link. Every other refusal then writes the same for a reader who is
    nobody, or the time would tell which password was right.

    Raises:
        LoginRefused: there is no such account, the password is another one, the account is closed, or its
            address is not verified as it has to be.
        InvalidInput: a field is blank.
        Throttled: there were too many failures, of the account or from the address.
    """

    read: ReadUnitOfWork
    begin: BeginUnitOfWork
    hasher: PasswordHasher
    hash_password: HashPassword
    verify_password: VerifyPassword
    begin_session: BeginSession
    sign_tokens: SignTokens
    clock: Clock
    randomness: Randomness
    requires_verification: bool

    @retried_on_conflict
    async def __call__(
        self, *, username: str, password: Secret, client: Client = UNKNOWN_CLIENT
    ) -> TokenPair:
        blank = [name for name, text in (("username", username.strip()), ("password", password)) if not text]
        if blank:
            raise InvalidInput({name: [BLANK] for name in blank})
        if is_oversized(password):
            raise LoginRefused
        user, key = await self._find(username)
        may_enter = user is None or user.is_verified or not self.requires_verification
        is_good = await self.verify_password(
            password, user=user, named=key, client=client, may_enter=may_enter
        )
        if user is None or not is_good or not may_enter:
            await self._refuse(user, client, is_good=is_good)
            raise LoginRefused
        outdated = self.hasher.needs_rehash(user.password_hash)
        rehashed = await self.hash_password(password) if outdated else None
        now = self.clock.now()
        async with self.begin() as uow:
            session = await self.begin_session(uow, user, rehashed=rehashed, client=client, at=now)
        return await self.sign_tokens(session, refresh_jti=session.current, at=now)

    async def _find(self, username: str) -> tuple[User | None, str]:
        """The account, and the key of the name it is called by."""
        text = username.strip()
        if len(text) > LONGEST_NAME or has_control_characters(text):
            return None, text  # nobody has such a name, and some databases refuse to look for it
        async with self.read() as uow:
            if "@" in text:
                address = EmailAddress(text)
                return await uow.users.with_email(address), address.key
            name = Username(text)
            return await uow.users.with_username(name), name.key

    @retried_on_conflict
    async def _refuse(self, user: User | None, client: Client, *, is_good: bool) -> None:
        user_id = user.id if user else None
        trace = events.LoginRefused(at=self.clock.now(), user_id=user_id, actor=events.ANYBODY, client=client)
        link = self._link(user if is_good else None) if self.requires_verification else None
        async with self.begin() as uow:
            await uow.audit_log.append(trace)
            if link is not None:
                await uow.outbox.put(link)

    def _link(self, user: User | None) -> MailIntent:
        intent_id = self.randomness.identifier()
        return MailIntent(
            id=intent_id,
            kind=MailKind.VERIFY_EMAIL,
            created_at=self.clock.now(),
            email_key=intent_id if user is None else user.email.key,
            # A mail for each: that nothing was written, as one waits already, would show in the time.
            values={"request": intent_id},
        )
