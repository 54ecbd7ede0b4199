"""`make timing`: measures every pair of kinds of requests that must be alike, and prints a table (AU-7).

Fails when a pair leaks, when one kind differs from itself, and when a planted leak is not found.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from tests.timing.sites import AFTERMATH, SITES, Row, measured
from tests.timing.statistics import MOST_MILLISECONDS, MOST_Z

LINE = "{:<42} {:<54} {:>7} {:>9} {:>7} {:>7}  {}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="make timing")
    parser.add_argument("--pairs", type=_pairs, default=os.environ.get("TIMING_PAIRS", "1000"))
    parser.add_argument("--seed", default=os.environ.get("TIMING_SEED", "0"))
    parser.add_argument("--json", action="store_true", default=os.environ.get("TIMING_JSON") == "1")
    options = parser.parse_args()
    began, rows = time.monotonic(), []
    if not options.json:
        print(LINE.format("where", "what against what", "samples", "ms", "z", "t", "verdict"))
    with tempfile.TemporaryDirectory() as folder:
        for number, site in enumerate((*SITES, *AFTERMATH)):
            pairs = max(20, options.pairs // 5) if site.followers else options.pairs
            for row in measured(site, Path(folder) / str(number), pairs=pairs, seed=options.seed):
                rows.append(row)
                if not options.json:
                    print(_line(row), flush=True)
    if options.json:
        print(json.dumps([_as_json(row) for row in rows], indent=2))
    else:
        print(f"{time.monotonic() - began:.0f} seconds; seed {options.seed}")
        print(
            "ms: by how much the medians differ; z: Mann-Whitney; t: Welch, where it is greatest. A leak is\n"
            f"|z| or |t| over {MOST_Z} and more than {MOST_MILLISECONDS} ms. A planted one has to be found."
        )
    return 0 if all(row.is_as_expected for row in rows) else 1


def _pairs(text: str) -> int:
    if not text.isdigit() or int(text) < 20:
        raise argparse.ArgumentTypeError(f"TIMING_PAIRS must be a whole number from 20 on, not {text!r}")
    return int(text)


def _line(row: Row) -> str:
    first, second = row.pair
    found = row.found
    return LINE.format(
        row.site.name,
        f"{first} / {second}" if first != second else f"{first} / itself",
        found.samples,
        f"{found.milliseconds:+.3f}",
        f"{found.mann_whitney:+.1f}",
        f"{found.welch:+.1f}",
        row.verdict,
    )


def _as_json(row: Row) -> dict[str, object]:
    return {"where": row.site.name, "pair": row.pair, **asdict(row.found), "verdict": row.verdict}


if __name__ == "__main__":
    sys.exit(main())
