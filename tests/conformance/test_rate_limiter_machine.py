"""Random histories of each rate limiter we have, told to the one in memory too."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import ClassVar

import pytest
from hypothesis import Phase, settings
from tests.conformance.broken_limiters import FAULTS
from tests.databases import Databases

from identity.adapters.memory import MemoryRateLimiter
from identity.adapters.sql.rate_limiter import SqlRateLimiter
from identity.adapters.sql.storage import SqlStorage
from identity.application.ports import RateLimiter
from identity.testing.rate_limiter_machine import SETTINGS, assert_alike

# Up to the first history that shows it, and not on to the shortest.
FIRST_FOUND = settings(
    SETTINGS, max_examples=100, stateful_step_count=20, phases=[Phase.generate], report_multiple_bugs=False
)


@asynccontextmanager
async def memory() -> AsyncIterator[MemoryRateLimiter]:
    yield MemoryRateLimiter()


class TestMemory:
    def test_answers_as_another_memory_does(self) -> None:
        """Else it would be the machine that differs from itself."""
        assert_alike(memory, memory)


class SqlRateLimiterAnswers:
    """Of a SQL database; its subclasses say which."""

    kind: ClassVar[str]

    def test_as_the_memory_does(self, databases: Databases) -> None:
        @asynccontextmanager
        async def sql() -> AsyncIterator[SqlRateLimiter]:
            storage = SqlStorage(databases.migrated(self.kind))
            yield SqlRateLimiter(storage)
            await storage.dispose()

        assert_alike(memory, sql)


class TestSqlite(SqlRateLimiterAnswers):
    kind = "sqlite"


class TestPostgresql(SqlRateLimiterAnswers):
    kind = "postgresql"


class TestMariaDb(SqlRateLimiterAnswers):
    kind = "mariadb"


# Of those that show when one thing is done after the other.
SEEN = [
    "a place is not given back",
    "the window slides",
    "every wait is the same",
    "it counts before it refuses",
    "a reservation never lapses",
    "the last write makes everybody wait",
    "everybody is favoured",
    "who is favoured goes on under the own key",
    "places are kept where another bucket is crowded",
    "it purges too early",
]


@pytest.mark.parametrize("fault", SEEN)
def test_a_limiter_is_told_from_the_honest_one_when(fault: str) -> None:
    @asynccontextmanager
    async def broken() -> AsyncIterator[RateLimiter]:
        yield FAULTS[fault]()

    with pytest.raises(AssertionError, match="the model"):
        assert_alike(memory, broken, settings=FIRST_FOUND)
