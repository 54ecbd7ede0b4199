"""Counting in the service's own database. What `domain/throttling.py` says in Python is said here in SQL, so
that one conditional UPDATE decides, whoever else is counting.

The columns are set in an order in which none is read after it was set: MariaDB assigns from left to right.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Update, and_, bindparam, case, delete, or_, select, update

from identity.adapters.sql.connection import SqlConnection
from identity.adapters.sql.schema import rate_limits
from identity.adapters.sql.storage import SqlStorage
from identity.adapters.sql.types import Instant
from identity.domain.errors import Conflict, Throttled
from identity.domain.secrets import Digest
from identity.domain.throttling import (
    DOUBLINGS,
    FAVOURED_FOR,
    RESERVED_FOR,
    Allowance,
    Bucket,
    Reservation,
    Window,
)

_c = rate_limits.c
_NOW: ColumnElement[datetime] = bindparam("now", type_=Instant)
_FAILURES = case((_c.ends_at > _NOW, _c.failures), else_=0)
_RESERVED = case((_c.reserved_until > _NOW, _c.reserved), else_=0)
_ONE_RESERVED_LESS = case((_c.reserved > 0, _c.reserved - 1), else_=0)
_IS_FAVOURED = _c.ends_at > _NOW
_THIS = update(rate_limits).where(_c.digest == bindparam("this"))

_RESERVE = _THIS.where(
    or_(bindparam("free") > _FAILURES + _RESERVED, and_(_RESERVED == 0, _c.blocked_until <= _NOW))
).ordered_values((_c.reserved, _RESERVED + 1), (_c.reserved_until, bindparam("reserved_for", type_=Instant)))
_RESERVE_FAVOURED = _RESERVE.where(_IS_FAVOURED)
_FAVOURED = select(_c.digest).where(_c.digest == bindparam("this"), _IS_FAVOURED)
_BLOCKED_UNTIL = select(_c.blocked_until).where(
    _c.digest == bindparam("this"), bindparam("free") <= _FAILURES, _c.blocked_until > _NOW
)
_RELEASE = _THIS.values(reserved=_ONE_RESERVED_LESS)
_FORGIVE = _THIS.values(failures=0, blocked_until=_NOW)
_EMPTY = _FORGIVE.values(ends_at=bindparam("until", type_=Instant))
_EMPTY_AND_RELEASE = _EMPTY.values(reserved=_ONE_RESERVED_LESS)
_IS_OVER = and_(_c.ends_at < bindparam("before"), _c.reserved_until < bindparam("before"))
_OVER = select(_c.digest).where(_IS_OVER).limit(bindparam("most"))
_DELETE = delete(rate_limits).where(_c.digest.in_(bindparam("these", expanding=True)), _IS_OVER)


def _failing(*, keeps_its_end: bool) -> Update:
    ends_at: ColumnElement[datetime] = bindparam("ends_at", type_=Instant)
    if keeps_its_end:
        ends_at = case((_c.ends_at > _NOW, _c.ends_at), else_=ends_at)
    failures = _FAILURES + 1
    last_wait = bindparam(f"wait_{DOUBLINGS}", type_=Instant)
    waits = {beyond: bindparam(f"wait_{beyond}", type_=Instant) for beyond in range(DOUBLINGS)}
    blocked_until = case(
        (failures >= bindparam("stop"), ends_at),
        (failures < bindparam("free"), _NOW),
        else_=case(waits, value=failures - bindparam("free"), else_=last_wait),
    )
    return _THIS.ordered_values(
        (_c.blocked_until, blocked_until),
        (_c.failures, failures),
        (_c.ends_at, ends_at),
        (_c.reserved, case((bindparam("was_reserved"), _ONE_RESERVED_LESS), else_=_c.reserved)),
    )


_FAIL = {True: _failing(keeps_its_end=True), False: _failing(keeps_its_end=False)}
_MAY_FAIL = or_(bindparam("free") > _FAILURES, _c.blocked_until <= _NOW)
_COUNT = {keeps: statement.where(_MAY_FAIL) for keeps, statement in _FAIL.items()}


class SqlRateLimiter:
    def __init__(self, storage: SqlStorage) -> None:
        self._storage = storage

    def recall(self, *buckets: Bucket, at: datetime) -> None:
        """Nothing is known without asking."""

    async def reserve(self, *buckets: Bucket, at: datetime) -> tuple[Reservation, ...] | None:
        try:
            async with self._storage.transaction() as connection:
                return tuple([await self._reserve(connection, bucket, at) for bucket in buckets])
        except _Crowded:
            return None

    async def fail(self, *reservations: Reservation, at: datetime) -> None:
        async with self._storage.transaction() as connection:
            for each in reservations:
                for _ in range(2):
                    if await _count(
                        connection, _FAIL, each.key, each.bucket.allowance, at, was_reserved=True
                    ):
                        break
                    await self._add(connection, each.key, at)

    async def succeed(self, *reservations: Reservation, at: datetime) -> None:
        async with self._storage.transaction() as connection:
            for each in reservations:
                favoured = each.bucket.favoured
                if favoured is None:
                    await connection.execute(_RELEASE, {"this": each.key})
                    continue
                # In the order of reserving, as two that lock in different orders wait for each other.
                await self._favour(connection, favoured, at, is_reserved=each.key == favoured)
                empty = _EMPTY if each.key == favoured else _EMPTY_AND_RELEASE
                await connection.execute(empty, {"this": each.bucket.key, "now": at, "until": at})

    async def count(self, bucket: Bucket, *, at: datetime) -> None:
        async with self._storage.transaction() as connection:
            for _ in range(2):
                if await _count(connection, _COUNT, bucket.key, bucket.allowance, at, was_reserved=False):
                    return
                wait = await _wait(connection, bucket.key, bucket.allowance, at)
                if wait is not None:
                    raise Throttled(wait, key=bucket.key)
                await self._add(connection, bucket.key, at)
            raise Conflict("somebody else counted meanwhile")

    async def empty(self, bucket: Bucket, *, at: datetime) -> None:
        async with self._storage.transaction() as connection:
            if bucket.favoured is not None:
                await connection.execute(_FORGIVE, {"this": bucket.favoured, "now": at})
            await connection.execute(_EMPTY, {"this": bucket.key, "now": at, "until": at})

    async def purge(self, *, ended_before: datetime, limit: int) -> int:
        async with self._storage.transaction() as connection:
            over = await connection.execute(_OVER, {"before": ended_before, "most": limit})
            these = over.scalars().all()
            if not these:
                return 0
            return (await connection.execute(_DELETE, {"these": these, "before": ended_before})).rowcount

    async def _reserve(self, connection: SqlConnection, bucket: Bucket, at: datetime) -> Reservation:
        how = {"now": at, "free": bucket.allowance.free, "reserved_for": at + RESERVED_FOR}
        if bucket.favoured is not None:
            favoured = {"this": bucket.favoured}
            if (await connection.execute(_RESERVE_FAVOURED, how | favoured)).rowcount:
                return Reservation(bucket=bucket, key=bucket.favoured)
            if (await connection.execute(_FAVOURED, favoured | {"now": at})).first() is not None:
                raise await _refusal(connection, bucket.favoured, bucket.allowance, at)
        for _ in range(2):
            if (await connection.execute(_RESERVE, how | {"this": bucket.key})).rowcount:
                return Reservation(bucket=bucket, key=bucket.key)
            wait = await _wait(connection, bucket.key, bucket.allowance, at)
            if wait is not None:
                raise Throttled(wait, key=bucket.key)
            await self._add(connection, bucket.key, at)
        raise await _refusal(connection, bucket.key, bucket.allowance, at)

    async def _favour(
        self, connection: SqlConnection, key: Digest, at: datetime, *, is_reserved: bool
    ) -> None:
        empty = _EMPTY_AND_RELEASE if is_reserved else _EMPTY
        until = at + FAVOURED_FOR
        if not (await connection.execute(empty, {"this": key, "now": at, "until": until})).rowcount:
            await self._add(connection, key, at, until=until)

    async def _add(
        self, connection: SqlConnection, key: Digest, at: datetime, *, until: datetime | None = None
    ) -> None:
        """Nothing is counted under the key yet. Does nothing where there is a row."""
        row = {
            "digest": key,
            "failures": 0,
            "reserved": 0,
            "reserved_until": at,
            "blocked_until": at,
            "ends_at": until or at,
        }
        await connection.execute(self._storage.dialect.insert_unless_taken(rate_limits, _c.digest), row)


class _Crowded(Exception):
    """Reservations stand in the way. Raised to take back what was reserved in other buckets."""


async def _count(
    connection: SqlConnection,
    statements: Mapping[bool, Update],
    key: Digest,
    allowance: Allowance,
    at: datetime,
    *,
    was_reserved: bool,
) -> bool:
    waits = {f"wait_{beyond}": at + allowance.wait(beyond) for beyond in range(DOUBLINGS + 1)}
    how: dict[str, Any] = {
        "this": key,
        "now": at,
        "free": allowance.free,
        "stop": allowance.stop,
        "ends_at": at + allowance.length,
        "was_reserved": was_reserved,
    }
    statement = statements[isinstance(allowance, Window)]
    return (await connection.execute(statement, how | waits)).rowcount == 1


async def _refusal(connection: SqlConnection, key: Digest, allowance: Allowance, at: datetime) -> Exception:
    wait = await _wait(connection, key, allowance, at)
    return _Crowded() if wait is None else Throttled(wait, key=key)


async def _wait(
    connection: SqlConnection, key: Digest, allowance: Allowance, at: datetime
) -> timedelta | None:
    how = {"this": key, "free": allowance.free, "now": at}
    blocked_until = (await connection.execute(_BLOCKED_UNTIL, how)).scalar_one_or_none()
    return None if blocked_until is None else blocked_until - at
