"""The recording of port calls sees every port, also one that is new."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

import pytest
from tests.application.recording import recorded
from tests.application.world import BROWSER, PASSWORD, Tap, World


async def test_the_calls_of_ports_deep_inside_are_recorded_too(world: World) -> None:
    await world.registered()
    tap = Tap()
    await recorded(world.log_in, tap)(username="alice", password=PASSWORD, client=BROWSER)
    assert tap.calls[:3] == ["read", "users.with_username", "clock.now"]
    assert {"limiter.recall", "lane.turn", "limiter.reserve", "hasher.verify", "limiter.succeed"} <= set(
        tap.calls
    )
    assert {"hasher.needs_rehash", "devices.see", "commit", "randomness.identifier"} <= set(tap.calls)
    assert tap.calls[-1] == "tokens.sign"


async def test_a_port_that_nobody_has_thought_of_is_recorded_too() -> None:
    class Oracle(Protocol):
        async def ask(self, question: str) -> str: ...

    class Delphi:
        async def ask(self, question: str) -> str:
            return "know thyself"

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Consult:
        oracle: Oracle
        closed: Oracle | None = None
        patience: timedelta = timedelta(days=1)

    tap = Tap()
    Consult.__annotations__ |= {"oracle": Oracle, "closed": Oracle | None}  # they are local to this test
    assert await recorded(Consult(oracle=Delphi()), tap).oracle.ask("who?") == "know thyself"
    assert tap.calls == ["oracle.ask"]


def test_what_is_neither_a_port_nor_a_value_is_not_passed_over() -> None:
    @dataclass(frozen=True)
    class Sly:
        look: Callable[[], None]

    with pytest.raises(TypeError, match=r"Sly\.look"):
        recorded(Sly(look=lambda: None), Tap())
