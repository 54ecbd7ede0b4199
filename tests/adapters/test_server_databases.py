"""PostgreSQL and MariaDB in trouble: what becomes of a unit of work, and how the storage comes back."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import String, TextClause, column, text, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from tests.databases import Databases, execute, server_url
from tests.servers import Proxy

from identity.adapters.sql import server_pools
from identity.adapters.sql.connection import SqlConnection
from identity.adapters.sql.schema import users
from identity.adapters.sql.storage import SqlStorage
from identity.adapters.sql.users import SqlUsers
from identity.application.conflicts import ATTEMPTS, retried_on_conflict
from identity.domain.errors import Conflict, Unavailable, UsernameTaken
from identity.domain.events import LoggedIn, UserRegistered
from identity.domain.names import EmailAddress, Username
from identity.domain.secrets import PasswordHash
from identity.domain.user import NewUser, User

KINDS = ("postgresql", "mariadb")
NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
SHORT = timedelta(seconds=0.5)
IMPATIENT = {"patience": SHORT, "limit": 2 * SHORT}
MARGIN = 3.0  # seconds, for machines that do something else besides
RECOVERY = 5.0 + 1.0
HASH = PasswordHash("a hash")
SLEEP = {"postgresql": "SELECT pg_sleep(30)", "mariadb": "SELECT SLEEP(30)"}
COMMIT = {"postgresql": b"COMMIT\0", "mariadb": b"COMMIT"}
CONNECTIONS = {
    "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE datname = '{}'",
    "mariadb": "SELECT count(*) FROM information_schema.processlist WHERE db = '{}'",
}

Connect = Callable[..., SqlStorage]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def url(kind: str, databases: Databases) -> str:
    return databases.migrated(kind)


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Makes a storage, with its arguments."""
    storages: list[SqlStorage] = []

    def connect(url: str, **arguments: Any) -> SqlStorage:
        storages.append(SqlStorage(url, **arguments))
        return storages[-1]

    yield connect
    for storage in storages:
        await storage.dispose()


@pytest.fixture
def storage(connect: Connect, url: str) -> SqlStorage:
    return connect(url)


@pytest.fixture
def proxy(url: str, connect: Connect) -> Iterator[Proxy]:
    with closing(Proxy(url)) as proxy:
        yield proxy


@pytest.fixture
def every_connection_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if each had been idle for a while."""
    monkeypatch.setattr(server_pools, "IDLE", 0.0)


async def register(storage: SqlStorage, name: str = "ann") -> User:
    """The account, and an event that belongs to it."""
    async with storage.begin() as uow:
        user = await uow.users.add(
            NewUser(
                username=Username(name),
                email=EmailAddress(f"{name}@example.org"),
                password_hash=HASH,
                joined_at=NOW,
            )
        )
        await uow.audit_log.append(UserRegistered(at=NOW, user_id=user.id))
    return user


async def find(storage: SqlStorage, name: str = "ann") -> User | None:
    async with storage.read() as uow:
        return await uow.users.with_username(Username(name))


async def use(storage: SqlStorage) -> None:
    """Reads, and writes nothing."""
    assert await find(storage, "nobody") is None
    async with storage.begin() as uow:
        assert await uow.users.with_username(Username("nobody")) is None


def words(statement: str) -> TextClause:
    """A statement in the database's own words, without parameters."""
    return text(statement.replace(":", r"\:"))


async def settings(connection: SqlConnection, kind: str) -> dict[str, str]:
    name, value = column("name", String), column("value", String)
    shown = await connection.execute(words(SHOW[kind]).columns(name, value))
    return {row[name]: row[value] for row in shown.mappings()}


@asynccontextmanager
async def reading(storage: SqlStorage) -> AsyncIterator[SqlConnection]:
    async with storage.read() as uow:
        assert isinstance(uow.users, SqlUsers)
        yield uow.users.connection


Ask = Callable[[SqlStorage, str], Awaitable[object]]
ASKING = [pytest.param(find, id="reading"), pytest.param(register, id="writing")]


