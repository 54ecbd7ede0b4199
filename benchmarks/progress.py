"""What is done now, and how long all of it will take."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

from benchmarks.suites import Step


def minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def run(steps: Sequence[Step], *, tell: bool = True) -> list[dict[str, Any]]:
    """The samples. Goes on telling by how much the estimate has been wrong so far."""
    expected, left, samples = sum(step.seconds for step in steps), sum(step.seconds for step in steps), []
    began = time.monotonic()
    if tell:
        print(f"This will take about {minutes(expected)} minutes.", file=sys.stderr)
    for step in steps:
        elapsed = time.monotonic() - began
        pace = elapsed / (expected - left) if expected - left > 30 else 1.0
        if tell:
            print(f"{minutes(left * pace):>6} left  {step.what}", file=sys.stderr, flush=True)
        sample = step.run()
        left -= step.seconds
        if sample is not None:
            samples.append(sample)
            if tell and not sample.get("clean", True):
                counts = f"{sample['refused']} refused, {sample['broken']} broken"
                print(f"             does not count: {counts}", file=sys.stderr)
    if tell:
        print(f"It took {minutes(time.monotonic() - began)} minutes.", file=sys.stderr)
    return samples
