"""What somebody who may write to the database does to the audit log, and what `VerifyAuditLog` says of it."""

# ruff: noqa: S608 - made up SQL is what this is about
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from tests.databases import KINDS, Databases

from identity.adapters.memory import FixedClock
from identity.adapters.sql.storage import SqlStorage
from identity.application.audit import PurgeAuditLog, SealAuditLog, Verification, VerifyAuditLog
from identity.domain.audit_seal import SealingKey
from identity.domain.events import (
    OPERATOR,
    SERVICE,
    AccountErased,
    Event,
    KeyAdded,
    LoggedIn,
    LoggedOut,
    LoginRefused,
    UserRegistered,
)
from identity.domain.session import Client

KEY, OTHER_KEY = SealingKey(b"k" * 32), SealingKey(b"o" * 32)
RETENTION = timedelta(days=400)
MINUTES, DAY = timedelta(minutes=3), timedelta(days=1)
BROWSER = Client(address="192.0.2.7", user_agent="Mozilla/5.0 🦊", request_id="0123456789abcdef")
FIRST, SECOND, THIRD = "2026-01-01", "2026-01-02", "2026-01-03"


class House:
    """An audit log on a database, and those who look after it."""

    def __init__(self, storage: SqlStorage) -> None:
        self.storage = storage
        self.clock = FixedClock(datetime(2026, 1, 1, 12, tzinfo=UTC))
        self.seal = SealAuditLog(begin=storage.begin, clock=self.clock, key=KEY, previous_key=None)
        self.purge = PurgeAuditLog(
            read=storage.read, begin=storage.begin, clock=self.clock, retention=RETENTION
        )
        self.first = 0
        """The id of the first event: on a server it is not 1."""

    async def note(self, *events: Event) -> None:
        for event in events:
            async with self.storage.begin() as uow:
                await uow.audit_log.append(event)

    async def verify(self, **how: Any) -> Verification:
        head = how.pop("head", None)
        parts = {"key": KEY, "previous_key": None, "retention": RETENTION} | how
        return await VerifyAuditLog(read=self.storage.read, clock=self.clock, **parts)(head=head)

    async def said(self, **how: Any) -> list[str]:
        """Of what is wrong, with the ids as if the first event had the id 1."""
        faults = (await self.verify(**how)).faults
        from_one = [
            replace(
                fault,
                id=fault.id and fault.id - self.first + 1,
                other=fault.other and fault.other - self.first + 1,
            )
            for fault in faults
        ]
        return [str(fault) for fault in from_one]

    async def execute(self, statement: str, **values: Any) -> Sequence[Any]:
        """Raw SQL, in which `{1}` is the id of the first event, and so on."""
        ids = [None, *range(self.first, self.first + 20)]
        async with self.storage.migration() as connection:
            result = await connection.execute(text(statement.format(*ids)), values)
            return result.all() if result.returns_rows else []

    async def live_three_days(self) -> None:
        """Three events on each of three days, which are sealed, and one that is not yet."""
        at = self.clock.now()
        for number in range(3):
            at = self.clock.now()
            await self.note(
                LoggedIn(at=at, user_id=7, session_id=f"{number}", client=BROWSER),
                LoginRefused(at=at, client=BROWSER)
                if number
                else UserRegistered(at=at, user_id=8, client=BROWSER),
                KeyAdded(at=at, actor=OPERATOR, subject="kid"),
            )
            if number == 1:  # as a transaction that is rolled back on a server leaves a number out
                await self.note(LoggedOut(at=at, user_id=9))
                await self.execute("DELETE FROM audit_events WHERE user_id = 9")
            self.clock.advance(MINUTES)
            await self.seal()
            self.clock.advance(DAY)
        await self.note(LoggedOut(at=self.clock.now(), user_id=7, session_id="1"))
        (row,) = await self.execute("SELECT min(id) FROM audit_events")
        self.first = row[0]


@pytest.fixture(params=KINDS)
async def house(request: pytest.FixtureRequest, databases: Databases) -> AsyncIterator[House]:
    storage = SqlStorage(databases.migrated(request.param))
    house = House(storage)
    await house.live_three_days()
    yield house
    await storage.dispose()