def parts(kind: str, url: str, name: str) -> tuple[int, int]:
    """How many accounts have this name, and how many events belong to those. None belongs to nobody."""
    names = dict(execute(kind, url, "SELECT id, username_key FROM users"))
    events = [user_id for (user_id,) in execute(kind, url, "SELECT user_id FROM audit_events")]
    assert names.keys() >= set(events)
    return list(names.values()).count(name), [names[user_id] for user_id in events].count(name)


@asynccontextmanager
async def refused_within(limit: timedelta, refusal: type[Exception] = Unavailable) -> AsyncIterator[None]:
    began = time.monotonic()
    with pytest.raises(refusal) as raised:
        yield
    assert type(raised.value) is refusal
    assert time.monotonic() - began < limit.total_seconds() + MARGIN


# --- sessions --------------------------------------------------------------------------------------------

SETTINGS = {
    "postgresql": {
        "default_transaction_isolation": "read committed",
        "statement_timeout": "5000",
        "lock_timeout": "2000",
        "idle_in_transaction_session_timeout": "15000",
        "TimeZone": "UTC",
        "application_name": "identity",
    },
    "mariadb": {
        "tx_isolation": "READ-COMMITTED",
        "max_statement_time": "5.000000",
        "innodb_lock_wait_timeout": "2",
        "lock_wait_timeout": "2",
        "idle_transaction_timeout": "15",
        "time_zone": "+00:00",
        "sql_mode": "STRICT_TRANS_TABLES,STRICT_ALL_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,"
        "ERROR_FOR_DIVISION_BY_ZERO,TRADITIONAL,NO_AUTO_CREATE_USER,NO_ENGINE_SUBSTITUTION",
    },
}
READ_ONLY = {"postgresql": {"default_transaction_read_only": "on"}, "mariadb": {"tx_read_only": "ON"}}
READ_WRITE = {"postgresql": {"default_transaction_read_only": "off"}, "mariadb": {"tx_read_only": "OFF"}}
SHOW = {
    "postgresql": "SELECT name, setting FROM pg_settings",
    "mariadb": "SHOW SESSION VARIABLES",
}


async def test_the_settings_of_a_session_are_really_set(kind: str, storage: SqlStorage) -> None:
    async with storage.transaction() as connection:
        shown = await settings(connection, kind)
        expected = SETTINGS[kind] | READ_WRITE[kind]
        assert {name: shown[name] for name in expected} == expected
        if kind == "postgresql":
            assert shown["transaction_isolation"] == "read committed"
    async with reading(storage) as connection:
        shown = await settings(connection, kind)
        expected = SETTINGS[kind] | READ_ONLY[kind]
        expected.pop("tx_isolation", None)  # a single statement has no use for it
        assert {name: shown[name] for name in expected} == expected


async def test_what_reads_cannot_write(kind: str, storage: SqlStorage) -> None:
    await register(storage)
    with pytest.raises((DBAPIError, Unavailable), match=r"(?i)read.only"):
        async with reading(storage) as connection:
            await connection.execute(words("DELETE FROM audit_events"))
    await use(storage)


async def test_a_mistake_in_the_program_is_not_called_an_outage(storage: SqlStorage) -> None:
    with pytest.raises(DBAPIError):
        async with storage.transaction() as connection:
            await connection.execute(words("SELECT * FROM nowhere"))
    await use(storage)


# --- slow ------------------------------------------------------------------------------------------------


async def test_a_statement_that_takes_too_long_is_cut_and_the_next_one_works(
    kind: str, connect: Connect, url: str
) -> None:
    storage = connect(url, connections=1, patience=SHORT)

    async with refused_within(SHORT), reading(storage) as connection:
        await connection.execute(words(SLEEP[kind]))
    await use(storage)
    async with refused_within(SHORT), storage.transaction() as connection:
        await connection.execute(words(SLEEP[kind]))
    await use(storage)


async def test_a_unit_of_work_that_takes_too_long_is_rolled_back_and_the_next_one_works(
    connect: Connect, url: str
) -> None:
    storage = connect(url, connections=1, limit=SHORT)
    async with refused_within(SHORT), storage.begin() as uow:
        user = await uow.users.add(
            NewUser(
                username=Username("ann"),
                email=EmailAddress("ann@example.org"),
                password_hash=HASH,
                joined_at=NOW,
            )
        )
        assert user.id
        await asyncio.sleep(30)
    assert await find(storage) is None
    await register(storage)


