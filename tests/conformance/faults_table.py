"""The table of all planted faults and the test of the kit that caught each: `FAULTS.md`.

`python -m tests.conformance.faults_table` writes it anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tests.conformance import test_planted_adapter_faults as adapters
from tests.conformance import test_planted_limiter_faults as limiters
from tests.conformance import test_planted_storage_faults as storages

FILE = Path(__file__).with_name("FAULTS.md")
HEAD = """# Planted faults

Each of these adapters is broken on purpose. The test beside it failed on it, and passed on an honest one:
`test_planted_storage_faults.py`, `test_planted_limiter_faults.py` and `test_planted_adapter_faults.py` show
it anew in every run. What a state machine finds of these faults, `test_storage_machine_sees.py` and
`test_rate_limiter_machine.py` show.

| adapter | fault | caught by |
|---|---|---|
"""


def table() -> str:
    return HEAD + "".join(f"| {adapter} | {fault} | `{test}` |\n" for adapter, fault, test in rows())


def rows() -> Iterator[tuple[str, str, str]]:
    for fault, test in storages.CAUGHT_BY.items():
        yield "storage", fault, test
    for fault, test in limiters.CAUGHT_BY.items():
        yield "limiter", fault, test
    for kind, test in adapters.CAUGHT_BY.items():
        adapter, *fault = re.findall("[A-Z][a-z]*|[0-9]+", kind.__name__)
        yield adapter.lower(), " ".join(fault).lower(), test


if __name__ == "__main__":
    FILE.write_text(table(), encoding="utf-8")
