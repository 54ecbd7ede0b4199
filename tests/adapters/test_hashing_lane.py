"""The lane for hashing: whose turn it is, who is refused at once, and what becomes of those who go away."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from datetime import timedelta

import pytest

from identity.adapters import hashing_lane
from identity.adapters.hashing_lane import AsyncHashingLane
from identity.domain.errors import Unavailable

A_MOMENT = timedelta(milliseconds=30)
LONG = timedelta(seconds=30)  # what a test does not wait for


class Attempt:
    """One who asks for a turn, and has it until `done` is set."""

    def __init__(self, lane: AsyncHashingLane, name: str, order: list[str]) -> None:
        self.done = asyncio.Event()
        self.task = asyncio.create_task(self._run(lane, name, order))

    async def _run(self, lane: AsyncHashingLane, name: str, order: list[str]) -> None:
        async with lane.turn():
            order.append(name)
            await self.done.wait()

    async def ends(self) -> None:
        self.done.set()
        with suppress(asyncio.CancelledError, Unavailable):
            await self.task


class Lane:
    """The lane under test, and those who had their turn in it, in order."""

    def __init__(self, slots: int = 1, patience: timedelta = LONG) -> None:
        self.lane = AsyncHashingLane(slots=slots, patience=patience)
        self.order: list[str] = []

    async def asks(self, name: str) -> Attempt:
        attempt = Attempt(self.lane, name, self.order)
        await settled()
        return attempt

    async def is_free(self, slots: int = 1) -> bool:
        """Whether so many have their turn at once, and no more: no slot was lost, and none won."""
        before = len(self.order)
        attempts = [await self.asks("probe") for _ in range(slots + 1)]
        had = len(self.order) - before
        for attempt in attempts:
            await attempt.ends()
        return had == slots


async def settled() -> None:
    """Lets every other task go on until it waits for something."""
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def turns_that_are_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a short patience would be too short for the first that waits."""
    monkeypatch.setattr(hashing_lane, "FIRST_GUESS", 0.001)


class TestTurns:
    @pytest.mark.parametrize("slots", [1, 2, 5])
    async def test_as_many_have_theirs_at_once_as_there_are_slots(self, slots: int) -> None:
        assert await Lane(slots).is_free(slots)

    async def test_they_come_in_the_order_of_asking(self) -> None:
        lane = Lane()
        attempts = [await lane.asks(name) for name in "abcde"]
        for number, attempt in enumerate(attempts):
            assert lane.order == list("abcde")[: number + 1]
            await attempt.ends()
            await settled()
        assert await lane.is_free()

    async def test_nobody_who_comes_when_one_ends_is_before_those_who_wait(self) -> None:
        lane = Lane()
        async with lane.lane.turn():
            second = await lane.asks("second")
        third = await lane.asks("third")  # the second has not gone on yet
        assert lane.order == ["second"]
        await second.ends()
        await settled()
        assert lane.order == ["second", "third"]
        await third.ends()

    async def test_one_that_raises_gives_its_slot_back(self) -> None:
        lane = Lane()
        with pytest.raises(ZeroDivisionError):
            async with lane.lane.turn():
                raise ZeroDivisionError
        assert await lane.is_free()

    async def test_one_that_is_cancelled_gives_its_slot_to_the_next(self) -> None:
        lane = Lane()
        first, second = await lane.asks("first"), await lane.asks("second")
        first.task.cancel()
        await settled()
        assert lane.order == ["first", "second"]
        await second.ends()
        assert await lane.is_free()

    async def test_fifty_that_come_and_go_leave_the_slots_as_they_were(self) -> None:
        lane = Lane(3)
        attempts = [await lane.asks(str(number)) for number in range(50)]
        for number, attempt in enumerate(attempts):
            if number % 3 == 0:
                attempt.task.cancel()
            attempt.done.set()
            await asyncio.sleep(0)
        await asyncio.gather(*(attempt.ends() for attempt in attempts))
        assert await lane.is_free(3)


class TestCancelledWhileWaiting:
    async def test_their_place_goes_to_those_behind(self) -> None:
        lane = Lane()
        first, second, third = [await lane.asks(name) for name in ("first", "second", "third")]
        second.task.cancel()
        await settled()
        await first.ends()
        await settled()
        assert lane.order == ["first", "third"]
        await third.ends()
        assert await lane.is_free()

    async def test_at_the_moment_of_their_turn_it_goes_to_the_next(self) -> None:
        lane = Lane()
        async with lane.lane.turn():
            second, third = await lane.asks("second"), await lane.asks("third")
        second.task.cancel()  # it is their turn, but they have not gone on yet
        await settled()
        assert second.task.cancelled()
        assert lane.order == ["third"]
        await third.ends()
        assert await lane.is_free()

    async def test_just_before_their_turn_it_goes_to_the_next(self) -> None:
        lane = Lane()
        async with lane.lane.turn():
            second, third = await lane.asks("second"), await lane.asks("third")
            second.task.cancel()  # and has not noticed yet
        await settled()
        assert lane.order == ["third"]
        await third.ends()
        assert await lane.is_free()

    async def test_the_last_of_all_leaves_the_slot_free(self) -> None:
        lane = Lane()
        async with lane.lane.turn():
            last = await lane.asks("last")
        last.task.cancel()
        await settled()
        assert lane.order == []
        assert await lane.is_free()


