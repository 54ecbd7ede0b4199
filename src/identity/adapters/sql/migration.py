"""Whether the tables are those of this version, and making them so; only the latter imports Alembic."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Column, Connection, MetaData, String, Table, inspect, select

from identity.adapters.sql.schema import REVISION
from identity.adapters.sql.storage import SqlStorage

MIGRATIONS = Path(__file__).parent / "migrations"
_applied = Table("alembic_version", MetaData(), Column("version_num", String(32)))


class SqlSchema:
    def __init__(self, storage: SqlStorage) -> None:
        self._storage = storage

    async def is_current(self) -> bool:
        async with self._storage.connection() as connection:
            return await connection.run_sync(_is_current)

    async def upgrade(self) -> None:
        if await self.is_current():
            return
        async with self._storage.transaction() as connection:
            await connection.run_sync(self._upgrade)

    def _upgrade(self, connection: Connection) -> None:
        from alembic import command
        from alembic.config import Config

        self._storage.dialect.lock_schema(connection)
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _is_current(connection: Connection) -> bool:
    if not inspect(connection).has_table(_applied.name):
        return False
    return connection.execute(select(_applied.c.version_num)).scalars().all() == [REVISION]
