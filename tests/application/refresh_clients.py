"""Who refreshes: apps with one tab or several, as they really behave, and the service they ask."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from enum import Enum
from itertools import count
from typing import Any, Protocol

from tests.application.world import (
    ACCESS_LIFETIME,
    BUCKETS,
    CODE_DIGESTS,
    IDLE,
    LINKS,
    REUSE_WINDOW,
    SESSION_LIFETIME,
    SESSIONS_PER_ACCOUNT,
    renderer,
)

from identity.adapters.hashing_lane import AsyncHashingLane
from identity.adapters.jwt.keyring import Keyring
from identity.adapters.jwt.keys import SealedKeys
from identity.adapters.jwt.tokens import JwtTokens
from identity.adapters.jwt.vault import Vault
from identity.adapters.memory import (
    FixedClock,
    MemoryMailer,
    MemoryRateLimiter,
    MemoryStorage,
    PlainHasher,
    SeededRandomness,
    WordList,
)
from identity.application.composing import ComposeMail
from identity.application.courier import Courier
from identity.application.login import LogIn
from identity.application.login_code import MintLoginCode
from identity.application.outbox import MAIL_SCHEDULE, DeliverMail
from identity.application.passwords import JudgePassword
from identity.application.ports import UnitOfWork
from identity.application.registration import JudgeRegistration, RegisterUser
from identity.application.sessions import Authenticate, BeginSession, LogOut, RefreshSession, SignTokens
from identity.application.throttling import CountRequest, HashPassword, VerifyPassword
from identity.domain.errors import AccessTokenRefused, TokenRefused
from identity.domain.password_policy import PasswordPolicy
from identity.domain.secrets import Secret
from identity.domain.session import Session
from identity.domain.tokens import TokenPair

CLOCKS_APART = timedelta(seconds=15)
REPLICAS = (0, 1)
PASSWORD = Secret("yourpassword123")
SECRET = Secret("a secret of at least thirty-two bytes")


# --- apps -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Given:
    """A refresh token, and the access token that came with it."""

    jti: str
    refresh: str
    access: str = ""


class Answers(Enum):
    ARRIVES = "stored, even over a token that another tab stored meanwhile"
    YIELDS = "stored, unless another tab stored one meanwhile"
    IS_LOST = "never heard of"


@dataclass(frozen=True, slots=True, eq=False)
class Tab:
    """One tab of an app at the moment when its access token has expired; times in seconds from then.

    It reads the shared token at `reads_at`, which a replica sees at `sends_at`; at `hears_at` the answer is
    there. A tab that finds the token replaced when it looks takes what is stored and asks for nothing. A
    rash one refreshes all the same: its own request had been refused with the old access token.
    """

    reads_at: int
    sends_at: int
    hears_at: int
    replica: int
    answer: Answers
    is_rash: bool = False


class Refreshing(Protocol):
    clock: FixedClock

    async def at_once(self, requests: Sequence[tuple[Given, int]]) -> list[Given | None]:
        """What the refresh tokens, each at its replica, are answered; `None` for a refusal."""


class LoggedOut(Exception):
    """A refresh was refused."""


@dataclass
class App:
    """A page whose tabs share one storage. Without `stores` it keeps its first refresh token for good.

    What it is spared, and what makes the difference between an app that is never logged out and one that may
    be: its requests are through within half a minute, and all its answers are lost for a minute on end at
    most (while it can still ask).
    """

    service: Refreshing
    stored: Given
    stores: bool = True
    is_spared: bool = True
    _unanswered_since: datetime | None = None

    async def refresh(self, tabs: Sequence[Tab]) -> None:
        """Lives through one moment, until the last answer is there.

        Raises:
            LoggedOut: of one tab at least.
        """
        start, before = self.service.clock.at, self.stored
        tabs = self._heard(tabs)
        read: dict[Tab, Given] = {}
        answered: dict[Tab, Given | None] = {}
        for second in sorted({at for tab in tabs for at in (tab.reads_at, tab.sends_at, tab.hears_at)}):
            self.service.clock.at = start + timedelta(seconds=second)
            for tab in tabs:
                if tab.hears_at == second and tab in answered:
                    self._hear(tab, read[tab], answered[tab])
            read |= {
                tab: self.stored
                for tab in tabs
                if tab.reads_at == second and (tab.is_rash or self.stored.jti == before.jti)
            }
            sending = [tab for tab in tabs if tab.sends_at == second and tab in read]
            if sending:
                answers = await self.service.at_once([(read[tab], tab.replica) for tab in sending])
                answered |= dict(zip(sending, answers, strict=True))
        self._unanswered_since = (
            (self._unanswered_since or start) if self.stored.jti == before.jti and self.stores else None
        )

    def _heard(self, tabs: Sequence[Tab]) -> Sequence[Tab]:
        """After a minute without an answer, one arrives."""
        since = self._unanswered_since
        if not self.is_spared or since is None or self.service.clock.at < since + timedelta(minutes=1):
            return tabs
        return [
            Tab(tab.reads_at, tab.sends_at, tab.hears_at, tab.replica, Answers.ARRIVES, tab.is_rash)
            for tab in tabs
        ]

    def _hear(self, tab: Tab, sent: Given, answer: Given | None) -> None:
        if answer is None:
            raise LoggedOut
        yields = tab.answer is Answers.YIELDS and self.stored.jti != sent.jti
        if self.stores and tab.answer is not Answers.IS_LOST and not yields:
            self.stored = answer


# --- what they ask ----------------------------------------------------------------------------------------


class Rules:
    """The rules alone: one session of the domain, without tokens, storage or rivals."""

    def __init__(self) -> None:
        self.clock = FixedClock()
        self._ids = count(1)
        self.session = Session(
            id="session",
            user_id=1,
            current="0",
            created_at=self.clock.at,
            last_used_at=self.clock.at,
            expires_at=self.clock.at + SESSION_LIFETIME,
        )
        self.first = Given("0", "0")

    async def at_once(self, requests: Sequence[tuple[Given, int]]) -> list[Given | None]:
        return [self.given(token, replica) for token, replica in requests]

    def given(self, token: Given, replica: int = 0) -> Given | None:
        after = self.session.refreshed(
            token.jti,
            child=str(next(self._ids)),
            at=self.clock.at + replica * CLOCKS_APART,
            window=REUSE_WINDOW,
        )
        if after is None or after.pending is None:
            return None
        self.session = after
        return Given(after.pending, after.pending)


class Deployment:
    """The real use cases at two replicas, whose clocks are apart, on one storage that outlives them."""

    def __init__(self) -> None:
        self.clock = FixedClock()
        self.storage = MemoryStorage()
        self.mailer = MemoryMailer()
        self._randomness = SeededRandomness()
        self._names = count(1)
        self.restart()

    def restart(self) -> None:
        """Only the storage stays: its keys are opened anew."""
        self.replicas = [
            Replica(_Ahead(self.clock, number * CLOCKS_APART), self.storage, self.mailer, self._randomness)
            for number in REPLICAS
        ]

    async def logged_in(self) -> tuple[int, str, Given]:
        """Somebody new: the ids of their account and session, and their tokens."""
        name, replica = f"user{next(self._names)}", self.replicas[0]
        await replica.register_user(username=name, email=f"{name}@example.com", password=PASSWORD)
        pair = await replica.log_in(username=name, password=PASSWORD)
        claims = await replica.tokens.read(pair.refresh, expected=None)
        return claims.user_id, claims.session_id, Given(claims.jti, pair.refresh, pair.access)

    async def at_once(self, requests: Sequence[tuple[Given, int]]) -> list[Given | None]:
        return await asyncio.gather(*(self.replicas[to].refreshed(token) for token, to in requests))


class Replica:
    """The use cases of one process."""

    def __init__(
        self, clock: _Ahead, storage: MemoryStorage, mailer: MemoryMailer, randomness: SeededRandomness
    ) -> None:
        rival = ReadsBesideWriters(storage)
        keyring = Keyring(
            read=storage.read,
            begin=storage.begin,
            sealed=SealedKeys(
                vault=Vault(SECRET, purpose="signing-keys"), randomness=randomness, algorithm="ES256"
            ),
            clock=clock,
            longest_lifetime=timedelta(days=365),
        )
        self.clock = clock
        self.tokens = JwtTokens(
            keyring=keyring,
            issuer="https://id.example.org",
            audience="https://api.example.org",
            clock=clock,
        )
        sign_tokens = SignTokens(tokens=self.tokens, randomness=randomness, access_lifetime=ACCESS_LIFETIME)
        hasher, limiter, lane = PlainHasher(), MemoryRateLimiter(), AsyncHashingLane(slots=1)
        hash_password = HashPassword(lane=lane, hasher=hasher)
        count_request = CountRequest(limiter=limiter, buckets=BUCKETS, clock=clock)
        judge_password = JudgePassword(common_passwords=WordList([]), policy=PasswordPolicy())
        self.register_user = RegisterUser(
            begin=storage.begin,
            hash_password=hash_password,
            judge_registration=JudgeRegistration(
                read=storage.read, count_request=count_request, judge_password=judge_password
            ),
            clock=clock,
            randomness=randomness,
            verification_mail=False,
        )
        self.log_in = LogIn(
            read=storage.read,
            begin=storage.begin,
            hasher=hasher,
            hash_password=hash_password,
            verify_password=VerifyPassword(
                lane=lane, limiter=limiter, buckets=BUCKETS, hasher=hasher, clock=clock
            ),
            begin_session=BeginSession(
                randomness=randomness,
                lifetime=SESSION_LIFETIME,
                sessions_per_account=SESSIONS_PER_ACCOUNT,
                new_device_mail=True,
            ),
            sign_tokens=sign_tokens,
            clock=clock,
            randomness=randomness,
            requires_verification=False,
        )
        self.refresh_session = RefreshSession(
            begin=rival.begin,
            count_request=count_request,
            tokens=self.tokens,
            sign_tokens=sign_tokens,
            clock=clock,
            randomness=randomness,
            idle=IDLE,
            reuse_window=REUSE_WINDOW,
        )
        self.log_out = LogOut(begin=rival.begin, tokens=self.tokens, clock=clock)
        self.authenticate = Authenticate(
            read=storage.read, begin=rival.begin, tokens=self.tokens, clock=clock, idle=IDLE
        )
        self.deliver_mail = DeliverMail(
            courier=Courier(
                read=storage.read,
                begin=storage.begin,
                clock=clock,
                randomness=randomness,
                schedule=MAIL_SCHEDULE,
            ),
            compose_mail=ComposeMail(
                begin=storage.begin,
                clock=clock,
                randomness=randomness,
                links=LINKS,
                mint_login_code=MintLoginCode(randomness=randomness, code_digests=CODE_DIGESTS),
            ),
            limiter=limiter,
            buckets=BUCKETS,
            renderer=renderer(),
            mailer=mailer,
            clock=clock,
        )

    async def refreshed(self, token: Given) -> Given | None:
        try:
            pair: TokenPair = await self.refresh_session(refresh=token.refresh)
        except TokenRefused:
            return None
        claims = await self.tokens.read(pair.refresh, expected=None)
        return Given(claims.jti, pair.refresh, pair.access)

    async def accepts(self, token: Given) -> bool:
        """Whether a request with this access token is let in."""
        try:
            await self.authenticate(access=token.access)
        except AccessTokenRefused:
            return False
        return True


@dataclass(frozen=True, slots=True)
class _Ahead:
    """A clock that is ahead of another one."""

    clock: FixedClock
    by: timedelta

    def now(self) -> datetime:
        return self.clock.now() + self.by


class ReadsBesideWriters:
    """As a database whose readers do not wait for a writer: between reading and writing others may commit.

    A unit of work finds a session without waiting, and becomes the one writer with the first other call.
    """

    def __init__(self, storage: MemoryStorage) -> None:
        self._storage = storage

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[UnitOfWork]:
        async with AsyncExitStack() as stack:
            late = _LateWriter(self._storage, stack)
            yield UnitOfWork(**{part.name: _Late(part.name, late) for part in fields(UnitOfWork)})


@dataclass
class _LateWriter:
    storage: MemoryStorage
    stack: AsyncExitStack
    writing: UnitOfWork | None = None

    async def unit_of_work(self) -> UnitOfWork:
        if self.writing is None:
            self.writing = await self.stack.enter_async_context(self.storage.begin())
        return self.writing

    async def call(self, repository: str, method: str, *args: Any, **kwargs: Any) -> Any:
        if self.writing is None and method == "get_with_user":
            async with self.storage.read() as uow:
                return await uow.sessions.get_with_user(*args, **kwargs)
        uow = await self.unit_of_work()
        return await getattr(getattr(uow, repository), method)(*args, **kwargs)


@dataclass
class _Late:
    repository: str
    writer: _LateWriter

    def __getattr__(self, method: str) -> Any:
        async def call(*args: Any, **kwargs: Any) -> Any:
            return await self.writer.call(self.repository, method, *args, **kwargs)

        return call