class TestPatience:
    async def test_whoever_waited_as_long_as_it_lasts_is_refused(self) -> None:
        lane = Lane(patience=A_MOMENT)
        first = await lane.asks("first")
        with pytest.raises(Unavailable) as refusal:
            async with lane.lane.turn():
                pytest.fail("it was somebody else's turn")
        assert refusal.value.retry_after == A_MOMENT
        await first.ends()
        assert await lane.is_free()

    async def test_who_was_refused_is_not_in_the_way_of_those_behind(self) -> None:
        lane = Lane(patience=A_MOMENT)
        first, second = await lane.asks("first"), await lane.asks("second")
        await asyncio.wait({second.task})
        third = await lane.asks("third")
        await first.ends()
        await settled()
        assert lane.order == ["first", "third"]
        await third.ends()

    async def test_whose_turn_comes_at_the_moment_of_the_refusal_hands_it_on(self) -> None:
        loop, lane = asyncio.get_running_loop(), Lane(patience=timedelta(milliseconds=10))
        turn = lane.lane.turn()
        await turn.__aenter__()
        late = await lane.asks("late")

        def end() -> None:
            with suppress(StopIteration):
                turn.__aexit__(None, None, None).send(None)

        loop.call_at(lane.lane.deadline() - 0.01, end)  # at once, but no sooner than the loop looks at timers
        time.sleep(0.02)  # noqa: ASYNC251 - the loop then finds the end of the turn and the deadline together
        await settled()
        assert isinstance(late.task.exception(), Unavailable)
        assert await lane.is_free()

    async def test_who_asks_again_has_no_more_time_than_at_first(self) -> None:
        """Even of a lane that is free, or who waits for something else might ask for ever."""
        lane = Lane(patience=A_MOMENT)
        deadline = lane.lane.deadline()
        async with lane.lane.turn(until=deadline):
            pass
        for until in (asyncio.get_running_loop().time(), deadline - LONG.total_seconds()):
            with pytest.raises(Unavailable):
                async with lane.lane.turn(until=until):
                    pytest.fail("it is too late")
        assert await lane.is_free()

    async def test_a_free_lane_is_entered_without_any(self) -> None:
        async with Lane(patience=timedelta(0)).lane.turn():
            pass

    async def test_is_two_seconds_unless_said_otherwise(self) -> None:
        lane, now = AsyncHashingLane(slots=1), asyncio.get_running_loop().time()
        assert 2 <= lane.deadline() - now < 3


class TestTheQueue:
    """Its end is told from how long turns took lately."""

    @pytest.mark.parametrize(("slots", "waiting"), [(1, 19), (2, 39)])
    async def test_who_would_wait_longer_than_the_patience_is_refused_at_once(
        self, monkeypatch: pytest.MonkeyPatch, slots: int, waiting: int
    ) -> None:
        monkeypatch.setattr(hashing_lane, "FIRST_GUESS", 0.1)
        lane = Lane(slots, timedelta(seconds=1.98))
        attempts = [await lane.asks(str(number)) for number in range(slots + waiting)]
        assert not any(attempt.task.done() for attempt in attempts)
        refused = await lane.asks("one more")
        assert isinstance(refused.task.exception(), Unavailable)
        for attempt in attempts:
            await attempt.ends()
        assert len(lane.order) == slots + waiting
        assert await lane.is_free(slots)

    async def test_who_went_away_does_not_make_it_longer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(hashing_lane, "FIRST_GUESS", 0.1)
        lane = Lane(1, timedelta(seconds=0.25))
        first = await lane.asks("first")
        for _ in range(10):
            waiting = [await lane.asks("waiting") for _ in range(2)]
            assert not any(attempt.task.done() for attempt in waiting)
            for attempt in waiting:
                attempt.task.cancel()
            await settled()
        await first.ends()

    async def test_long_turns_make_it_short(self) -> None:
        lane = Lane(patience=A_MOMENT)
        async with lane.lane.turn():
            await asyncio.sleep(0.06)  # of which a tenth counts, for each that had its turn
        for _ in range(30):
            async with lane.lane.turn():
                await asyncio.sleep(0.002)
        first = await lane.asks("first")
        waiting = [await lane.asks("waiting") for _ in range(5)]
        assert not waiting[0].task.done()
        async with asyncio.timeout(LONG.total_seconds()):
            while not waiting[-1].task.done():
                waiting.append(await lane.asks("one more"))
        await asyncio.gather(first.ends(), *(attempt.ends() for attempt in waiting))

    async def test_after_a_very_long_turn_a_free_lane_is_entered_all_the_same(self) -> None:
        lane = Lane(patience=timedelta(milliseconds=1))
        for _ in range(3):
            async with lane.lane.turn():
                await asyncio.sleep(0.02)


class TestWhoIsWaiting:
    async def test_is_known_from_asking_to_the_turn(self) -> None:
        lane = Lane()
        first, second = await lane.asks("first"), await lane.asks("second")
        assert not lane.lane.is_waiting(first.task)
        assert lane.lane.is_waiting(second.task)
        await first.ends()
        await settled()
        assert lane.order == ["first", "second"]
        assert not lane.lane.is_waiting(second.task)
        await second.ends()

    async def test_is_forgotten_when_they_go_away(self) -> None:
        lane = Lane()
        first, second = await lane.asks("first"), await lane.asks("second")
        second.task.cancel()
        await settled()
        assert not lane.lane.is_waiting(second.task)
        await first.ends()
