"""What every `HashingLane` owes its port."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Self, TypeAlias

import pytest

from identity.application.ports import HashingLane, LaneLoad
from identity.domain.errors import Unavailable
from identity.testing.conformance import Conformance

NewLane: TypeAlias = Callable[[int, timedelta], HashingLane]

LONG = timedelta(seconds=30)
SHORT = timedelta(milliseconds=30)


class HashingLaneConformance(Conformance):
    """Tests of a `HashingLane`.

    Takes the fixture `new_lane`, which makes one of so many slots, in which one waits for so long at most.

        class TestAsyncHashingLane(HashingLaneConformance):
            @pytest.fixture
            def new_lane(self):
                return lambda slots, patience: AsyncHashingLane(slots=slots, patience=patience)
    """

    async def test_as_many_have_their_turn_at_once_as_there_are_slots(self, new_lane: NewLane) -> None:
        for slots in (1, 3):
            async with _Queue(new_lane(slots, LONG)) as queue:
                await queue.comes(*"abcde")
                assert queue.inside == list("abcde")[:slots]

    async def test_turns_come_in_the_order_of_asking(self, new_lane: NewLane) -> None:
        async with _Queue(new_lane(1, LONG)) as queue:
            await queue.comes(*"abcde")
            for name in "abcde":
                assert queue.inside == [name]
                await queue.leaves(name)
            assert queue.inside == []

    async def test_a_turn_that_raises_gives_its_slot_to_the_next(self, new_lane: NewLane) -> None:
        lane = new_lane(1, LONG)
        async with _Queue(lane) as queue:
            with suppress(ZeroDivisionError):
                async with lane.turn():
                    await queue.comes("next")
                    raise ZeroDivisionError
            await _settled()
            assert queue.inside == ["next"]

    async def test_whoever_goes_away_while_waiting_gives_up_their_place(self, new_lane: NewLane) -> None:
        async with _Queue(new_lane(1, LONG)) as queue:
            await queue.comes(*"abc")
            await queue.goes_away("b")
            await queue.leaves("a")
            assert queue.inside == ["c"]
            await queue.leaves("c")
            await queue.comes("d")
            assert queue.inside == ["d"]

    async def test_whoever_goes_away_when_their_turn_has_come_gives_it_to_the_next(
        self, new_lane: NewLane
    ) -> None:
        lane = new_lane(1, LONG)
        async with _Queue(lane) as queue:
            async with lane.turn():
                await queue.comes("a", "b")
            await queue.goes_away("a")  # who has not gone on yet
            assert queue.inside == ["b"]

    async def test_whoever_would_wait_for_too_long_is_refused(self, new_lane: NewLane) -> None:
        lane = new_lane(1, SHORT)
        async with lane.turn():
            waits = asyncio.create_task(_one_turn(lane))
            await asyncio.wait({waits}, timeout=20 * SHORT.total_seconds())
            assert waits.done()
            refusal = waits.exception()
        assert isinstance(refusal, Unavailable)
        assert refusal.retry_after > timedelta(0)
        async with lane.turn():
            """Who was refused has left nothing behind."""

    async def test_whoever_asks_again_has_no_more_time_than_at_first(self, new_lane: NewLane) -> None:
        lane = new_lane(1, LONG)
        deadline = lane.deadline()
        async with lane.turn(until=deadline):
            """There is time yet."""
        with pytest.raises(Unavailable):
            async with lane.turn(until=deadline - LONG.total_seconds() - 1):
                pytest.fail("it is too late")

    async def test_it_is_known_who_waits(self, new_lane: NewLane) -> None:
        lane = new_lane(1, LONG)
        async with _Queue(lane) as queue:
            await queue.comes("a", "b")
            assert [lane.is_waiting(queue.tasks[name]) for name in "ab"] == [False, True]
            await queue.leaves("a")
            assert lane.is_waiting(queue.tasks["b"]) is False

    async def test_its_load_is_known(self, new_lane: NewLane) -> None:
        lane = new_lane(2, LONG)
        assert lane.load() == LaneLoad(slots=2, in_use=0, waiting=0, refused=0)
        async with _Queue(lane) as queue:
            await queue.comes(*"abcde")
            assert lane.load() == LaneLoad(slots=2, in_use=2, waiting=3, refused=0)
            await queue.goes_away("d")
            assert lane.load() == LaneLoad(slots=2, in_use=2, waiting=2, refused=0)
            with pytest.raises(Unavailable):
                async with lane.turn(until=lane.deadline() - LONG.total_seconds() - 1):
                    pytest.fail("it is too late")
            for name in "abc":
                await queue.leaves(name)
            assert lane.load() == LaneLoad(slots=2, in_use=1, waiting=0, refused=1)
            await queue.leaves("e")
        assert lane.load() == LaneLoad(slots=2, in_use=0, waiting=0, refused=1)


class _Queue:
    """Those who want a turn, by their names; each keeps it until it leaves."""

    def __init__(self, lane: HashingLane) -> None:
        self.inside: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self._lane = lane
        self._leaving: dict[str, asyncio.Event] = {}

    async def comes(self, *names: str) -> None:
        for name in names:
            self._leaving[name] = asyncio.Event()
            self.tasks[name] = asyncio.create_task(self._run(name))
            await _settled()

    async def leaves(self, name: str) -> None:
        self._leaving[name].set()
        await _settled()

    async def goes_away(self, name: str) -> None:
        self.tasks[name].cancel()
        await _settled()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Sends all away, so that a test that fails leaves nobody behind."""
        for task in self.tasks.values():
            task.cancel()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)

    async def _run(self, name: str) -> None:
        with suppress(Unavailable):
            async with self._lane.turn():
                self.inside.append(name)
                try:
                    await self._leaving[name].wait()
                finally:
                    self.inside.remove(name)


async def _one_turn(lane: HashingLane) -> None:
    async with lane.turn():
        """Hashes nothing."""


async def _settled() -> None:
    """Lets every other task go on until it waits for something."""
    for _ in range(10):
        await asyncio.sleep(0)
