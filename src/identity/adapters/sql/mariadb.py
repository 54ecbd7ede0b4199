"""MariaDB, through asyncmy."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from datetime import timedelta
from functools import cache
from typing import Any

from sqlalchemy import Column, Connection, Insert, PrimaryKeyConstraint, Table, literal_column
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import DDLCompiler

from identity.adapters.sql.connection import SqlConnection
from identity.adapters.sql.server_pools import ABANDONED, LOCK_PATIENCE, MIGRATION_PATIENCE, server_pools
from identity.domain.errors import Conflict, Unavailable

AUTHORITIES = frozenset({"ssl_ca", "ssl_capath"})
PARAMETERS = frozenset({"unix_socket", "ssl_ca", "ssl_capath", "ssl_cert", "ssl_key", "ssl_check_hostname"})

# https://mariadb.com/kb/en/mariadb-error-code-reference/
_GIVE_WAY = frozenset(
    {
        1020,  # record has changed since last read
        1205,  # lock wait timeout
        1213,  # deadlock, or a conflict of certification in a cluster
    }
)
_NOT_MARIADB = 1193  # unknown system variable
_OUT_OF_ORDER = frozenset(
    {
        *(1021, 1030, 1114, 1180),  # disk full and other errors of the storage engine
        *(1037, 1038, 1041),  # out of memory
        *(1040, 1203, 1226),  # too many connections
        *(1044, 1045, 1130, 1142, 1143, 1227, 1698),  # access denied
        1665,  # binlog_format=STATEMENT, which READ COMMITTED does not go with
        1049,  # there is no such database
        *(1053, 1077, 1079, 1317, 1927),  # shutdown; statement or connection killed
        *(1152, 1156, 1157, 1158, 1159, 1160, 1161, 1184),  # connection aborted
        *(1290, 1836),  # read-only: a replica, since a failover
        *(1969, 3024),  # statement timeout
        *(2002, 2003, 2006, 2013, 2014, 2055, 4031),  # connection lost, as the client tells it
    }
)
_VIOLATION = re.compile(r"Duplicate entry '.*' for key '(?:\w+\.)?(\w+)'", re.DOTALL)
_NEXT_NUMBER = (
    "SELECT AUTO_INCREMENT FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = %s"
)
_MIGRATION_LOCK = "CONCAT('identity:', MD5(DATABASE()))"  # the server's locks are not of one database


class MariaDb:
    def engines(self, url: str, *, connections: int, patience: timedelta) -> tuple[AsyncEngine, AsyncEngine]:
        """Raises `ValueError` for a URL with a parameter that is none of `PARAMETERS`."""
        parsed = make_url(url)
        for unknown in parsed.query.keys() - PARAMETERS:
            raise ValueError(f"{unknown} is none of the parameters {', '.join(sorted(PARAMETERS))}")
        if any(name.startswith("ssl_") for name in parsed.query) and not AUTHORITIES & parsed.query.keys():
            raise ValueError("ssl_ca or ssl_capath is missing, without which the server is not verified")
        options = {
            "sql_mode": "'TRADITIONAL'",  # what does not fit is an error, not cut
            "time_zone": "'+00:00'",
            "lc_messages": "'en_US'",  # the name of a violated constraint is told in words only
            "sql_notes": "0",  # what IF NOT EXISTS and the like remark would fill the log
            "default_storage_engine": "InnoDB",
            "max_statement_time": f"{patience.total_seconds():g}",
            "innodb_lock_wait_timeout": f"{LOCK_PATIENCE.total_seconds():.0f}",
            "lock_wait_timeout": f"{LOCK_PATIENCE.total_seconds():.0f}",
            "idle_transaction_timeout": f"{ABANDONED.total_seconds():.0f}",
        }
        to_write = {
            "async_creator_fn": _connect,
            # The driver would encode it as Latin-1.
            "password": (parsed.password or "").encode(),
            "connect_timeout": patience.total_seconds(),
            "program_name": "identity",
            "init_command": _set(options),
        }
        return server_pools(
            parsed.set(drivername="mariadb+asyncmy"),
            size=connections,
            patience=patience,
            to_write=to_write,
            to_read=to_write | {"init_command": _set(options | {"tx_read_only": "1"})},
        )

    def connection(self, engine: AsyncEngine) -> AbstractAsyncContextManager[SqlConnection]:
        return engine.connect()

    def insert_unless_taken(self, table: Table, key: Column[Any]) -> Insert:
        return _insert_unless_taken(table, key)

    def violated_constraint(self, error: IntegrityError) -> str | None:
        match = _VIOLATION.fullmatch(_message(error))
        return match[1] if match else None

    def fault(self, error: DBAPIError) -> Unavailable | None:
        code = _code(error)
        if code in _GIVE_WAY:
            return Conflict(f"MariaDB: {_message(error)}")
        return Unavailable(f"MariaDB: {_message(error)}") if code in _OUT_OF_ORDER else None

    @contextmanager
    def schema_lock(self, connection: Connection) -> Iterator[None]:
        # DDL commits by itself, so no transaction could hold the lock: the connection does.
        patience = connection.exec_driver_sql("SELECT @@SESSION.max_statement_time").scalar_one()
        connection.exec_driver_sql("SET SESSION max_statement_time = 0")
        try:
            seconds = f"{MIGRATION_PATIENCE.total_seconds():.0f}"
            got = connection.exec_driver_sql(f"SELECT GET_LOCK({_MIGRATION_LOCK}, {seconds})").scalar_one()
            if got != 1:
                raise Unavailable("another migration is still running")
            yield
            connection.exec_driver_sql("COMMIT")  # the revision too, which the next one will look for
        finally:
            with suppress(SQLAlchemyError):  # the connection is lost, and the lock with it
                connection.exec_driver_sql(f"SELECT RELEASE_LOCK({_MIGRATION_LOCK})")
                connection.exec_driver_sql(f"SET SESSION max_statement_time = {patience:f}")

    def take_time(self, connection: Connection) -> None:
        connection.exec_driver_sql("SET SESSION max_statement_time = 0, idle_transaction_timeout = 0")

    def begin_snapshot(self, connection: Connection) -> None:
        self.take_time(connection)
        connection.exec_driver_sql("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        connection.exec_driver_sql("START TRANSACTION WITH CONSISTENT SNAPSHOT")

    def last_number(self, connection: Connection, table: Table) -> int:
        following: int | None = connection.exec_driver_sql(_NEXT_NUMBER, (table.name,)).scalar_one()
        return (following or 1) - 1

    def go_on_after(self, connection: Connection, table: Table, number: int) -> None:
        if self.last_number(connection, table) < number:
            connection.exec_driver_sql(f"ALTER TABLE {table.name} AUTO_INCREMENT = {number + 1}")


@compiles(PrimaryKeyConstraint, "mysql", "mariadb")
def _without_a_name(constraint: PrimaryKeyConstraint, compiler: DDLCompiler, **_: Any) -> str:
    """MariaDB keeps no name for it, and warns of each."""
    return f"PRIMARY KEY ({', '.join(map(compiler.preparer.format_column, constraint.columns))})"


async def _connect(*, connect_timeout: float, **arguments: Any) -> Any:
    """Within the time-out; the driver's own ends when the server has accepted, before it says anything.

    Raises:
        ConnectionError: for whatever the server has against it.
    """
    import asyncmy
    from asyncmy.errors import MySQLError

    try:
        async with asyncio.timeout(connect_timeout):
            return await asyncmy.connect(**arguments)
    except MySQLError as error:
        if error.args[0] == _NOT_MARIADB:
            raise ConnectionError(f"this server is not MariaDB 10.6 or later: {error.args[-1]}") from error
        raise ConnectionError(f"MariaDB: {error.args[-1]}") from error
    except RuntimeError as error:  # it looks for the socket of a connection that is lost already
        raise ConnectionError(f"MariaDB: {error}") from error


@cache
def _insert_unless_taken(table: Table, key: Column[Any]) -> Insert:
    # Not INSERT IGNORE, which also ignores what does not fit.
    return mysql.insert(table).on_duplicate_key_update({key.name: literal_column(key.name)})


def _set(options: dict[str, str]) -> str:
    return "SET SESSION " + ", ".join(f"{name} = {value}" for name, value in options.items())


def _code(error: DBAPIError) -> object:
    return error.orig.args[0] if error.orig and error.orig.args else None


def _message(error: DBAPIError) -> str:
    return str(error.orig.args[-1]) if error.orig and error.orig.args else str(error.orig)
