"""After an erasure nothing in the database tells whose account it was: every column there is is read."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Column, LargeBinary, String, Table, select, text, update
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from tests.databases import KINDS, Databases

from identity.adapters.memory import FixedClock, MemoryMailer, PlainHasher
from identity.adapters.sql.schema import metadata
from identity.application.audit import SETTLED_AFTER
from identity.application.mail import Message
from identity.container import Container, build_container
from identity.domain.errors import LoginRefused, MailRefused
from identity.domain.names import EmailAddress, Username
from identity.domain.secrets import Secret
from identity.domain.session import Client
from identity.domain.user import User
from identity.settings import Settings

DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "mariadb": "mariadb+asyncmy"}
PASSWORD = Secret("yourpassword123")
GRACE = timedelta(days=14)

ANN_S = Client(address="2001:db8:77::7", user_agent="Seekable/7.0 (Ångström; Linux)")
TELLING = {
    "the username": "Änn-Sofie_Ødegård",
    "the address": "Sofie.Ødegård@Fjällräven.example",
    "the address before": "Sofie.Before@example.org",
    "the name that is shown": "Änn Sofie Ødegård-Lindqvist",
    "the client's address": ANN_S.address,
    "the client's program": ANN_S.user_agent,
}
SHORT = "Änn-Sofie"
"""A part of the name that fits into every column."""


def canonical(value: object) -> str:
    """The text in one form, whatever its case, its accents' form, its escapes in JSON, or its type."""
    readable = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    unescaped = re.sub(r"\\u([0-9a-f]{4})", lambda match: chr(int(match[1], 16)), readable)
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", unescaped).casefold())


async def told(connection: AsyncConnection) -> set[tuple[str, str]]:
    """Each column in which something of Ann is found, and what."""
    sought = {what: canonical(value) for what, value in (TELLING | {"part of the name": SHORT}).items()}
    found = set()
    for table in metadata.sorted_tables:
        for row in (await connection.execute(text(f"SELECT * FROM {table.name}"))).mappings():  # noqa: S608
            assert set(row) == {column.name for column in table.columns}
            for column, value in row.items():
                content = canonical(value)
                found |= {(f"{table.name}.{column}", what) for what, own in sought.items() if own in content}
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    kind: str
    container: Container
    clock: FixedClock
    mailer: MemoryMailer
    connection: AsyncConnection

    async def told(self) -> set[tuple[str, str]]:
        try:
            return await told(self.connection)
        finally:
            await self.connection.rollback()

    async def deliver(self) -> None:
        while await self.container.deliver_mail()():
            pass


@pytest.fixture(params=KINDS)
async def service(request: pytest.FixtureRequest, databases: Databases) -> AsyncIterator[Service]:
    url = databases.migrated(request.param)
    container = build_container(
        Settings(
            database_url=url,
            mail_url="memory:",
            mail_from="x@example.org",
            secret=Secret("s" * 32),
            erasure_grace=GRACE,
        )
    )
    clock = FixedClock()
    container.clock.override(clock)
    container.hasher.override(PlainHasher())
    engine = create_async_engine(make_url(url).set(drivername=DRIVERS[request.param]))
    try:
        async with engine.connect() as connection:
            yield Service(
                kind=request.param,
                container=container,
                clock=clock,
                mailer=container.mailer(),
                connection=connection,
            )
    finally:
        await engine.dispose()
        await container.storage().dispose()


