"""Finding out how much memory a password may cost on this machine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta

from identity.application.ports import PasswordHasher
from identity.domain.secrets import Secret

PRECISION = 1.05  # what differs by less takes as long as the moment will have it
TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    memory_cost: int
    """In KiB."""
    duration: timedelta
    """Of verifying one password, the best of some tries: what the machine can do, not what disturbed it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrate:
    """Measures hashers of more and more memory, to find the dearest that verifies a password in time.

    `least` and `most` are in KiB; `stopwatch` tells seconds.
    """

    hasher_of: Callable[[int], PasswordHasher]
    stopwatch: Callable[[], float]
    least: int
    most: int

    async def __call__(self, *, within: timedelta) -> AsyncIterator[Measurement]:
        """All that was measured, from `least` to at most `most`: doubling, then halving the difference."""
        measured = await self._measured(self.least)
        yield measured
        fits, too_slow = self.least, None
        while measured.duration <= within or too_slow is not None:
            most = self.most if too_slow is None else too_slow
            next_cost = min(2 * fits, most) if too_slow is None else (fits + too_slow) // 2
            if next_cost < fits * PRECISION:
                return
            measured = await self._measured(next_cost)
            yield measured
            if measured.duration <= within:
                fits = next_cost
            else:
                too_slow = next_cost

    async def _measured(self, memory_cost: int) -> Measurement:
        hasher, password = self.hasher_of(memory_cost), Secret("a password to measure with")
        password_hash = await hasher.hash(password)
        durations = []
        for _ in range(TRIES):
            began_at = self.stopwatch()
            await hasher.verify(password, password_hash)
            durations.append(self.stopwatch() - began_at)
        return Measurement(memory_cost=memory_cost, duration=timedelta(seconds=min(durations)))
