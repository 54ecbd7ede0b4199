"""What happened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, insert, select, update

from identity.adapters.sql.connection import Row, SqlConnection
from identity.adapters.sql.schema import audit_events
from identity.domain.events import Event, event_named
from identity.domain.session import Client

_APPEND = insert(audit_events).inline()
_OF_USER = (
    select(audit_events)
    .where(audit_events.c.user_id == bindparam("account"))
    .order_by(audit_events.c.at.desc(), audit_events.c.id.desc())
    .limit(bindparam("most"))
)
_FORGET_CLIENTS = (
    update(audit_events)
    .where(audit_events.c.user_id == bindparam("account"))
    .values(client_address=bindparam("nowhere"), client_user_agent=bindparam("nothing"))
)


@dataclass(frozen=True, slots=True)
class SqlAuditLog:
    connection: SqlConnection

    async def append(self, event: Event) -> None:
        await self.connection.execute(_APPEND, _to_row(event))

    async def of_user(self, user_id: int, *, limit: int) -> tuple[Event, ...]:
        rows = await self.connection.execute(_OF_USER, {"account": user_id, "most": limit})
        return tuple(_from_row(row) for row in rows.mappings())

    async def forget_clients(self, user_id: int) -> None:
        cleared = {"account": user_id, "nowhere": "", "nothing": ""}
        await self.connection.execute(_FORGET_CLIENTS, cleared)


def _from_row(row: Row) -> Event:
    return event_named(row[audit_events.c.kind])(
        at=row[audit_events.c.at],
        user_id=row[audit_events.c.user_id],
        session_id=row[audit_events.c.session_id],
        client=Client(
            address=row[audit_events.c.client_address], user_agent=row[audit_events.c.client_user_agent]
        ),
    )


def _to_row(event: Event) -> dict[str, Any]:
    return {
        "at": event.at,
        "kind": event.kind,
        "user_id": event.user_id,
        "session_id": event.session_id,
        "client_address": event.client.address,
        "client_user_agent": event.client.user_agent,
    }
