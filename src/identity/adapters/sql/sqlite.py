"""SQLite, through aiosqlite."""

from __future__ import annotations

import errno
import os
import re
import sqlite3
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext, suppress
from datetime import timedelta
from functools import cache
from typing import Any

from sqlalchemy import Column, Connection, Insert, Table, event
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from identity.adapters.sql.connection import SqlConnection
from identity.domain.errors import Unavailable

READERS = 4
_LOW_BYTE = 0xFF  # of an extended result code: the result code it refines
_OUT_OF_ORDER = frozenset(
    {
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOTADB,
    }
)
_VIOLATION = re.compile(r"UNIQUE constraint failed: (\w+)\.(\w+)")


class Sqlite:
    def engines(self, url: str, *, connections: int, patience: timedelta) -> tuple[AsyncEngine, AsyncEngine]:
        """Of `connections` of its own choice. Raises `ValueError` for a URL of anything but a file."""
        parsed = make_url(url)
        path = parsed.database
        if not path or path == ":memory:" or parsed != URL.create("sqlite", database=path):
            raise ValueError("a SQLite database is written sqlite:///FILE")
        common = {
            "connect_args": {
                "timeout": patience.total_seconds(),
                "isolation_level": None,  # the driver is not to begin transactions of its own accord
                "factory": _Connection,
            },
            "hide_parameters": True,
            "max_overflow": 0,
            "pool_timeout": patience.total_seconds(),
        }
        driven = parsed.set(drivername="sqlite+aiosqlite")
        # SQLite lets one transaction write at a time. Waiting for one connection is fair; its lock is not.
        writing = create_async_engine(driven, pool_size=1, **common)
        reading = create_async_engine(
            driven,
            pool_size=READERS,
            isolation_level="AUTOCOMMIT",
            skip_autocommit_rollback=True,
            pool_reset_on_return=None,
            **common,
        )
        for engine in (writing, reading):
            event.listen(engine.sync_engine, "do_connect", _create_privately)
        event.listen(writing.sync_engine, "connect", _prepare_to_write)
        event.listen(writing.sync_engine, "begin", _begin)
        event.listen(reading.sync_engine, "connect", _prepare_to_read)
        return writing, reading

    def connection(self, engine: AsyncEngine) -> AbstractAsyncContextManager[SqlConnection]:
        return engine.connect()

    def insert_unless_taken(self, table: Table, key: Column[Any]) -> Insert:
        return _insert_unless_taken(table, key)

    def violated_constraint(self, error: IntegrityError) -> str | None:
        match = _VIOLATION.fullmatch(str(error.orig))
        return f"uq_{match[1]}_{match[2]}" if match else None

    def fault(self, error: DBAPIError) -> Unavailable | None:
        code: int = getattr(error.orig, "sqlite_errorcode", sqlite3.SQLITE_OK)
        return Unavailable(f"SQLite: {error.orig}") if code & _LOW_BYTE in _OUT_OF_ORDER else None

    def schema_lock(self, connection: Connection) -> AbstractContextManager[None]:
        """BEGIN IMMEDIATE has taken it."""
        return nullcontext()

    def take_time(self, connection: Connection) -> None:
        """Nothing here ends by itself."""

    def begin_snapshot(self, connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    def last_number(self, connection: Connection, table: Table) -> int:
        query = "SELECT max(seq) FROM sqlite_sequence WHERE name = ?"
        return connection.exec_driver_sql(query, (table.name,)).scalar_one() or 0

    def go_on_after(self, connection: Connection, table: Table, number: int) -> None:
        if self.last_number(connection, table) >= number:
            return
        connection.exec_driver_sql("DELETE FROM sqlite_sequence WHERE name = ?", (table.name,))
        connection.exec_driver_sql("INSERT INTO sqlite_sequence VALUES (?, ?)", (table.name, number))


class _Connection(sqlite3.Connection):
    def close(self) -> None:
        # A statement that was cancelled half-way keeps SQLite from closing, and a transaction that is still
        # open would keep the lock on the whole database for as long.
        with suppress(sqlite3.Error):  # closed before, for one
            self.rollback()
        super().close()


@cache
def _insert_unless_taken(table: Table, key: Column[Any]) -> Insert:
    return sqlite.insert(table).on_conflict_do_nothing(index_elements=[key])


def _create_privately(dialect: Any, record: Any, arguments: list[Any], options: dict[str, Any]) -> None:
    # SQLite itself would make a file that others may read. Never open one that is there: closing it again
    # drops the locks that this process's other connections hold on it (sqlite.org/howtocorrupt.html, 2.2).
    path = arguments[0]
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode=0o600))
    # The -wal and -shm files take after this one, and would stay read-only when it no longer is.
    if not os.access(path, os.R_OK | os.W_OK, effective_ids=os.access in os.supports_effective_ids):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)


def _prepare_to_write(connection: Any, record: Any) -> None:
    _run(connection, "PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", "PRAGMA foreign_keys = ON")


def _prepare_to_read(connection: Any, record: Any) -> None:
    _run(connection, "PRAGMA query_only = ON")


def _run(connection: Any, *statements: str) -> None:
    cursor = connection.cursor()
    for statement in statements:
        cursor.execute(statement)
    cursor.close()


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
