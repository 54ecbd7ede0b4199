"""The audit log as the seals see it: in the order of its ids, row by row.

Sealing changes rows that nobody else changes any more, but for an erasure, which waits for one batch at most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from sqlalchemy import Select, bindparam, case, delete, select, update

from identity.adapters.sql.connection import Row, SqlConnection
from identity.adapters.sql.dialects import Dialect
from identity.adapters.sql.schema import audit_events, audit_heads
from identity.adapters.sql.types import digest
from identity.domain.audit_seal import AuditEntry, Seal, SealedDay
from identity.domain.errors import Conflict

T = TypeVar("T")

AT_ONCE = 50  # rows that one statement seals
_NOBODY = 0  # ids begin at 1
_ENTRIES = (
    select(audit_events)
    .where(audit_events.c.id > bindparam("last"))
    .order_by(audit_events.c.id)
    .limit(bindparam("most"))
)
_PLACES = (
    select(audit_events.c.id, audit_events.c.seal)
    .where(audit_events.c.id > bindparam("last"))
    .order_by(audit_events.c.id)
    .limit(bindparam("most"))
)
_UNREADABLE = datetime.min.replace(tzinfo=UTC)
_SEAL = (
    update(audit_events)
    .where(audit_events.c.id.in_(bindparam("these", expanding=True)), audit_events.c.seal.is_(None))
    .values(
        seal=case(
            *(
                (audit_events.c.id == bindparam(f"id_{number}"), bindparam(f"seal_{number}", type_=digest()))
                for number in range(AT_ONCE)
            )
        )
    )
)
_DAYS = select(audit_heads).order_by(audit_heads.c.last_id, audit_heads.c.day)
_is_purged = audit_heads.c.purged_at.is_not(None).label("is_purged")
_READABLE = (*(each for each in audit_heads.c if each is not audit_heads.c.purged_at), _is_purged)
_LAST_DAY = (
    select(audit_heads)
    .order_by(audit_heads.c.last_id.desc(), audit_heads.c.day.desc())
    .limit(bindparam("most"))
)
_IS_THIS = audit_heads.c.day == bindparam("this")
_THIS_DAY = select(audit_heads).where(_IS_THIS)
_GROW = (
    update(audit_heads)
    .where(
        _IS_THIS,
        audit_heads.c.last_id == bindparam("last_before"),
        audit_heads.c.seal == bindparam("seal_before", type_=digest()),
    )
    .values(last_id=bindparam("last"), events=bindparam("count"), seal=bindparam("sealed"))
)
_MARK_PURGED = (
    update(audit_heads).where(_IS_THIS, audit_heads.c.purged_at.is_(None)).values(purged_at=bindparam("now"))
)
_OLDEST = (
    select(audit_events.c.id)
    .where(audit_events.c.id <= bindparam("last"))
    .order_by(audit_events.c.id)
    .limit(bindparam("most"))
)
_DELETE = delete(audit_events).where(audit_events.c.id.in_(bindparam("these", expanding=True)))


@dataclass(frozen=True, slots=True)
class SqlAuditSeals:
    connection: SqlConnection
    dialect: Dialect

    async def entries(self, *, after: int, limit: int) -> tuple[AuditEntry, ...]:
        try:
            return await self._read(after, limit)
        except (ValueError, TypeError):  # SQLite keeps whatever somebody writes into a column
            places = await self.connection.execute(_PLACES, {"last": after, "most": limit})
            rows = [(row[audit_events.c.id], row[audit_events.c.seal]) for row in places.mappings()]
        return tuple([await self._read_one(entry_id, seal) for entry_id, seal in rows])

    async def _read(self, after: int, limit: int) -> tuple[AuditEntry, ...]:
        rows = await self.connection.execute(_ENTRIES, {"last": after, "most": limit})
        return tuple(_entry_from_row(row) for row in rows.mappings())

    async def _read_one(self, entry_id: int, seal: object) -> AuditEntry:
        try:
            (entry,) = await self._read(entry_id - 1, 1)
        except (ValueError, TypeError):
            return AuditEntry(
                id=entry_id, at=_UNREADABLE, kind="", role="", seal=seal if isinstance(seal, bytes) else b""
            )
        return entry

    async def days(self) -> tuple[SealedDay, ...]:
        return await self._days(_DAYS)

    async def last_day(self) -> SealedDay | None:
        return next(iter(await self._days(_LAST_DAY, {"most": 1})), None)

    async def _days(
        self, statement: Select[Any], parameters: dict[str, Any] | None = None
    ) -> tuple[SealedDay, ...]:
        try:
            rows = await self.connection.execute(statement, parameters)
            return tuple(_day_from_row(row, row[audit_heads.c.purged_at]) for row in rows.mappings())
        except (ValueError, TypeError):  # as in `entries`
            readable = statement.with_only_columns(*_READABLE)
            rows = await self.connection.execute(readable, parameters)
            return tuple(
                _day_from_row(row, _UNREADABLE if row[_is_purged] else None) for row in rows.mappings()
            )

    async def seal(
        self, seals: Sequence[tuple[int, Seal]], *, day: SealedDay, before: SealedDay | None
    ) -> None:
        for start in range(0, len(seals), AT_ONCE):
            await self._seal(seals[start : start + AT_ONCE])
        if not await (self._begin(day) if before is None else self._grow(day, before)):
            raise Conflict("another process has sealed the audit log meanwhile")

    async def _seal(self, seals: Sequence[tuple[int, Seal]]) -> None:
        parameters: dict[str, Any] = {"these": [entry_id for entry_id, _ in seals]}
        padding = [(_NOBODY, Seal(bytes(32)))] * (AT_ONCE - len(seals))
        for number, (entry_id, seal) in enumerate([*seals, *padding]):
            parameters |= {f"id_{number}": entry_id, f"seal_{number}": seal}
        if (await self.connection.execute(_SEAL, parameters)).rowcount != len(seals):
            raise Conflict("another process has sealed the same events, or some are gone")

    async def _begin(self, day: SealedDay) -> bool:
        statement = self.dialect.insert_unless_taken(audit_heads, audit_heads.c.day)
        await self.connection.execute(statement, _day_to_row(day))
        return day in await self._days(_THIS_DAY, {"this": day.day})

    async def _grow(self, day: SealedDay, before: SealedDay) -> bool:
        parameters = {
            "this": day.day,
            "last_before": before.last_id,
            "seal_before": before.seal,
            "last": day.last_id,
            "count": day.events,
            "sealed": day.seal,
        }
        return (await self.connection.execute(_GROW, parameters)).rowcount == 1

    async def mark_purged(self, day: str, *, at: datetime) -> bool:
        return (await self.connection.execute(_MARK_PURGED, {"this": day, "now": at})).rowcount == 1

    async def purge(self, *, until: int, limit: int) -> int:
        oldest = await self.connection.execute(_OLDEST, {"last": until, "most": limit})
        these = list(oldest.scalars().all())
        if not these:
            return 0
        return (await self.connection.execute(_DELETE, {"these": these})).rowcount


def _entry_from_row(row: Row) -> AuditEntry:
    return AuditEntry(
        id=row[audit_events.c.id],
        at=row[audit_events.c.at],
        kind=row[audit_events.c.kind],
        user_id=row[audit_events.c.user_id] or None,
        role=row[audit_events.c.actor],
        actor_id=row[audit_events.c.actor_id],
        session_id=row[audit_events.c.session_id],
        request_id=row[audit_events.c.request_id],
        subject=row[audit_events.c.subject],
        address=row[audit_events.c.client_address],
        user_agent=row[audit_events.c.client_user_agent],
        client_salt=_octets(row[audit_events.c.client_salt]),
        client_digest=_octets(row[audit_events.c.client_digest]),
        seal=_octets(row[audit_events.c.seal]),
    )


def _octets(value: object) -> bytes | None:
    if value is not None and not isinstance(value, bytes):
        raise TypeError("not octets")
    return value


def _day_from_row(row: Row, purged_at: datetime | None) -> SealedDay:
    return SealedDay(
        day=_of_type(str, row[audit_heads.c.day]),
        last_id=_of_type(int, row[audit_heads.c.last_id]),
        events=_of_type(int, row[audit_heads.c.events]),
        key_id=_of_type(str, row[audit_heads.c.key_id]),
        seal=Seal(_of_type(bytes, row[audit_heads.c.seal])),
        purged_at=purged_at,
    )


def _of_type(kind: type[T], value: object) -> T:
    """Nothing, where it is of another: no seal covers that."""
    return value if isinstance(value, kind) else kind()


def _day_to_row(day: SealedDay) -> dict[str, Any]:
    return {
        "day": day.day,
        "last_id": day.last_id,
        "events": day.events,
        "key_id": day.key_id,
        "seal": day.seal,
        "purged_at": day.purged_at,
    }
