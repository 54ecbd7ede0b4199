"""Lanes for hashing with one fault each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

from identity.adapters.hashing_lane import AsyncHashingLane
from identity.application.ports import LaneLoad


class Lane(AsyncHashingLane):
    """The honest one, made as the kit makes it."""

    def __init__(self, slots: int, patience: timedelta) -> None:
        super().__init__(slots=slots, patience=patience)


class LaneOfOneMore(Lane):
    def __init__(self, slots: int, patience: timedelta) -> None:
        super().__init__(slots + 1, patience)


class LaneThatServesTheLastFirst(Lane):
    def _hand_on(self) -> None:
        self._waiting.reverse()
        super()._hand_on()
        self._waiting.reverse()


class LaneThatLosesASlotToAnError(Lane):
    @asynccontextmanager
    async def turn(self, *, until: float | None = None) -> AsyncIterator[None]:
        await self._wait(self.deadline() if until is None else until)
        yield
        self._hand_on()


class LaneThatForgetsNobody(Lane):
    """Gives a turn to one who went away."""

    def _hand_on(self) -> None:
        if self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
        else:
            self._free += 1

    async def _wait(self, deadline: float) -> None:
        if self._free:
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        await turn


class LaneThatLosesATurnThatNobodyTakes(Lane):
    async def _wait(self, deadline: float) -> None:
        if self._free:
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn in self._waiting:
                self._waiting.remove(turn)
            raise


class LaneOfEndlessPatience(Lane):
    async def _wait(self, deadline: float) -> None:
        await super()._wait(deadline + 3600)


class LaneThatTakesTheLate(Lane):
    @asynccontextmanager
    async def turn(self, *, until: float | None = None) -> AsyncIterator[None]:
        async with super().turn():
            yield


class LaneThatKnowsNobody(Lane):
    def is_waiting(self, task: asyncio.Task[Any]) -> bool:
        return False


class LaneThatCountsWhoHasATurnAmongThoseWhoWait(Lane):
    def load(self) -> LaneLoad:
        load = super().load()
        return replace(load, waiting=load.waiting + load.in_use)


class LaneThatForgetsWhomItRefused(Lane):
    def load(self) -> LaneLoad:
        return replace(super().load(), refused=0)