async def test_what_nobody_has_touched_is_good(house: House) -> None:
    verification = await house.verify()
    assert verification.faults == ()
    assert (verification.checked, verification.unsealed) == (9, 1)
    assert [(day.day, day.events) for day in verification.days] == [(FIRST, 3), (SECOND, 3), (THIRD, 3)]


COLUMNS: dict[str, Any] = {
    "at": datetime(2026, 1, 2, 3, 4, 5),  # noqa: DTZ001 - as databases without time zones have it
    "kind": "LoggedOut",
    "user_id": 9,
    "session_id": "another",
    "actor": "service",
    "actor_id": 9,
    "request_id": "another",
    "subject": "another",
    "client_digest": b"d" * 32,
}
ALTERED = "is not what it was when it was sealed"


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("number", [1, 3, 5, 10])
async def test_an_event_that_is_altered_is_named(house: House, column: str, number: int) -> None:
    value = COLUMNS[column]
    if column == "at" and house.storage.dialect.__class__.__name__ == "Postgresql":
        value = value.replace(tzinfo=UTC)
    if column == "at" and house.storage.dialect.__class__.__name__ == "Sqlite":
        value = str(value) + ".000000"
    await house.execute(
        f"UPDATE audit_events SET {column} = :value WHERE id = {{{number}}}",
        value=value,
    )
    said = await house.said()
    assert f"event {number} {ALTERED}" in said
    assert {line for line in said if "another address" not in line} == {f"event {number} {ALTERED}"}


@dataclass(frozen=True)
class Deed:
    statements: tuple[str, ...]
    said: tuple[str, ...]
    values: Any = ()


