"""Migrations on each database: complete, by many at once, killed at any moment, beside an older release."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from click.testing import CliRunner
from litestar.testing import AsyncTestClient
from sqlalchemy import Connection, String, Text, inspect, select
from sqlalchemy.ext.asyncio import AsyncConnection
from tests.databases import KINDS, Databases, execute, run
from tests.sampling import sampled

from identity.adapters.memory import FixedClock, PlainHasher
from identity.adapters.sql import mariadb, migration, postgresql
from identity.adapters.sql.migration import ATTEMPTS, MIGRATIONS, SqlSchema
from identity.adapters.sql.schema import (
    REVISION,
    audit_events,
    metadata,
    one_time_tokens,
    outbox,
    sessions,
    signing_keys,
    users,
)
from identity.adapters.sql.storage import SqlStorage
from identity.adapters.sql.types import Instant
from identity.application.housekeeping import Purged
from identity.application.ports import SchemaTooNew
from identity.container import Container, build_container
from identity.domain.errors import Unavailable
from identity.domain.names import EmailAddress, Username
from identity.domain.secrets import PasswordHash, Secret
from identity.domain.tokens import TokenPair
from identity.domain.user import NewUser
from identity.entrypoints import cli
from identity.entrypoints.http.app import create_app
from identity.settings import Settings

IDENTITY = Path(sys.executable).with_name("identity")
SECRET = "canary-Kx7vRt2LwQ9nPs4TbYh8Jd3GmFc5"
NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
SHORT = timedelta(milliseconds=50)
SOON = 20.0  # seconds; generous, for machines that do something else besides
LONGER = 2.0  # seconds; longer than a request would wait here
REVISIONS = [script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()][::-1]
FIRST = REVISIONS[0]
OURS = REVISION.partition("_")[0]
NEXT = f"{int(OURS) + 1:04}"


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@dataclass(frozen=True)
class Empty:
    """Databases of one kind without any table. PostgreSQL drops tables quickly, and databases slowly."""

    kind: str
    databases: Databases
    spare: list[str]

    def new(self) -> str:
        return self.again(self.spare.pop()) if self.spare else self.databases.new(self.kind)

    def again(self, url: str) -> str:
        """The same without its tables, or another; no process uses it any more."""
        if self.kind != "postgresql":
            return self.databases.new(self.kind)
        others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        end_them = f"SELECT pg_terminate_backend(pid) {others}"
        execute(self.kind, url, end_them, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
        return url


@pytest.fixture(scope="module")
def spare() -> dict[str, list[str]]:
    """Databases that earlier tests are done with, by kind."""
    return {kind: [] for kind in KINDS}


@pytest.fixture
def empty(databases: Databases, kind: str, spare: dict[str, list[str]]) -> Empty:
    return Empty(kind, databases, spare[kind])


@pytest.fixture
def url(empty: Empty) -> Iterator[str]:
    """Of a database without any table."""
    url = empty.new()
    yield url
    empty.spare.append(url)


@contextlib.asynccontextmanager
async def opened(url: str, **how: Any) -> AsyncIterator[SqlStorage]:
    storage = SqlStorage(url, **how)
    try:
        yield storage
    finally:
        await storage.dispose()


@pytest.fixture
async def storage(url: str) -> AsyncIterator[SqlStorage]:
    async with opened(url) as storage:
        yield storage


@pytest.fixture
async def migrated(databases: Databases, kind: str) -> AsyncIterator[SqlStorage]:
    async with opened(databases.migrated(kind)) as storage:
        yield storage


# --- looking at a database, and bringing it into a state ---------------------------------------------------


async def on(storage: SqlStorage, work: Callable[..., Any], *arguments: Any) -> Any:
    async with storage.migration() as connection:
        return await connection.run_sync(work, *arguments)


def on_database(url: str, work: Callable[..., Any], *arguments: Any) -> Any:
    async def connected() -> Any:
        async with opened(url) as storage:
            return await on(storage, work, *arguments)

    return run(connected())


def ask(connection: Connection, statement: str) -> list[tuple[Any, ...]]:
    result = connection.exec_driver_sql(statement)
    return [tuple(row) for row in result] if result.returns_rows else []


def applied(connection: Connection) -> list[str]:
    return [revision for (revision,) in ask(connection, "SELECT version_num FROM alembic_version")]


def tables(connection: Connection) -> dict[str, Any]:
    """All there is to know about every table, to be compared."""
    found = inspect(connection)
    columns, keys = found.get_multi_columns(), found.get_multi_pk_constraint()
    foreign_keys, unique = found.get_multi_foreign_keys(), found.get_multi_unique_constraints()
    indexes, options = found.get_multi_indexes(), found.get_multi_table_options()
    counted = ask(connection, NEVER_COUNTED_AGAIN) if connection.dialect.name == "sqlite" else []
    return {
        table[1]: {
            "columns": {
                column["name"]: {**column, "type": column["type"].compile(connection.dialect)}
                for column in columns[table]
            },
            "primary key": keys[table],
            "foreign keys": by_name(foreign_keys[table]),
            "unique constraints": by_name(unique[table]),
            "indexes": by_name(indexes[table]),
            "options": {
                option: value
                for option, value in options[table].items()
                if not option.endswith("_auto_increment")  # the next number
            },
            "an id is never given again": (table[1],) in counted,  # on a server the type says so
        }
        for table in columns
    }


NEVER_COUNTED_AGAIN = "SELECT name FROM sqlite_master WHERE sql LIKE '%AUTOINCREMENT%'"


def by_name(parts: Sequence[Any]) -> dict[str, Any]:
    return {part["name"]: dict(part) for part in parts}


def alembic(connection: Connection, migrations: Path = MIGRATIONS) -> Config:
    config = Config()
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def to_revision(connection: Connection, revision: str, migrations: Path = MIGRATIONS) -> None:
    command.upgrade(alembic(connection, migrations), revision)


CLIENT = {"client_address": "192.0.2.7", "client_user_agent": "Mozilla/5.0 🦊 "}
OLD_ROWS: dict[Any, dict[str, Any]] = {
    users: {
        "username": "Ánn 🦊 ",
        "username_key": "ánn 🦊 ",
        "email": "Ann@example.org",
        "email_key": "ann@example.org",
        "password_hash": "a hash",
        "joined_at": NOW,
        "password_changed_at": NOW,
        "disabled_at": None,
        "version": 3,
    },
    sessions: {
        "id": "s",
        "user_id": 1,
        "current_jti": "c",
        "created_at": NOW,
        "last_used_at": NOW,
        "expires_at": NOW,
        **CLIENT,
    },
    one_time_tokens: {
        "digest": bytes(range(224, 256)),
        "purpose": "p",
        "user_id": 1,
        "email_key": "ann@example.org",
        "intent_id": "i",
        "created_at": NOW,
        "expires_at": NOW,
    },
    outbox: {
        "id": "i",
        "kind": "k",
        "created_at": NOW,
        "details": '{"ü": 1}',
        "coalescing_key": "c",
        "due_at": NOW,
        "attempts": 2,
    },
    audit_events: {"at": NOW, "kind": "k", "user_id": 1, **CLIENT},
    signing_keys: {
        "kid": "k",
        "algorithm": "ES256",
        "sealed_private_key": b"\x00\xff",
        "created_at": NOW,
        "is_first": 1,
    },
}
"""A row of each table as the first revision made it."""


def prepare(connection: Connection, start: str) -> None:
    """Makes the state from which a migration is to start."""
    if start == FIRST:
        to_revision(connection, FIRST)
        for table, row in OLD_ROWS.items():
            connection.execute(table.insert().values(row))


def assert_complete(connection: Connection, fresh: dict[str, Any], start: str = "empty") -> None:
    """That the tables are as if nobody had been disturbed, and every row is still there."""
    assert tables(connection) == fresh
    assert applied(connection) == [REVISION]
    for table, row in OLD_ROWS.items():
        stored = connection.execute(select(*(table.c[column] for column in row))).mappings().all()
        assert [dict(found) for found in stored] == ([row] if start == FIRST else [])


@pytest.fixture(scope="module")
def known() -> dict[str, Any]:
    return {}


@pytest.fixture
def fresh(databases: Databases, kind: str, known: dict[str, Any]) -> dict[str, Any]:
    """The tables that an undisturbed migration makes on a database of this kind."""
    if kind not in known:
        known[kind] = on_database(databases.migrated(kind), tables)
    return known[kind]


def locks(connection: Connection) -> int:
    """How many hold the lock of migrations."""
    if connection.dialect.name == "sqlite":
        return 0  # else this transaction would not have begun
    if connection.dialect.name == "postgresql":
        statement = (
            "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database "
            "WHERE locktype = 'advisory' AND granted AND datname = current_database()"
        )
    else:
        statement = f"SELECT IS_USED_LOCK({mariadb._MIGRATION_LOCK}) IS NOT NULL"
    ((count,),) = ask(connection, statement)
    return int(count)


@contextlib.asynccontextmanager
async def migrating(url: str) -> AsyncIterator[AsyncConnection]:
    """A migration that goes on for as long as the block."""
    async with opened(url) as storage, storage.migration() as connection:
        lock = storage.dialect.schema_lock(connection.sync_connection)
        await connection.run_sync(lambda _: lock.__enter__())
        yield connection
        await connection.run_sync(lambda _: lock.__exit__(None, None, None))


# --- processes ---------------------------------------------------------------------------------------------


FORKS = """
import asyncio, json, os, signal, sys, time, traceback
import aiosqlite, asyncmy, asyncpg
from alembic import command, config
from sqlalchemy import event
from sqlalchemy.engine import Engine
from identity.adapters.sql.migration import SqlSchema
from identity.adapters.sql.storage import SqlStorage

