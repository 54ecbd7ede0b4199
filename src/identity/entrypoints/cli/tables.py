"""How a command prints rows to people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import click


def print_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = [titles, *([shown(cell) or "-" for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(titles))]
    for row in table:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def shown(text: str) -> str:
    """What comes from strangers must not move the cursor, or forge a line."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def time_of(at: datetime | None) -> str:
    """To the minute, in UTC, which the Z says."""
    return "-" if at is None else f"{at:%Y-%m-%d %H:%M}Z"