COPIED = (
    "at, kind, user_id, session_id, actor, actor_id, request_id, subject, client_address, client_user_agent, "
    "client_salt, client_digest, seal"
)
UNSEALED = COPIED.replace("seal", "NULL")
CLIENT = "came from another address or program than is noted now"
REMOVED = "has lost where it came from, but its account was not erased"
DEEDS = {
    "the first is deleted": Deed(
        ("DELETE FROM audit_events WHERE id = {1}",),
        ("event 2 was sealed after events that are missing since event the first",),
    ),
    "one in the middle is deleted": Deed(
        ("DELETE FROM audit_events WHERE id = {5}",),
        ("event 6 was sealed after events that are missing since event 4",),
    ),
    "the first of a day is deleted": Deed(
        ("DELETE FROM audit_events WHERE id = {4}",),
        ("event 5 was sealed after events that are missing since event 3",),
    ),
    "the last of a day is deleted": Deed(
        ("DELETE FROM audit_events WHERE id = {6}",),
        (f"event 6 is the last of {SECOND}, and is missing with all since event 5",),
    ),
    "the last that was sealed is deleted": Deed(
        ("DELETE FROM audit_events WHERE id = {10}",),
        (f"event 10 is the last of {THIRD}, and is missing with all since event 9",),
    ),
    "a whole day is deleted": Deed(
        ("DELETE FROM audit_events WHERE id BETWEEN {4} AND {6}",),
        (f"event 6 is the last of {SECOND}, and is missing with all since event 3",),
    ),
    "a day is deleted with its head": Deed(
        (
            "DELETE FROM audit_events WHERE id BETWEEN {4} AND {6}",
            f"DELETE FROM audit_heads WHERE day='{SECOND}'",
        ),
        ("event 8 was sealed after events that are missing since event 3",),
    ),
    "two change places": Deed(
        (
            "UPDATE audit_events SET id = 1000000 WHERE id = {2}",
            "UPDATE audit_events SET id = {2} WHERE id = {5}",
            "UPDATE audit_events SET id = {5} WHERE id = 1000000",
        ),
        ("event 2 holds what was in event 5", "event 5 holds what was in event 2"),
    ),
    "the contents of two change places": Deed(
        (
            "UPDATE audit_events SET kind = 'LoginRefused', user_id = 0 WHERE id = {2}",
            "UPDATE audit_events SET kind = 'UserRegistered', user_id = 8 WHERE id = {5}",
        ),
        (f"event 2 {ALTERED}", f"event 5 {ALTERED}"),
    ),
    "a seal is taken away": Deed(
        ("UPDATE audit_events SET seal = NULL WHERE id = {5}",), ("event 5 has lost its seal",)
    ),
    "the last seal is taken away": Deed(
        ("UPDATE audit_events SET seal = NULL WHERE id = {10}",), ("event 10 has lost its seal",)
    ),
    "a seal is replaced": Deed(
        ("UPDATE audit_events SET seal = :octets WHERE id = {5}",),
        ("event 5 has another seal than it was given",),
    ),
    "a seal is copied from another": Deed(
        ("UPDATE audit_events SET seal = client_digest WHERE id = {6}",),
        ("event 6 has another seal than it was given",),
    ),
    "one is inserted without a seal": Deed(
        (
            f"INSERT INTO audit_events (id, {COPIED}) SELECT {{7}}, {UNSEALED} FROM audit_events "
            "WHERE id = {2}",
        ),
        ("event 7 was inserted, or moved here",),
    ),
    "one is inserted with a seal": Deed(
        (
            f"INSERT INTO audit_events (id, {COPIED}) SELECT {{7}}, {COPIED} FROM audit_events "
            "WHERE id = {2}",
        ),
        ("event 7 was inserted, or moved here",),
    ),
    "one is inserted before all others": Deed(
        (
            f"INSERT INTO audit_events (id, {COPIED}) SELECT -5, {UNSEALED} FROM audit_events "
            "WHERE id = {2}",
        ),
        ("event INSERTED was inserted, or moved here",),
    ),
    "one is moved": Deed(
        ("UPDATE audit_events SET id = {7} WHERE id = {2}",),
        (
            "event 3 was sealed after events that are missing since event 1",
            "event 7 was inserted, or moved here",
        ),
    ),
    "a copy is put in at the end": Deed(
        (
            f"INSERT INTO audit_events (id, {COPIED}) SELECT {{13}}, {COPIED} FROM audit_events "
            "WHERE id = {2}",
        ),
        ("event 13 was inserted, or moved here",),
    ),
    "where one came from is changed": Deed(
        ("UPDATE audit_events SET client_address = '192.0.2.8' WHERE id = {1}",), (f"event 1 {CLIENT}",)
    ),
    "the program of one is changed": Deed(
        ("UPDATE audit_events SET client_user_agent = 'curl' WHERE id = {11}",), (f"event 11 {CLIENT}",)
    ),
    "where one came from is cleared": Deed(
        (
            "UPDATE audit_events SET client_address = '', client_user_agent = '', client_salt = NULL "
            "WHERE id = {4}",
        ),
        (f"event 4 {REMOVED}",),
    ),
    "only the salt is cleared": Deed(
        ("UPDATE audit_events SET client_salt = NULL WHERE id = {4}",),
        (f"event 4 {CLIENT}", f"event 4 {REMOVED}"),
    ),
    "the newest head is deleted": Deed(
        (f"DELETE FROM audit_heads WHERE day = '{THIRD}'",),
        ("event 8 is sealed, but on no day in audit_heads: that was deleted or turned back",),
    ),
    "a head in between is deleted": Deed(
        (f"DELETE FROM audit_heads WHERE day = '{SECOND}'",),
        (f"event 6 was sealed on a day that is missing in audit_heads, {SECOND}",),
    ),
    "all heads are deleted": Deed(
        ("DELETE FROM audit_heads",),
        ("event 1 is sealed, but on no day in audit_heads: that was deleted or turned back",),
    ),
    "the count of a head is changed": Deed(
        (f"UPDATE audit_heads SET events = 2 WHERE day = '{SECOND}'",),
        (f"the day {SECOND} is not what it was when the day was over, or last sealed on",),
    ),
    "the seal of a head is changed": Deed(
        (f"UPDATE audit_heads SET seal = :octets WHERE day = '{SECOND}'",),
        (f"the day {SECOND} is not what it was when the day was over, or last sealed on",),
    ),
    "a head is moved to another day": Deed(
        (f"UPDATE audit_heads SET day = '2027-01-01' WHERE day = '{THIRD}'",),
        ("the day 2027-01-01 is not what it was when the day was over, or last sealed on",),
    ),
    "a head ends earlier": Deed(
        (f"UPDATE audit_heads SET last_id = {{5}} WHERE day = '{SECOND}'",),
        (
            f"the day {SECOND} is not what it was when the day was over, or last sealed on",
            "event 8 was sealed after events that are missing since event 6",
        ),
    ),
    "a head ends later": Deed(
        (f"UPDATE audit_heads SET last_id = {{11}} WHERE day = '{THIRD}'",),
        (
            "event 11 was inserted, or moved here",
            f"the day {THIRD} is not what it was when the day was over, or last sealed on",
        ),
    ),
    "a head names another key": Deed(
        (f"UPDATE audit_heads SET key_id = 'another' WHERE day = '{SECOND}'",),
        (f"the day {SECOND} cannot be checked: it was sealed under a secret that is not given",),
    ),
    "a day is called purged": Deed(
        (
            "DELETE FROM audit_events WHERE id <= {3}",
            f"UPDATE audit_heads SET purged_at = :then WHERE day = '{FIRST}'",
        ),
        (
            f"the day {FIRST} was deleted before the time was over for which events are kept",
            f"the day {FIRST} is called purged, but no event says that it was",
        ),
    ),
    "a day is called purged that is said to be an old one": Deed(
        (
            "DELETE FROM audit_events WHERE id <= {3}",
            f"UPDATE audit_heads SET purged_at = :then, day = '2020-01-01' WHERE day = '{FIRST}'",
        ),
        ("the day 2020-01-01 is called purged, but no event says that it was",),
    ),
    "the first events are called a day that was purged": Deed(
        (
            "INSERT INTO audit_heads (day, last_id, events, seal, key_id, purged_at) "
            "SELECT '2020-01-01', id, 5, seal, 'any', :then FROM audit_events WHERE id = {5}",
            f"DELETE FROM audit_heads WHERE day = '{FIRST}'",
            "DELETE FROM audit_events WHERE id <= {5}",
        ),
        ("the day 2020-01-01 is called purged, but no event says that it was",),
    ),
    "a day in between is called purged": Deed(
        (
            "DELETE FROM audit_events WHERE id BETWEEN {4} AND {6}",
            f"UPDATE audit_heads SET purged_at = :then WHERE day = '{SECOND}'",
        ),
        (f"event 6 is the last of {SECOND}, and is missing with all since event 3",),
    ),
}


