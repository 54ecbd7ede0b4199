"""Connections, transactions, and what becomes of them when the database is in trouble."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolExhausted
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from identity.adapters.sql.dialects import DIALECTS
from identity.adapters.sql.repositories import unit_of_work
from identity.application.ports import UnitOfWork
from identity.domain.errors import Conflict, Unavailable

PATIENCE = timedelta(seconds=5)


class SqlStorage:
    """The database behind a URL such as `sqlite:///identity.db`. Connects when it is first used.

    Raises:
        ValueError: the URL names a database that this service has no adapter for.
    """

    def __init__(self, url: str, *, patience: timedelta = PATIENCE) -> None:
        parsed = make_url(url)
        if parsed.drivername not in DIALECTS:
            raise ValueError(f"{parsed.drivername}: not one of {', '.join(DIALECTS)}")
        self.dialect = DIALECTS[parsed.drivername]
        self._writing, self._reading = self.dialect.engines(parsed, patience=patience)
        self._writers: set[asyncio.Task[Any] | None] = set()

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[UnitOfWork]:
        async with self.transaction() as connection:
            yield unit_of_work(connection, self.dialect)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[UnitOfWork]:
        async with self.connection() as connection:
            yield unit_of_work(connection, self.dialect)

    async def dispose(self) -> None:
        await self._writing.dispose()
        await self._reading.dispose()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        task = asyncio.current_task()
        if task in self._writers:
            raise RuntimeError("a unit of work inside a unit of work")
        self._writers.add(task)
        try:
            async with self._connected(self._writing) as connection, connection.begin():
                yield connection
        finally:
            self._writers.discard(task)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection]:
        """For single reads; it is never in a transaction."""
        async with self._connected(self._reading) as connection:
            yield connection

    @asynccontextmanager
    async def _connected(self, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        try:
            async with engine.connect() as connection:
                try:
                    yield connection
                except Exception as error:
                    fault = self._fault(error)
                    if fault is not None and not isinstance(fault, Conflict):
                        # What was wrong may stick to the connection (a file that was opened read-only stays
                        # so), and must not outlast its cause in the pool.
                        await connection.invalidate()
                    raise
        except Exception as error:
            fault = self._fault(error)
            if fault is None:
                raise
            raise fault from error

    def _fault(self, error: Exception) -> Unavailable | None:
        """The database's trouble, or `None` for any other error."""
        if isinstance(error, DBAPIError):
            lost = Unavailable("the connection to the database was lost")
            return self.dialect.fault(error) or (lost if error.connection_invalidated else None)
        if isinstance(error, PoolExhausted | OSError):
            return Unavailable(f"the database cannot be reached: {error}")
        return None
