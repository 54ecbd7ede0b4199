"""Figures that tests count: how many points they tried, shown in a table when all tests are done."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

PROPERTY = "points"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """What one test has tried, of so many that there are."""

    table: str
    use_case: str
    tried: int
    of: int
    kinds: str


def note(record_property: Callable[[str, Any], None], **figure: Any) -> None:
    """As `Figure`; written down with the test's report, which comes here from other processes too."""
    assert figure["tried"] > 0
    record_property(PROPERTY, figure)


def show(terminal: Any) -> None:
    """The table: for each use case the points, what was made of them, and whether all held."""
    rows: dict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    for outcome in ("passed", "failed"):
        for report in terminal.getreports(outcome):
            for name, value in getattr(report, "user_properties", []):
                if name == PROPERTY and report.when == "call":
                    figure = Figure(**value)
                    row = rows[figure.table, figure.use_case, figure.kinds]
                    row[0] += figure.tried
                    row[1] += figure.of
                    row[2] += outcome == "failed"
    if not rows:
        return
    terminal.section("points of failure")
    for table in sorted({table for table, _, _ in rows}):
        chosen = {key: row for key, row in sorted(rows.items()) if key[0] == table}
        terminal.write_line(f"{table}:")
        for (_, use_case, kinds), (tried, of, failed) in chosen.items():
            held = "FAILED" if failed else "held"
            terminal.write_line(f"  {use_case:36} {tried:6} of {of:6}  {kinds:48} {held}")
        tried, of = (sum(row[column] for row in chosen.values()) for column in (0, 1))
        terminal.write_line(f"  {'in all':36} {tried:6} of {of:6}")