@pytest.mark.parametrize("what", DEEDS)
async def test_it_is_found_that(house: House, what: str) -> None:
    deed = DEEDS[what]
    for statement in deed.statements:
        values = {}
        if ":octets" in statement:
            values["octets"] = b"x" * 32
        if ":then" in statement:
            then: Any = datetime(2026, 1, 2, tzinfo=UTC)
            if house.storage.dialect.__class__.__name__ != "Postgresql":
                then = "2026-01-02 00:00:00.000000"
            values["then"] = then
        await house.execute(statement, **values)
    # An id that somebody has made up is that, wherever the others begin.
    said = [line.replace(f"event {-5 - house.first + 1} ", "event INSERTED ") for line in await house.said()]
    assert tuple(said) == deed.said


@pytest.mark.parametrize("house", ["sqlite"], indirect=True)
@pytest.mark.parametrize("column", ["at", "user_id", "client_salt", "client_digest", "seal"])
async def test_what_sqlite_keeps_in_a_column_that_is_no_value_of_it_is_named(
    house: House, column: str
) -> None:
    await house.execute(f"UPDATE audit_events SET {column} = 'no value' WHERE id = {{5}}")
    said = await house.said()
    assert f"event 5 {ALTERED}" in said
    # Without its seal, the one after it seems to miss something too.
    assert column == "seal" or all("event 5 " in line for line in said)


