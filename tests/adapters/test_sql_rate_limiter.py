"""Counting in a database: what it holds on to, what it stores, and what becomes of it without one."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.databases import Databases

from identity.adapters.hashing_lane import AsyncHashingLane
from identity.adapters.memory import FixedClock, PlainHasher
from identity.adapters.sql.rate_limiter import SqlRateLimiter
from identity.adapters.sql.storage import SqlStorage
from identity.application.throttling import Buckets, VerifyPassword
from identity.domain.errors import Unavailable
from identity.domain.secrets import Digest, Secret
from identity.domain.session import Client
from identity.domain.throttling import Backoff, Bucket, Reservation, Window

BUCKETS = Buckets(
    key=b"a key of 32 bytes for the limits",
    per_account=Backoff(free=5, stop=100),
    failures_per_address=Window(limit=30, length=timedelta(minutes=5)),
    requests_per_address=Window(limit=100, length=timedelta(minutes=5)),
)
CLIENT = Client(address="192.0.2.7")
NOW = FixedClock().now()
BUCKET = Bucket(key=Digest(b"b" * 32), allowance=BUCKETS.requests_per_address, favoured=Digest(b"f" * 32))

CALLS: dict[str, Callable[[SqlRateLimiter], Awaitable[Any]]] = {
    "reserve": lambda limiter: limiter.reserve(BUCKET, at=NOW),
    "fail": lambda limiter: limiter.fail(Reservation(bucket=BUCKET, key=BUCKET.key), at=NOW),
    "succeed": lambda limiter: limiter.succeed(Reservation(bucket=BUCKET, key=BUCKET.key), at=NOW),
    "count": lambda limiter: limiter.count(BUCKET, at=NOW),
    "empty": lambda limiter: limiter.empty(BUCKET, at=NOW),
    "purge": lambda limiter: limiter.purge(ended_before=NOW, limit=1),
}


@pytest.fixture
def url(databases: Databases) -> str:
    return databases.migrated("sqlite")


@pytest.fixture
async def storage(url: str) -> AsyncIterator[SqlStorage]:
    storage = SqlStorage(url)
    yield storage
    await storage.dispose()


def verifying(storage: SqlStorage, lane: AsyncHashingLane) -> VerifyPassword:
    return VerifyPassword(
        lane=lane,
        limiter=SqlRateLimiter(storage),
        buckets=BUCKETS,
        hasher=PlainHasher(),
        clock=FixedClock(),
    )


def stored(url: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(Path(url.removeprefix("sqlite:///")))) as connection:
        return connection.execute("SELECT * FROM rate_limits").fetchall()


async def test_whoever_waits_for_their_turn_holds_no_connection(storage: SqlStorage) -> None:
    lane = AsyncHashingLane(slots=1)
    verify = verifying(storage, lane)
    async with lane.turn():
        waiting = [
            asyncio.create_task(verify(Secret("guess"), user=None, named=f"user{number}", client=CLIENT))
            for number in range(10)
        ]
        await asyncio.sleep(0)
        assert all(map(lane.is_waiting, waiting))
        for engine in (storage._writing, storage._reading):
            assert engine.pool.checkedout() == 0
        async with asyncio.timeout(1), storage.begin() as uow:
            assert await uow.users.get(1) is None
    assert await asyncio.gather(*waiting) == [False] * 10


async def test_nothing_that_is_stored_names_an_account_or_an_address(storage: SqlStorage, url: str) -> None:
    verify = verifying(storage, AsyncHashingLane(slots=1))
    assert not await verify(Secret("the guess"), user=None, named="alice", client=CLIENT)
    rows = stored(url)
    assert len(rows) == 2
    for told in ("alice", CLIENT.address, "the guess"):
        assert told not in repr(rows)
        assert told.encode().hex() not in str([value.hex() for row in rows for value in row[:1]])


async def test_an_attempt_that_is_refused_leaves_no_row_behind(storage: SqlStorage, url: str) -> None:
    limiter = SqlRateLimiter(storage)
    full = Bucket(key=Digest(b"x" * 32), allowance=Window(limit=1, length=timedelta(minutes=5)))
    assert await limiter.reserve(full, at=NOW) is not None
    assert await limiter.reserve(BUCKET, full, at=NOW) is None
    assert len(stored(url)) == 1


@pytest.mark.parametrize("call", CALLS)
async def test_without_a_database_nothing_can_be_counted(call: str, tmp_path: Path) -> None:
    storage = SqlStorage(f"sqlite:///{tmp_path / 'no' / 'such' / 'folder' / 'identity.db'}")
    try:
        with pytest.raises(Unavailable):
            await CALLS[call](SqlRateLimiter(storage))
    finally:
        await storage.dispose()


@pytest.mark.parametrize("call", CALLS)
async def test_nothing_is_counted_within_a_unit_of_work(call: str, storage: SqlStorage) -> None:
    """It could be rolled back with it."""
    async with storage.begin():
        with pytest.raises(RuntimeError, match="unit of work"):
            await CALLS[call](SqlRateLimiter(storage))
