"""Which of many points of failure a test tries: some, or all where `FAULTS=all` is set (`make faults`)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TypeVar

T = TypeVar("T")

ALL = os.environ.get("FAULTS") == "all"


def sampled(points: Iterable[T], every: int) -> Sequence[T]:
    """Every so manieth, and the last two."""
    points = list(points)
    return points if ALL else [*points[:-2:every], *points[-2:]]