@pytest.mark.parametrize("house", ["sqlite"], indirect=True)
@pytest.mark.parametrize("column", ["day", "last_id", "events", "seal", "key_id", "purged_at"])
async def test_what_sqlite_keeps_in_a_head_that_is_no_value_of_it_is_found(house: House, column: str) -> None:
    value = "x'00ff'" if column in {"day", "key_id"} else "'no value'"
    await house.execute(f"UPDATE audit_heads SET {column} = {value} WHERE day = '{THIRD}'")
    assert bool(await house.said()) == (column != "purged_at")  # for its events are there
    house.clock.advance(DAY)
    assert await house.seal() == (column != "last_id")


# What is not tampering


async def test_an_erasure_breaks_no_seal(house: House) -> None:
    async with house.storage.begin() as uow:
        await uow.audit_log.forget_clients(7)
        await uow.audit_log.append(AccountErased(at=house.clock.now(), user_id=7, actor=SERVICE))
    assert await house.said() == []
    rows = await house.execute("SELECT client_address FROM audit_events WHERE user_id = 7")
    assert {row[0] for row in rows} == {""}


async def test_events_of_an_older_version_are_sealed_without_a_digest(house: House) -> None:
    await house.execute(
        "UPDATE audit_events SET actor = '', client_salt = NULL, client_digest = NULL WHERE id = {11}"
    )
    house.clock.advance(DAY)
    assert await house.seal() == 1
    assert await house.said() == []
    await house.execute("UPDATE audit_events SET actor = 'owner' WHERE id = {11}")
    assert await house.said() == [f"event 11 {ALTERED}"]


async def test_of_many_who_seal_at_once_one_does(house: House) -> None:
    house.clock.advance(DAY)
    sealed = await asyncio.gather(*(house.seal() for _ in range(5)))
    assert sum(sealed) == 1
    assert await house.said() == []


async def test_more_events_than_a_statement_takes_are_sealed(house: House) -> None:
    async with house.storage.begin() as uow:
        for number in range(120):
            await uow.audit_log.append(LoggedIn(at=house.clock.now(), user_id=number + 1))
    house.clock.advance(MINUTES)
    assert await house.seal() == 121
    assert await house.said() == []


async def test_what_was_purged_in_time_is_not_missed(house: House) -> None:
    house.clock.advance(RETENTION - DAY)
    assert await house.purge() == 6
    assert await house.purge() == 0
    house.clock.advance(MINUTES)
    await house.seal()
    verification = await house.verify()
    assert verification.faults == ()
    assert verification.checked == 3 + 3  # and those that say of the purge
    assert [bool(day.purged_at) for day in verification.days] == [True, True, False, False]
    await house.execute("DELETE FROM audit_events WHERE id = {8}")
    assert await house.said() == ["event 9 was sealed after events that are missing since event 6"]


async def test_a_day_that_takes_the_date_of_one_that_was_purged_is_found(house: House) -> None:
    house.clock.advance(RETENTION - 2 * DAY)
    assert await house.purge() == 3
    await house.execute(f"UPDATE audit_heads SET day = '2020-01-01' WHERE day = '{FIRST}'")
    await house.execute(
        f"UPDATE audit_heads SET day = '{FIRST}', "
        "purged_at = (SELECT purged_at FROM (SELECT * FROM audit_heads) AS heads WHERE day = '2020-01-01') "
        f"WHERE day = '{SECOND}'"
    )
    await house.execute("DELETE FROM audit_events WHERE id <= {6}")
    assert await house.said() == [f"the day {FIRST} is called purged, but no event says that it was"]


async def test_nothing_is_sealed_after_what_is_missing(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    """Or the service would seal anew what somebody has altered and taken the seals from."""
    await house.execute(f"DELETE FROM audit_heads WHERE day = '{THIRD}'")
    house.clock.advance(DAY)
    assert await house.seal() == 0
    assert "is sealed, but the day on which it was is missing" in caplog.text
    house.clock.advance(-DAY - DAY)
    await house.execute("DELETE FROM audit_events WHERE id >= {6}")
    await house.note(LoggedOut(at=house.clock.now() - MINUTES, user_id=7))
    house.clock.advance(-house.clock.now().hour * timedelta(hours=1) - DAY)
    assert await house.seal() == 0
    assert "the last of 2026-01-02, is not as it was" in caplog.text
