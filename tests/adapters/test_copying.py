"""Everything from one database into another, as it was, and life goes on there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from tests.adapters.lives import (
    FOX,
    PASSWORD,
    Lived,
    change,
    copy,
    deployment,
    everything,
    is_empty,
    storage_of,
)
from tests.databases import KINDS, Databases

from identity.adapters.sql import copying
from identity.adapters.sql.copying import SqlCopier
from identity.adapters.sql.migration import SqlSchema
from identity.adapters.sql.schema import (
    rate_limits,
    sessions,
    users,
)
from identity.adapters.sql.storage import SqlStorage
from identity.application.audit import SETTLED_AFTER
from identity.application.copying import CopyProgress
from identity.domain.events import LoggedOut

PAIRS = [(source, target) for source in KINDS for target in KINDS]


@pytest.fixture
def in_small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "BATCH", 2)


@pytest.mark.usefixtures("in_small_batches")
@pytest.mark.parametrize(("source", "target"), PAIRS)
async def test_everything_is_in_the_copy_and_life_goes_on_there(
    source: str, target: str, lives: Callable[[str], Lived], databases: Databases
) -> None:
    lived, url = lives(source), databases.new(target)
    before = await everything(lived.url)
    assert all(before.values()), "a table without rows shows nothing"
    progress: list[CopyProgress] = []

    copied = await copy(lived.url, url, progress.append)

    assert await everything(url) == before == await everything(lived.url)
    assert {table.name: table.rows for table in copied} == {name: len(rows) for name, rows in before.items()}
    for is_comparing in (False, True):
        last = {each.table: each for each in progress if each.is_comparing is is_comparing}
        assert [(each.table, each.rows) for each in last.values()] == [(t.name, t.rows) for t in copied]
        assert all(each.rows == each.total for each in last.values())

    async with deployment(url, lived.now + timedelta(seconds=1)) as container:
        assert await container.schema().is_current()
        assert (await container.verify_audit_log()(head=None)).is_good
        principal = await container.authenticate()(access=lived.pair.access)
        assert principal.user.username.value == "bob"
        assert (await container.refresh_session()(refresh=lived.pair.refresh)).access
        new = await container.register_user()(
            username="new", email="new@example.org", password=PASSWORD, client=FOX
        )
        assert new.id == lived.last_user_id + 1
        async with container.begin()() as uow:
            await uow.audit_log.append(LoggedOut(at=lived.now, user_id=new.id))
        async with container.read()() as uow:
            ids = {each.id for each in await uow.audit_log.find(user_id=new.id, limit=9)}
        assert min(ids) > lived.last_event_id
        container.clock().advance(SETTLED_AFTER * 2)
        assert await container.seal_audit_log()()
        assert (await container.verify_audit_log()(head=None)).is_good


@pytest.mark.parametrize("kind", KINDS)
async def test_two_copies_have_the_same_sums_and_a_copy_of_a_copy_too(
    kind: str, lives: Callable[[str], Lived], databases: Databases
) -> None:
    lived, first, second = lives("sqlite"), databases.new(kind), databases.new("sqlite")
    assert await copy(lived.url, first) == await copy(first, second)


async def test_a_source_without_rows_is_copied_too(databases: Databases) -> None:
    source, target = databases.migrated("sqlite"), databases.new("sqlite")
    assert {table.rows for table in await copy(source, target)} == {0}
    assert is_empty(await everything(target))


@pytest.mark.parametrize("kind", KINDS)
async def test_a_target_that_has_gone_further_does_not_go_back(
    kind: str, lives: Callable[[str], Lived], databases: Databases
) -> None:
    lived, url = lives("sqlite"), databases.new(kind)
    async with storage_of(url) as storage:
        await SqlSchema(storage).upgrade()
        async with storage.migration() as connection:
            await connection.run_sync(storage.dialect.go_on_after, users, 5_000_000_000)
            await connection.run_sync(storage.dialect.go_on_after, users, 7)
    await copy(lived.url, url)
    async with deployment(url, lived.now) as container:
        new = await container.register_user()(username="new", email="new@example.org", password=PASSWORD)
    assert new.id == 5_000_000_001


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_written_meanwhile_is_not_in_the_copy(
    kind: str, lives: Callable[[str], Lived], databases: Databases
) -> None:
    source, target = databases.new(kind), databases.new("sqlite")
    await copy(lives("sqlite").url, source)
    before = await everything(source)
    async with storage_of(source) as storage:
        snapshot = storage.snapshot
        async with snapshot() as connection:
            assert (await connection.execute(select(func.count()).select_from(users))).scalar_one()
            await change(source, update(sessions).values(client_address="meanwhile"), delete(rate_limits))

            @asynccontextmanager
            async def opened() -> AsyncIterator[AsyncConnection]:
                yield connection

            storage.snapshot = opened  # type: ignore[method-assign]
            await SqlCopier(storage, source)(target, tell=lambda _: None)
    assert await everything(target) == before != await everything(source)


@pytest.mark.parametrize(
    ("kind", "sleep"), [("postgresql", "SELECT pg_sleep(0.4)"), ("mariadb", "SELECT SLEEP(0.4)")]
)
async def test_a_copy_may_take_longer_than_a_request(kind: str, sleep: str, databases: Databases) -> None:
    storage = SqlStorage(databases.migrated(kind), patience=timedelta(milliseconds=200))
    try:
        async with storage.migration() as target, storage.snapshot() as source:
            await target.run_sync(storage.dialect.take_time)
            for connection in (target, source):
                await connection.exec_driver_sql(sleep)
    finally:
        await storage.dispose()
