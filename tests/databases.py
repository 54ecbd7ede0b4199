"""Databases for tests: SQLite in a file, PostgreSQL and MariaDB on the servers that the environment names."""

from __future__ import annotations

import asyncio
import os
import shutil
import uuid
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from identity.adapters.sql.migration import SqlSchema
from identity.adapters.sql.schema import metadata
from identity.adapters.sql.storage import SqlStorage

KINDS = ("sqlite", "postgresql", "mariadb")
SERVERS = {"postgresql": "TEST_POSTGRESQL_URL", "mariadb": "TEST_MARIADB_URL"}
"""The variable with the URL of a server, whose user may create databases."""
_DRIVERS = {"postgresql": "postgresql+asyncpg", "mariadb": "mariadb+asyncmy"}


def server_url(kind: str) -> str:
    """Skips the test when the environment names no server of this kind; where `CI` is set, fails it."""
    url = os.environ.get(SERVERS[kind])
    if not url:
        message = f"{SERVERS[kind]} is not set"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    return url


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """Its result, from a thread with an event loop of its own: the caller's may be running."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


class Databases:
    """Makes databases, and drops them when it is closed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = ExitStack()
        self._migrated: dict[str, str] = {}

    def close(self) -> None:
        self._stack.close()

    def new(self, kind: str) -> str:
        """The URL of a database without any table."""
        name = f"identity_test_{uuid.uuid4().hex}"
        if kind == "sqlite":
            return f"sqlite:///{self._folder / name}.db"
        url = server_url(kind)
        execute(kind, url, f"CREATE DATABASE {name}")
        force = " WITH (FORCE)" if kind == "postgresql" else ""
        self._stack.callback(execute, kind, url, f"DROP DATABASE {name}{force}")
        return make_url(url).set(database=name).render_as_string(hide_password=False)

    def migrated(self, kind: str) -> str:
        """The URL of a database with all tables and not a row. On a server it is the same one each time."""
        if kind not in self._migrated:
            self._migrated[kind] = self.new(kind)
            run(_migrate(self._migrated[kind]))
        elif kind != "sqlite":
            run(_empty(kind, self._migrated[kind]))
        if kind != "sqlite":
            return self._migrated[kind]
        template = self._migrated[kind].removeprefix("sqlite:///")
        return f"sqlite:///{shutil.copy(template, self._folder / f'{uuid.uuid4().hex}.db')}"


def execute(kind: str, url: str, *statements: str) -> list[tuple[Any, ...]]:
    """Runs the statements one by one, each committed; the rows of the last."""
    return run(_execute(kind, url, statements))


async def _execute(kind: str, url: str, statements: tuple[str, ...]) -> list[tuple[Any, ...]]:
    engine = create_async_engine(make_url(url).set(drivername=_DRIVERS[kind]), isolation_level="AUTOCOMMIT")
    try:
        async with engine.connect() as connection:
            for statement in statements:
                result = await connection.execute(text(statement))
            return [tuple(row) for row in result] if result.returns_rows else []
    finally:
        await engine.dispose()


async def _migrate(url: str) -> None:
    storage = SqlStorage(url)
    try:
        await SqlSchema(storage).upgrade()
    finally:
        await storage.dispose()


async def _empty(kind: str, url: str) -> None:
    tables = [f"DELETE FROM {table.name}" for table in reversed(metadata.sorted_tables)]  # noqa: S608
    await _execute(kind, url, tuple(tables))
