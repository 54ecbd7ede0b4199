"""A database in which every table has rows, and what tests of copying ask of databases."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection
from tests.application.test_erasure import Service, bob_too, leads_a_life

from identity.adapters.memory import FixedClock, PlainHasher
from identity.adapters.sql.copying import SqlCopier
from identity.adapters.sql.schema import (
    audit_events,
    devices,
    metadata,
    rate_limits,
)
from identity.adapters.sql.storage import SqlStorage
from identity.application.audit import SETTLED_AFTER
from identity.application.copying import CopiedTable, CopyProgress
from identity.container import Container, build_container
from identity.domain.events import OPERATOR
from identity.domain.secrets import Secret
from identity.domain.session import Client
from identity.domain.tokens import TokenPair
from identity.settings import Settings

PASSWORD = Secret("yourpassword123")
BORN = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
HARD = b"\x00'\\%\"\n\r\x1a;--%s:x\xff\xfe".ljust(32, b"\x80")
"""Octets that a driver might take for something else, or for text."""
FOX = Client(address="2001:db8::1", user_agent="🦊 \t\\'%s ﷽", request_id="")

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
