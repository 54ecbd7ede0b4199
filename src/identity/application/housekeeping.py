"""Throwing away what is over."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from identity.application.conflicts import retried_on_conflict
from identity.application.deletion import EraseAccounts
from identity.application.login import DEVICES_REMEMBERED
from identity.application.ports import BeginUnitOfWork, Clock, RateLimiter, UnitOfWork

# Longer than any clock may step back: what is deleted is refused for want of a row, and stays refused.
KEPT_AFTER_EXPIRY = timedelta(days=2)
DEAD_LETTERS_KEPT = timedelta(days=30)
BATCH = 500  # rows in one transaction, which others may have to wait for


@dataclass(frozen=True, slots=True, kw_only=True)
class Purged:
    """How many of each were deleted."""

    sessions: int
    devices: int
    one_time_tokens: int
    dead_letters: int
    rate_limits: int
    accounts: int
    """That were erased."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeExpired:
    """Deletes sessions and one-time tokens long expired, devices long unseen, dead letters of 30 days ago,
    what the throttle has forgotten, and accounts whose erasure is due."""

    begin: BeginUnitOfWork
    limiter: RateLimiter
    clock: Clock
    erase_accounts: EraseAccounts

    async def __call__(self) -> Purged:
        now = self.clock.now()
        expired, unseen, died = now - KEPT_AFTER_EXPIRY, now - DEVICES_REMEMBERED, now - DEAD_LETTERS_KEPT
        return Purged(
            sessions=await self._stored(lambda uow: uow.sessions.purge(expired_before=expired, limit=BATCH)),
            devices=await self._stored(lambda uow: uow.devices.purge(seen_before=unseen, limit=BATCH)),
            one_time_tokens=await self._stored(
                lambda uow: uow.one_time_tokens.purge(expired_before=expired, limit=BATCH)
            ),
            dead_letters=await self._stored(lambda uow: uow.outbox.purge(dead_before=died, limit=BATCH)),
            rate_limits=await _all(lambda: self.limiter.purge(ended_before=expired, limit=BATCH)),
            accounts=await self.erase_accounts(),
        )

    async def _stored(self, purge: Callable[[UnitOfWork], Awaitable[int]]) -> int:
        async def batch() -> int:
            async with self.begin() as uow:
                return await purge(uow)

        return await _all(batch)


async def _all(purge: Callable[[], Awaitable[int]]) -> int:
    @retried_on_conflict
    async def batch() -> int:
        return await purge()

    total = 0
    while count := await batch():
        total += count
    return total
