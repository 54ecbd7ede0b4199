"""Everything from one database into another, which may be of another kind: all of it or nothing.

Rows go through the column types of `schema.py`, so each database keeps them in its own form.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Table,
    and_,
    func,
    insert,
    inspect,
    literal,
    or_,
    select,
)
from sqlalchemy.exc import StatementError
from sqlalchemy.ext.asyncio import AsyncConnection

from identity.adapters.sql.dialects import DIALECTS, Dialect
from identity.adapters.sql.migration import SqlSchema, applied_revision
from identity.adapters.sql.schema import REVISION, metadata
from identity.adapters.sql.storage import SqlStorage
from identity.application.copying import CopiedTable, CopyProgress, CopyRefused
from identity.application.ports import SchemaTooNew
from identity.domain.errors import Unavailable

BATCH = 1_000  # rows
_SQLITE = "sqlite:///"

Tell = Callable[[CopyProgress], None]
_Rows = Sequence[Row[Any]]


class SqlCopier:
    """Of the database behind `source`, whose URL is `url`."""

    def __init__(self, source: SqlStorage, url: str) -> None:
        self._source = source
        self._url = url

    async def __call__(self, url: str, *, tell: Tell) -> tuple[CopiedTable, ...]:
        """Brings the database at `url` to this version's schema, and everything into it.

        What is read is one state of the source. The target gets it in one transaction, which ends only after
        its rows were read again and are the same. Numbers go on after the last one that the source gave out.

        Raises:
            CopyRefused: the source has another schema, the target is the same database or has rows, a row
                does not fit there, or is not the same. The target has no rows of it.
            Unavailable: one of the two cannot do its work.
        """
        _refuse_missing(self._url)
        if _place(url) == _place(self._url):
            raise CopyRefused("the target is the database that is to be copied")
        try:
            target = SqlStorage(url)
        except ValueError as error:
            raise CopyRefused(f"the target's URL: {error}") from None
        try:
            with _named("the source", self._source):
                async with self._source.snapshot() as source:
                    numbers = await source.run_sync(_last_numbers, self._source.dialect)
                    with _named("the target", target):
                        await _prepare(target, numbers)
                        async with target.migration() as connection:
                            await connection.run_sync(target.dialect.take_time)
                            await connection.run_sync(_refuse_rows)
                            return await self._copy(source, target, connection, tell)
        finally:
            await target.dispose()

    async def _copy(
        self, source: AsyncConnection, target: SqlStorage, connection: AsyncConnection, tell: Tell
    ) -> tuple[CopiedTable, ...]:
        copied = []
        for table in metadata.sorted_tables:
            with _named("the source", self._source):
                tally = _Tally(table, await _count(source, table), tell, is_comparing=False)
            reading = _batches(source, table)
            while True:
                with _named("the source", self._source):
                    rows = await anext(reading, None)
                if rows is None:
                    break
                await _put(target, connection, table, rows)
                tally.add(rows)
            if tally.rows != tally.total:
                raise CopyRefused(f"{table.name}: only {tally.rows} of {tally.total} rows could be read")
            copied.append(tally.result())
        for table, expected in zip(metadata.sorted_tables, copied, strict=True):
            tally = _Tally(table, await _count(connection, table), tell, is_comparing=True)
            async for rows in _batches(connection, table):
                tally.add(rows)
            if tally.total != expected.rows or tally.result() != expected:
                raise CopyRefused(f"{table.name}: the target has not what was copied, and keeps none of it")
        return tuple(copied)


class _Tally:
    """Counts rows, and sums them up so that any difference shows."""

    def __init__(self, table: Table, total: int, tell: Tell, *, is_comparing: bool) -> None:
        self.rows, self.total = 0, total
        self._name, self._tell, self._is_comparing = table.name, tell, is_comparing
        self._hash = hashlib.sha256()
        self._report()

    def add(self, rows: _Rows) -> None:
        for row in rows:
            # Numbers, text, octets, moments in UTC and None: of these no two have the same repr.
            self._hash.update(f"{tuple(row)!r}\n".encode())
        self.rows += len(rows)
        self._report()

    def result(self) -> CopiedTable:
        return CopiedTable(name=self._name, rows=self.rows, sha256=self._hash.digest())

    def _report(self) -> None:
        self._tell(
            CopyProgress(table=self._name, rows=self.rows, total=self.total, is_comparing=self._is_comparing)
        )


class _Named(Unavailable):
    """Whose words say which of the two databases it is."""


@contextmanager
def _named(name: str, storage: SqlStorage) -> Iterator[None]:
    try:
        yield
    except _Named:
        raise
    except Exception as error:
        fault = error if isinstance(error, Unavailable) else storage.fault(error)
        if fault is None:
            raise
        raise _Named(f"{name}: {fault}") from error


def _refuse_missing(url: str) -> None:
    """SQLite would make the file, and there would be nothing to copy."""
    path = _path(url)
    if path is not None and not os.path.exists(path):
        raise CopyRefused(f"there is no database to copy: {path} is missing")


async def _prepare(target: SqlStorage, numbers: Mapping[Table, int]) -> None:
    """All that comes before the transaction: on MariaDB none of it can be taken back."""
    async with target.connection() as connection:
        await connection.run_sync(_refuse_rows)
    try:
        await SqlSchema(target).upgrade()
    except SchemaTooNew as error:
        raise CopyRefused(f"the target was migrated by a newer version of identity: {error}") from None
    except StatementError as error:  # as where another program has a table of the same name
        if target.fault(error) is not None:
            raise
        raise CopyRefused(f"the target cannot be migrated: {_one_line(error.orig)}") from error
    async with target.migration() as connection:
        await connection.run_sync(_require_schema, "the target's schema")
        for table, number in numbers.items():
            if number:
                await connection.run_sync(target.dialect.go_on_after, table, number)


def _last_numbers(connection: Connection, dialect: Dialect) -> dict[Table, int]:
    _require_schema(connection, "the schema of the database that is to be copied")
    numbers = {}
    for table in metadata.sorted_tables:
        column = table.autoincrement_column
        if column is not None:
            greatest = connection.execute(select(func.max(column))).scalar_one() or 0
            numbers[table] = max(greatest, dialect.last_number(connection, table))
    return numbers


def _require_schema(connection: Connection, what: str) -> None:
    applied = applied_revision(connection)
    if applied != REVISION:
        raise CopyRefused(
            f"{what} is {applied or 'missing'}, and that of this version {REVISION}: "
            "run `identity migrate`, by the same version"
        )


def _refuse_rows(connection: Connection) -> None:
    present = set(inspect(connection).get_table_names())
    for table in metadata.sorted_tables:
        if table.name in present and connection.scalar(select(literal(1)).select_from(table).limit(1)):
            raise CopyRefused(f"the target is not empty: it has rows in {table.name}")


async def _count(connection: AsyncConnection, table: Table) -> int:
    count: int = (await connection.execute(select(func.count()).select_from(table))).scalar_one()
    return count


async def _batches(connection: AsyncConnection, table: Table) -> AsyncIterator[_Rows]:
    """All rows in the order of the primary key, which all databases sort alike: by numbers or octets."""
    key = list(table.primary_key.columns)
    batch = select(table).order_by(*key).limit(BATCH)
    statement = batch
    while True:
        try:
            rows = (await connection.execute(statement)).all()
        except ValueError as error:
            raise CopyRefused(f"{table.name}: a row cannot be read: {_one_line(error)}") from error
        if rows:
            yield rows
        if len(rows) < BATCH:
            return
        statement = batch.where(_after(key, [rows[-1]._mapping[column] for column in key]))


def _after(key: Sequence[ColumnElement[Any]], values: Sequence[Any]) -> ColumnElement[bool]:
    """In the one form in which an index serves it on every database."""
    column, value = key[0], values[0]
    greater: ColumnElement[bool] = column > value
    if len(key) == 1:
        return greater
    return and_(column >= value, or_(greater, _after(key[1:], values[1:])))


async def _put(target: SqlStorage, connection: AsyncConnection, table: Table, rows: _Rows) -> None:
    try:
        await insert_rows(connection, table, [dict(row._mapping) for row in rows])
    except StatementError as error:
        if target.fault(error) is not None:
            raise
        raise CopyRefused(
            f"{table.name}: a row does not fit into the target: {_one_line(error.orig)}"
        ) from error


async def insert_rows(connection: AsyncConnection, table: Table, rows: list[dict[str, Any]]) -> None:
    await connection.execute(insert(table), rows)


def _one_line(error: object) -> str:
    first = str(error).partition("\n")[0]
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in first)


def _path(url: str) -> str | None:
    """Of a SQLite database, in the form that a link to it has too."""
    return os.path.realpath(url.removeprefix(_SQLITE)) if url.startswith(_SQLITE) else None


def _place(url: str) -> object:
    """Alike for two URLs of one database. Where it is not, as by another name of its host, rows tell."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return _path(url) or (DIALECTS.get(parts.scheme), host, parts.path, parts.query)
