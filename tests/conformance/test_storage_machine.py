"""Random histories of each storage we have, told to the one in memory too."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import ClassVar

from tests.databases import Databases

from identity.adapters.memory import MemoryStorage
from identity.adapters.sql.storage import SqlStorage
from identity.testing.storage_machine import assert_alike


@asynccontextmanager
async def memory() -> AsyncIterator[MemoryStorage]:
    yield MemoryStorage()


class TestMemory:
    def test_answers_as_another_memory_does(self) -> None:
        """Else it would be the machine that differs from itself."""
        assert_alike(memory, memory)


class SqlStorageAnswers:
    """Of a SQL database; its subclasses say which."""

    kind: ClassVar[str]

    def test_as_the_memory_does(self, databases: Databases) -> None:
        @asynccontextmanager
        async def sql() -> AsyncIterator[SqlStorage]:
            storage = SqlStorage(databases.migrated(self.kind))
            yield storage
            await storage.dispose()

        assert_alike(memory, sql)


class TestSqlite(SqlStorageAnswers):
    kind = "sqlite"


class TestPostgresql(SqlStorageAnswers):
    kind = "postgresql"


class TestMariaDb(SqlStorageAnswers):
    kind = "mariadb"
