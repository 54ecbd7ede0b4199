"""Beginning a session, carrying it on, ending it, and telling from a token whose request this is."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from identity.application.conflicts import retried_on_conflict
from identity.application.mail import MailIntent, MailKind
from identity.application.ports import BeginUnitOfWork, Clock, Randomness, ReadUnitOfWork, Tokens, UnitOfWork
from identity.application.throttling import CountRequest, Request
from identity.domain.errors import AccessTokenRefused, Conflict, TokenFault, TokenRefused, Unavailable
from identity.domain.events import ANYBODY, LoggedIn, LoggedOut, RefreshTokenReused
from identity.domain.secrets import PasswordHash
from identity.domain.session import UNKNOWN_CLIENT, Client, Session
from identity.domain.tokens import Claims, TokenKind, TokenPair
from identity.domain.user import User

log = logging.getLogger(__name__)

USE_NOTED_EVERY = timedelta(minutes=1)
DEVICES_REMEMBERED = timedelta(days=90)
MOST_DEVICES = 100
"""Of one account. Whoever says at each login that they are another program does not fill the database."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Whose request this is: the account, and the session that vouches for it."""

    user: User
    session: Session


@dataclass(frozen=True, slots=True, kw_only=True)
class SignTokens:
    """Signs the pair of tokens that a login or a refresh answers with."""

    tokens: Tokens
    randomness: Randomness
    access_lifetime: timedelta

    async def __call__(self, session: Session, *, refresh_jti: str, at: datetime) -> TokenPair:
        access = Claims(
            kind=TokenKind.ACCESS,
            user_id=session.user_id,
            session_id=session.id,
            jti=self.randomness.identifier(),
            issued_at=at,
            expires_at=min(at + self.access_lifetime, session.expires_at),
        )
        refresh = Claims(
            kind=TokenKind.REFRESH,
            user_id=session.user_id,
            session_id=session.id,
            jti=refresh_jti,
            issued_at=at,
            expires_at=session.expires_at,
        )
        return TokenPair(access=await self.tokens.sign(access), refresh=await self.tokens.sign(refresh))


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginSession:
    """Begins a session for somebody who has shown who they are, in the unit of work of the caller.

    Its owner gets a mail when the device has not been seen for 90 days, but not for the first login.

    Raises:
        Conflict: the account was closed meanwhile, or its password is not that of `user` any more.
    """

    randomness: Randomness
    lifetime: timedelta
    sessions_per_account: int
    new_device_mail: bool

    async def __call__(
        self,
        uow: UnitOfWork,
        user: User,
        *,
        client: Client,
        at: datetime,
        rehashed: PasswordHash | None = None,
        event: type[LoggedIn] = LoggedIn,
    ) -> Session:
        """`rehashed` replaces the hash of the password, `event` says how they have shown it."""
        session = self._new(user, client=client, at=at)
        if not await uow.users.record_login(user.id, verified=user.password_hash, rehashed=rehashed, at=at):
            raise Conflict("the account changed while it was logged in to")
        await uow.sessions.revoke_surplus(user.id, keep=self.sessions_per_account - 1, at=at)
        await uow.sessions.add(session)
        await uow.audit_log.append(event(at=at, user_id=user.id, session_id=session.id, client=client))
        is_known = await uow.devices.see(user.id, client.device, at=at, since=at - DEVICES_REMEMBERED)
        if not is_known:
            await uow.devices.forget_surplus(user.id, keep=MOST_DEVICES)
        is_first_login = user.last_login_at is None
        if self.new_device_mail and not is_known and not is_first_login:
            await uow.outbox.put(self._notice(user, client=client, at=at))
        return session

    def _notice(self, user: User, *, client: Client, at: datetime) -> MailIntent:
        return MailIntent.about(
            user.id, MailKind.NEW_DEVICE, id=self.randomness.identifier(), at=at, client=client
        )

    def _new(self, user: User, *, client: Client, at: datetime) -> Session:
        return Session(
            id=self.randomness.identifier(),
            user_id=user.id,
            current=self.randomness.identifier(),
            created_at=at,
            last_used_at=at,
            expires_at=at + self.lifetime,
            client=client,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshSession:
    """Answers a refresh token with a fresh access token and the refresh token to use next.

    A superseded refresh token ends its session: two parties hold copies (see `domain/session.py`).

    Raises:
        TokenRefused: the token is not genuine, its session is over, or it was superseded.
        Throttled: it would be refused, as too many from the same address were.
    """

    begin: BeginUnitOfWork
    count_request: CountRequest
    tokens: Tokens
    sign_tokens: SignTokens
    clock: Clock
    randomness: Randomness
    idle: timedelta
    reuse_window: timedelta

    async def __call__(self, *, refresh: str, client: Client = UNKNOWN_CLIENT) -> TokenPair:
        try:
            return await self._refresh(refresh, client)
        except TokenRefused:
            await self.count_request(Request.REFUSED_REFRESH, client)
            raise

    @retried_on_conflict
    async def _refresh(self, refresh: str, client: Client) -> TokenPair:
        claims = await self.tokens.read(refresh, expected=TokenKind.REFRESH)
        now = self.clock.now()
        async with self.begin() as uow:
            before, _ = await _named_by(claims, uow, at=now, idle=self.idle)
            after = before.refreshed(
                claims.jti, child=self.randomness.identifier(), at=now, window=self.reuse_window
            )
            if after is None:
                await self._end_reused(uow, before, at=now, client=client)
            elif not await uow.sessions.rotate(before, after):
                raise Conflict("another refresh of this session was first")
        if after is None or after.pending is None:
            raise TokenRefused(TokenFault.BLACKLISTED)
        return await self.sign_tokens(after, refresh_jti=after.pending, at=now)

    async def _end_reused(self, uow: UnitOfWork, session: Session, *, at: datetime, client: Client) -> None:
        if not await uow.sessions.revoke(session.id, at=at):
            return  # another request found the same, or the owner logged out
        await uow.audit_log.append(
            RefreshTokenReused(
                at=at, user_id=session.user_id, actor=ANYBODY, session_id=session.id, client=client
            )
        )
        notice = MailIntent.about(
            session.user_id,
            MailKind.SESSION_REUSED,
            id=self.randomness.identifier(),
            at=at,
            client=client,
            signed_out=session.client,
        )
        await uow.outbox.put(notice)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOut:
    """Ends the session that a genuine refresh token belongs to, whichever of its generations that is.

    Raises:
        TokenRefused: the token is not genuine, or its session was ended or has expired already.
    """

    begin: BeginUnitOfWork
    tokens: Tokens
    clock: Clock

    @retried_on_conflict
    async def __call__(self, *, refresh: str, client: Client = UNKNOWN_CLIENT) -> None:
        claims = await self.tokens.read(refresh, expected=TokenKind.REFRESH)
        now = self.clock.now()
        async with self.begin() as uow:
            if not await uow.sessions.revoke(claims.session_id, at=now, user_id=claims.user_id):
                raise TokenRefused(TokenFault.BLACKLISTED)
            await uow.audit_log.append(
                LoggedOut(at=now, user_id=claims.user_id, session_id=claims.session_id, client=client)
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyToken:
    """Says whether an access or refresh token is good, its session included. Changes nothing.

    Raises:
        TokenRefused: it is not.
    """

    read: ReadUnitOfWork
    tokens: Tokens
    clock: Clock
    idle: timedelta
    reuse_window: timedelta

    async def __call__(self, *, token: str) -> None:
        claims = await self.tokens.read(token, expected=None)
        now = self.clock.now()
        async with self.read() as uow:
            session, _ = await _named_by(claims, uow, at=now, idle=self.idle)
        if claims.kind is TokenKind.REFRESH and not session.recognises(
            claims.jti, at=now, window=self.reuse_window
        ):
            raise TokenRefused(TokenFault.BLACKLISTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Authenticate:
    """Tells from an access token whose request this is. Asks the session, so that its end holds at once.

    Notes that the session was used, at most once a minute.

    Raises:
        AccessTokenRefused: the token is not good, or its session is over.
    """

    read: ReadUnitOfWork
    begin: BeginUnitOfWork
    tokens: Tokens
    clock: Clock
    idle: timedelta

    async def __call__(self, *, access: str) -> Principal:
        now = self.clock.now()
        try:
            claims = await self.tokens.read(access, expected=TokenKind.ACCESS)
            async with self.read() as uow:
                session, user = await _named_by(claims, uow, at=now, idle=self.idle)
        except TokenRefused as refusal:
            over = refusal.reason is TokenFault.BLACKLISTED
            raise AccessTokenRefused(TokenFault.INVALID if over else refusal.reason) from None
        if session.last_used_at <= now - USE_NOTED_EVERY:
            await self._note_use(session, at=now)
        return Principal(user=user, session=session)

    async def _note_use(self, session: Session, *, at: datetime) -> None:
        try:
            async with self.begin() as uow:
                await uow.sessions.touch(session.id, at=at, unless_since=at - USE_NOTED_EVERY)
        except Unavailable as error:  # no reason to refuse what only reads
            log.warning("the use of a session could not be noted: %s", error)


async def find_live(
    uow: UnitOfWork, session_id: str, *, at: datetime, idle: timedelta
) -> tuple[Session, User] | None:
    """The session and its account, if neither is over."""
    found = await uow.sessions.get_with_user(session_id)
    if found is None:
        return None
    session, user = found
    return found if session.is_live(at=at, idle=idle) and not user.is_closed else None


async def find_owner(uow: UnitOfWork, principal: Principal, *, at: datetime, idle: timedelta) -> User:
    """The principal's account as it is now.

    Raises:
        AccessTokenRefused: the session has ended meanwhile, or the account was closed.
    """
    found = await find_live(uow, principal.session.id, at=at, idle=idle)
    if found is None:
        raise AccessTokenRefused
    return found[1]


async def _named_by(
    claims: Claims, uow: UnitOfWork, *, at: datetime, idle: timedelta
) -> tuple[Session, User]:
    """The live session and account that a token names."""
    found = await find_live(uow, claims.session_id, at=at, idle=idle)
    if found is None or found[1].id != claims.user_id:
        raise TokenRefused(TokenFault.BLACKLISTED)
    return found
