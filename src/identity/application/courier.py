"""What everything that leaves through the outbox has in common: leases, back-off, and dead letters."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from identity.application.conflicts import retried_on_conflict
from identity.application.letters import LEASE, ClaimedIntent, Intent
from identity.application.ports import BeginUnitOfWork, Clock, Randomness, ReadUnitOfWork, UnitOfWork
from identity.domain.errors import DeliveryDeferred, DeliveryRefused

log = logging.getLogger(__name__)

SENDING_LIMIT = timedelta(seconds=45)
"""A delivery is given up before its lease lapses, so that no two workers deliver one intent at once."""
FIRST_DELAY = timedelta(seconds=30)


class Outcome(StrEnum):
    """What became of an intent."""

    SENT = "sent"
    DROPPED = "dropped"
    """There is nobody to send it to, no sense in it any more, or too many were sent today."""
    DEFERRED = "deferred"
    """It will be tried again."""
    DEAD = "dead"
    """It is kept for people to look at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How often something is tried, and how long it rests after each time: twice as long as before."""

    attempts: int
    longest_delay: timedelta

    def delay(self, attempts: int) -> timedelta:
        doubled: timedelta = FIRST_DELAY * 2 ** (attempts - 1)
        return min(doubled, self.longest_delay)


async def _nothing_else(_uow: UnitOfWork, _intent: Intent) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Courier:
    """Takes the intent of a queue that has been due the longest, has it delivered, and settles it.

    One that cannot be delivered now is tried again later and later; one that never can be becomes a dead
    letter.
    """

    read: ReadUnitOfWork
    begin: BeginUnitOfWork
    clock: Clock
    randomness: Randomness
    schedule: Schedule

    async def carry(
        self,
        queue: str,
        *,
        deliver: Callable[[Intent], Awaitable[Outcome]],
        settle: Callable[[UnitOfWork, Intent], Awaitable[None]] = _nothing_else,
    ) -> tuple[Intent, Outcome] | None:
        """`deliver` answers `SENT` or `DROPPED`, or raises `DeliveryDeferred` or `DeliveryRefused`; `settle`
        is what becomes true with one that was sent. `None`: nothing is due."""
        async with self.read() as uow:
            if not await uow.outbox.has_due(at=self.clock.now(), queue=queue):
                return None
        claimed = await self._claim(queue)
        if claimed is None:
            return None
        if claimed.attempts > self.schedule.attempts:  # earlier ones ended with their worker, or ended it
            return claimed.intent, await self._bury(claimed, error="was tried too often")
        try:
            outcome = await self._attempt(claimed, deliver)
        except asyncio.CancelledError:
            await self._release(claimed)
            raise
        if outcome in {Outcome.SENT, Outcome.DROPPED}:  # not released any more, or it would be sent again
            await self._settle(claimed, outcome, settle)
        return claimed.intent, outcome

    @retried_on_conflict
    async def _claim(self, queue: str) -> ClaimedIntent | None:
        async with self.begin() as uow:
            return await uow.outbox.claim(
                lease_id=self.randomness.identifier(), at=self.clock.now(), lease=LEASE, queue=queue
            )

    @retried_on_conflict
    async def _release(self, claimed: ClaimedIntent) -> None:
        async with self.begin() as uow:
            await uow.outbox.release(claimed)

    async def _attempt(
        self, claimed: ClaimedIntent, deliver: Callable[[Intent], Awaitable[Outcome]]
    ) -> Outcome:
        try:
            async with asyncio.timeout(SENDING_LIMIT.total_seconds()):
                return await deliver(claimed.intent)
        except DeliveryRefused as refusal:
            return await self._bury(claimed, error=str(refusal))
        except DeliveryDeferred as deferral:
            return await self._try_again(claimed, error=str(deferral))
        except TimeoutError:
            return await self._try_again(claimed, error="timed out")
        except Exception as error:  # noqa: BLE001 - a bad one must not hold up the others
            return await self._try_again(claimed, error=type(error).__name__)

    @retried_on_conflict  # or what was sent would be sent again
    async def _settle(
        self,
        claimed: ClaimedIntent,
        outcome: Outcome,
        settle: Callable[[UnitOfWork, Intent], Awaitable[None]],
    ) -> None:
        async with self.begin() as uow:
            if outcome is Outcome.SENT:
                await settle(uow, claimed.intent)
            settled = await uow.outbox.settle(claimed)
        if not settled:
            log.warning("%s: the lease had lapsed", claimed.intent)
        log.info("%s: %s", claimed.intent, outcome)

    async def _try_again(self, claimed: ClaimedIntent, *, error: str) -> Outcome:
        if claimed.attempts >= self.schedule.attempts:
            return await self._bury(claimed, error=error)
        log.warning("%s has to wait: %s", claimed.intent, error)
        jittered = self.schedule.delay(claimed.attempts) * (0.5 + self.randomness.fraction() / 2)
        await self._postpone(claimed, until=self.clock.now() + jittered, error=error)
        return Outcome.DEFERRED

    @retried_on_conflict
    async def _postpone(self, claimed: ClaimedIntent, *, until: datetime, error: str) -> None:
        async with self.begin() as uow:
            await uow.outbox.postpone(claimed, until=until, error=error)

    @retried_on_conflict
    async def _bury(self, claimed: ClaimedIntent, *, error: str) -> Outcome:
        async with self.begin() as uow:
            await uow.outbox.bury(claimed, at=self.clock.now(), error=error)
        log.error("%s is given up: %s", claimed.intent, error)
        return Outcome.DEAD
