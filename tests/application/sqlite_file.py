"""A SQLite database for tests that begin with the same rows again and again."""

from __future__ import annotations

import sqlite3
from typing import Any

from identity.adapters.sql.schema import metadata
from identity.adapters.sql.storage import SqlStorage

NOT_OF_A_COMMAND = frozenset({"rate_limits"})
"""Tables that are written outside of units of work: what stands there is no part of what a command does."""


RANDOM = frozenset({"client_salt", "client_digest", "seal", "request_id"})
"""Columns that differ each time; of these it counts whether they are there."""


def repeatable(table: str) -> str:
    """What to select of it so that two runs with the same random numbers can be compared."""
    columns = metadata.tables[table].columns
    return ", ".join(
        f"coalesce({each.name}, '') = ''" if each.name in RANDOM else each.name for each in columns
    )


class SqliteFile:
    """A migrated database in a file, which can be put back to what it once held."""

    def __init__(self, url: str) -> None:
        self.storage = SqlStorage(url)
        # Not the service's connection, and not durable: it is only there to look, and to put back.
        self._look = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        self._look.execute("PRAGMA synchronous = OFF")
        self._tables = [*(table.name for table in metadata.sorted_tables), "sqlite_sequence"]
        self._empty = self._all()
        self._kept = self._empty

    async def close(self) -> None:
        self._look.close()
        await self.storage.dispose()

    def state(self) -> dict[str, list[tuple[Any, ...]]]:
        return {
            name: sorted(self._look.execute(f"SELECT {repeatable(name)} FROM {name}"), key=repr)  # noqa: S608
            for name in self._tables[:-1]
            if name not in NOT_OF_A_COMMAND
        }

    def sketch(self) -> dict[str, Any]:
        return {
            **{name: len(rows) for name, rows in self.state().items()},
            "audit": [kind for (kind,) in self._look.execute("SELECT kind FROM audit_events ORDER BY id")],
            "mail": [kind for (kind,) in self._look.execute("SELECT kind FROM outbox ORDER BY kind")],
        }

    def empty(self) -> None:
        self._kept = self._empty
        self.put_back()

    def keep(self) -> None:
        self._kept = self._all()

    def put_back(self) -> None:
        self._look.execute("BEGIN IMMEDIATE")  # refused while somebody still holds the lock
        for name in reversed(self._tables):
            self._look.execute(f"DELETE FROM {name}")  # noqa: S608
        for name in self._tables:
            for row in self._kept[name]:
                marks = ", ".join("?" * len(row))
                self._look.execute(f"INSERT INTO {name} VALUES ({marks})", row)  # noqa: S608
        self._look.execute("COMMIT")

    def _all(self) -> dict[str, list[tuple[Any, ...]]]:
        return {
            name: sorted(self._look.execute(f"SELECT * FROM {name}"), key=repr)  # noqa: S608
            for name in self._tables
        }
