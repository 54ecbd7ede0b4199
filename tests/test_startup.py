"""What is checked before the service opens a socket, where the command line's tests do not reach."""

from __future__ import annotations

from pathlib import Path

import pytest
from dependency_injector.providers import Object

from identity.adapters.memory import MemoryStorage
from identity.container import Container, build_container
from identity.entrypoints.server import SchemaOutdated, prepare
from identity.settings import Settings


class OldSchema:
    """Of a server database, which more than one version may be using."""

    def __init__(self) -> None:
        self.upgrades = 0

    async def is_current(self) -> bool:
        return self.upgrades > 0

    async def upgrade(self) -> None:
        self.upgrades += 1


def service_on(database_url: str, *, schema: OldSchema, auto_migrate: bool = False) -> Container:
    """The settings are of that database, the storage is memory."""
    container = build_container(Settings(database_url=database_url, auto_migrate=auto_migrate))
    container.storage.override(Object(MemoryStorage()))
    container.schema.override(Object(schema))
    return container


async def test_an_old_schema_of_a_server_database_is_left_to_the_operator() -> None:
    schema = OldSchema()
    with pytest.raises(SchemaOutdated) as refused:
        await prepare(service_on("postgresql://db/identity", schema=schema))
    assert "\n" not in str(refused.value)
    assert "identity migrate" in str(refused.value)
    assert schema.upgrades == 0


async def test_unless_it_is_to_be_migrated_at_the_start() -> None:
    schema = OldSchema()
    await prepare(service_on("postgresql://db/identity", schema=schema, auto_migrate=True))
    assert schema.upgrades == 1


async def test_the_embedded_database_is_migrated_at_the_start(tmp_path: Path) -> None:
    schema = OldSchema()
    await prepare(service_on(f"sqlite:///{tmp_path}/identity.db", schema=schema))
    assert schema.upgrades == 1
