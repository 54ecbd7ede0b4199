"""How busy the connections to a database are, as they are told."""

from __future__ import annotations

import pytest
from tests.databases import Databases

from identity.adapters.memory import MemoryStorage
from identity.adapters.sql.storage import SqlStorage
from identity.application.ports import PoolLoad

SIZES = {"sqlite": (1, 4), "postgresql": (3, 3), "mariadb": (3, 3)}
"""Of the connections to write and to read, of three that are asked for; SQLite has its own."""


def loads(kind: str, *, writing: tuple[int, int], reading: tuple[int, int]) -> tuple[PoolLoad, ...]:
    """In use and idle, of each pool."""
    write, read = SIZES[kind]
    return (
        PoolLoad(name="write", size=write, in_use=writing[0], idle=writing[1]),
        PoolLoad(name="read", size=read, in_use=reading[0], idle=reading[1]),
    )


@pytest.mark.parametrize("kind", SIZES)
async def test_a_connection_is_in_use_idle_or_not_there_yet(kind: str, databases: Databases) -> None:
    storage = SqlStorage(databases.migrated(kind), connections=3)
    try:
        assert storage.pools() == loads(kind, writing=(0, 0), reading=(0, 0))
        async with storage.begin() as uow:
            await uow.users.get(1)
            assert storage.pools() == loads(kind, writing=(1, 0), reading=(0, 0))
        async with storage.read() as one, storage.read() as other:
            await one.users.get(1)
            await other.users.get(1)
            assert storage.pools() == loads(kind, writing=(0, 1), reading=(2, 0))
        assert storage.pools() == loads(kind, writing=(0, 1), reading=(0, 2))
    finally:
        await storage.dispose()


def test_memory_has_none() -> None:
    assert MemoryStorage().pools() == ()
