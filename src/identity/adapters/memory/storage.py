"""Storage that lives as long as its process."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from identity.adapters.memory.audit_seals import MemoryAuditSeals
from identity.adapters.memory.login_codes import MemoryLoginCodes
from identity.adapters.memory.repositories import (
    MemoryAuditLog,
    MemoryDevices,
    MemoryOneTimeTokens,
    MemoryOutbox,
    MemorySessions,
    MemorySigningKeys,
)
from identity.adapters.memory.state import State, View
from identity.adapters.memory.users import MemoryReservations, MemoryUsers
from identity.application.mail import MailIntent
from identity.application.ports import PoolLoad, UnitOfWork
from identity.domain.events import Event


class MemoryStorage:
    """One writer at a time works on a copy, which replaces the state when it commits."""

    def __init__(self) -> None:
        self._state = State()
        self._ids = itertools.count(1)  # beside the state: an id that was rolled back is not given again
        self._writing = asyncio.Lock()
        self._writer: asyncio.Task[Any] | None = None

    @property
    def events(self) -> tuple[Event, ...]:
        """What the audit log holds, for tests to look at."""
        return tuple(self._state.events)

    @property
    def intents(self) -> tuple[MailIntent, ...]:
        """The mails that the outbox holds, dead letters included, for tests to look at."""
        return tuple(
            queued.intent for queued in self._state.outbox.values() if isinstance(queued.intent, MailIntent)
        )

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[UnitOfWork]:
        self._refuse_nesting()
        await asyncio.sleep(0)  # a database would let others run here, and their races show
        async with self._writing:
            self._writer = asyncio.current_task()
            copy = _Copy(self._state.copy())
            try:
                yield self._unit_of_work(copy)
                self._state = copy.changed()
            finally:
                copy.end()
                self._writer = None

    @asynccontextmanager
    async def read(self) -> AsyncIterator[UnitOfWork]:
        self._refuse_nesting()
        await asyncio.sleep(0)
        yield self._unit_of_work(_Committed(self))

    def pools(self) -> tuple[PoolLoad, ...]:
        """There are no connections."""
        return ()

    async def dispose(self) -> None:
        """There is nothing to let go of."""

    def committed(self) -> State:
        return self._state

    def _refuse_nesting(self) -> None:
        if self._writer is not None and self._writer is asyncio.current_task():
            raise RuntimeError("a unit of work inside a unit of work")

    def _unit_of_work(self, view: View) -> UnitOfWork:
        return UnitOfWork(
            users=MemoryUsers(view, self._ids.__next__),
            reservations=MemoryReservations(view),
            sessions=MemorySessions(view),
            devices=MemoryDevices(view),
            one_time_tokens=MemoryOneTimeTokens(view),
            login_codes=MemoryLoginCodes(view),
            outbox=MemoryOutbox(view),
            audit_log=MemoryAuditLog(view),
            audit_seals=MemoryAuditSeals(view),
            signing_keys=MemorySigningKeys(view),
        )


class _Copy:
    """What a transaction sees and changes."""

    def __init__(self, state: State) -> None:
        self._state: State | None = state

    def seen(self) -> State:
        if self._state is None:
            raise RuntimeError("the unit of work is over")
        return self._state

    changed = seen

    def end(self) -> None:
        self._state = None


class _Committed:
    """What single reads see: always the latest."""

    def __init__(self, storage: MemoryStorage) -> None:
        self._storage = storage

    def seen(self) -> State:
        return self._storage.committed()

    def changed(self) -> State:
        raise RuntimeError("a unit of work that only reads tried to write")

    def end(self) -> None:
        """Nothing is held."""


class MemorySchema:
    """Has no shape that could be behind."""

    async def is_current(self) -> bool:
        return True

    async def upgrade(self) -> None:
        """There is nothing to do."""
