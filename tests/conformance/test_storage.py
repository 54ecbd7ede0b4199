"""Every storage we have, held to what a storage owes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import ClassVar

import pytest
from sqlalchemy import select
from tests.databases import Databases

from identity.adapters.memory import MemoryStorage
from identity.adapters.sql.audit_log import event_from_row
from identity.adapters.sql.schema import audit_events
from identity.adapters.sql.storage import SqlStorage
from identity.domain.events import Event
from identity.testing.storage import Storage, StorageConformance


class TestMemory(StorageConformance):
    @pytest.fixture
    def storage(self) -> MemoryStorage:
        return MemoryStorage()

    async def events_of(self, storage: Storage) -> Sequence[Event]:
        assert isinstance(storage, MemoryStorage)
        return storage.events


class SqlStorageConformance(StorageConformance):
    """Of a SQL database; its subclasses say which."""

    kind: ClassVar[str]

    @pytest.fixture
    async def storage(self, databases: Databases) -> AsyncIterator[SqlStorage]:
        storage = SqlStorage(databases.migrated(self.kind))
        yield storage
        await storage.dispose()

    async def events_of(self, storage: Storage) -> Sequence[Event]:
        assert isinstance(storage, SqlStorage)
        async with storage.connection() as connection:
            rows = await connection.execute(select(audit_events).order_by(audit_events.c.id))
            return [event_from_row(row) for row in rows.mappings()]


class TestSqlite(SqlStorageConformance):
    kind = "sqlite"


class TestPostgresql(SqlStorageConformance):
    kind = "postgresql"


class TestMariaDb(SqlStorageConformance):
    kind = "mariadb"
