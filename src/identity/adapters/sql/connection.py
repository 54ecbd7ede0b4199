"""What the repositories need of a connection: statements in SQLAlchemy's language, one at a time.

SQLAlchemy's own connection is one. Another is a driver's, where that is worth the while.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from sqlalchemy import Executable


class Row(Protocol):
    def __getitem__(self, column: Any, /) -> Any: ...


class Rows(Protocol):
    def all(self) -> Sequence[Any]: ...
    def first(self) -> Any: ...
    def __iter__(self) -> Any: ...


class Result(Protocol):
    @property
    def rowcount(self) -> int: ...
    def mappings(self) -> Rows: ...
    def scalars(self) -> Rows: ...
    def first(self) -> object | None: ...
    def scalar_one(self) -> Any: ...
    def scalar_one_or_none(self) -> Any: ...


class Attempt(Protocol):
    async def commit(self) -> None: ...
    async def rollback(self) -> None: ...


class SqlConnection(Protocol):
    async def execute(
        self, statement: Executable, parameters: Mapping[str, Any] | None = None, /
    ) -> Result: ...

    def begin(self) -> AbstractAsyncContextManager[Any]:
        """One transaction: commits on exit, rolls back on an exception."""

    async def rollback(self) -> None:
        """Ends the transaction; what comes after it in the same unit of work fails."""

    def begin_nested(self) -> Awaitable[Attempt]:
        """A part of the transaction that can be taken back by itself."""

    async def invalidate(self) -> None:
        """Closes the connection for good, instead of handing it to the next."""
