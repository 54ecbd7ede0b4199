"""Statements handed to asyncpg itself: compiled once by SQLAlchemy, prepared once by the driver.

SQLAlchemy's execution costs the processor several times what the driver needs for one row by its key. The
pool stays SQLAlchemy's.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import BindParameter, ColumnElement, Dialect, Executable
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.exc import DBAPIError, IntegrityError, InvalidRequestError, NoResultFound
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import Pool, PoolProxiedConnection, QueuePool
from sqlalchemy.sql.compiler import SQLCompiler

from identity.adapters.sql.connection import SqlConnection
from identity.domain.errors import Conflict

_DIALECT: Dialect = PGDialect_asyncpg()  # type: ignore[no-untyped-call]
_turns: WeakKeyDictionary[AsyncEngine, asyncio.Semaphore] = WeakKeyDictionary()
_MOST_COMPILED = 500  # all there are; each is made once, at the top of its module
_VIOLATION = "23"  # the class of integrity constraint violations

_Process = Callable[[Any], Any]
_Columns = tuple[ColumnElement[Any], ...]


@asynccontextmanager
async def asyncpg_connection(engine: AsyncEngine) -> AsyncIterator[SqlConnection]:
    """A connection of the engine's pool, in the order of asking.

    In the pool itself, who comes later may be first, and each who waits costs a task. One generator for all
    of it: each is a twentieth of what a read costs.
    """
    turns = await _turn(engine)
    try:
        connection = await _pooled(engine)
        try:
            yield connection
        except Exception:
            raise
        except BaseException:  # cancelled, and maybe in the midst of a statement
            await connection.invalidate()
            raise
        finally:
            connection.release()
    finally:
        turns.release()


async def _turn(engine: AsyncEngine) -> asyncio.Semaphore:
    """What to release when the turn is over."""
    turns = _turns.get(engine)
    pool = engine.pool
    assert isinstance(pool, QueuePool)  # noqa: S101 - whose size is known
    if turns is None:
        turns = _turns[engine] = asyncio.Semaphore(pool.size())
    if turns.locked():
        async with asyncio.timeout(pool.timeout()):
            await turns.acquire()
    else:
        await turns.acquire()
    return turns


async def _pooled(engine: AsyncEngine) -> AsyncpgConnection:
    try:
        return AsyncpgConnection(await engine.raw_connection(), engine.pool)
    except engine.dialect.loaded_dbapi.Error as error:  # which an AsyncConnection would have wrapped
        raise ConnectionError(str(error)) from error


class AsyncpgConnection:
    def __init__(self, pooled: PoolProxiedConnection, pool: Pool) -> None:
        self._pooled = pooled
        self._pool = pool
        self._driver: Any = pooled.driver_connection
        self._is_over = False

    async def execute(self, statement: Executable, parameters: Mapping[str, Any] | None = None, /) -> _Result:
        """Raises `DBAPIError`, as SQLAlchemy would."""
        if self._is_over:
            raise InvalidRequestError("the transaction is over")
        compiled = _compiled(statement, frozenset(parameters or ()))
        sql, arguments = compiled.bound(parameters or {})
        if not compiled.columns:
            tag: str = await self._run(self._driver.execute, sql, *arguments)
            return _Result([], (), rowcount=_rowcount(tag))
        records = await self._run(self._driver.fetch, sql, *arguments)
        return _Result(records, compiled.columns, rowcount=len(records))

    async def rollback(self) -> None:
        self._is_over = True
        await self.command("ROLLBACK")

    async def command(self, sql: str) -> str:
        tag: str = await self._run(self._driver.execute, sql)
        return tag

    async def begin_nested(self) -> _Attempt:
        attempt = _Attempt(self)
        await attempt.begin()
        return attempt

    async def invalidate(self) -> None:
        if not self._pooled.is_valid:
            return
        if self._driver.is_closed():  # its neighbours have most likely died of the same
            self._pool._invalidate(self._pooled)
        else:
            self._pooled.invalidate()

    def release(self) -> None:
        if not self._pooled.is_valid:
            return
        if self._driver.is_in_transaction():  # which must not be the next one's
            self._pooled.invalidate()
        else:
            self._pooled.close()

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[SqlConnection]:
        await self.command("BEGIN ISOLATION LEVEL READ COMMITTED")
        try:
            yield self
        except Exception:
            if not self._is_over:
                try:
                    await self.rollback()
                except (DBAPIError, OSError):  # what is wrong with it, the first exception says
                    await self.invalidate()
            raise
        if not self._is_over:
            self._is_over = True
            if await self.command("COMMIT") != "COMMIT":  # of a transaction that has failed it is no error
                raise Conflict("the transaction had failed")

    async def _run(self, work: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return await work(*arguments)
        except Exception as error:
            if type(error).__module__.partition(".")[0] != "asyncpg":
                raise
            is_violation = (getattr(error, "sqlstate", None) or "").startswith(_VIOLATION)
            kind = IntegrityError if is_violation else DBAPIError
            raise kind(None, None, error, connection_invalidated=self._driver.is_closed()) from error


class _Attempt:
    def __init__(self, connection: AsyncpgConnection) -> None:
        self._connection = connection

    async def begin(self) -> None:
        await self._connection.command("SAVEPOINT attempt")

    async def commit(self) -> None:
        await self._connection.command("RELEASE SAVEPOINT attempt")

    async def rollback(self) -> None:
        await self._connection.command("ROLLBACK TO SAVEPOINT attempt")


def _rowcount(tag: str) -> int:
    """That in a command's tag, such as `UPDATE 3`; some have none."""
    number = tag.rpartition(" ")[2]
    return int(number) if number.isdigit() else -1