CHANGES = ("CREATE", "ALTER", "DROP", "INSERT", "UPDATE", "DELETE")

def stop(*_):
    os.kill(os.getpid(), signal.SIGSTOP)

def stop_after_a_change(connection, cursor, statement, *_):
    if statement.split()[0] in CHANGES or "lock(" in statement.lower():
        stop()

async def migrate(url):
    storage = SqlStorage(url)
    await SqlSchema(storage).upgrade()
    await storage.dispose()

def start(url, stepwise):
    if pid := os.fork():
        children.add(pid)
        return pid
    status = 1
    try:
        stop()
        if stepwise:
            event.listen(Engine, "after_cursor_execute", stop_after_a_change)
        asyncio.run(migrate(url))
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)

def state(pid, seconds):
    end = time.monotonic() + seconds
    while True:
        changed, status = os.waitpid(pid, os.WNOHANG | os.WUNTRACED)
        if changed:
            if os.WIFSTOPPED(status):
                return "stopped"
            children.discard(pid)
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            return "running"
        time.sleep(0.001)

children = set()
for line in sys.stdin:
    what, *arguments = json.loads(line)
    print(json.dumps({"start": start, "state": state}[what](*arguments)), flush=True)
for pid in children:
    os.kill(pid, signal.SIGKILL)
