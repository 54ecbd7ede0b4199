"""Who is let in to log in, and when the others are told to come back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from identity.entrypoints.http.crowd import LONGEST, LimitedCrowd

CAPACITY = 3


class Lane:
    def capacity(self) -> int:
        return CAPACITY


class Crowd:
    """Requests to an application that answers when it is told to."""

    def __init__(self) -> None:
        self.inside = 0
        self.go_on = asyncio.Event()
        self.noted = 0
        self.limited: Any = LimitedCrowd(self._answer, Lane(), on_refusal=self._note)  # type: ignore[arg-type]
        self.tasks: list[asyncio.Task[int]] = []

    def _note(self) -> None:
        self.noted += 1

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        self.inside += 1
        await self.go_on.wait()

    async def ask(self, *, whole: bool = True) -> int:
        """What it is told to wait, or 0 when it was let in."""
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        await self.limited({"type": "http", "state": {"whole": True} if whole else {}}, None, send)
        return int(dict(sent[0]["headers"])[b"retry-after"]) if sent else 0

    async def arrives(self, count: int, *, whole: bool = True) -> None:
        self.tasks += [asyncio.create_task(self.ask(whole=whole)) for _ in range(count)]
        await asyncio.sleep(0)


@pytest.fixture
async def crowd() -> Crowd:
    return Crowd()


async def test_as_many_are_let_in_as_the_lane_has_places_for(crowd: Crowd) -> None:
    await crowd.arrives(CAPACITY + 5)
    assert crowd.inside == CAPACITY
    assert crowd.noted == 5


async def test_whoever_leaves_makes_room(crowd: Crowd) -> None:
    await crowd.arrives(CAPACITY - 1)
    await crowd.arrives(1)
    crowd.tasks[0].cancel()
    await asyncio.sleep(0)
    await crowd.arrives(2)
    assert crowd.inside == CAPACITY + 1
    crowd.go_on.set()
    await asyncio.wait(crowd.tasks)
    assert await crowd.ask() == 0


async def test_who_holds_a_body_back_holds_no_place(crowd: Crowd) -> None:
    await crowd.arrives(CAPACITY + 5, whole=False)
    assert crowd.inside == CAPACITY + 5
    await crowd.arrives(1)
    assert crowd.inside == CAPACITY + 6


async def test_the_refused_are_told_to_come_back_one_lane_after_the_other_but_not_too_late(
    crowd: Crowd,
) -> None:
    await crowd.arrives(CAPACITY)
    told = [await crowd.ask() for _ in range(100 * CAPACITY)]
    assert told[: 3 * CAPACITY] == [2] * CAPACITY + [4] * CAPACITY + [6] * CAPACITY
    assert max(told) == LONGEST
