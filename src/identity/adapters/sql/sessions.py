"""Sessions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from sqlalchemy import bindparam, delete, insert, select, update

from identity.adapters.sql.connection import Row, SqlConnection
from identity.adapters.sql.schema import sessions, users
from identity.adapters.sql.users import user_from_row
from identity.domain.session import Client, Session
from identity.domain.user import User

_c = SimpleNamespace(**sessions.c)  # whose look-ups are ten times as fast
_ALL = 2**31 - 1  # some databases know no OFFSET without a LIMIT
_ADD = insert(sessions)
_WITH_USER = (
    select(sessions, users)
    .join(users, users.c.id == sessions.c.user_id)
    .where(sessions.c.id == bindparam("session"))
)
_UNREVOKED_OF_USER = (
    select(sessions)
    .where(sessions.c.user_id == bindparam("account"), sessions.c.revoked_at.is_(None))
    .order_by(sessions.c.last_used_at.desc(), sessions.c.id)
)
_HISTORY = (
    select(sessions)
    .where(sessions.c.user_id == bindparam("account"))
    .order_by(sessions.c.created_at.desc(), sessions.c.id)
    .limit(bindparam("most"))
)
_TOUCH = (
    update(sessions)
    .where(sessions.c.id == bindparam("session"), sessions.c.last_used_at <= bindparam("unless_since"))
    .values(last_used_at=bindparam("now"))
)
_ROTATE = (
    update(sessions)
    .where(
        sessions.c.id == bindparam("session"),
        sessions.c.revoked_at.is_(None),
        sessions.c.current_jti == bindparam("current_before"),
        sessions.c.pending_jti.is_not_distinct_from(bindparam("pending_before")),
        sessions.c.previous_jti.is_not_distinct_from(bindparam("previous_before")),
    )
    .values(
        current_jti=bindparam("current_after"),
        pending_jti=bindparam("pending_after"),
        previous_jti=bindparam("previous_after"),
        pending_since=bindparam("pending_for"),
        handed_out_at=bindparam("handed_out"),
        promoted_at=bindparam("promoted"),
        last_used_at=bindparam("used"),
    )
)
_UNREVOKED = update(sessions).where(sessions.c.revoked_at.is_(None)).values(revoked_at=bindparam("now"))
_REVOKE = _UNREVOKED.where(sessions.c.id == bindparam("session"), sessions.c.expires_at > bindparam("now"))
_REVOKE_OWN = _REVOKE.where(sessions.c.user_id == bindparam("account"))
_REVOKE_ALL = _UNREVOKED.where(sessions.c.user_id == bindparam("account"))
_REVOKE_OTHERS = _REVOKE_ALL.where(sessions.c.id != bindparam("spared"))
_REVOKE_THESE = _UNREVOKED.where(sessions.c.id.in_(bindparam("these", expanding=True)))
_SURPLUS = (
    select(sessions.c.id)
    .where(
        sessions.c.user_id == bindparam("account"),
        sessions.c.revoked_at.is_(None),
        sessions.c.expires_at > bindparam("now"),
    )
    .order_by(sessions.c.created_at.desc(), sessions.c.id)
    .limit(_ALL)
    .offset(bindparam("keep"))
)
_EXPIRED = select(sessions.c.id).where(sessions.c.expires_at < bindparam("before")).limit(bindparam("most"))
_DELETE = delete(sessions).where(sessions.c.id.in_(bindparam("these", expanding=True)))


@dataclass(slots=True)
class SqlSessions:
    connection: SqlConnection

    async def add(self, session: Session) -> None:
        await self.connection.execute(_ADD, _to_row(session))

    async def get_with_user(self, session_id: str) -> tuple[Session, User] | None:
        row = (await self.connection.execute(_WITH_USER, {"session": session_id})).mappings().first()
        return None if row is None else (_from_row(row), user_from_row(row))

    async def of_user(self, user_id: int) -> tuple[Session, ...]:
        rows = await self.connection.execute(_UNREVOKED_OF_USER, {"account": user_id})
        return tuple(_from_row(row) for row in rows.mappings())

    async def history(self, user_id: int, *, limit: int) -> tuple[Session, ...]:
        rows = await self.connection.execute(_HISTORY, {"account": user_id, "most": limit})
        return tuple(_from_row(row) for row in rows.mappings())

    async def touch(self, session_id: str, *, at: datetime, unless_since: datetime) -> bool:
        this = {"session": session_id, "now": at, "unless_since": unless_since}
        return (await self.connection.execute(_TOUCH, this)).rowcount == 1

    async def rotate(self, before: Session, after: Session) -> bool:
        result = await self.connection.execute(
            _ROTATE,
            {
                "session": before.id,
                "current_before": before.current,
                "pending_before": before.pending,
                "previous_before": before.previous,
                "current_after": after.current,
                "pending_after": after.pending,
                "previous_after": after.previous,
                "pending_for": after.pending_since,
                "handed_out": after.handed_out_at,
                "promoted": after.promoted_at,
                "used": after.last_used_at,
            },
        )
        return result.rowcount == 1

    async def revoke(self, session_id: str, *, at: datetime, user_id: int | None = None) -> bool:
        this: dict[str, Any] = {"session": session_id, "now": at}
        if user_id is None:
            result = await self.connection.execute(_REVOKE, this)
        else:
            result = await self.connection.execute(_REVOKE_OWN, this | {"account": user_id})
        return result.rowcount == 1

    async def revoke_all(self, user_id: int, *, at: datetime, besides: str | None = None) -> int:
        these: dict[str, Any] = {"account": user_id, "now": at}
        if besides is None:
            result = await self.connection.execute(_REVOKE_ALL, these)
        else:
            result = await self.connection.execute(_REVOKE_OTHERS, these | {"spared": besides})
        return result.rowcount

    async def revoke_surplus(self, user_id: int, *, keep: int, at: datetime) -> None:
        of_account = {"account": user_id, "now": at, "keep": keep}
        surplus = (await self.connection.execute(_SURPLUS, of_account)).scalars().all()
        if surplus:
            await self.connection.execute(_REVOKE_THESE, {"these": surplus, "now": at})

    async def purge(self, *, expired_before: datetime, limit: int) -> int:
        expired = (
            await self.connection.execute(_EXPIRED, {"before": expired_before, "most": limit})
        ).scalars()
        return (await self.connection.execute(_DELETE, {"these": expired.all()})).rowcount


def _from_row(row: Row) -> Session:
    return Session(
        id=row[_c.id],
        user_id=row[_c.user_id],
        current=row[_c.current_jti],
        pending=row[_c.pending_jti],
        previous=row[_c.previous_jti],
        pending_since=row[_c.pending_since],
        handed_out_at=row[_c.handed_out_at],
        promoted_at=row[_c.promoted_at],
        created_at=row[_c.created_at],
        last_used_at=row[_c.last_used_at],
        expires_at=row[_c.expires_at],
        revoked_at=row[_c.revoked_at],
        client=Client(address=row[_c.client_address], user_agent=row[_c.client_user_agent]),
    )


def _to_row(session: Session) -> dict[str, Any]:
    return {
        "id": session.id,
        "user_id": session.user_id,
        "current_jti": session.current,
        "pending_jti": session.pending,
        "previous_jti": session.previous,
        "pending_since": session.pending_since,
        "handed_out_at": session.handed_out_at,
        "promoted_at": session.promoted_at,
        "created_at": session.created_at,
        "last_used_at": session.last_used_at,
        "expires_at": session.expires_at,
        "revoked_at": session.revoked_at,
        "client_address": session.client.address,
        "client_user_agent": session.client.user_agent,
    }