"""
"""Starts processes that migrate: by forking, so that many begin at the same moment."""


class Forks:
    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", FORKS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def close(self) -> None:
        self._process.communicate(timeout=SOON)

    def ask(self, *question: object) -> Any:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{json.dumps(question)}\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def start(self, url: str, *, stepwise: bool = False) -> Migrator:
        """A process about to migrate, once it is told to go on."""
        migrator = Migrator(self, self.ask("start", url, stepwise))
        assert migrator.state() == "stopped"
        return migrator


@dataclass(frozen=True)
class Migrator:
    """A process that migrates; a stepwise one stops after each statement that changes or locks something."""

    forks: Forks
    pid: int

    def go_on(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def state(self, *, within: float = SOON) -> Any:
        """`stopped`, the exit status, or `running` if it is neither until then."""
        return self.forks.ask("state", self.pid, within)

    def step(self) -> Any:
        self.go_on()
        return self.state()

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        assert self.state() == -signal.SIGKILL


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    with contextlib.closing(Forks()) as forks:
        yield forks


def count_steps(forks: Forks, url: str) -> int:
    """After how many statements a migration of this database stops, which it completes."""
    migrator = forks.start(url, stepwise=True)
    steps = 0
    while (state := migrator.step()) == "stopped":
        steps += 1
    assert state == 0
    return steps


STARTS = pytest.mark.parametrize("start", ["empty", FIRST])


@STARTS
def test_five_processes_that_migrate_at_once_all_succeed_and_migrate_once(
    forks: Forks, url: str, fresh: dict[str, Any], start: str
) -> None:
    on_database(url, prepare, start)
    migrators = [forks.start(url) for _ in range(5)]
    for migrator in migrators:
        migrator.go_on()
    assert [migrator.state() for migrator in migrators] == [0] * 5
    on_database(url, assert_complete, fresh, start)


@pytest.fixture
def no_second_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    shorten_the_wait(monkeypatch, timedelta(seconds=3))
    monkeypatch.setattr(migration, "ATTEMPTS", 1)


def shorten_the_wait(monkeypatch: pytest.MonkeyPatch, time: timedelta) -> None:
    """For the migration of another process."""
    for module in (mariadb, postgresql):
        monkeypatch.setattr(module, "MIGRATION_PATIENCE", time)


@STARTS
@pytest.mark.usefixtures("no_second_attempt")
def test_a_migration_that_was_killed_after_any_statement_is_completed_without_waiting(
    forks: Forks, empty: Empty, url: str, fresh: dict[str, Any], start: str
) -> None:
    on_database(url, prepare, start)
    steps = count_steps(forks, url)
    assert steps > (len(metadata.tables) if start == "empty" else 1)
    for steps_taken in sampled(range(steps + 1), every=15):
        url = empty.again(url)
        on_database(url, prepare, start)
        migrator = forks.start(url, stepwise=True)
        for _ in range(steps_taken):
            assert migrator.step() == "stopped"
        migrator.kill()
        run(complete(url, fresh, start))


async def complete(url: str, fresh: dict[str, Any], start: str) -> None:
    async with opened(url, patience=timedelta(seconds=3)) as storage:
        await on(storage, assert_lock_is_gone)
        await SqlSchema(storage).upgrade()
        await on(storage, assert_complete, fresh, start)


def assert_lock_is_gone(connection: Connection) -> None:
    """The server hears of the death of a process as soon as it looks at the connection."""
    end = time.monotonic() + SOON / 10
    while locks(connection):
        assert time.monotonic() < end
        time.sleep(0.01)


async def upgrade(url: str) -> None:
    async with opened(url) as storage:
        await SqlSchema(storage).upgrade()
        assert await SqlSchema(storage).is_current()


def test_a_migration_goes_on_when_the_process_that_it_waits_for_is_killed(
    forks: Forks, empty: Empty, url: str, fresh: dict[str, Any]
) -> None:
    half = count_steps(forks, url) // 2
    url = empty.again(url)
    first = forks.start(url, stepwise=True)
    assert [first.step() for _ in range(half)] == ["stopped"] * half
    others = [forks.start(url) for _ in range(2)]
    for other in others:
        other.go_on()
    assert [other.state(within=0.5) for other in others] == ["running"] * 2
    first.kill()
    assert [other.state() for other in others] == [0] * 2
    on_database(url, assert_complete, fresh)


@STARTS
def test_a_migration_that_waited_finds_all_that_the_other_did(
    forks: Forks, empty: Empty, url: str, fresh: dict[str, Any], start: str
) -> None:
    on_database(url, prepare, start)
    steps = count_steps(forks, url)
    url = empty.again(url)
    on_database(url, prepare, start)
    first = forks.start(url, stepwise=True)
    assert [first.step() for _ in range(steps)] == ["stopped"] * steps  # all but the commit
    other = forks.start(url)
    other.go_on()
    early = other.state(within=0.5)
    assert early in {"running", 0}
    assert first.step() == 0
    assert (other.state() if early == "running" else early) == 0
    on_database(url, assert_complete, fresh, start)


async def test_storages_that_open_a_fresh_database_at_once_all_get_it(
    url: str, fresh: dict[str, Any]
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        storages = [await stack.enter_async_context(opened(url)) for _ in range(8)]
        await asyncio.gather(*(SqlSchema(storage).upgrade() for storage in storages))
        for storage in storages:
            assert await SqlSchema(storage).is_current()
        await on(storages[0], assert_complete, fresh)


def test_who_has_nothing_to_migrate_does_not_import_alembic(databases: Databases, kind: str) -> None:
    upgrade = (
        "import asyncio, sys\n"
        "from identity.adapters.sql.migration import SqlSchema\n"
        "from identity.adapters.sql.storage import SqlStorage\n"
        "async def upgrade():\n"
        "    storage = SqlStorage(sys.argv[1])\n"
        "    await SqlSchema(storage).upgrade()\n"
        "    await storage.dispose()\n"
        "asyncio.run(upgrade())\n"
        "print('alembic' in sys.modules)\n"
    )

    def imports_alembic(url: str) -> str:
        return subprocess.check_output([sys.executable, "-c", upgrade, url], text=True, timeout=SOON).strip()

    assert imports_alembic(databases.migrated(kind)) == "False"


# --- waiting -----------------------------------------------------------------------------------------------


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> dict[str, timedelta]:
    """How a storage is opened whose requests give up soon."""
    monkeypatch.setattr(postgresql, "LOCK_PATIENCE", timedelta(milliseconds=100))
    monkeypatch.setattr(mariadb, "LOCK_PATIENCE", timedelta(seconds=1))  # in whole seconds
    return {"patience": timedelta(seconds=1), "limit": timedelta(seconds=1)}


async def test_a_migration_waits_for_another_longer_than_a_request_would(
    url: str, fresh: dict[str, Any], hasty: dict[str, timedelta], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(url, **hasty) as storage:
        attempts = counted(storage, monkeypatch)
        async with migrating(url):
            waiting = asyncio.create_task(SqlSchema(storage).upgrade())
            await asyncio.sleep(LONGER)
            assert not waiting.done()
            assert len(attempts) == 1 or url.startswith("sqlite")  # which tries again instead
        await asyncio.wait_for(waiting, SOON)
        await on(storage, assert_complete, fresh)


async def test_a_migration_that_waits_too_long_is_tried_again_so_many_times_and_no_more(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shorten_the_wait(monkeypatch, SHORT)
    async with opened(url, **only_sqlite(url, patience=SHORT)) as storage:
        attempts = counted(storage, monkeypatch)
        async with migrating(url):
            with pytest.raises(Unavailable):
                await SqlSchema(storage).upgrade()
        assert len(attempts) == ATTEMPTS


async def test_a_migration_that_waited_too_long_succeeds_when_it_is_tried_again(
    url: str, fresh: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    shorten_the_wait(monkeypatch, timedelta(seconds=1))
    async with opened(url, **only_sqlite(url, patience=timedelta(seconds=1))) as storage:
        attempts = counted(storage, monkeypatch)
        async with migrating(url):
            waiting = asyncio.create_task(SqlSchema(storage).upgrade())
            async with asyncio.timeout(SOON):
                while len(attempts) < 2:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        await asyncio.wait_for(waiting, SOON)
        assert 2 <= len(attempts) <= ATTEMPTS
        await on(storage, assert_complete, fresh)


def only_sqlite(url: str, **how: Any) -> dict[str, Any]:
    """There a migration waits as long as a request does, but more than once."""
    return how if url.startswith("sqlite") else {}


def counted(storage: SqlStorage, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Grows by one with each transaction that is begun."""
    begun: list[object] = []
    begin = storage.migration

    def migration() -> Any:
        begun.append(None)
        return begin()

    monkeypatch.setattr(storage, "migration", migration)
    return begun


