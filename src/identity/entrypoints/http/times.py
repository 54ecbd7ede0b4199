"""Times as the contract writes them."""

from __future__ import annotations

from datetime import UTC, datetime


def in_seconds(at: datetime) -> datetime:
    """In UTC, whole seconds, with a `Z` at the end."""
    return at.astimezone(UTC).replace(microsecond=0)


def in_seconds_if_any(at: datetime | None) -> datetime | None:
    return None if at is None else in_seconds(at)
