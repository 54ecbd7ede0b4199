"""Medians and spread of what was measured, and ratios of what was measured side by side."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Sample = Mapping[str, Any]
"""What a subject did in one slice: its `subject` and `round`, what was asked of it, and the figures."""


@dataclass(frozen=True)
class Spread:
    median: float
    least: float
    most: float
    count: int

    def __str__(self) -> str:
        return f"{shown(self.median)} ({shown(self.least)} - {shown(self.most)})"


def spread(values: Iterable[float]) -> Spread | None:
    """`None` of nothing."""
    ordered = sorted(values)
    if not ordered:
        return None
    return Spread(statistics.median(ordered), ordered[0], ordered[-1], len(ordered))


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest rank: a value that was measured, and the largest one where there are too few."""
    ordered = sorted(values)
    if not ordered:
        return math.nan
    return ordered[max(math.ceil(len(ordered) * percent / 100), 1) - 1]


def having(samples: Iterable[Sample], **values: object) -> list[Sample]:
    """Those with these values, every one clean: requests that failed are quickly done, and prove nothing."""
    return [
        sample
        for sample in samples
        if sample.get("clean", True) and all(sample.get(name) == value for name, value in values.items())
    ]


def ratios(ones: Iterable[Sample], others: Iterable[Sample], figure: str) -> list[float]:
    """Of each round, in which both were measured close together; those that lack one are left out."""
    by_round = {sample["round"]: sample[figure] for sample in others}
    return [
        sample[figure] / by_round[sample["round"]]
        for sample in ones
        if sample["round"] in by_round and by_round[sample["round"]]
    ]


def shown(value: float) -> str:
    """Three digits that count, and none behind the point that do not."""
    if value == 0 or not math.isfinite(value):
        return str(value) if not math.isfinite(value) else "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{digits}f}"
