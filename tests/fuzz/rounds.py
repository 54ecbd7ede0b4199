"""How long a fuzzer runs: briefly and always alike, or at random for FUZZ_SECONDS, from FUZZ_SEED if set."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import seed as seeded
from hypothesis.strategies import SearchStrategy


def run(
    strategy: SearchStrategy[Any], holds: Callable[[Any], None], *, examples: int, of_each_seed: int
) -> None:
    """Holds as many examples to the property as there is time for."""
    seconds = float(os.environ.get("FUZZ_SECONDS") or 0)
    if not seconds:
        _examples(strategy, holds, count=examples, derandomize=True)()
        return
    print("\nWhat fails can be repeated by the last FUZZ_SEED, as `FUZZ_SEED=1 FUZZ_SECONDS=1 make fuzz`.")
    end = time.monotonic() + seconds
    seed = int(os.environ.get("FUZZ_SEED") or secrets.randbelow(2**32))
    while time.monotonic() < end:
        print(f"FUZZ_SEED={seed}", flush=True)
        seeded(seed)(_examples(strategy, holds, count=of_each_seed, derandomize=False))()
        seed += 1


def _examples(
    strategy: SearchStrategy[Any], holds: Callable[[Any], None], *, count: int, derandomize: bool
) -> Any:
    @settings(
        max_examples=count,
        derandomize=derandomize,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def property_(example: Any) -> None:
        holds(example)

    return property_