async def test_a_table_in_use_is_not_waited_for_at_length_but_tried_again(
    url: str,
    kind: str,
    fresh: dict[str, Any],
    hasty: dict[str, timedelta],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with opened(url, **hasty) as storage, opened(url) as other:
        await on(storage, prepare, FIRST)
        attempts = counted(storage, monkeypatch)
        async with other.transaction() as using:
            for table in OLD_ROWS:
                await using.execute(
                    table.update().values({column.name: column for column in table.primary_key})
                )
            waiting = asyncio.create_task(SqlSchema(storage).upgrade())
            async with asyncio.timeout(SOON):
                while len(attempts) < 2:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            assert not waiting.done()
        await asyncio.wait_for(waiting, SOON)
        await on(storage, assert_complete, fresh, FIRST)


SETTINGS = {
    "postgresql": (
        "SELECT name, setting FROM pg_settings WHERE context IN ('user', 'superuser') "
        "UNION SELECT 'connection', pg_backend_pid()::text"
    ),
    "mariadb": (
        "SELECT variable_name, session_value FROM information_schema.system_variables "
        "WHERE variable_scope IN ('SESSION', 'SESSION ONLY') AND variable_name NOT REGEXP "
        "'^(TIMESTAMP|GTID_SEQ_NO|RAND_SEED.*|LAST_.*|PSEUDO_.*|IDENTITY|INSERT_ID|.*_COUNT)$' "
        "UNION SELECT 'connection', CONNECTION_ID()"
    ),
}
PRAGMAS = ("busy_timeout", "foreign_keys", "journal_mode", "query_only", "synchronous")


def settings(connection: Connection) -> dict[str, object]:
    """Those of this connection, and on a server which one it is."""
    if connection.dialect.name == "sqlite":
        return {name: ask(connection, f"PRAGMA {name}")[0][0] for name in PRAGMAS}
    return dict(ask(connection, SETTINGS[connection.dialect.name]))


async def test_a_connection_is_as_before_once_it_has_migrated(url: str) -> None:
    async with opened(url, connections=1, patience=timedelta(seconds=7)) as storage:
        before = await on(storage, settings)
        await SqlSchema(storage).upgrade()
        assert await on(storage, settings) == before
        assert {"7000", "7.000000"} & set(map(str, before.values()))  # our time-out is among them
        assert await on(storage, locks) == 0


async def test_requests_are_as_impatient_as_before_after_a_migration_in_vain(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shorten_the_wait(monkeypatch, SHORT)
    async with opened(url, connections=1, **only_sqlite(url, patience=SHORT)) as storage:
        before = await on(storage, settings)
        async with migrating(url):
            with pytest.raises(Unavailable):
                await SqlSchema(storage).upgrade()
        after = await on(storage, settings)
        assert {**after, "connection": ""} == {**before, "connection": ""}
        assert await on(storage, locks) == 0


async def test_migrating_leaves_the_loggers_alone_and_logs_nothing_to_worry_about(
    storage: SqlStorage, caplog: pytest.LogCaptureFixture
) -> None:
    mine = logging.getLogger("identity.test")
    before = (logging.root.level, list(logging.root.handlers), mine.disabled)
    await SqlSchema(storage).upgrade()
    assert (logging.root.level, list(logging.root.handlers), mine.disabled) == before
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


# --- what the migrations make ------------------------------------------------------------------------------


def test_the_revision_is_the_only_head_of_the_migrations() -> None:
    assert ScriptDirectory(str(MIGRATIONS)).get_heads() == [REVISION]


def test_every_revision_is_named_by_its_number_and_the_oldest_whose_code_works_on_it() -> None:
    names = [re.fullmatch(r"(\d{4})(?:_(\d{4}))?", revision) for revision in REVISIONS]
    numbers = [int(name[1]) for name in names if name]
    assert numbers == list(range(1, len(REVISIONS) + 1))
    oldest = [int(name[2] or name[1]) for name in names if name]
    assert all(old <= number for old, number in zip(oldest, numbers, strict=True))
    assert oldest == sorted(oldest)  # a table that is gone stays gone
    assert min(oldest) > 0


def test_the_file_of_a_revision_begins_with_its_name() -> None:
    for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions():
        words = Path(script.path).stem.removeprefix(f"{script.revision}_")
        assert re.fullmatch("[a-z]+(_[a-z]+)*", words), script.path


async def test_the_migrations_make_the_tables_of_the_schema(
    migrated: SqlStorage, storage: SqlStorage
) -> None:
    assert await on(migrated, differences) == []
    await on(storage, metadata.create_all)
    made = await on(migrated, tables)
    assert made.pop("alembic_version")
    assert made == await on(storage, tables)
    assert made.keys() == metadata.tables.keys()


def differences(connection: Connection) -> object:
    """Between the tables that are there and those of the schema."""
    options = {"compare_type": True, "compare_server_default": True}
    return compare_metadata(MigrationContext.configure(connection, opts=options), metadata)


async def test_every_key_is_compared_byte_by_byte_and_every_time_is_kept_to_the_microsecond(
    migrated: SqlStorage, kind: str
) -> None:
    columns = (
        "SELECT table_name, column_name, data_type, collation_name, datetime_precision "
        "FROM information_schema.columns WHERE table_schema = "
    )
    statement = {
        "sqlite": (
            "SELECT made.name, columns.name, lower(columns.type), NULL, NULL "
            "FROM sqlite_master AS made, pragma_table_info(made.name) AS columns"
        ),
        "postgresql": f"{columns} 'public'",
        "mariadb": f"{columns} DATABASE()",
    }[kind]
    # SQLite compares bytes unless it is told otherwise, and a time is a text of ours.
    collation = {"sqlite": None, "postgresql": "C", "mariadb": "utf8mb4_nopad_bin"}[kind]
    instant = {
        "sqlite": ("datetime", None, None),
        "postgresql": ("timestamp with time zone", None, 6),
        "mariadb": ("datetime", None, 6),
    }[kind]
    made = {(table, column): tuple(rest) for table, column, *rest in await on(migrated, ask, statement)}
    for table in metadata.sorted_tables:
        for column in table.columns:
            _, collated, _ = found = made[table.name, column.name]
            if isinstance(column.type, Instant):
                assert found == instant
            elif isinstance(column.type, Text):  # nobody searches it
                assert collated in {None, collation}
            elif isinstance(column.type, String):
                assert collated == collation
            else:
                assert collated is None


async def test_every_table_of_mariadb_has_transactions(databases: Databases) -> None:
    async with opened(databases.migrated("mariadb")) as storage:
        engines = await on(
            storage,
            ask,
            "SELECT table_name, engine FROM information_schema.tables WHERE table_schema = DATABASE()",
        )
    assert dict(engines) == dict.fromkeys([*metadata.tables, "alembic_version"], "InnoDB")


async def test_a_database_is_current_once_it_is_migrated(storage: SqlStorage) -> None:
    schema = SqlSchema(storage)
    assert not await schema.is_current()
    await schema.upgrade()
    assert await schema.is_current()
    await schema.upgrade()
    await on(storage, ask, "UPDATE alembic_version SET version_num = '0000'")
    assert not await schema.is_current()


async def test_every_revision_can_be_run_again(storage: SqlStorage, fresh: dict[str, Any]) -> None:
    for revision in REVISIONS:
        await on(storage, prepare if revision == FIRST else to_revision, revision)
        made = await on(storage, tables)
        await on(storage, forget, revision)
        await on(storage, to_revision, revision)
        assert await on(storage, applied) == [revision]
        assert await on(storage, tables) == made
    await on(storage, assert_complete, fresh, FIRST)


async def test_a_session_of_the_first_revision_is_carried_on(storage: SqlStorage) -> None:
    def begin(connection: Connection) -> None:
        prepare(connection, FIRST)
        connection.execute(sessions.update().values(pending_jti="p", handed_out_at=NOW))

    await on(storage, begin)
    await SqlSchema(storage).upgrade()
    async with storage.begin() as uow:
        found = await uow.sessions.get_with_user("s")
        assert found is not None
        before = found[0]
        assert (before.pending, before.pending_since) == ("p", None)
        after = before.refreshed("c", child="unused", at=NOW + SHORT, window=timedelta(minutes=1))
        assert after is not None
        assert (after.pending, after.pending_since) == ("p", NOW)
        assert await uow.sessions.rotate(before, after)
    async with storage.read() as uow:
        assert await uow.sessions.get_with_user("s") == (after, found[1])


def forget(connection: Connection, revision: str) -> None:
    """Notes that this revision is still to be applied."""
    number = REVISIONS.index(revision)
    command.stamp(alembic(connection), REVISIONS[number - 1] if number else "base")


@pytest.mark.parametrize(
    "undone",
    [
        pytest.param(["DROP TABLE alembic_version"], id="all but the revision is there"),
        pytest.param(["DELETE FROM alembic_version"], id="the revision's table is empty"),
        pytest.param(["DROP TABLE alembic_version", "DROP TABLE signing_keys"], id="a table is missing"),
    ],
)
async def test_tables_without_a_revision_are_completed_and_what_is_stored_stays(
    storage: SqlStorage, fresh: dict[str, Any], undone: list[str]
) -> None:
    schema = SqlSchema(storage)
    await schema.upgrade()
    user = await add_user(storage, "ann")
    for statement in undone:
        await on(storage, ask, statement)
    assert not await schema.is_current()
    await schema.upgrade()
    assert await schema.is_current()
    assert await on(storage, tables) == fresh
    async with storage.read() as uow:
        assert await uow.users.with_username(Username("ann")) == user


async def add_user(storage: SqlStorage, name: str) -> Any:
    async with storage.begin() as uow:
        return await uow.users.add(
            NewUser(
                username=Username(name),
                email=EmailAddress(f"{name}@example.org"),
                password_hash=PasswordHash("a hash"),
                joined_at=NOW,
            )
        )


def delete_user(connection: Connection, user_id: int) -> None:
    connection.execute(users.delete().where(users.c.id == user_id))


async def test_an_id_is_not_given_again_when_the_last_account_is_deleted(
    databases: Databases, kind: str
) -> None:
    url = databases.migrated(kind)
    async with opened(url) as storage:
        ids = [(await add_user(storage, name)).id for name in ("ann", "bob")]
        await on(storage, delete_user, ids[-1])
    async with opened(url) as storage:
        ids.append((await add_user(storage, "bob")).id)
        await on(storage, ask, "DELETE FROM users")
    async with opened(url) as storage:
        ids.append((await add_user(storage, "ann")).id)
    assert ids == sorted(set(ids))


# --- beside a newer release --------------------------------------------------------------------------------

EXPANDING = """
import sqlalchemy as sa
from alembic import op

from identity.adapters.sql.types import Instant, key, number

revision = {revision!r}
down_revision = {down_revision!r}


def upgrade():
    for table, column in (
        ("users", sa.Column("nickname", key(40))),
        ("users", sa.Column("level", sa.Integer, nullable=False, server_default="1")),
        ("sessions", sa.Column("seen_at", Instant)),
        ("outbox", sa.Column("urgency", sa.Integer, nullable=False, server_default="0")),
    ):
        if column.name not in [known["name"] for known in sa.inspect(op.get_bind()).get_columns(table)]:
            op.add_column(table, column)
    op.create_table(
        "invitations",
        sa.Column("id", number(), primary_key=True),
        sa.Column("user_id", number(), sa.ForeignKey("users.id"), nullable=False),
        if_not_exists=True,
    )
    op.create_index("ix_users_nickname", "users", ["nickname"], if_not_exists=True)
"""

CONTRACTING = """
from alembic import op

revision = {revision!r}
down_revision = {down_revision!r}


def upgrade():
    op.drop_table("outbox", if_exists=True)
"""


@dataclass(frozen=True)
class NewerRelease:
    """One with a further revision than ours."""

    revision: str
    migrations: Path

    async def upgrade(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        with monkeypatch.context() as newer:
            newer.setattr(migration, "MIGRATIONS", self.migrations)
            newer.setattr(migration, "REVISION", self.revision)
            async with opened(url) as storage:
                await SqlSchema(storage).upgrade()
                assert await SqlSchema(storage).is_current()
                assert await on(storage, applied) == [self.revision]


def newer_release(folder: Path, revision: str, template: str) -> NewerRelease:
    migrations = Path(shutil.copytree(MIGRATIONS, folder / "migrations"))
    text = template.format(revision=revision, down_revision=REVISION)
    (migrations / "versions" / f"{revision}_newer.py").write_text(text)
    return NewerRelease(revision, migrations)


@pytest.fixture
def expanding(tmp_path: Path) -> NewerRelease:
    return newer_release(tmp_path, f"{NEXT}_{OURS}", EXPANDING)


@pytest.fixture(params=[NEXT, f"{NEXT}_{NEXT}"])
def contracting(tmp_path: Path, request: pytest.FixtureRequest) -> NewerRelease:
    return newer_release(tmp_path, request.param, CONTRACTING)


@contextlib.asynccontextmanager
async def service_on(url: str) -> AsyncIterator[Container]:
    container = build_container(Settings(database_url=url, mail_url="memory:", secret=Secret(SECRET)))
    container.clock.override(FixedClock())
    container.hasher.override(PlainHasher())
    try:
        yield container
    finally:
        await container.storage().dispose()


class Walk:
    """What a person does with a service, by and by."""

    def __init__(self, service: Container, name: str) -> None:
        self.service = service
        self.name = name
        self.password = Secret("yourpassword123")
        self.pair = TokenPair(access="", refresh="")

    async def arrive(self) -> None:
        await self.service.register_user()(
            username=self.name, email=f"{self.name}@example.com", password=self.password
        )
        await self.log_in()

    async def log_in(self) -> None:
        self.pair = await self.service.log_in()(username=self.name, password=self.password)
        await self.service.verify_token()(token=self.pair.refresh)

    async def stay(self) -> None:
        self.pair = await self.service.refresh_session()(refresh=self.pair.refresh)
        principal = await self.service.authenticate()(access=self.pair.access)
        profile = await self.service.show_profile()(principal=principal)
        assert profile.username == self.name
        (session,) = await self.service.list_sessions()(principal=principal)
        assert session.id == principal.session.id
        chosen = Secret("yournewpassword123")
        await self.service.change_password()(
            principal=principal, old_password=self.password, new_password=chosen
        )
        self.password = chosen
        await self.log_in()
        await self.forget_the_password()
        await self.log_in()
        await self.service.log_out()(refresh=self.pair.refresh)

    async def forget_the_password(self) -> None:
        await self.service.request_reset()(email=f"{self.name}@example.com")
        deliver = self.service.deliver_mail()
        while await deliver():
            pass
        (link,) = {
            found
            for mail in self.service.mailer().sent
            if self.name in mail.text
            for found in re.findall(r"\S+/reset-password/\S+", mail.text)
        }
        _, _, uidb64, token = PurePosixPath(urlsplit(link).path).parts
        self.password = Secret("newpassword123")
        await self.service.reset_password()(uidb64=uidb64, token=Secret(token), password=self.password)


async def test_code_of_this_release_works_on_the_expanded_schema_of_a_newer_one(
    url: str, expanding: NewerRelease, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with service_on(url) as running:
        await running.schema().upgrade()
        ann = Walk(running, "ann")
        await ann.arrive()
        await expanding.upgrade(url, monkeypatch)
        expanded = await on(running.storage(), tables)
        assert "level" in expanded["users"]["columns"]
        assert "invitations" in expanded
        await ann.stay()
        async with service_on(url) as started:
            assert await started.schema().is_current()
            await started.schema().upgrade()
            bob = Walk(started, "bob")
            await bob.arrive()
            await bob.stay()
            health = await started.check_health()()
            assert health.schema_is_current
            assert await on(started.storage(), applied) == [expanding.revision]
            assert await on(started.storage(), tables) == expanded
            started.clock().advance(timedelta(days=400))
            purged = Purged(
                sessions=6,
                devices=2,
                one_time_tokens=4,
                login_codes=0,
                dead_letters=0,
                rate_limits=7,
                reservations=0,
                audit_events=0,
                accounts=0,
            )
            assert await started.purge_expired()() == purged


async def test_code_of_this_release_that_waited_for_the_migration_of_a_newer_one_works_on_it(
    url: str, expanding: NewerRelease
) -> None:
    async with opened(url) as storage:
        async with migrating(url) as connection:
            waiting = asyncio.create_task(SqlSchema(storage).upgrade())
            await asyncio.sleep(0.3)
            assert not waiting.done()
            await connection.run_sync(to_revision, "head", expanding.migrations)
        await asyncio.wait_for(waiting, SOON)
        assert await SqlSchema(storage).is_current()
        assert await on(storage, applied) == [expanding.revision]


async def test_code_of_this_release_refuses_the_contracted_schema_of_a_newer_one(
    url: str, contracting: NewerRelease, monkeypatch: pytest.MonkeyPatch
) -> None:
    await contracting.upgrade(url, monkeypatch)
    async with opened(url) as storage:
        schema = SqlSchema(storage)
        before = await on(storage, tables)
        for refused in (schema.is_current, schema.upgrade):
            with pytest.raises(SchemaTooNew, match=f"{contracting.revision}.*{REVISION}"):
                await refused()
        assert await on(storage, tables) == before
        assert await on(storage, applied) == [contracting.revision]


async def test_a_command_on_a_contracted_schema_ends_in_one_line(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = newer_release(tmp_path, f"{NEXT}_{NEXT}", CONTRACTING)
    await newer.upgrade(url, monkeypatch)
    variables = {"IDENTITY_DATABASE_URL": url, "IDENTITY_SECRET": SECRET, "IDENTITY_PORT": "0"}
    serve = await asyncio.create_subprocess_exec(
        *(IDENTITY, "serve"),
        env=os.environ | variables,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(serve.communicate(), SOON)
    migrate = await asyncio.to_thread(CliRunner().invoke, cli.main, "migrate", env=variables)
    for status, said in ((serve.returncode, output.decode()), (migrate.exit_code, migrate.output)):
        assert status == cli.EX_CONFIG
        (line,) = said.splitlines()
        assert line.startswith("identity: the database was migrated by a newer version of identity: ")
        assert newer.revision in line


async def test_a_running_service_is_not_ready_any_more_once_a_newer_one_contracts_the_schema(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = newer_release(tmp_path, f"{NEXT}_{NEXT}", CONTRACTING)
    run(upgrade(url))
    container = build_container(Settings(database_url=url, mail_url="memory:", secret=Secret(SECRET)))
    async with AsyncTestClient(create_app(container)) as service:
        try:
            answer = await service.get("/health/ready")
            assert (answer.status_code, answer.json()["status"]) == (200, "ready")
            await newer.upgrade(url, monkeypatch)
            answer = await service.get("/health/ready")
            assert (answer.status_code, answer.json()["status"]) == (503, "schema")
            assert (await service.get("/health/live")).status_code == 200
        finally:
            service.blocking_portal.call(container.storage().dispose)
