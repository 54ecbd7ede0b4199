"""Whether this service can do its work right now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from identity.application.ports import Clock, ReadUnitOfWork, Schema, SchemaTooNew

# Mail to an unknown address is dropped at once. A shorter wait would tell, to whoever just asked for a reset,
# that his mail is on its way to somebody.
WORTH_TELLING = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    schema_is_current: bool
    outbox_age: timedelta
    """How long the oldest mail has been waiting; zero when none has waited for a minute."""


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
        if not await self._schema_is_current():
            return Health(schema_is_current=False, outbox_age=timedelta())
        async with self.read() as uow:
            oldest = await uow.outbox.oldest()
        age = self.clock.now() - oldest if oldest else timedelta()
        return Health(schema_is_current=True, outbox_age=age if age >= WORTH_TELLING else timedelta())

    async def _schema_is_current(self) -> bool:
        try:
            return await self.schema.is_current()
        except SchemaTooNew:
            return False
