"""Whether two samples of times come from one source: Mann-Whitney, cropped Welch, and the medians."""

from __future__ import annotations

import math
import statistics
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

MOST_Z = 4.5
"""Of dudect (Reparaz, Balasch, Verbauwhede: "Dude, is my code constant time?", 2017)."""
MOST_MILLISECONDS = 0.2
"""Between the medians: what one more statement in the database takes is found, what a branch takes is not."""
CROPS = (0.5, 0.75, 0.9, 0.95, 0.99, 1.0)
"""Which part of all times is kept, from the shortest on: what is long says more of the machine than of us."""
FEWEST_TO_COMPARE = 10


def mann_whitney(first: Sequence[float], second: Sequence[float]) -> float:
    """The z of Mann and Whitney's U: positive where the second sample is the larger one.

    By the normal approximation, which is good from some twenty values on, and corrected for ties.
    """
    both = sorted([(value, 0) for value in first] + [(value, 1) for value in second])
    below, ranks, ties = 0, 0.0, 0
    for _, group in groupby(both, key=lambda pair: pair[0]):
        sides = [side for _, side in group]
        size = len(sides)
        ranks += sum(sides) * (below + (size + 1) / 2)  # tied values share the mean of their ranks
        ties += size**3 - size
        below += size
    ones, others, total = len(second), len(first), len(both)
    u = ranks - ones * (ones + 1) / 2
    variance = ones * others / 12 * (total + 1 - ties / (total * (total - 1)))
    return 0.0 if variance <= 0 else (u - ones * others / 2) / math.sqrt(variance)


def welch(first: Sequence[float], second: Sequence[float]) -> float:
    """Welch's t: positive where the mean of the second sample is the larger one."""
    difference = statistics.fmean(second) - statistics.fmean(first)
    error = statistics.variance(first) / len(first) + statistics.variance(second) / len(second)
    if error == 0:
        return 0.0 if difference == 0 else math.copysign(math.inf, difference)
    return difference / math.sqrt(error)


def cropped_welch(first: Sequence[float], second: Sequence[float]) -> float:
    """The t that is farthest from zero, among those of the samples cropped at one limit for both."""
    return max((welch(*cropped) for cropped in _cropped(sorted(first), sorted(second))), key=abs)


def _cropped(
    first: Sequence[float], second: Sequence[float]
) -> Iterator[tuple[Sequence[float], Sequence[float]]]:
    both = sorted([*first, *second])
    for part in CROPS:
        limit = both[math.ceil(part * len(both)) - 1]
        kept = first[: bisect_right(first, limit)], second[: bisect_right(second, limit)]
        # A crop that leaves next to nothing of one sample says nothing of the source; the whole samples do.
        if part == CROPS[-1] or min(map(len, kept)) >= FEWEST_TO_COMPARE:
            yield kept


@dataclass(frozen=True, slots=True)
class Difference:
    """Between two samples of times in milliseconds: positive where the second took longer."""

    samples: int
    """Of each."""
    milliseconds: float
    """Between the medians."""
    mann_whitney: float
    welch: float

    @classmethod
    def between(cls, first: Sequence[float], second: Sequence[float]) -> Difference:
        return cls(
            samples=min(len(first), len(second)),
            milliseconds=statistics.median(second) - statistics.median(first),
            mann_whitney=mann_whitney(first, second),
            welch=cropped_welch(first, second),
        )

    @property
    def is_leak(self) -> bool:
        """Both: what is certain may be too small to be heard over a network, what is large may be chance."""
        is_certain = max(abs(self.mann_whitney), abs(self.welch)) > MOST_Z
        return is_certain and abs(self.milliseconds) > MOST_MILLISECONDS
