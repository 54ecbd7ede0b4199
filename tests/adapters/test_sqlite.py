"""The embedded database: that it loses nothing, says when it cannot work, and comes back by itself."""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import stat
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import Connection, select
from sqlalchemy.exc import IntegrityError, OperationalError, StatementError

from identity.adapters.sql.migration import SqlSchema
from identity.adapters.sql.schema import outbox, signing_keys
from identity.adapters.sql.sqlite import Sqlite
from identity.adapters.sql.storage import SqlStorage
from identity.application.mail import MailIntent, MailKind
from identity.domain.errors import Unavailable, UsernameTaken
from identity.domain.events import LoggedIn
from identity.domain.names import EmailAddress, Username
from identity.domain.secrets import PasswordHash
from identity.domain.session import Client, Session
from identity.domain.signing_key import SigningKey
from identity.domain.user import NewUser, User

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
SHORT = timedelta(milliseconds=100)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "identity.db"


@pytest.fixture
async def storage(path: Path) -> AsyncIterator[SqlStorage]:
    storage = SqlStorage(f"sqlite:///{path}")
    await SqlSchema(storage).upgrade()
    yield storage
    await storage.dispose()


@pytest.fixture
async def impatient(storage: SqlStorage, path: Path) -> AsyncIterator[SqlStorage]:
    """The same database, given up on sooner."""
    impatient = SqlStorage(f"sqlite:///{path}", patience=SHORT)
    yield impatient
    await impatient.dispose()


async def add_user(storage: SqlStorage, name: str = "ann", *, joined_at: datetime = NOW) -> User:
    async with storage.begin() as uow:
        return await uow.users.add(
            NewUser(
                username=Username(name),
                email=EmailAddress(f"{name}@example.org"),
                password_hash=PasswordHash("a secret hash"),
                joined_at=joined_at,
            )
        )


async def find_user(storage: SqlStorage, name: str = "ann") -> User | None:
    async with storage.read() as uow:
        return await uow.users.with_username(Username(name))


# --- the file --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:///identity.db?mode=ro",
        "sqlite://host/identity.db",
        "sqlite+aiosqlite:///identity.db",
        "oracle://scott:tiger@host/db",
    ],
)
def test_a_url_that_names_no_file_is_refused_without_repeating_its_password(url: str) -> None:
    with pytest.raises(ValueError, match="sqlite") as refusal:
        SqlStorage(url)
    assert "tiger" not in str(refusal.value)


async def test_the_pragmas_that_keep_data_safe_are_really_set(storage: SqlStorage) -> None:
    async with storage.transaction() as connection:
        assert await pragma(connection.run_sync, "journal_mode") == "wal"
        assert await pragma(connection.run_sync, "synchronous") == 2  # FULL
        assert await pragma(connection.run_sync, "foreign_keys") == 1
        assert await pragma(connection.run_sync, "busy_timeout") == 5000
    async with storage.connection() as connection:
        assert await pragma(connection.run_sync, "query_only") == 1
        assert await pragma(connection.run_sync, "busy_timeout") == 5000


async def pragma(run_sync: object, name: str) -> object:
    def ask(connection: Connection) -> object:
        return connection.exec_driver_sql(f"PRAGMA {name}").scalar()

    return await run_sync(ask)  # type: ignore[operator]


async def test_only_its_owner_may_read_the_database(tmp_path: Path) -> None:
    path = tmp_path / "identity.db"
    storage = SqlStorage(f"sqlite:///{path}")
    before = os.umask(0)
    try:
        await SqlSchema(storage).upgrade()
    finally:
        os.umask(before)
    assert modes(tmp_path) == {"identity.db": 0o600, "identity.db-wal": 0o600, "identity.db-shm": 0o600}
    await storage.dispose()


def modes(directory: Path) -> dict[str, int]:
    return {file.name: stat.S_IMODE(file.stat().st_mode) for file in directory.iterdir()}


