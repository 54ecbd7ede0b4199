"""Throwing away what is over."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from identity.application.audit import PurgeAuditLog
from identity.application.conflicts import retried_on_conflict
from identity.application.deletion import EraseAccounts, erase
from identity.application.ports import BeginUnitOfWork, Clock, RateLimiter, UnitOfWork
from identity.application.sessions import DEVICES_REMEMBERED
from identity.domain.events import SERVICE, RegistrationLapsed

# Longer than any clock may step back: what is deleted is refused for want of a row, and stays refused.
KEPT_AFTER_EXPIRY = timedelta(days=2)
DEAD_LETTERS_KEPT = timedelta(days=30)
BATCH = 500  # rows in one transaction, which others may have to wait for
BATCH_OF_ACCOUNTS = 50  # each of which takes several statements


@dataclass(frozen=True, slots=True, kw_only=True)
class Purged:
    """How many of each were deleted."""

    sessions: int
    devices: int
    one_time_tokens: int
    login_codes: int
    dead_letters: int
    rate_limits: int
    reservations: int
    audit_events: int
    accounts: int
    """That were erased."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeExpired:
    """Deletes sessions, one-time tokens and login codes long expired, devices long unseen, dead letters of 30
    days ago, what the throttle has forgotten, accounts whose erasure is due, and reserved names and days of
    the audit log whose time is over.

    With its name goes an account that was to be verified within that time: an account and a name that was
    only reserved end together, so that nobody can tell which it was.
    """

    begin: BeginUnitOfWork
    limiter: RateLimiter
    clock: Clock
    erase_accounts: EraseAccounts
    purge_audit_log: PurgeAuditLog

    async def __call__(self) -> Purged:
        now = self.clock.now()
        expired, unseen, died = now - KEPT_AFTER_EXPIRY, now - DEVICES_REMEMBERED, now - DEAD_LETTERS_KEPT
        return Purged(
            sessions=await self._stored(lambda uow: uow.sessions.purge(expired_before=expired, limit=BATCH)),
            devices=await self._stored(lambda uow: uow.devices.purge(seen_before=unseen, limit=BATCH)),
            one_time_tokens=await self._stored(
                lambda uow: uow.one_time_tokens.purge(expired_before=expired, limit=BATCH)
            ),
            login_codes=await self._stored(
                lambda uow: uow.login_codes.purge(expired_before=expired, limit=BATCH)
            ),
            dead_letters=await self._stored(lambda uow: uow.outbox.purge(before=died, limit=BATCH)),
            reservations=await self._stored(self._end_reservations),
            rate_limits=await _all(lambda: self.limiter.purge(ended_before=expired, limit=BATCH)),
            audit_events=await self.purge_audit_log(),
            accounts=await self.erase_accounts(),
        )

    async def _end_reservations(self, uow: UnitOfWork) -> int:
        now = self.clock.now()
        holders = await uow.reservations.purge(ended_before=now, limit=BATCH_OF_ACCOUNTS)
        for user_id in filter(None, holders):
            user = await uow.users.get(user_id)
            is_unused = user is not None and not user.is_verified and user.last_login_at is None
            if user is not None and is_unused:
                trace = RegistrationLapsed(at=now, user_id=user_id, actor=SERVICE)
                await erase(uow, user, trace=trace)
        return len(holders)

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
