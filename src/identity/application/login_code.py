"""Logging in by a code that is mailed: for who has no password at hand. A code, not a link: the programs that
open every link in a mail cannot use it up."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

from identity.application.conflicts import retried_on_conflict
from identity.application.mail import MailIntent, MailKind
from identity.application.ports import (
    BeginUnitOfWork,
    Clock,
    Randomness,
    RateLimiter,
    ReadUnitOfWork,
    UnitOfWork,
)
from identity.application.sessions import BeginSession, SignTokens
from identity.application.throttling import ANOTHER_TURN_AFTER, Buckets, CountRequest, Request
from identity.domain import events
from identity.domain.errors import Conflict, InvalidInput, LoginRefused, Throttled, Unavailable
from identity.domain.login_code import DIGITS, LIFETIME, MOST_TRIES, CodeDigests, LoginCode
from identity.domain.names import EmailAddress
from identity.domain.secrets import NO_PASSWORD, Digest, Secret
from identity.domain.session import UNKNOWN_CLIENT, Client, Session
from identity.domain.text import Malformed
from identity.domain.throttling import Reservation
from identity.domain.tokens import TokenPair
from identity.domain.user import User

TURNS = 100  # of `ANOTHER_TURN_AFTER` each: as long as one waits for a password to be hashed


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLoginCode:
    """Asks for a mail with a code. Answers the secret that the code is good with, to whoever asks.

    Blind: the same calls, whether or not the address is anybody's. Whoever asks too often is not told, and
    nothing is written. Each request gets a mail and a code of its own.

    Raises:
        InvalidInput: the text is not an e-mail address.
    """

    begin: BeginUnitOfWork
    count_request: CountRequest
    clock: Clock
    randomness: Randomness

    @retried_on_conflict
    async def __call__(self, *, email: str, client: Client = UNKNOWN_CLIENT, language: str = "") -> Secret:
        """`language`: the tag of the one that whoever asks would like the mail to be in."""
        try:
            address = EmailAddress.parse(email)
        except Malformed as malformed:
            raise InvalidInput({"email": malformed.problems}) from None
        secret = self.randomness.token()
        try:
            await self.count_request(Request.LOGIN_CODE, client)
        except Throttled:
            return secret
        now = self.clock.now()
        code = LoginCode(
            request=secret.digest(), email_key=address.key, created_at=now, expires_at=now + LIFETIME
        )
        intent = MailIntent(
            id=self.randomness.identifier(),
            kind=MailKind.LOGIN_CODE,
            created_at=now,
            email_key=address.key,
            values={
                "request": code.request.hex(),
                "address": client.address,
                "user_agent": client.user_agent,
                **({"language": language} if language else {}),
            },
        )
        async with self.begin() as uow:
            await uow.login_codes.add(code)
            user = await uow.users.with_email(address)
            await uow.audit_log.append(
                events.LoginCodeRequested(
                    at=now, user_id=user.id if user else None, actor=events.ANYBODY, client=client
                )
            )
            await uow.outbox.put(intent)
        return secret


@dataclass(frozen=True, slots=True, kw_only=True)
class MintLoginCode:
    """Makes the code that a mail is about to carry, in the unit of work of whoever writes that mail.

    A mail that is tried again carries a fresh code, and the latest is the one that counts. `None`: it is too
    late for one.
    """

    randomness: Randomness
    code_digests: CodeDigests

    async def __call__(
        self, uow: UnitOfWork, intent: MailIntent, *, at: datetime
    ) -> tuple[Secret, timedelta] | None:
        """The code, and for how long it is good."""
        request, code = Digest(bytes.fromhex(intent.request)), self.randomness.digits(DIGITS)
        digest = self.code_digests.of(code, request=request)
        is_set = await uow.login_codes.set_digest(request, digest, at=at)
        return (code, intent.created_at + LIFETIME - at) if is_set else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmLoginCode:
    """Begins a session for the account whose address the code was mailed to, which is verified by that. If it
    was not before, its password is gone, and so are its other sessions and links: whoever set it did not
    show that the address is theirs.

    A request has five tries, and so has one for an address of nobody. Its code is void once the account's
    password is set anew. Failures are counted with those of passwords.

    Raises:
        LoginRefused: the code is another one, the request is unknown, spent or has expired, or the account is
            closed.
        Throttled: there were too many failures, of the account or from the address.
        Unavailable: too many are trying at once, or the failures cannot be counted.
    """

    read: ReadUnitOfWork
    begin: BeginUnitOfWork
    limiter: RateLimiter
    buckets: Buckets
    code_digests: CodeDigests
    begin_session: BeginSession
    sign_tokens: SignTokens
    clock: Clock

    @retried_on_conflict
    async def __call__(self, *, request: Secret, code: Secret, client: Client = UNKNOWN_CLIENT) -> TokenPair:
        asked = request.digest()
        digest = self.code_digests.of(code, request=asked)
        user, owner_id, account = await self._find(asked)
        reservations = await self._reserve(account, client)
        now = self.clock.now()
        session: Session | None = None
        async with self.begin() as uow:
            # A code for nobody has its tries too: that none was counted would show in the time that takes.
            is_right = await uow.login_codes.count_try(asked, most=MOST_TRIES, at=now)
            is_right = is_right and await uow.login_codes.spend(asked, digest=digest, at=now)
            if is_right and user is not None and not user.is_closed:
                session = await self._begin(uow, user, client=client, at=now)
            else:
                await uow.audit_log.append(
                    events.LoginRefused(at=now, user_id=owner_id, actor=events.ANYBODY, client=client)
                )
        settle = self.limiter.fail if session is None else self.limiter.succeed
        await settle(*reservations, at=self.clock.now())
        if session is None:
            raise LoginRefused
        return await self.sign_tokens(session, refresh_jti=session.current, at=now)

    async def _find(self, request: Digest) -> tuple[User | None, int | None, str]:
        """Whom the code is good for, whose it is, and what its failures are counted under."""
        async with self.read() as uow:
            code = await uow.login_codes.find(request)
            user = await uow.users.with_email(EmailAddress(code.email_key if code else ""))
        if code is None:
            return None, None, f"request {request.hex()}"
        if user is None:
            return None, None, f"name {code.email_key}"
        is_void = code.created_at < user.password_changed_at
        return (None if is_void else user), user.id, f"id {user.id}"

    async def _reserve(self, account: str, client: Client) -> tuple[Reservation, ...]:
        buckets = self.buckets.of_login(account, client)
        for _ in range(TURNS):
            reservations = await self.limiter.reserve(*buckets, at=self.clock.now())
            if reservations is not None:
                return reservations
            await asyncio.sleep(ANOTHER_TURN_AFTER)
        raise Unavailable("too many attempts at once")

    async def _begin(self, uow: UnitOfWork, user: User, *, client: Client, at: datetime) -> Session:
        session = await self.begin_session(uow, user, client=client, at=at, event=events.LoggedInByCode)
        stored = await uow.users.get(user.id)  # which nobody else changes from now on
        if stored is None or stored.email.key != user.email.key:
            raise Conflict("the account's address was changed while a code was judged")
        if not stored.is_verified:
            # Whoever opened the account may not be who reads its mail: what they have of it ends.
            await uow.users.save(stored.verified(at=at).with_password(NO_PASSWORD, at=at))
            await uow.sessions.revoke_all(user.id, at=at, besides=session.id)
            await uow.one_time_tokens.void(user.id, at=at)
        return session