# --- locks -----------------------------------------------------------------------------------------------


async def test_a_row_that_another_has_locked_is_given_up_and_free_again_afterwards(
    kind: str, connect: Connect, url: str
) -> None:
    storage, another = connect(url), connect(url)
    user = await register(storage)

    async def log_in() -> bool:
        async with storage.begin() as uow:
            return await uow.users.record_login(user.id, verified=HASH, rehashed=None, at=NOW)

    async with another.transaction() as connection:
        await connection.execute(words("SELECT id FROM users FOR UPDATE"))
        # MariaDB may not have rolled back all of it, so a lock there is a reason to begin again.
        refusal = {"postgresql": Unavailable, "mariadb": Conflict}[kind]
        async with refused_within(server_pools.LOCK_PATIENCE, refusal):
            await asyncio.create_task(log_in())
        found = await asyncio.create_task(find(storage))
        assert found == user
    assert await log_in()


class Crossing:
    """Transactions that each lock two accounts, and meet when they have the first."""

    def __init__(self, storage: SqlStorage) -> None:
        self.storage = storage
        self.meeting = asyncio.Barrier(2)
        self.attempts: Counter[int] = Counter()

    async def lock(self, first: User, second: User) -> None:
        self.attempts[first.id] += 1
        async with self.storage.begin() as uow:
            assert await uow.users.record_login(first.id, verified=HASH, rehashed=None, at=NOW)
            await uow.audit_log.append(LoggedIn(at=NOW, user_id=first.id, session_id="first"))
            if self.attempts[first.id] == 1:
                await self.meeting.wait()
            assert await uow.users.record_login(second.id, verified=HASH, rehashed=None, at=NOW)
            await uow.audit_log.append(LoggedIn(at=NOW, user_id=second.id, session_id="second"))


def logins(kind: str, url: str) -> Counter[tuple[int, str]]:
    return Counter(
        (user_id, which)
        for user_id, which in execute(
            kind, url, "SELECT user_id, session_id FROM audit_events WHERE kind = 'LoggedIn'"
        )
    )


async def test_of_two_that_wait_for_each_other_one_is_told_of_a_conflict(
    kind: str, storage: SqlStorage, url: str
) -> None:
    ann, bob = await register(storage, "ann"), await register(storage, "bob")
    crossing = Crossing(storage)
    outcomes = await asyncio.gather(crossing.lock(ann, bob), crossing.lock(bob, ann), return_exceptions=True)
    victim, winner = (0, 1) if outcomes[0] is not None else (1, 0)
    assert type(outcomes[victim]) is Conflict
    assert outcomes[winner] is None
    first, second = ((ann, bob), (bob, ann))[winner]
    assert logins(kind, url) == {(first.id, "first"): 1, (second.id, "second"): 1}


async def test_a_use_case_that_had_to_give_way_succeeds_when_it_runs_again(
    kind: str, storage: SqlStorage, url: str
) -> None:
    ann, bob = await register(storage, "ann"), await register(storage, "bob")
    crossing = Crossing(storage)
    lock = retried_on_conflict(crossing.lock)
    await asyncio.gather(lock(ann, bob), lock(bob, ann))
    assert crossing.attempts.total() >= 3  # the victim may take its lock again before the other wakes up
    assert logins(kind, url) == dict.fromkeys(
        [(ann.id, "first"), (ann.id, "second"), (bob.id, "first"), (bob.id, "second")], 1
    )


FAIL = {
    "postgresql": "DO $$ BEGIN RAISE 'on purpose' USING ERRCODE = '{}'; END $$",
    "mariadb": "SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = {}, MESSAGE_TEXT = 'on purpose'",
}
GIVING_WAY = [
    *(("postgresql", code) for code in ("40001", "40P01")),
    *(("mariadb", code) for code in (1020, 1205, 1213)),
]
OUT_OF_ORDER = [
    *(
        ("postgresql", code)
        for code in ("53100", "53200", "53300", "55P03", "57P01", "57P03", "58030", "25006", "XX001")
    ),
    *(("mariadb", code) for code in (1021, 1040, 1041, 1053, 1114, 1180, 1203, 1290, 1317, 1836, 1969)),
]


