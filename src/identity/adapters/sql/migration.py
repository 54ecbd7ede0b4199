"""Whether the tables are those of this version, and making them so; only the latter imports Alembic.

A revision is named NUMBER_OLDEST: its number, and that of the oldest revision whose code still works on it
(itself, for a bare NUMBER). So a release that was current before a migration goes on running beside the one
that migrated, and refuses to once its tables are gone.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Column, Connection, MetaData, String, Table, inspect, select

from identity.adapters.sql.schema import REVISION
from identity.adapters.sql.storage import SqlStorage
from identity.application.ports import SchemaTooNew
from identity.domain.errors import Unavailable

ATTEMPTS = 6  # of some seconds each, when the database is locked
MIGRATIONS = Path(__file__).parent / "migrations"
_applied = Table("alembic_version", MetaData(), Column("version_num", String(32)))


class SqlSchema:
    def __init__(self, storage: SqlStorage) -> None:
        self._storage = storage

    async def is_current(self) -> bool:
        async with self._storage.connection() as connection:
            return await connection.run_sync(_is_current)

    async def upgrade(self) -> None:
        for attempts_left in reversed(range(ATTEMPTS)):
            if await self.is_current():
                return
            upgrade = self._prepared_upgrade()
            try:
                async with self._storage.migration() as connection:
                    await connection.run_sync(upgrade)
            except Unavailable:  # another process may be migrating, or using a table that is to be changed
                if not attempts_left:
                    raise

    def _prepared_upgrade(self) -> Callable[[Connection], None]:
        """What is to be done under the lock; importing Alembic is done before."""
        from alembic import command
        from alembic.config import Config
        from alembic.util import CommandError

        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))

        def upgrade(connection: Connection) -> None:
            config.attributes["connection"] = connection
            with self._storage.dialect.schema_lock(connection):
                if _is_current(connection):  # another has migrated, and may know more than this one
                    return
                try:
                    command.upgrade(config, "head")
                except CommandError as error:  # it does not know the revision that is applied
                    raise SchemaTooNew(str(error)) from error

        return upgrade


def applied_revision(connection: Connection) -> str:
    """Empty where none is."""
    if not inspect(connection).has_table(_applied.name):
        return ""
    applied: str
    (applied,) = connection.execute(select(_applied.c.version_num)).scalars().all() or [""]
    return applied


def _is_current(connection: Connection) -> bool:
    applied = applied_revision(connection)
    (number, oldest), (ours, _) = _parts(applied), _parts(REVISION)
    if number > ours and oldest > ours:
        raise SchemaTooNew(f"its revision is {applied}, and this version knows {REVISION}")
    return number >= ours


def _parts(revision: str) -> tuple[str, str]:
    number, _, oldest = revision.partition("_")
    return number, oldest or number