async def test_a_path_with_signs_in_it_can_be_migrated(tmp_path: Path) -> None:
    storage = SqlStorage(f"sqlite:///{tmp_path}/100% sure ü.db")
    await SqlSchema(storage).upgrade()
    assert (tmp_path / "100% sure ü.db").exists()
    await storage.dispose()


async def test_a_missing_directory_is_named_and_found_as_soon_as_it_is_made(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "identity.db"
    storage = SqlStorage(f"sqlite:///{path}")
    with pytest.raises(Unavailable, match=str(path)):
        await SqlSchema(storage).is_current()
    path.parent.mkdir()
    await SqlSchema(storage).upgrade()
    await add_user(storage)
    await storage.dispose()


@pytest.fixture
def letter(path: Path) -> Iterator[Path]:
    path.write_text("a letter to my mother " * 100)
    yield path
    assert path.read_text() == "a letter to my mother " * 100


async def test_a_file_that_is_no_database_is_unavailable_and_left_as_it_is(letter: Path) -> None:
    storage = SqlStorage(f"sqlite:///{letter}")
    with pytest.raises(Unavailable, match="not a database"):
        await SqlSchema(storage).upgrade()
    await storage.dispose()


# --- trouble, and recovery -------------------------------------------------------------------------------


@contextmanager
def locked(path: Path) -> Iterator[None]:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


async def test_a_locked_database_is_unavailable_until_the_lock_is_gone(
    impatient: SqlStorage, path: Path
) -> None:
    with locked(path):
        with pytest.raises(Unavailable, match="locked"):
            await add_user(impatient)
        assert await find_user(impatient) is None
    await add_user(impatient)
    assert await find_user(impatient) is not None


async def test_a_further_connection_of_this_process_leaves_its_locks_alone(
    storage: SqlStorage, path: Path
) -> None:
    # POSIX drops every lock of a process on a file when it closes any descriptor of it. Another process then
    # takes itself for the only one, and deletes the log that this one goes on writing to.
    await add_user(storage)
    async with storage.read() as one, storage.read() as another:  # so that one of them has to connect
        assert await one.users.get(1) == await another.users.get(1)
    look = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('SELECT id FROM users').fetchall()"
    log = path.with_name(f"{path.name}-wal")
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", look, str(path))
    assert await process.wait() == 0
    assert log.exists()


async def test_a_database_that_is_locked_only_for_a_moment_is_waited_for(
    storage: SqlStorage, path: Path
) -> None:
    with locked(path):
        task = asyncio.create_task(add_user(storage))
        await asyncio.sleep(0.2)
        assert not task.done()
    assert await task == await find_user(storage)


async def test_waiting_for_a_writer_of_this_process_ends_too(impatient: SqlStorage) -> None:
    async with impatient.begin():
        with pytest.raises(Unavailable):
            await asyncio.create_task(add_user(impatient))
    await add_user(impatient)


async def test_a_cancelled_statement_leaves_no_lock_behind(impatient: SqlStorage) -> None:
    chance = random.Random(1)
    for number in range(80):
        task = asyncio.create_task(add_user(impatient, f"cancelled {number}"))
        await asyncio.sleep(chance.random() * 0.004)
        task.cancel()
        await asyncio.wait([task])
        await add_user(impatient, f"next {number}")


@contextmanager
def as_nobody_in_particular(directory: Path) -> Iterator[None]:
    """Goes on as a user whom file modes stop, which they do not stop root from anything."""
    root = os.geteuid() == 0
    if root:
        for path in (directory, *directory.iterdir()):
            os.chown(path, 65534, 65534)
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


async def test_a_read_only_file_is_unavailable_until_it_can_be_written() -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "identity.db"
        storage = SqlStorage(f"sqlite:///{path}")
        await SqlSchema(storage).upgrade()
        await storage.dispose()
        with as_nobody_in_particular(path.parent):
            path.chmod(0o400)
            with pytest.raises(Unavailable, match=str(path)):
                await add_user(storage)
            with pytest.raises(Unavailable, match=str(path)):
                await find_user(storage)
            path.chmod(0o600)
            assert await find_user(storage) is None
            await add_user(storage)
            await storage.dispose()


async def test_a_full_disk_is_unavailable_and_nothing_is_half_written(storage: SqlStorage) -> None:
    def fill_the_disk(connection: Connection) -> None:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    async def write_much() -> None:
        async with storage.begin() as uow:
            user = await uow.users.add(
                NewUser(
                    username=Username("eve"),
                    email=EmailAddress("eve@example.org"),
                    password_hash=PasswordHash("hash"),
                    joined_at=NOW,
                )
            )
            for _ in range(10):
                client = Client(user_agent="x" * 10_000)
                await uow.audit_log.append(LoggedIn(at=NOW, user_id=user.id, client=client))

    async with storage.transaction() as connection:
        await connection.run_sync(fill_the_disk)
    with pytest.raises(Unavailable, match="full"):
        await write_much()
    assert await find_user(storage, "eve") is None
    await write_much()
    assert await find_user(storage, "eve") is not None


async def test_a_mistake_in_the_program_is_not_called_an_outage(storage: SqlStorage) -> None:
    with pytest.raises(OperationalError, match="no such table"):
        async with storage.transaction() as connection:
            await connection.exec_driver_sql("SELECT * FROM nowhere")
    await add_user(storage)


async def test_no_error_repeats_the_values_of_a_statement(storage: SqlStorage) -> None:
    user = await add_user(storage)
    session = Session(
        id="a secret", user_id=user.id, current="c", created_at=NOW, last_used_at=NOW, expires_at=NOW
    )

    async def add_twice() -> None:
        async with storage.begin() as uow:
            await uow.sessions.add(session)
            await uow.sessions.add(session)

    with pytest.raises(IntegrityError) as refusal:
        await add_twice()
    assert "a secret" not in str(refusal.value)


# --- what is stored --------------------------------------------------------------------------------------


async def test_no_update_is_lost_between_two_processes_of_150_writers(
    storage: SqlStorage, path: Path
) -> None:
    other = SqlStorage(f"sqlite:///{path}")
    user = await add_user(storage)

    async def increment(storage: SqlStorage) -> None:
        async with storage.begin() as uow:
            latest = await uow.users.get(user.id)
            assert latest
            await uow.users.save(latest)

    await asyncio.gather(*(increment(storage if number % 2 else other) for number in range(150)))
    await other.dispose()
    latest = await find_user(storage)
    assert latest
    assert latest.version == 151


async def test_an_id_is_not_given_again_when_the_last_account_is_deleted(storage: SqlStorage) -> None:
    first = await add_user(storage)
    async with storage.transaction() as connection:
        await connection.exec_driver_sql("DELETE FROM users")
    assert (await add_user(storage)).id > first.id


async def test_a_key_is_no_first_key_while_a_later_one_is_left(storage: SqlStorage) -> None:
    later = {"kid": "later", "algorithm": "ES256", "sealed_private_key": b"sealed", "created_at": NOW}
    async with storage.transaction() as connection:
        await connection.execute(signing_keys.insert(), later)
    async with storage.begin() as uow:
        first = SigningKey(
            kid="first", algorithm="ES256", sealed_private_key=b"sealed", created_at=NOW, signs_from=NOW
        )
        assert not await uow.signing_keys.add_first(first)


async def test_a_key_of_an_older_version_signs_from_the_moment_it_was_made(storage: SqlStorage) -> None:
    older = {"kid": "older", "algorithm": "ES256", "sealed_private_key": b"sealed", "created_at": NOW}
    async with storage.transaction() as connection:
        await connection.execute(signing_keys.insert(), older | {"is_first": 1})
    key = SigningKey(**older, signs_from=NOW)
    async with storage.begin() as uow:
        assert await uow.signing_keys.all() == (key,)
        assert await uow.signing_keys.add_next(replace(key, kid="next"), after="older")


async def test_an_intent_of_a_newer_version_is_left_alone_and_holds_up_nobody(storage: SqlStorage) -> None:
    hour = timedelta(hours=1)
    async with storage.transaction() as connection:
        for number in range(20):  # more than are looked at in one go
            await connection.execute(
                outbox.insert(),
                {
                    "id": f"newer-{number}",
                    "kind": "of_a_newer_version",
                    "created_at": NOW - hour,
                    "user_id": 1,
                    "details": "{}",
                    "due_at": NOW - hour,
                    "attempts": 0,
                },
            )
    planted = await waiting(storage)
    assert len(planted) == 20
    async with storage.begin() as uow:
        assert not await uow.outbox.has_due(at=NOW)
        assert await uow.outbox.claim(lease_id="l", at=NOW, lease=hour) is None
    intent = MailIntent(id="ours", kind=MailKind.PASSWORD_RESET, created_at=NOW, email_key="ann@example.org")
    async with storage.begin() as uow:
        await uow.outbox.put(intent)
        assert await uow.outbox.has_due(at=NOW)
        claimed = await uow.outbox.claim(lease_id="l", at=NOW, lease=hour)
        assert claimed
        assert claimed.intent == intent
        assert not await uow.outbox.has_due(at=NOW)
        assert await uow.outbox.claim(lease_id="m", at=NOW, lease=hour) is None
        assert await uow.outbox.settle(claimed)
    assert await waiting(storage) == planted


async def waiting(storage: SqlStorage) -> list[dict[str, object]]:
    async with storage.connection() as connection:
        rows = await connection.execute(select(outbox).order_by(outbox.c.id))
        return [dict(row) for row in rows.mappings()]


async def test_times_are_kept_to_the_microsecond_and_come_back_in_utc(storage: SqlStorage) -> None:
    kolkata = timezone(timedelta(hours=5, minutes=30))
    await add_user(storage, joined_at=NOW.astimezone(kolkata))
    user = await find_user(storage)
    assert user
    assert user.joined_at == NOW
    assert user.joined_at.tzinfo is UTC


async def test_times_compare_as_they_follow_each_other(storage: SqlStorage) -> None:
    user = await add_user(storage)
    ends = [NOW.replace(microsecond=0) + timedelta(microseconds=step) for step in (-1, 0, 1, 10, 999_999)]
    async with storage.begin() as uow:
        for end in ends:
            await uow.sessions.add(
                Session(
                    id=end.isoformat(),
                    user_id=user.id,
                    current="c",
                    created_at=NOW,
                    last_used_at=NOW,
                    expires_at=end,
                )
            )
        for end in ends:
            assert await uow.sessions.purge(expired_before=end, limit=10) == (0 if end == ends[0] else 1)


async def test_a_time_without_a_zone_is_refused(storage: SqlStorage) -> None:
    with pytest.raises(StatementError, match="without a time zone"):
        await add_user(storage, joined_at=NOW.replace(tzinfo=None))
    assert await find_user(storage) is None


async def test_a_hostile_username_cannot_pass_for_another_violation(storage: SqlStorage) -> None:
    hostile = "UNIQUE constraint failed: users.email_key"
    await add_user(storage, hostile)
    with pytest.raises(UsernameTaken):
        async with storage.begin() as uow:
            await uow.users.add(
                NewUser(
                    username=Username(hostile),
                    email=EmailAddress("other@example.org"),
                    password_hash=PasswordHash("hash"),
                    joined_at=NOW,
                )
            )


@pytest.mark.parametrize(
    ("message", "constraint"),
    [
        ("UNIQUE constraint failed: users.email_key", "uq_users_email_key"),
        ("x UNIQUE constraint failed: users.email_key", None),
        ("UNIQUE constraint failed: users.email_key\n", None),
        ("UNIQUE constraint failed: users.email_key, users.id", None),
        ("NOT NULL constraint failed: users.email_key", None),
    ],
)
def test_a_violation_is_recognised_by_the_whole_message(message: str, constraint: str | None) -> None:
    error = IntegrityError("INSERT", {}, sqlite3.IntegrityError(message))
    assert Sqlite().violated_constraint(error) == constraint
