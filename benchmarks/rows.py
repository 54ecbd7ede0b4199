"""Rows in great numbers, and the one password hash that all users of a benchmark share."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import sqlite3
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from functools import cache
from typing import Any

import argon2
import asyncpg

from benchmarks.subjects import PASSWORD
from identity.settings import Settings

BATCH = 20_000


@cache
def password_hash() -> str:
    """Of `PASSWORD`, as this service makes it by default: its parameters are the peers' too."""
    settings = Settings()
    return argon2.PasswordHasher(
        time_cost=settings.argon2_time_cost,
        memory_cost=settings.argon2_memory_cost,
        parallelism=settings.argon2_parallelism,
    ).hash(PASSWORD)


def insert(
    database_url: str,
    table: str,
    columns: Sequence[str],
    rows: Iterable[tuple[Any, ...]],
    *,
    progress: Callable[[int], object] = lambda _: None,
) -> None:
    """By COPY, or on SQLite in transactions of many rows. `progress` hears how many there are so far."""
    if database_url.startswith("sqlite:"):
        _into_sqlite(database_url, table, columns, rows, progress)
    else:
        asyncio.run(_copy(database_url, table, columns, rows, progress))


def _batches(rows: Iterable[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    remaining = iter(rows)
    while batch := list(itertools.islice(remaining, BATCH)):
        yield batch


async def _copy(
    database_url: str,
    table: str,
    columns: Sequence[str],
    rows: Iterable[tuple[Any, ...]],
    progress: Callable[[int], object],
) -> None:
    connection = await asyncpg.connect(database_url)
    done = 0
    try:
        for batch in _batches(rows):
            await connection.copy_records_to_table(table.strip('"'), records=batch, columns=columns)
            progress(done := done + len(batch))
        # Or the first who read the rows, and autovacuum at any time, would do it while something is measured.
        await connection.execute(f"VACUUM (ANALYZE) {table}")
    finally:
        await connection.close()


def _into_sqlite(
    database_url: str,
    table: str,
    columns: Sequence[str],
    rows: Iterable[tuple[Any, ...]],
    progress: Callable[[int], object],
) -> None:
    statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608
    done = 0
    with contextlib.closing(sqlite3.connect(database_url.removeprefix("sqlite:///"))) as connection:
        for batch in _batches(rows):
            with connection:
                connection.executemany(statement, [tuple(map(_for_sqlite, row)) for row in batch])
            progress(done := done + len(batch))


def _for_sqlite(value: object) -> object:
    if isinstance(value, datetime):
        # As SQLAlchemy and Django write it: in UTC, without saying so.
        return value.replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")
    return value.hex if isinstance(value, uuid.UUID) else value
