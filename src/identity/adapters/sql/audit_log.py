"""What happened."""

from __future__ import annotations

import functools
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, bindparam, insert, null, select, update

from identity.adapters.sql.connection import Row, SqlConnection
from identity.adapters.sql.schema import audit_events
from identity.domain.audit_seal import client_digest
from identity.domain.events import OWNER, Actor, Event, NumberedEvent, Role, event_named
from identity.domain.session import Client

SALT_LENGTH = 32  # octets, as many as the digest has
_NO_ACCOUNT = 0  # ids begin at 1
_APPEND = insert(audit_events).inline()
_OF_USER = (
    select(audit_events)
    .where(audit_events.c.user_id == bindparam("account"))
    .order_by(audit_events.c.at.desc(), audit_events.c.id.desc())
    .limit(bindparam("most"))
)
_FILTERS = {
    "account": audit_events.c.user_id == bindparam("account"),
    "kind_wanted": audit_events.c.kind == bindparam("kind_wanted"),
    "since": audit_events.c.at >= bindparam("since"),
    "until": audit_events.c.at < bindparam("until"),
    "before": audit_events.c.id < bindparam("before"),
}
_FORGET_CLIENTS = (
    update(audit_events)
    .where(audit_events.c.user_id == bindparam("account"))
    .values(client_address=bindparam("nowhere"), client_user_agent=bindparam("nothing"), client_salt=null())
)


@dataclass(frozen=True, slots=True)
class SqlAuditLog:
    connection: SqlConnection

    async def append(self, event: Event) -> None:
        await self.connection.execute(_APPEND, _to_row(event))

    async def of_user(self, user_id: int, *, limit: int) -> tuple[Event, ...]:
        rows = await self.connection.execute(_OF_USER, {"account": user_id, "most": limit})
        return tuple(event_from_row(row) for row in rows.mappings())

    async def find(
        self,
        *,
        user_id: int | None = None,
        kind: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        before: int | None = None,
        limit: int,
    ) -> tuple[NumberedEvent, ...]:
        given = {
            "account": user_id,
            "kind_wanted": kind,
            "since": since,
            "until": until,
            "before": before,
        }
        wanted = {name: value for name, value in given.items() if value is not None}
        rows = await self.connection.execute(_find(*wanted), {**wanted, "most": limit})
        return tuple(
            NumberedEvent(id=row[audit_events.c.id], event=event_from_row(row)) for row in rows.mappings()
        )

    async def forget_clients(self, user_id: int) -> None:
        cleared = {"account": user_id, "nowhere": "", "nothing": ""}
        await self.connection.execute(_FORGET_CLIENTS, cleared)


@functools.cache  # each combination is one statement, made once
def _find(*filters: str) -> Select[Any]:
    return (
        select(audit_events)
        .where(*(_FILTERS[name] for name in filters))
        .order_by(audit_events.c.id.desc())
        .limit(bindparam("most"))
    )


def event_from_row(row: Row) -> Event:
    return event_named(row[audit_events.c.kind])(
        at=row[audit_events.c.at],
        user_id=row[audit_events.c.user_id] or None,
        actor=_actor(row[audit_events.c.actor], row[audit_events.c.actor_id]),
        session_id=row[audit_events.c.session_id],
        client=Client(
            address=row[audit_events.c.client_address],
            user_agent=row[audit_events.c.client_user_agent],
            request_id=row[audit_events.c.request_id],
        ),
        subject=row[audit_events.c.subject],
    )


def _actor(role: str, user_id: int | None) -> Actor:
    """Older versions noted none, and had hardly any events but the owner's."""
    return Actor(role=Role(role), user_id=user_id) if role else OWNER


def _to_row(event: Event) -> dict[str, Any]:
    salt = secrets.token_bytes(SALT_LENGTH)
    return {
        "at": event.at,
        "kind": event.kind,
        "user_id": event.user_id or _NO_ACCOUNT,
        "session_id": event.session_id,
        "actor": event.actor.role.value,
        "actor_id": event.actor.user_id,
        "request_id": event.client.request_id,
        "subject": event.subject,
        "client_address": event.client.address,
        "client_user_agent": event.client.user_agent,
        "client_salt": salt,
        "client_digest": client_digest(event.client, salt),
    }
