"""PostgreSQL, through asyncpg."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from datetime import timedelta
from functools import cache
from typing import Any
from urllib.parse import parse_qs, urlsplit

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Insert,
    Table,
    cast,
    func,
    literal,
    select,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from identity.adapters.sql.asyncpg_connection import asyncpg_connection
from identity.adapters.sql.connection import SqlConnection
from identity.adapters.sql.server_pools import ABANDONED, LOCK_PATIENCE, MIGRATION_PATIENCE, server_pools
from identity.domain.errors import Conflict, Unavailable

_MIGRATION_LOCK = 0x6964656E74697479  # "identity"

# https://www.postgresql.org/docs/current/errcodes-appendix.html
_GIVE_WAY = frozenset({"40001", "40P01"})  # serialization_failure, deadlock_detected
_OUT_OF_ORDER = frozenset(
    {
        "08",  # connection exception
        "28",  # invalid authorization
        "3D",  # there is no such database
        "53",  # insufficient resources: disk full, too many connections
        "57",  # operator intervention: shutdown, starting up, statement timeout
        "58",  # system error
        "XX",  # internal error: corrupted data
        "42501",  # insufficient_privilege
        "55P03",  # lock_not_available
        "25006",  # read_only_sql_transaction: a standby, since a failover
        "25P03",  # idle_in_transaction_session_timeout
    }
)


class Postgresql:
    def engines(self, url: str, *, connections: int, patience: timedelta) -> tuple[AsyncEngine, AsyncEngine]:
        """asyncpg reads the URL itself, as libpq would: several hosts, `sslmode`, `target_session_attrs`."""
        common = {
            "timezone": "UTC",
            "statement_timeout": _milliseconds(patience),
            "lock_timeout": _milliseconds(LOCK_PATIENCE),
            "idle_in_transaction_session_timeout": _milliseconds(ABANDONED),
        }
        if "application_name" not in parse_qs(urlsplit(url).query):
            common["application_name"] = "identity"
        to_write = {
            "async_creator_fn": _connect,
            "dsn": url,
            "timeout": patience.total_seconds(),
            "server_settings": common,
        }
        return server_pools(
            URL.create("postgresql+asyncpg"),
            size=connections,
            patience=patience,
            to_write=to_write,
            to_read=to_write | {"async_creator_fn": _connect_to_read},
        )

    def connection(self, engine: AsyncEngine) -> AbstractAsyncContextManager[SqlConnection]:
        return asyncpg_connection(engine)

    def insert_unless_taken(self, table: Table, key: Column[Any]) -> Insert:
        return _insert_unless_taken(table, key)

    def violated_constraint(self, error: IntegrityError) -> str | None:
        name: str | None = getattr(_cause(error), "constraint_name", None)
        return name

    def fault(self, error: DBAPIError) -> Unavailable | None:
        code: str = getattr(error.orig, "sqlstate", None) or ""
        if code in _GIVE_WAY:
            return Conflict(f"PostgreSQL: {_cause(error)}")
        is_out_of_order = code in _OUT_OF_ORDER or code[:2] in _OUT_OF_ORDER
        return Unavailable(f"PostgreSQL: {_cause(error)}") if is_out_of_order else None

    @contextmanager
    def schema_lock(self, connection: Connection) -> Iterator[None]:
        for statement in (
            "SET LOCAL statement_timeout = 0",
            f"SET LOCAL lock_timeout = {_milliseconds(MIGRATION_PATIENCE)}",
            f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})",
            # A table in use is not waited for as long: all who come to use it would wait behind.
            f"SET LOCAL lock_timeout = {_milliseconds(LOCK_PATIENCE)}",
        ):
            connection.exec_driver_sql(statement)
        yield

    def take_time(self, connection: Connection) -> None:
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")

    def begin_snapshot(self, connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        self.take_time(connection)

    def last_number(self, connection: Connection, table: Table) -> int:
        return connection.scalar(select(func.pg_sequence_last_value(_sequence(table)))) or 0

    def go_on_after(self, connection: Connection, table: Table, number: int) -> None:
        if self.last_number(connection, table) < number:
            connection.execute(select(func.setval(_sequence(table), literal(number, BigInteger))))


async def _connect(**arguments: Any) -> Any:
    """Connects to the end: where asyncpg is cancelled half-way, it leaves errors that nobody fetches.

    Raises:
        ConnectionError: for whatever the server or asyncpg has against it.
    """
    import asyncpg  # late, for those who have another database

    connecting = asyncio.ensure_future(asyncpg.connect(**arguments))
    try:
        connection = await asyncio.shield(connecting)
    except asyncio.CancelledError:
        connecting.add_done_callback(_drop)
        raise
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        raise ConnectionError(f"PostgreSQL: {error}") from error
    encoding = connection.get_settings().server_encoding
    if encoding != "UTF8":
        connection.terminate()
        raise ConnectionError(f"PostgreSQL: the database's encoding is {encoding}, and must be UTF8")
    return connection


async def _connect_to_read(**arguments: Any) -> Any:
    # Not among the server settings: asyncpg would take the server for one that cannot be written to.
    connection = await _connect(**arguments)
    try:
        await connection.execute("SET default_transaction_read_only = on")
    except BaseException:
        connection.terminate()
        raise
    return connection


def _drop(connecting: asyncio.Future[Any]) -> None:
    if not connecting.cancelled() and connecting.exception() is None:
        connecting.result().terminate()


@cache
def _insert_unless_taken(table: Table, key: Column[Any]) -> Insert:
    return postgresql.insert(table).on_conflict_do_nothing(index_elements=[key])


def _sequence(table: Table) -> ColumnElement[Any]:
    column = table.autoincrement_column
    assert column is not None  # noqa: S101 - it is asked of tables with numbers only
    return cast(func.pg_get_serial_sequence(table.name, column.name), postgresql.REGCLASS)


def _cause(error: DBAPIError) -> BaseException | None:
    """asyncpg's own error, which SQLAlchemy, where it runs the statement, puts into one of its own making."""
    return error.orig and (error.orig.__cause__ or error.orig)


def _milliseconds(time: timedelta) -> str:
    return str(round(time / timedelta(milliseconds=1)))
