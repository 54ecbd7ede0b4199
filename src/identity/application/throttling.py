"""What may not be tried too often, and by whom. Nothing here is kept under anybody's name or address."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from identity.application.conflicts import retried_on_conflict
from identity.application.mail import MailIntent
from identity.application.ports import BeginUnitOfWork, Clock, HashingLane, PasswordHasher, RateLimiter
from identity.domain.events import PasswordRefused
from identity.domain.password_policy import is_oversized
from identity.domain.secrets import Digest, PasswordHash, Secret
from identity.domain.session import Client
from identity.domain.throttling import Backoff, Bucket, Window
from identity.domain.user import User

FIVE_MINUTES = timedelta(minutes=5)
PER_ACCOUNT = Backoff(free=5, stop=100)
FAILURES_PER_ADDRESS = Window(limit=30, length=FIVE_MINUTES)
REQUESTS_PER_ADDRESS = Window(limit=100, length=FIVE_MINUTES)
NOTICES_A_DAY = Window(limit=5, length=timedelta(days=1))
"""Of each kind to each account: whoever registers with somebody else's address can have them mailed there."""
ANOTHER_TURN_AFTER = 0.02  # seconds: less than a password takes to verify


class Request(StrEnum):
    """What is counted by address alone."""

    REGISTER = "register"
    FORGOT_PASSWORD = "forgot password"
    RESEND_VERIFICATION = "resend verification"
    LOGIN_CODE = "login code"
    REFUSED_LINK = "refused link"
    REFUSED_REFRESH = "refused refresh"


@dataclass(frozen=True, slots=True, kw_only=True)
class Buckets:
    """Which buckets an attempt is counted in. Their keys are HMACs under a key of the service's own."""

    key: bytes
    per_account: Backoff = PER_ACCOUNT
    failures_per_address: Window = FAILURES_PER_ADDRESS
    requests_per_address: Window = REQUESTS_PER_ADDRESS

    def of_login(self, account: str, client: Client) -> tuple[Bucket, Bucket]:
        """`account` is the same text by whichever of its names somebody calls it."""
        of_account = Bucket(
            key=self._digest("account", account),
            allowance=self.per_account,
            favoured=self._digest("account at", account, client.network),
            limit="account",
        )
        of_address = Bucket(
            key=self._digest("failures", client.network), allowance=self.failures_per_address, limit="address"
        )
        return of_account, of_address

    def of_request(self, request: Request, client: Client) -> Bucket:
        key = self._digest(request, client.network)
        return Bucket(key=key, allowance=self.requests_per_address, limit=request)

    def of_notice(self, notice: MailIntent) -> Bucket:
        """Also of a link to another address, which may be a stranger's."""
        reader = notice.to.key if notice.to else notice.reader
        key = self._digest("notice", notice.kind, reader)
        return Bucket(key=key, allowance=NOTICES_A_DAY, limit="notice")

    def _digest(self, *parts: str) -> Digest:
        text = "\0".join(parts).encode(errors="surrogatepass")
        return Digest(hmac.digest(self.key, text, hashlib.sha256))


@dataclass(frozen=True, slots=True, kw_only=True)
class CountRequest:
    """Counts one more request of this kind from this address. What did not come from any is not counted: a
    command, or a program that calls the use case.

    Raises:
        Throttled: there were too many.
    """

    limiter: RateLimiter
    buckets: Buckets
    clock: Clock

    async def __call__(self, request: Request, client: Client) -> None:
        if client.address:
            await self.limiter.count(self.buckets.of_request(request, client), at=self.clock.now())


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgiveFailures:
    """Forgets the failures of an account whose owner has shown by mail who they are."""

    limiter: RateLimiter
    buckets: Buckets
    clock: Clock

    async def __call__(self, user: User, client: Client) -> None:
        of_account, _ = self.buckets.of_login(f"id {user.id}", client)
        await self.limiter.empty(of_account, at=self.clock.now())


@dataclass(frozen=True, slots=True, kw_only=True)
class HashPassword:
    """Hashes a password when it is its turn.

    Raises:
        Unavailable: there is no turn soon.
    """

    lane: HashingLane
    hasher: PasswordHasher

    async def __call__(self, password: Secret) -> PasswordHash:
        async with self.lane.turn():
            return await self.hasher.hash(password)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyPassword:
    """Whether this is the account's password, unless too many were wrong before. None is anybody's whose
    account is closed or not there, at the same cost.

    The decision falls when it is this attempt's turn to be hashed, so that those who wait for theirs are not
    in each other's way; where nothing but attempts that are being judged stands in the way, it waits for
    another turn. An address that has succeeded at the account is counted there by itself.

    Raises:
        Throttled: there were too many failures, of the account or from the address.
        Unavailable: there is no turn soon, or the failures cannot be counted.
    """

    lane: HashingLane
    limiter: RateLimiter
    buckets: Buckets
    hasher: PasswordHasher
    clock: Clock

    async def __call__(
        self, password: Secret, *, user: User | None, named: str, client: Client, may_enter: bool = True
    ) -> bool:
        """`named`: what they call the account, by which it is counted when there is none.

        `may_enter`: whether the right password is enough. Where it is not, it counts as a failure like any
        other, and that as if there were no account: the throttle tells neither which password is right, nor
        that two names are those of one account.
        """
        account = f"id {user.id}" if user is not None and may_enter else f"name {named}"
        buckets = self.buckets.of_login(account, client)
        self.limiter.recall(*buckets, at=self.clock.now())  # who is known to be refused takes no turn
        deadline = self.lane.deadline()
        while True:
            async with self.lane.turn(until=deadline):
                reservations = await self.limiter.reserve(*buckets, at=self.clock.now())
                if reservations is not None:
                    matches = await self.hasher.verify(password, user.password_hash if user else None)
                    break
            await asyncio.sleep(ANOTHER_TURN_AFTER)
        is_good = matches and user is not None and not user.is_closed
        settle = self.limiter.succeed if is_good and may_enter else self.limiter.fail
        await settle(*reservations, at=self.clock.now())
        return is_good


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmPassword:
    """Whether somebody who is logged in knows the password, where what they ask for takes it. A wrong one
    leaves its trace, and counts as at a login.

    Raises:
        Throttled: there were too many failures, of the account or from the address.
        Unavailable: there is no turn soon, or the failures cannot be counted.
    """

    begin: BeginUnitOfWork
    verify_password: VerifyPassword
    clock: Clock

    async def __call__(self, password: Secret, *, user: User, session_id: str, client: Client) -> bool:
        if is_oversized(password):
            return False
        if await self.verify_password(password, user=user, named=user.username.key, client=client):
            return True
        await self._note(
            PasswordRefused(at=self.clock.now(), user_id=user.id, session_id=session_id, client=client)
        )
        return False

    @retried_on_conflict
    async def _note(self, event: PasswordRefused) -> None:
        async with self.begin() as uow:
            await uow.audit_log.append(event)
