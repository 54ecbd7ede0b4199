"""Whether this service can do its work right now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from identity.application.ports import Clock, ReadUnitOfWork, Schema


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    schema_is_current: bool
    outbox_age: timedelta
    """How long the oldest mail has been waiting; zero when none waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckHealth:
    """Asks the storage. Mail that waits is reported, and no ground to stop serving logins.

    Raises:
        Unavailable: the storage does not answer.
    """

    read: ReadUnitOfWork
    schema: Schema
    clock: Clock

    async def __call__(self) -> Health:
        if not await self.schema.is_current():
            return Health(schema_is_current=False, outbox_age=timedelta())
        async with self.read() as uow:
            oldest = await uow.outbox.oldest()
        age = self.clock.now() - oldest if oldest else timedelta()
        return Health(schema_is_current=True, outbox_age=max(age, timedelta()))