class _Compiled:
    """A statement as the driver takes it: text with `$1`, and which parameter goes where."""

    def __init__(self, statement: Any, names: frozenset[str]) -> None:
        compiled: SQLCompiler = statement.compile(dialect=_DIALECT, column_keys=sorted(names))
        self.columns: _Columns = tuple(getattr(statement, "exported_columns", ()))
        self._compiled = compiled
        self._sql = compiled.string
        self._process = {name: _writing(bind) for name, bind in compiled.binds.items()}
        self._given = {name: bind.value for name, bind in compiled.binds.items() if not bind.required}
        self._positions = [(name, self._process[name]) for name in compiled.positiontup or ()]

    def bound(self, parameters: Mapping[str, Any]) -> tuple[str, list[Any]]:
        values = {**self._given, **parameters}
        if not self._compiled.post_compile_params:
            return self._sql, [
                process(values[name]) if process else values[name] for name, process in self._positions
            ]
        expanded = self._compiled.construct_expanded_state(parameters)
        return expanded.statement, [
            process(value) if (process := self._process.get(name)) else value
            for name, value in zip(expanded.positiontup or (), expanded.positional_parameters, strict=True)
        ]


_compiled = lru_cache(_MOST_COMPILED)(_Compiled)


def _writing(bind: BindParameter[Any]) -> _Process | None:
    return bind.type.dialect_impl(_DIALECT).bind_processor(_DIALECT)


class _Rows(list[Any]):
    def all(self) -> list[Any]:
        return self

    def first(self) -> Any:
        return self[0] if self else None


class _Result:
    """Values as asyncpg answers them, which is as the types of our columns would have them."""

    def __init__(self, records: list[Any], columns: _Columns, *, rowcount: int) -> None:
        self._records = records
        self._columns = columns
        self.rowcount = rowcount

    def mappings(self) -> _Rows:
        return _Rows(dict(zip(self._columns, record, strict=True)) for record in self._records)

    def scalars(self) -> _Rows:
        return _Rows(record[0] for record in self._records)

    def first(self) -> Any:
        return self._records[0] if self._records else None

    def scalar_one(self) -> Any:
        if len(self._records) != 1:
            raise NoResultFound(f"{len(self._records)} rows where there is to be one")
        return self.scalars()[0]

    def scalar_one_or_none(self) -> Any:
        return self.scalar_one() if self._records else None
