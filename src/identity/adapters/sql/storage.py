"""Connections, transactions, and what becomes of them when the database is in trouble."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from typing import Any, TypeVar

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolExhausted
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.pool import QueuePool

from identity.adapters.sql.connection import SqlConnection
from identity.adapters.sql.dialects import DIALECTS
from identity.adapters.sql.repositories import unit_of_work
from identity.application.ports import PoolLoad, UnitOfWork
from identity.domain.errors import Conflict, Unavailable

C = TypeVar("C", bound=SqlConnection)

CONNECTIONS = 5
PATIENCE = timedelta(seconds=5)
LIMIT = timedelta(seconds=10)


class SqlStorage:
    """The database behind a URL such as `sqlite:///identity.db`. Connects when it is first used.

    Args:
        url: of a scheme in `DIALECTS`.
        connections: to a server for transactions, and as many again for single reads.
        patience: how long a statement may take, and one may wait for a lock or a connection.
        limit: how long a unit of work may take in all; a server that went silent may never say so.

    Raises:
        ValueError: the URL is not one that this service has an adapter for.
    """

    def __init__(
        self,
        url: str,
        *,
        connections: int = CONNECTIONS,
        patience: timedelta = PATIENCE,
        limit: timedelta = LIMIT,
    ) -> None:
        scheme = url.partition(":")[0]
        if scheme not in DIALECTS:
            raise ValueError(f"{scheme}: not one of {', '.join(DIALECTS)}")
        self.dialect = DIALECTS[scheme]
        self._writing, self._reading = self.dialect.engines(url, connections=connections, patience=patience)
        self._limit = limit.total_seconds()
        self._writers: set[asyncio.Task[Any] | None] = set()

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[UnitOfWork]:
        async with self.transaction() as connection:
            yield unit_of_work(connection, self.dialect)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[UnitOfWork]:
        self._refuse_nesting()
        async with self._in_time(self.dialect.connection(self._reading), limit=self._limit) as connection:
            yield unit_of_work(connection, self.dialect)

    async def dispose(self) -> None:
        await self._writing.dispose()
        await self._reading.dispose()

    def pools(self) -> tuple[PoolLoad, ...]:
        """How busy the connections are at this moment."""
        return (_load("write", self._writing), _load("read", self._reading))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[SqlConnection]:
        connecting = self.dialect.connection(self._writing)
        async with (
            self._alone(),
            self._in_time(connecting, limit=self._limit) as connection,
            connection.begin(),
        ):
            yield connection

    @asynccontextmanager
    async def migration(self) -> AsyncIterator[AsyncConnection]:
        """A transaction on a connection of SQLAlchemy's own, which may take its time."""
        connecting = self._writing.connect()
        async with self._alone(), self._in_time(connecting, limit=None) as connection, connection.begin():
            yield connection

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection]:
        """One of SQLAlchemy's own, for single reads; it is never in a transaction."""
        self._refuse_nesting()
        async with self._in_time(self._reading.connect(), limit=self._limit) as connection:
            yield connection

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncConnection]:
        """One state of the database, to be read for as long as that takes, by SQLAlchemy's own means."""
        async with self._in_time(self._reading.connect(), limit=None) as connection:
            try:
                await connection.run_sync(self.dialect.begin_snapshot)
                yield connection
            finally:
                await connection.invalidate()  # with the transaction, and what was set for it

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        self._refuse_nesting()
        task = asyncio.current_task()
        self._writers.add(task)
        try:
            yield
        finally:
            self._writers.discard(task)

    def _refuse_nesting(self) -> None:
        if self._writers and asyncio.current_task() in self._writers:
            raise RuntimeError("a unit of work inside a unit of work")

    @asynccontextmanager
    async def _in_time(
        self, connecting: AbstractAsyncContextManager[C], *, limit: float | None
    ) -> AsyncIterator[C]:
        """The connection, whose every trouble is `Unavailable`."""
        try:
            async with asyncio.timeout(limit) as deadline, connecting as connection:
                if deadline.expired():  # before 3.12 asyncio.wait_for may swallow that it was cancelled
                    raise TimeoutError
                try:
                    yield connection
                except Exception as error:
                    fault = self.fault(error)
                    if fault is not None and not isinstance(fault, Conflict):
                        # What was wrong may stick to the connection (a file that was opened read-only stays
                        # so), and must not outlast its cause in the pool.
                        await connection.invalidate()
                    raise
        except Exception as error:
            fault = self.fault(error)
            if fault is None:
                raise
            raise fault from error

    def fault(self, error: Exception) -> Unavailable | None:
        """The database's trouble, or `None` for any other error."""
        if isinstance(error, DBAPIError):
            lost = Unavailable("the connection to the database was lost")
            return self.dialect.fault(error) or (lost if error.connection_invalidated else None)
        if type(error).__module__.partition(".")[0] in {"asyncpg", "asyncmy"}:
            # SQLAlchemy lets through what happens while it prepares a new connection.
            return Unavailable("the connection to the database was lost while it was made")
        if isinstance(error, TimeoutError | PoolExhausted):
            return Unavailable("the database does not answer in time")
        if isinstance(error, OSError):
            return Unavailable(f"the database cannot be reached: {error}")
        return None


def _load(name: str, engine: AsyncEngine) -> PoolLoad:
    pool = engine.pool
    assert isinstance(pool, QueuePool)  # noqa: S101 - whose size is known
    return PoolLoad(name=name, size=pool.size(), in_use=pool.checkedout(), idle=pool.checkedin())
