"""Finding the most memory that a password may cost, on machines that are told how fast they are."""

from __future__ import annotations

from datetime import timedelta

import pytest

from identity.application.calibration import TRIES, Calibrate, Measurement
from identity.domain.secrets import PasswordHash, Secret

LEAST, MOST = 19456, 4194304


class Machine:
    """Verifies in a time that grows with the memory, but that the first try of each takes twice as long."""

    def __init__(self, milliseconds_per_mebibyte: float) -> None:
        self.now = 0.0
        self.tried: dict[int, int] = {}
        self._speed = milliseconds_per_mebibyte

    def hasher_of(self, memory_cost: int) -> _Hasher:
        return _Hasher(self, memory_cost)

    def verify(self, memory_cost: int) -> None:
        self.tried[memory_cost] = self.tried.get(memory_cost, 0) + 1
        is_disturbed = self.tried[memory_cost] == 1
        self.now += (1 + is_disturbed) * memory_cost / 1024 * self._speed / 1000


class _Hasher:
    def __init__(self, machine: Machine, memory_cost: int) -> None:
        self._machine, self._memory_cost = machine, memory_cost

    async def hash(self, password: Secret) -> PasswordHash:
        return PasswordHash("")

    async def verify(self, password: Secret, password_hash: PasswordHash | None) -> bool:
        self._machine.verify(self._memory_cost)
        return True

    def needs_rehash(self, password_hash: PasswordHash) -> bool:
        return False


async def measured(machine: Machine, *, within: int = 150, most: int = MOST) -> list[Measurement]:
    calibrate = Calibrate(hasher_of=machine.hasher_of, stopwatch=lambda: machine.now, least=LEAST, most=most)
    return [each async for each in calibrate(within=timedelta(milliseconds=within))]


@pytest.mark.parametrize("speed", [0.05, 0.3, 1.0, 2.5, 7.0])
async def test_the_dearest_that_fits_is_within_a_tenth_of_what_would(speed: float) -> None:
    best = max(
        each.memory_cost
        for each in await measured(Machine(speed))
        if each.duration <= timedelta(milliseconds=150)
    )
    would_fit = min(150 / speed * 1024, MOST)
    assert 0.9 * would_fit < best <= would_fit


async def test_a_machine_that_is_too_slow_for_the_floor_is_measured_once() -> None:
    (only,) = await measured(Machine(10.0))
    assert only == Measurement(memory_cost=LEAST, duration=timedelta(milliseconds=190))


async def test_it_ends_after_a_few_measurements_however_long_a_password_may_take() -> None:
    for within in (20, 150, 5000):
        assert len(await measured(Machine(1.0), within=within)) <= 15


async def test_it_stays_within_the_memory_there_is() -> None:
    assert max(each.memory_cost for each in await measured(Machine(0.01), most=50_000)) == 50_000


async def test_each_is_tried_several_times_and_the_best_counts() -> None:
    machine = Machine(1.0)
    first, *_ = await measured(machine)
    assert machine.tried[LEAST] == TRIES > 1
    assert first.duration == timedelta(milliseconds=19)
