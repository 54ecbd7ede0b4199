"""What is said of moving everything to another database."""

from __future__ import annotations

from dataclasses import dataclass


class CopyRefused(Exception):
    """Nothing was copied; `str()` says why in one line, without a password."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyProgress:
    """How far a table has come: so many of its rows are in the target, or compared there."""

    table: str
    rows: int
    total: int
    is_comparing: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiedTable:
    """A table of which source and target have the same rows."""

    name: str
    rows: int
    sha256: bytes
    """Of the rows in the order of their keys; another copy of them by this version has the same."""
