"""Everything from one database into another: all of it as it was, or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import Table, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from tests.application.test_erasure import Service, bob_too, leads_a_life
from tests.databases import KINDS, Databases, run

from identity.adapters.memory import FixedClock, PlainHasher
from identity.adapters.sql import copying
from identity.adapters.sql.copying import SqlCopier, insert_rows
from identity.adapters.sql.migration import SqlSchema
from identity.adapters.sql.schema import (
    audit_events,
    devices,
    metadata,
    outbox,
    rate_limits,
    sessions,
    users,
)
from identity.adapters.sql.storage import SqlStorage
from identity.application.audit import SETTLED_AFTER
from identity.application.copying import CopiedTable, CopyProgress, CopyRefused
from identity.container import Container, build_container
from identity.domain.errors import Unavailable
from identity.domain.events import OPERATOR, LoggedOut
from identity.domain.secrets import Secret
from identity.domain.session import Client
from identity.domain.tokens import TokenPair
from identity.settings import Settings

PASSWORD = Secret("yourpassword123")
BORN = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
LAST = metadata.sorted_tables[-1]
HARD = b"\x00'\\%\"\n\r\x1a;--%s:x\xff\xfe".ljust(32, b"\x80")
"""Octets that a driver might take for something else, or for text."""
FOX = Client(address="2001:db8::1", user_agent="🦊 \t\\'%s ﷽", request_id="")
PAIRS = [(source, target) for source in KINDS for target in KINDS]

Rows = dict[str, list[tuple[Any, ...]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lived:
    """A database in which every table has rows."""

    url: str
    now: datetime
    pair: TokenPair
    last_user_id: int
    """The greatest that was ever given; its account is erased."""
    last_event_id: int
    """The same; its row is gone."""


@asynccontextmanager
async def deployment(url: str, at: datetime) -> AsyncIterator[Container]:
    container = build_container(
        Settings(
            database_url=url, mail_url="memory:", mail_from="x@example.org", secret=Secret("s" * 31 + "é")
        )
    )
    container.clock.override(FixedClock(at))
    container.hasher.override(PlainHasher())
    try:
        yield container
    finally:
        await container.storage().dispose()


async def live(kind: str, url: str) -> Lived:
    async with deployment(url, BORN) as container:
        await container.schema().upgrade()
        clock = container.clock()
        service = Service(
            kind=kind,
            container=container,
            clock=clock,
            mailer=container.mailer(),
            connection=cast(AsyncConnection, None),
        )
        await leads_a_life(service)
        await bob_too(service)
        clock.advance(SETTLED_AFTER)
        assert await container.seal_audit_log()()
        gone = await container.register_user()(
            username="gone",
            email="gone@example.org",
            password=PASSWORD,
            client=Client(user_agent="🦊\t\\'%s"),
        )
        await container.erase_user()(by=OPERATOR, user_id=gone.id)
        pair = await container.log_in()(username="bob", password=PASSWORD, client=FOX)
        async with container.storage().transaction() as connection:
            await connection.execute(
                insert(rate_limits),
                {
                    "digest": HARD,
                    "failures": 3,
                    "reserved": 0,
                    "reserved_until": datetime(1, 1, 1, tzinfo=UTC),
                    "blocked_until": datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
                    "ends_at": BORN,
                },
            )
            for digest in (HARD, bytes(32), b"\xff" * 32, b"a".ljust(32), b"a".ljust(32, b"\0")):
                row = {"user_id": 2, "digest": digest, "last_seen_at": BORN}
                await connection.execute(insert(devices), row)
            last = (await connection.execute(select(func.max(audit_events.c.id)))).scalar_one()
            await connection.execute(delete(audit_events).where(audit_events.c.id == last))
        return Lived(url=url, now=clock.now(), pair=pair, last_user_id=gone.id, last_event_id=last)


@pytest.fixture(scope="module")
def lives(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Lived]]:
    databases = Databases(tmp_path_factory.mktemp("lives"))
    known: dict[str, Lived] = {}

    def life(kind: str) -> Lived:
        if kind not in known:
            known[kind] = run(live(kind, databases.new(kind)))
        return known[kind]

    yield life
    databases.close()


@pytest.fixture
def in_small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "BATCH", 2)


@asynccontextmanager
async def storage_of(url: str) -> AsyncIterator[SqlStorage]:
    storage = SqlStorage(url)
    try:
        yield storage
    finally:
        await storage.dispose()


async def copy(
    source: str, target: str, tell: Callable[[CopyProgress], None] = lambda _: None
) -> tuple[CopiedTable, ...]:
    async with storage_of(source) as storage:
        return await SqlCopier(storage, source)(target, tell=tell)


async def everything(url: str) -> Rows:
    async with storage_of(url) as storage, storage.connection() as connection:
        return {
            table.name: sorted(
                (tuple(row) for row in (await connection.execute(select(table))).all()), key=repr
            )
            for table in metadata.sorted_tables
        }


async def change(url: str, *statements: Any) -> None:
    async with storage_of(url) as storage, storage.migration() as connection:
        for statement in statements:
            await connection.execute(statement)


def files(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def sqlite_file(folder: Path) -> str:
    (folder / "identity.db").touch()
    return f"sqlite:///{folder}/identity.db"


def is_empty(rows: Rows) -> bool:
    return not any(rows.values())


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


# --- what is refused -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
async def test_a_target_with_a_row_is_refused_and_stays_as_it_is(
    kind: str, lives: Callable[[str], Lived], databases: Databases
) -> None:
    url = databases.migrated(kind)
    row = {
        "digest": HARD,
        "failures": 1,
        "reserved": 0,
        "reserved_until": BORN,
        "blocked_until": BORN,
        "ends_at": BORN,
    }
    await change(url, insert(rate_limits).values(row))
    before = await everything(url)
    with pytest.raises(CopyRefused, match=r"^the target is not empty: it has rows in rate_limits$"):
        await copy(lives("sqlite").url, url)
    assert await everything(url) == before


async def test_the_same_database_is_refused_however_it_is_written(
    lives: Callable[[str], Lived], tmp_path: Path, databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = databases.migrated("sqlite")
    path = Path(url.removeprefix("sqlite:///"))
    (tmp_path / "link.db").symlink_to(path)
    monkeypatch.chdir(path.parent)
    for same in (url, f"sqlite:///{tmp_path}/link.db", f"sqlite:///{path.name}", f"sqlite:///./{path.name}"):
        with pytest.raises(CopyRefused, match=r"^the target is the database that is to be copied$"):
            await copy(url, same)
    async with storage_of("postgresql://ann:secret@db/identity") as storage:
        copier = SqlCopier(storage, "postgresql://ann:secret@db/identity")
        with pytest.raises(CopyRefused, match=r"^the target is the database"):
            await copier("postgres://bob:other@db/identity", tell=lambda _: None)


async def test_a_source_that_is_not_there_is_refused_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(CopyRefused, match=r"nowhere.db is missing$"):
        await copy(f"sqlite:///{tmp_path}/nowhere.db", f"sqlite:///{tmp_path}/target.db")
    assert files(tmp_path) == []


async def test_a_source_of_another_schema_is_refused_before_the_target_is_touched(
    databases: Databases, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    source = databases.migrated("sqlite")
    for revision in ("0001", "0009_0001"):
        async with storage_of(source) as storage, storage.migration() as connection:
            await connection.exec_driver_sql("UPDATE alembic_version SET version_num = ?", (revision,))
        with pytest.raises(CopyRefused, match=rf"^the schema of the database .* is {revision}, .* migrate"):
            await copy(source, f"sqlite:///{tmp_path}/target.db")
    with pytest.raises(CopyRefused, match=r"is missing, "):
        await copy(sqlite_file(tmp_path_factory.mktemp("empty")), f"sqlite:///{tmp_path}/target.db")
    assert files(tmp_path) == []


async def test_a_target_of_a_newer_version_is_refused(databases: Databases) -> None:
    source, target = databases.migrated("sqlite"), databases.migrated("sqlite")
    for revision, said in (("0009_0009", "by a newer version"), ("0009_0001", "schema is 0009_0001")):
        async with storage_of(target) as storage, storage.migration() as connection:
            await connection.exec_driver_sql("UPDATE alembic_version SET version_num = ?", (revision,))
        with pytest.raises(CopyRefused, match=said):
            await copy(source, target)


async def test_trouble_tells_of_which_database_it_is(databases: Databases, tmp_path: Path) -> None:
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"no database at all" * 100)
    sound = databases.migrated("sqlite")
    with pytest.raises(Unavailable, match=r"^the source: SQLite: "):
        await copy(f"sqlite:///{broken}", f"sqlite:///{tmp_path}/target.db")
    with pytest.raises(Unavailable, match=r"^the target: SQLite: "):
        await copy(sound, f"sqlite:///{broken}")


# --- what goes wrong half-way ----------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [asyncio.CancelledError, Unavailable("gone"), RuntimeError("a bug")])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_copy_that_ends_in_its_last_table_leaves_the_target_without_a_row(
    kind: str,
    fault: Any,
    lives: Callable[[str], Lived],
    databases: Databases,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def fail(connection: AsyncConnection, table: Table, rows: list[dict[str, Any]]) -> None:
        await insert_rows(connection, table, rows)
        if table is LAST:
            raise fault

    lived, url = lives("sqlite"), databases.migrated(kind)
    monkeypatch.setattr(copying, "insert_rows", fail)
    with pytest.raises(fault if isinstance(fault, type) else type(fault)):
        await copy(lived.url, url)
    assert is_empty(await everything(url))
    monkeypatch.undo()
    await copy(lived.url, url)
    assert await everything(url) == await everything(lived.url)


CORRUPTIONS: dict[str, tuple[Table, Callable[[list[dict[str, Any]]], list[dict[str, Any]]]]] = {
    "a value": (sessions, lambda rows: [{**rows[0], "client_address": "192.0.2.9"}, *rows[1:]]),
    "a microsecond": (
        users,
        lambda rows: [{**rows[0], "joined_at": rows[0]["joined_at"] + timedelta(microseconds=1)}, *rows[1:]],
    ),
    "empty for none": (outbox, lambda rows: [{**row, "error": row["error"] or ""} for row in rows]),
    "a row is lost": (LAST, lambda rows: rows[1:]),
    "two are exchanged": (
        sessions,
        lambda rows: [
            {**rows[0], "current_jti": rows[1]["current_jti"]},
            {**rows[1], "current_jti": rows[0]["current_jti"]},
            *rows[2:],
        ],
    ),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("corruption", CORRUPTIONS)
async def test_what_is_changed_on_the_way_is_found_and_nothing_is_kept(
    corruption: str,
    kind: str,
    lives: Callable[[str], Lived],
    databases: Databases,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    changed, corrupt = CORRUPTIONS[corruption]

    async def insert_others(connection: AsyncConnection, table: Table, rows: list[dict[str, Any]]) -> None:
        rows = corrupt(rows) if table is changed else rows
        if rows:
            await insert_rows(connection, table, rows)

    url = databases.migrated(kind)
    monkeypatch.setattr(copying, "insert_rows", insert_others)
    with pytest.raises(CopyRefused, match=rf"^{changed.name}: the target has not what was copied"):
        await copy(lives("sqlite").url, url)
    assert is_empty(await everything(url))


async def test_what_the_target_itself_changes_later_in_the_transaction_is_found(
    lives: Callable[[str], Lived], databases: Databases
) -> None:
    url = databases.migrated("sqlite")
    async with storage_of(url) as storage, storage.migration() as connection:
        await connection.exec_driver_sql(
            "CREATE TRIGGER tamper AFTER INSERT ON devices BEGIN "
            "UPDATE users SET superuser_since = joined_at; END"
        )
    with pytest.raises(CopyRefused, match=r"^users: the target has not what was copied"):
        await copy(lives("sqlite").url, url)
    assert is_empty(await everything(url))


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
async def test_a_row_that_fits_only_into_sqlite_is_refused_in_one_line(
    kind: str, lives: Callable[[str], Lived], databases: Databases
) -> None:
    source, url = databases.new("sqlite"), databases.migrated(kind)
    await copy(lives("sqlite").url, source)
    await change(source, update(users).values(display_name="x" * 151))
    with pytest.raises(CopyRefused, match=r"^users: a row does not fit into the target: .*") as refused:
        await copy(source, url)
    assert str(refused.value).isprintable()
    assert is_empty(await everything(url))


async def test_a_row_that_cannot_be_read_is_named_by_its_table(
    lives: Callable[[str], Lived], databases: Databases
) -> None:
    source = databases.new("sqlite")
    await copy(lives("sqlite").url, source)
    async with storage_of(source) as storage, storage.migration() as connection:
        await connection.exec_driver_sql("UPDATE users SET joined_at = 'yesterday'")
    with pytest.raises(CopyRefused, match=r"^users: a row cannot be read: "):
        await copy(source, databases.new("sqlite"))


# --- the snapshot ----------------------------------------------------------------------------------------


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