async def leads_a_life(service: Service) -> User:
    """Leaves traces of Ann wherever the service leaves any."""
    container = service.container
    name, email, before = TELLING["the username"], TELLING["the address"], TELLING["the address before"]
    ann: User = await container.register_user()(username=name, email=email, password=PASSWORD, client=ANN_S)
    for client in (ANN_S, replace(ANN_S, address="2001:db8:78::7")):
        await container.log_in()(username=name, password=PASSWORD, client=client)
    with pytest.raises(LoginRefused):
        await container.log_in()(username=email, password=Secret("another password"), client=ANN_S)
    await container.request_reset()(email=email, client=ANN_S)
    await container.request_login_code()(email=email, client=ANN_S)
    await service.deliver()
    async with container.begin()() as uow:
        stored = await uow.users.get(ann.id)
        assert stored
        await uow.users.save(replace(stored, display_name=TELLING["the name that is shown"]))
        await uow.reservations.hold(EmailAddress(before), user_id=ann.id, until=service.clock.now() + GRACE)
        await uow.reservations.hold(Username(f"{SHORT}.2"), user_id=ann.id, until=service.clock.now() + GRACE)

    async def refused(message: Message) -> None:
        raise MailRefused(f"no mailbox {message.to.value}")

    await container.request_reset()(email=email.upper(), client=ANN_S)
    service.mailer.send, send = refused, service.mailer.send  # type: ignore[method-assign]
    await service.deliver()  # to the dead letters
    service.mailer.send = send  # type: ignore[method-assign]
    pair = await container.log_in()(username=name, password=PASSWORD, client=ANN_S)
    principal = await container.authenticate()(access=pair.access)
    await container.export_data()(principal=principal, client=ANN_S)
    await container.request_deletion()(principal=principal, password=PASSWORD, client=ANN_S)
    await service.deliver()
    await container.request_reset()(email=email, client=ANN_S)  # which stays in the outbox
    return ann


async def bob_too(service: Service) -> None:
    """Somebody else, of whom everything stays, in every table."""
    container, client = service.container, Client(address="192.0.2.1", user_agent="curl")
    user = await container.register_user()(
        username="bob", email="bob@example.org", password=PASSWORD, client=client
    )
    await container.log_in()(username="bob", password=PASSWORD, client=client)
    await container.request_reset()(email="bob@example.org", client=client)
    await container.request_login_code()(email="bob@example.org", client=client)
    await service.deliver()
    async with container.begin()() as uow:
        await uow.reservations.hold(Username("bobby"), user_id=user.id, until=service.clock.now() + GRACE)
    await container.request_reset()(email="bob@example.org", client=client)


async def test_an_erased_account_is_found_in_no_column_of_any_table(service: Service) -> None:
    await leads_a_life(service)
    await bob_too(service)
    before = await service.told()
    assert {place.partition(".")[0] for place, _ in before} == {
        *("users", "sessions", "reservations", "one_time_tokens", "login_codes", "outbox", "audit_events")
    }
    assert {what for _, what in before} == {*TELLING, "part of the name"}
    assert {("outbox.error", "the address"), ("outbox.email_key", "the address")} <= before
    service.clock.advance(GRACE)
    assert await service.container.erase_accounts()() == 1
    assert await service.told() == set()


async def test_what_is_left_of_it_is_its_id_and_what_happened(service: Service) -> None:
    ann = await leads_a_life(service)
    service.clock.advance(GRACE)
    await service.container.erase_accounts()()
    async with service.container.read()() as uow:
        events = await uow.audit_log.of_user(ann.id, limit=100)
    assert events[0].kind == "AccountErased"
    assert {event.kind for event in events} >= {"UserRegistered", "LoggedIn", "DeletionRequested"}
    again = await service.container.register_user()(
        username=TELLING["the username"], email=TELLING["the address"], password=PASSWORD
    )
    assert again.id > ann.id


def columns_of_text() -> list[tuple[Table, Column[Any]]]:
    return [
        (table, column)
        for table in metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, String | LargeBinary)
    ]


LEAKS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "in capitals": str.upper,
    "by its key": str.casefold,
    "decomposed": lambda name: unicodedata.normalize("NFD", name),
}


async def test_the_search_finds_a_leak_in_whatever_column_and_form_it_is(service: Service) -> None:
    await bob_too(service)
    await service.container.keyring().signing()
    service.clock.advance(SETTLED_AFTER)
    assert await service.container.seal_audit_log()()
    columns, looked = columns_of_text(), set()
    assert len(columns) > 30
    for number, (table, column) in enumerate(columns):
        form = list(LEAKS)[number % len(LEAKS)]
        planted: object = LEAKS[form](SHORT)
        if isinstance(column.type, LargeBinary):
            planted = str(planted).encode().ljust(32)
        key = next(iter(table.primary_key.columns))
        try:
            row = (await service.connection.execute(select(key).limit(1))).scalar_one()
            await service.connection.execute(update(table).where(key == row).values({column: planted}))
            found = await told(service.connection)
        finally:
            await service.connection.rollback()
        assert {place for place, _ in found} == {f"{table.name}.{column.name}"}, form
        looked.add(table.name)
    assert looked == {table.name for table in metadata.sorted_tables}