@pytest.mark.parametrize(("kind", "code"), GIVING_WAY)
async def test_a_transaction_that_has_to_give_way_is_tried_four_times(
    kind: str, code: object, storage: SqlStorage, url: str
) -> None:
    attempts = 0

    @retried_on_conflict
    async def work() -> None:
        nonlocal attempts
        attempts += 1
        async with storage.transaction() as connection:
            await connection.execute(words("DELETE FROM audit_events"))
            await connection.execute(words(FAIL[kind].format(code)))

    await register(storage)
    with pytest.raises(Conflict, match="on purpose"):
        await work()
    assert attempts == ATTEMPTS == 4
    assert parts(kind, url, "ann") == (1, 1)


@pytest.mark.parametrize(("kind", "code"), OUT_OF_ORDER)
async def test_a_server_that_is_out_of_order_is_unavailable_and_used_again_at_once(
    kind: str, code: object, storage: SqlStorage, url: str
) -> None:
    await register(storage)
    async with refused_within(timedelta()), storage.transaction() as connection:
        await connection.execute(words("DELETE FROM audit_events"))
        await connection.execute(words(FAIL[kind].format(code)))
    await use(storage)
    assert parts(kind, url, "ann") == (1, 1)


@pytest.mark.parametrize("kind", ["postgresql"])
async def test_a_conflict_that_shows_only_at_the_commit_is_one(storage: SqlStorage) -> None:
    ann, bob = await register(storage, "ann"), await register(storage, "bob")
    meeting = asyncio.Barrier(2)

    async def skew(user: User) -> None:
        async with storage.transaction() as connection:
            await connection.execute(words("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"))
            await connection.execute(words("SELECT sum(version) FROM users"))
            await connection.execute(update(users).where(users.c.id == user.id).values(version=2))
            await meeting.wait()

    outcomes = await asyncio.gather(skew(ann), skew(bob), return_exceptions=True)
    assert Counter(type(outcome) for outcome in outcomes) == {type(None): 1, Conflict: 1}


# --- the pool --------------------------------------------------------------------------------------------


async def test_who_finds_no_connection_free_is_told_so_in_time_and_finds_one_later(
    connect: Connect, url: str
) -> None:
    storage = connect(url, connections=1, patience=timedelta(seconds=0.3))
    async with storage.begin(), refused_within(timedelta(seconds=0.3)):
        await asyncio.create_task(register(storage))
    async with storage.read(), refused_within(timedelta(seconds=0.3)):
        await asyncio.create_task(find(storage))
    assert await find(storage) is None
    await register(storage)


async def test_thirty_at_once_share_the_connections_there_are(kind: str, connect: Connect, url: str) -> None:
    storage = connect(url, connections=2)

    async def count() -> int:
        query = CONNECTIONS[kind].format(make_url(url).database)
        return int((await asyncio.to_thread(execute, kind, server_url(kind), query))[0][0])

    async with asyncio.timeout(30):
        while await count():
            pass  # those who made the database ready may still be leaving

    async def read(number: int) -> None:
        assert await find(storage, f"nobody{number}") is None

    work = [register(storage, f"user{number}") for number in range(30)]
    working = asyncio.gather(*work, *(read(number) for number in range(30)))
    counts = []
    while not working.done():
        counts.append(await count())
    await working
    assert max(counts) <= 4
    assert await count() == 4
    assert len(execute(kind, url, "SELECT id FROM users")) == 30


# --- the way to the server -------------------------------------------------------------------------------


async def test_after_all_idle_connections_were_cut_the_next_requests_succeed(
    connect: Connect, proxy: Proxy, every_connection_is_asked: None
) -> None:
    storage = connect(proxy.url, connections=3)
    for number in range(3):
        await asyncio.gather(*(use(storage) for _ in range(9)))
        assert proxy.connections == 6
        proxy.cut()
        if number == 0:
            await register(storage)
        await asyncio.gather(*(use(storage) for _ in range(9)))


