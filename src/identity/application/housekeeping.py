"""Throwing away what is over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from identity.application.ports import BeginUnitOfWork, Clock

# Longer than any clock may step back: what is deleted is refused for want of a row, and stays refused.
KEPT_AFTER_EXPIRY = timedelta(days=2)
DEAD_LETTERS_KEPT = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Purged:
    """How many of each were deleted."""

    sessions: int
    one_time_tokens: int
    dead_letters: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeExpired:
    """Deletes sessions and one-time tokens that are long expired, and dead letters older than 30 days."""

    begin: BeginUnitOfWork
    clock: Clock

    async def __call__(self) -> Purged:
        now = self.clock.now()
        async with self.begin() as uow:
            return Purged(
                sessions=await uow.sessions.purge(expired_before=now - KEPT_AFTER_EXPIRY),
                one_time_tokens=await uow.one_time_tokens.purge(expired_before=now - KEPT_AFTER_EXPIRY),
                dead_letters=await uow.outbox.purge(dead_before=now - DEAD_LETTERS_KEPT),
            )
