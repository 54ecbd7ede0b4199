"""A lane for what fills a core and much memory: so many at once, the others in a queue that is never long."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from identity.application.ports import LaneLoad
from identity.domain.errors import Unavailable

PATIENCE = timedelta(seconds=2)
FIRST_GUESS = 0.02  # seconds that a turn takes, before one was measured
WEIGHT = 0.1  # of the turn measured last in the average


class AsyncHashingLane:
    """Turns for the tasks of one event loop, in the order of asking.

    Args:
        slots: how many turns there are at once.
        patience: how long one waits for a turn at most. Who would wait longer, as far as can be told from how
            long turns took lately, is refused at once.
    """

    def __init__(self, *, slots: int, patience: timedelta = PATIENCE) -> None:
        self._free = slots
        self._slots = slots
        self._patience = patience.total_seconds()
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._waiters: set[asyncio.Task[Any]] = set()
        self._duration = FIRST_GUESS
        self._refused = 0

    @asynccontextmanager
    async def turn(self, *, until: float | None = None) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        if until is not None and until <= loop.time():
            raise self._full()  # even when nobody else waits: who asks again and again is to have an end
        await self._wait(self.deadline() if until is None else until)
        began_at = loop.time()
        try:
            yield
        finally:
            self._duration += WEIGHT * (loop.time() - began_at - self._duration)
            self._hand_on()

    def deadline(self) -> float:
        return asyncio.get_running_loop().time() + self._patience

    def capacity(self) -> int:
        return self._slots + int(self._patience * self._slots / self._duration)

    def is_waiting(self, task: asyncio.Task[Any]) -> bool:
        return task in self._waiters

    def load(self) -> LaneLoad:
        return LaneLoad(
            slots=self._slots,
            in_use=self._slots - self._free,
            waiting=sum(not turn.done() for turn in self._waiting),
            refused=self._refused,
        )

    async def _wait(self, deadline: float) -> None:
        if self._free and not self._waiting:
            self._free -= 1
            return
        loop = asyncio.get_running_loop()
        expected = (len(self._waiting) + 1) * self._duration / self._slots
        if loop.time() + expected > deadline:
            raise self._full()
        turn = loop.create_future()
        self._waiting.append(turn)
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - only a task can wait
        self._waiters.add(task)
        try:
            async with asyncio.timeout_at(deadline):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():  # it came at the same moment
                self._hand_on()
            elif turn in self._waiting:
                self._waiting.remove(turn)
            if isinstance(error, TimeoutError):
                raise self._full() from None
            raise
        finally:
            self._waiters.discard(task)

    def _hand_on(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    def _full(self) -> Unavailable:
        self._refused += 1
        return Unavailable("too many passwords to hash", retry_after=timedelta(seconds=self._patience))
