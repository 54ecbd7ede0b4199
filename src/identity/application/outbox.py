"""Turning the intents of the outbox into mail that has left the house."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from identity.application.composing import ComposeMail, is_counted
from identity.application.conflicts import retried_on_conflict
from identity.application.mail import LEASE, ClaimedIntent, MailIntent
from identity.application.ports import (
    BeginUnitOfWork,
    Clock,
    Mailer,
    MailRenderer,
    Randomness,
    RateLimiter,
    ReadUnitOfWork,
)
from identity.application.throttling import Buckets
from identity.domain.errors import MailDeferred, MailRefused, Throttled

log = logging.getLogger(__name__)

SENDING_LIMIT = timedelta(seconds=45)
"""A send is given up before its lease lapses, so that no two workers send one intent at once."""
MOST_ATTEMPTS = 12
FIRST_DELAY = timedelta(seconds=30)
LONGEST_DELAY = timedelta(hours=1)


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
class DeliverMail:
    """Takes the intent that has been due the longest and sends its mail. `None` when nothing is due.

    A mail that cannot be sent now is tried again later and later; one that never can be becomes a dead
    letter.
    """

    read: ReadUnitOfWork
    begin: BeginUnitOfWork
    compose_mail: ComposeMail
    limiter: RateLimiter
    buckets: Buckets
    renderer: MailRenderer
    mailer: Mailer
    clock: Clock
    randomness: Randomness

    async def __call__(self) -> Outcome | None:
        async with self.read() as uow:
            if not await uow.outbox.has_due(at=self.clock.now()):
                return None
        claimed = await self._claim()
        if claimed is None:
            return None
        if claimed.attempts > MOST_ATTEMPTS:  # earlier ones ended with their worker, and may have ended it
            return await self._bury(claimed, error="was tried too often")
        try:
            outcome = await self._deliver(claimed)
        except asyncio.CancelledError:
            await self._release(claimed)
            raise
        if outcome in {Outcome.SENT, Outcome.DROPPED}:  # not released any more, or it would be sent again
            await self._settle(claimed, outcome)
        if outcome is Outcome.SENT:
            await self._count(claimed.intent)
        return outcome

    @retried_on_conflict
    async def _claim(self) -> ClaimedIntent | None:
        async with self.begin() as uow:
            return await uow.outbox.claim(
                lease_id=self.randomness.identifier(), at=self.clock.now(), lease=LEASE
            )

    @retried_on_conflict
    async def _release(self, claimed: ClaimedIntent) -> None:
        async with self.begin() as uow:
            await uow.outbox.release(claimed)

    async def _deliver(self, claimed: ClaimedIntent) -> Outcome:
        try:
            async with asyncio.timeout(SENDING_LIMIT.total_seconds()):
                # First of all: a code that is minted can be guessed, whether or not it is mailed.
                await self._look_for_room(claimed.intent)
                mail = await self.compose_mail(claimed.intent)
                if mail is not None:
                    message = self.renderer.render(mail, id=claimed.intent.id, date=claimed.intent.created_at)
                    await self.mailer.send(message)
        except Throttled:
            return Outcome.DROPPED
        except MailRefused as refusal:
            return await self._bury(claimed, error=str(refusal))
        except MailDeferred as deferral:
            return await self._try_again(claimed, error=str(deferral))
        except TimeoutError:
            return await self._try_again(claimed, error="timed out")
        except Exception as error:  # noqa: BLE001 - one bad mail must not hold up the others
            return await self._try_again(claimed, error=type(error).__name__)
        return Outcome.SENT if mail else Outcome.DROPPED

    @retried_on_conflict
    async def _look_for_room(self, intent: MailIntent) -> None:
        """Raises `Throttled`: the account had its share of notices of this kind for today."""
        if is_counted(intent):
            places = await self.limiter.reserve(self.buckets.of_notice(intent), at=self.clock.now())
            # Given back at once: only what has left counts, however often it had to wait.
            await self.limiter.succeed(*(places or ()), at=self.clock.now())

    @retried_on_conflict
    async def _count(self, intent: MailIntent) -> None:
        if is_counted(intent):
            with suppress(Throttled):  # another worker sent the last that there was room for meanwhile
                await self.limiter.count(self.buckets.of_notice(intent), at=self.clock.now())

    @retried_on_conflict  # or what was sent would be sent again
    async def _settle(self, claimed: ClaimedIntent, outcome: Outcome) -> None:
        async with self.begin() as uow:
            if outcome is Outcome.SENT:
                await uow.one_time_tokens.mark_sent(claimed.intent.id, at=self.clock.now())
            settled = await uow.outbox.settle(claimed)
        if not settled:
            log.warning("%s mail %s: the lease had lapsed", claimed.intent.kind, claimed.intent.id)
        log.info("%s mail %s: %s", claimed.intent.kind, claimed.intent.id, outcome)

    async def _try_again(self, claimed: ClaimedIntent, *, error: str) -> Outcome:
        if claimed.attempts >= MOST_ATTEMPTS:
            return await self._bury(claimed, error=error)
        log.warning("%s mail %s has to wait: %s", claimed.intent.kind, claimed.intent.id, error)
        delay = min(FIRST_DELAY * 2 ** (claimed.attempts - 1), LONGEST_DELAY)
        jittered = delay * (0.5 + self.randomness.fraction() / 2)
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
        log.error("%s mail %s is given up: %s", claimed.intent.kind, claimed.intent.id, error)
        return Outcome.DEAD
