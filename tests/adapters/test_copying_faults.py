"""All of it or nothing: copies that are refused, or go wrong half-way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table, insert, text, update
from sqlalchemy.ext.asyncio import AsyncConnection
from tests.adapters.lives import (
    BORN,
    HARD,
    Lived,
    change,
    copy,
    everything,
    files,
    is_empty,
    sqlite_file,
    storage_of,
)
from tests.databases import KINDS, Databases

from identity.adapters.sql import copying
from identity.adapters.sql.copying import SqlCopier, insert_rows
from identity.adapters.sql.schema import (
    login_codes,
    metadata,
    outbox,
    rate_limits,
    sessions,
    users,
)
from identity.application.copying import CopyRefused
from identity.domain.errors import Unavailable

LAST = metadata.sorted_tables[-1]


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


async def test_a_target_in_use_is_refused_before_it_is_migrated(databases: Databases) -> None:
    source, target = databases.migrated("sqlite"), databases.migrated("sqlite")
    old = "UPDATE alembic_version SET version_num = '0007_0001'"
    row = {"digest": HARD, "tries": 0, "email_key": "", "request": HARD, "created_at": BORN}
    await change(target, text(old), insert(login_codes).values(row | {"expires_at": BORN}))
    with pytest.raises(CopyRefused, match=r"rows in login_codes$"):
        await copy(source, target)
    async with storage_of(target) as storage, storage.connection() as connection:
        revision = await connection.execute(text("SELECT version_num FROM alembic_version"))
        assert revision.scalar_one() == "0007_0001"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_row_that_somebody_writes_while_the_target_is_prepared_refuses_it(
    kind: str, lives: Callable[[str], Lived], databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare, url = copying._prepare, databases.migrated(kind)
    row = {"digest": HARD, "tries": 0, "email_key": "", "request": HARD, "created_at": BORN}

    async def prepare_and_lose_the_race(*arguments: Any) -> None:
        await prepare(*arguments)
        await change(url, insert(login_codes).values(row | {"expires_at": BORN}))

    monkeypatch.setattr(copying, "_prepare", prepare_and_lose_the_race)
    with pytest.raises(CopyRefused, match=r"^the target is not empty"):
        await copy(lives("sqlite").url, url)
    rows = await everything(url)
    assert {name for name, each in rows.items() if each} == {"login_codes"}


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
    for revision in ("0001", "0010_0001"):
        async with storage_of(source) as storage, storage.migration() as connection:
            await connection.exec_driver_sql("UPDATE alembic_version SET version_num = ?", (revision,))
        with pytest.raises(CopyRefused, match=rf"^the schema of the database .* is {revision}, .* migrate"):
            await copy(source, f"sqlite:///{tmp_path}/target.db")
    with pytest.raises(CopyRefused, match=r"is missing, "):
        await copy(sqlite_file(tmp_path_factory.mktemp("empty")), f"sqlite:///{tmp_path}/target.db")
    assert files(tmp_path) == []


@pytest.mark.parametrize("kind", KINDS)
async def test_a_database_of_another_program_is_refused(kind: str, databases: Databases) -> None:
    target = databases.new(kind)
    await change(target, text("CREATE TABLE users (id INTEGER PRIMARY KEY, name VARCHAR(9))"))
    with pytest.raises(CopyRefused, match=r"^the target cannot be migrated: "):
        await copy(databases.migrated("sqlite"), target)


async def test_a_target_of_a_newer_version_is_refused(databases: Databases) -> None:
    source, target = databases.migrated("sqlite"), databases.migrated("sqlite")
    for revision, said in (("0010_0010", "by a newer version"), ("0010_0001", "schema is 0010_0001")):
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
