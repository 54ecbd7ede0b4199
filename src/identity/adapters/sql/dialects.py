"""What databases do not agree about: all that a further one has to answer, and what must be answered."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from datetime import timedelta
from typing import Any, Protocol

from sqlalchemy import Column, Connection, Insert, Table
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from identity.adapters.sql.connection import SqlConnection
from identity.adapters.sql.mariadb import MariaDb
from identity.adapters.sql.postgresql import Postgresql
from identity.adapters.sql.sqlite import Sqlite
from identity.domain.errors import Unavailable


class Dialect(Protocol):
    def engines(self, url: str, *, connections: int, patience: timedelta) -> tuple[AsyncEngine, AsyncEngine]:
        """One for transactions, and one for single reads without any. Connects to nothing yet.

        Each holds at most so many connections. A statement, and waiting for a lock or for a connection, ends
        after `patience` at the latest.
        """

    def connection(self, engine: AsyncEngine) -> AbstractAsyncContextManager[SqlConnection]:
        """One of the engine's, until it is left. Waits for one where all are in use."""

    def insert_unless_taken(self, table: Table, key: Column[Any]) -> Insert:
        """An INSERT that changes nothing where a row has this key already. Its rowcount tells nothing."""

    def violated_constraint(self, error: IntegrityError) -> str | None:
        """The name of the unique constraint, as in `schema.py`; never fooled by the values in a message."""

    def fault(self, error: DBAPIError) -> Unavailable | None:
        """Whether the database cannot do its work now (`Conflict`: it made this transaction give way).

        `None` for an error that is the program's own.
        """

    def schema_lock(self, connection: Connection) -> AbstractContextManager[None]:
        """Lets one migration at a time go on; the others wait, for longer than a request would."""

    def take_time(self, connection: Connection) -> None:
        """Lets the statements of this transaction, and the pauses between them, take as long as they do."""

    def begin_snapshot(self, connection: Connection) -> None:
        """Begins a transaction on a connection that has none: all that it reads is of one state, and it may
        take its time."""

    def last_number(self, connection: Connection, table: Table) -> int:
        """The last that was given to a row of the table, even if that is deleted or was never committed; 0
        when there is none."""

    def go_on_after(self, connection: Connection, table: Table, number: int) -> None:
        """The table's next row gets a greater one. Never goes back. May commit."""


_POSTGRESQL, _MARIADB = Postgresql(), MariaDb()
DIALECTS: Mapping[str, Dialect] = {
    "sqlite": Sqlite(),
    "postgresql": _POSTGRESQL,
    "postgres": _POSTGRESQL,
    "mariadb": _MARIADB,
    "mysql": _MARIADB,
}
"""By the scheme of a database's URL."""
