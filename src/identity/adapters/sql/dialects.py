"""What databases do not agree about: all that a further one has to answer, and what must be answered."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Protocol

from sqlalchemy import Column, Connection, Insert, Table
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from identity.adapters.sql.sqlite import Sqlite
from identity.domain.errors import Unavailable


class Dialect(Protocol):
    def engines(self, url: URL, *, patience: timedelta) -> tuple[AsyncEngine, AsyncEngine]:
        """One for transactions, and one for single reads without any. Connects to nothing yet.

        Waiting for a lock or for a pooled connection ends after `patience`.
        """

    def insert_unless_taken(self, table: Table, key: Column[Any]) -> Insert:
        """An INSERT that does nothing, with a rowcount of 0, where a row has this unique key already."""

    def violated_constraint(self, error: IntegrityError) -> str | None:
        """The name of the unique constraint, as in `schema.py`; never fooled by the values in a message."""

    def fault(self, error: DBAPIError) -> Unavailable | None:
        """Whether the database cannot do its work now (`Conflict`: it made this transaction give way).

        `None` for an error that is the program's own.
        """

    def lock_schema(self, connection: Connection) -> None:
        """Lets one migration at a time go on, until the end of its transaction."""


DIALECTS: Mapping[str, Dialect] = {"sqlite": Sqlite()}
"""By the scheme of a database's URL."""