@pytest.mark.parametrize("ask", ASKING)
async def test_connections_that_were_cut_unnoticed_cost_one_request_and_no_more(
    ask: Ask, connect: Connect, proxy: Proxy
) -> None:
    storage = connect(proxy.url, connections=3)
    await asyncio.gather(*(ask(storage, f"first{number}") for number in range(9)))
    assert proxy.connections == 3
    proxy.cut()
    with pytest.raises(Unavailable):
        await ask(storage, "lost")
    await asyncio.gather(*(ask(storage, f"second{number}") for number in range(9)))


@pytest.mark.parametrize("said", ["asked", "answered"])
async def test_a_connection_cut_anywhere_in_a_unit_of_work_leaves_all_of_it_or_nothing(
    kind: str, said: str, proxy: Proxy, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    storage = SqlStorage(proxy.url)
    await register(storage, "before")
    begun = len(proxy.octets[said])
    await register(storage, "measured")
    outcomes = Counter[str]()
    for octets in cuts(proxy.octets[said][begun - 1 :]):
        name = f"user{octets}"
        await use(storage)
        proxy.cut_after(octets, said)
        try:
            await register(storage, name)
        except Unavailable:
            outcomes["unavailable"] += 1
        else:
            outcomes["registered"] += 1
            assert parts(kind, url, name) == (1, 1)
        assert parts(kind, url, name) in {(0, 0), (1, 1)}
        proxy.go_on()
        await after_a_cut(storage)
    await storage.dispose()
    assert outcomes["unavailable"] >= 4
    assert caplog.records == []


@pytest.mark.parametrize("said", ["asked", "answered"])
async def test_a_connection_cut_anywhere_while_it_is_made_costs_one_request_and_no_more(
    said: str, proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    async def outcome(octets: int | None) -> str:
        storage = SqlStorage(proxy.url, connections=1)
        if octets is not None:
            proxy.cut_after(octets, said)
        try:
            await find(storage)
        except Unavailable:
            return "unavailable"
        else:
            return "found"
        finally:
            proxy.go_on()
            await after_a_cut(storage)
            await storage.dispose()

    assert await outcome(None) == "found"
    outcomes = [await outcome(octets) for octets in cuts(proxy.octets[said])]
    assert outcomes.count("unavailable") >= 4
    assert caplog.records == []


def cuts(octets: list[int]) -> list[int]:
    """After how many octets to cut: at the end of each piece, and within it."""
    ends = [number - octets[0] for number in octets[1:]]
    return sorted({1, *ends, *(end - 1 for end in ends if end > 1)})


async def after_a_cut(storage: SqlStorage) -> None:
    """A connection may have been cut just when it was given back."""
    try:
        await use(storage)
    except Unavailable:
        await use(storage)


async def test_after_a_lost_answer_to_a_commit_trying_again_finds_the_account_there_once(
    kind: str, connect: Connect, proxy: Proxy, url: str
) -> None:
    storage = connect(proxy.url)
    await register(storage, "before")
    proxy.lose_the_answer_to(COMMIT[kind])
    with pytest.raises(Unavailable) as refusal:
        await register(storage)
    assert not isinstance(refusal.value, Conflict)  # or it would be tried again as if nothing had happened
    assert parts(kind, url, "ann") == (1, 1)
    with pytest.raises(UsernameTaken):
        await register(storage)
    assert parts(kind, url, "ann") == (1, 1)


async def test_after_a_lost_answer_to_a_statement_nothing_is_there_and_trying_again_succeeds(
    kind: str, connect: Connect, proxy: Proxy, url: str
) -> None:
    storage = connect(proxy.url, connections=1)
    await register(storage, "before")
    proxy.lose_the_answer_to(b"ann@example.org")
    with pytest.raises(Unavailable):
        await register(storage)
    assert parts(kind, url, "ann") == (0, 0)
    await register(storage)
    assert parts(kind, url, "ann") == (1, 1)


async def recovers(ask: Ask, storage: SqlStorage, name: str = "recovered") -> None:
    """It succeeds soon, be it not at the first attempt."""
    deadline = time.monotonic() + RECOVERY
    while True:
        try:
            async with asyncio.timeout_at(deadline + MARGIN):
                await ask(storage, name)
        except Unavailable:
            await asyncio.sleep(0.05)
        else:
            assert time.monotonic() < deadline
            return


@pytest.mark.parametrize("ask", ASKING)
async def test_a_server_that_falls_silent_is_unavailable_in_time_and_used_again_when_it_speaks(
    kind: str, ask: Ask, connect: Connect, proxy: Proxy, url: str
) -> None:
    storage = connect(proxy.url, **IMPATIENT)
    await ask(storage, "before")
    proxy.freeze()
    for number in range(2):
        async with refused_within(2 * SHORT):
            await ask(storage, f"frozen{number}")
    outcomes = await asyncio.gather(
        *(ask(storage, f"frozen{number}") for number in range(12)), return_exceptions=True
    )
    assert {type(outcome) for outcome in outcomes} == {Unavailable}
    proxy.go_on()
    await recovers(ask, storage)
    await asyncio.gather(*(ask(storage, f"after{number}") for number in range(12)))
    for number in range(12):
        assert parts(kind, url, f"frozen{number}") == (0, 0)


async def test_a_server_that_is_silent_from_the_start_is_unavailable_in_time_and_used_when_it_speaks(
    connect: Connect, proxy: Proxy
) -> None:
    storage = connect(proxy.url, **IMPATIENT)
    proxy.freeze()
    async with refused_within(2 * SHORT):
        await find(storage)
    async with refused_within(2 * SHORT):
        await register(storage)
    proxy.go_on()
    await recovers(find, storage)
    await recovers(register, storage)


async def test_a_server_that_refuses_connections_is_unavailable_and_used_again_when_it_takes_them(
    connect: Connect, proxy: Proxy
) -> None:
    storage = connect(proxy.url)
    await use(storage)
    proxy.refuse()
    for _ in range(3):
        async with refused_within(timedelta()):
            await register(storage)
        async with refused_within(timedelta()):
            await find(storage)
    proxy.go_on()
    await register(storage)
    await use(storage)


@pytest.mark.parametrize("ask", ASKING)
async def test_connections_that_were_forgotten_on_the_way_are_not_waited_for_one_after_the_other(
    ask: Ask, connect: Connect, proxy: Proxy, every_connection_is_asked: None
) -> None:
    storage = connect(proxy.url)
    await asyncio.gather(*(ask(storage, f"before{number}") for number in range(15)))
    assert proxy.connections == 5
    proxy.forget()
    await recovers(ask, storage)
    await asyncio.gather(*(ask(storage, f"after{number}") for number in range(15)))


# --- addresses --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", ["read-write", "primary"])
async def test_of_several_hosts_the_primary_is_written_to_and_read(
    wanted: str, databases: Databases, connect: Connect
) -> None:
    storage = connect(f"{databases.migrated('postgresql')}?target_session_attrs={wanted}")
    user = await register(storage, "ann")
    assert await find(storage) == user


@pytest.mark.parametrize("parameters", ["target_session_attrs=standby", "no_such_setting=1", "sslmode=odd"])
async def test_a_connection_that_cannot_be_had_is_unavailable_and_says_why(
    parameters: str, databases: Databases, connect: Connect
) -> None:
    storage = connect(f"{databases.migrated('postgresql')}?{parameters}")
    with pytest.raises(Unavailable, match=r"PostgreSQL: .+"):
        await find(storage)


async def test_a_postgresql_database_that_cannot_hold_every_name_is_refused(
    databases: Databases, connect: Connect
) -> None:
    server = server_url("postgresql")
    name = f"identity_test_latin1_{time.monotonic_ns()}"
    encoding = "ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0"
    execute("postgresql", server, f"CREATE DATABASE {name} {encoding}")
    try:
        storage = connect(make_url(server).set(database=name).render_as_string(hide_password=False))
        with pytest.raises(Unavailable, match="LATIN1"):
            await find(storage)
        await storage.dispose()
    finally:
        execute("postgresql", server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.parametrize("parameters", ["ssl_check_hostname=true", "ssl_cert=a&ssl_key=b", "charset=latin1"])
def test_a_mariadb_url_with_an_unsafe_or_unknown_parameter_is_refused(parameters: str) -> None:
    with pytest.raises(ValueError, match=r"ssl_ca"):
        SqlStorage(f"mariadb://user:password@host/name?{parameters}")
