"""The conformance kit, asked of every rate limiter."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import ClassVar

import pytest
from tests.databases import Databases

from identity.adapters.counted_decisions import CountedDecisions
from identity.adapters.known_blocks import KnownBlocks
from identity.adapters.memory import MemoryRateLimiter
from identity.adapters.sql.rate_limiter import SqlRateLimiter
from identity.adapters.sql.storage import SqlStorage
from identity.testing.rate_limiter import RateLimiterConformance


class TestMemory(RateLimiterConformance):
    @pytest.fixture
    def limiter(self) -> MemoryRateLimiter:
        return MemoryRateLimiter()


class TestMemoryBehindAMemoryOfBlocks(RateLimiterConformance):
    @pytest.fixture
    def limiter(self) -> KnownBlocks:
        return KnownBlocks(MemoryRateLimiter())


class TestMemoryWhoseDecisionsAreCounted(RateLimiterConformance):
    @pytest.fixture
    def limiter(self) -> CountedDecisions:
        return CountedDecisions(MemoryRateLimiter())


class SqlRateLimiterConformance(RateLimiterConformance):
    """Of a SQL database; its subclasses say which."""

    kind: ClassVar[str]

    @pytest.fixture
    async def limiter(self, databases: Databases) -> AsyncIterator[SqlRateLimiter]:
        storage = SqlStorage(databases.migrated(self.kind))
        yield SqlRateLimiter(storage)
        await storage.dispose()


class TestSqlite(SqlRateLimiterConformance):
    kind = "sqlite"


class TestPostgresql(SqlRateLimiterConformance):
    kind = "postgresql"


class TestMariaDb(SqlRateLimiterConformance):
    kind = "mariadb"
