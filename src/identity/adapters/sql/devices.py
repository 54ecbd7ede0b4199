"""Where logins came from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, delete, insert, select, update

from identity.adapters.sql.connection import SqlConnection
from identity.adapters.sql.schema import devices
from identity.domain.secrets import Digest

_IS_THIS = (devices.c.user_id == bindparam("account"), devices.c.digest == bindparam("device"))
_SEEN_AT = select(devices.c.last_seen_at).where(*_IS_THIS)
_SEE_AGAIN = update(devices).where(*_IS_THIS).values(last_seen_at=bindparam("now"))
_SEE_FIRST = insert(devices)
_OF_USER_NEWEST_FIRST = (
    select(devices.c.digest)
    .where(devices.c.user_id == bindparam("account"))
    .order_by(devices.c.last_seen_at.desc(), devices.c.digest)
)
_SEEN_LATEST_FIRST = (
    select(devices.c.last_seen_at)
    .where(devices.c.user_id == bindparam("account"))
    .order_by(devices.c.last_seen_at.desc())
)
_FORGET = delete(devices).where(*_IS_THIS)
_UNSEEN = (
    select(devices.c.user_id, devices.c.digest)
    .where(devices.c.last_seen_at < bindparam("before"))
    .limit(bindparam("most"))
)
_DELETE = delete(devices).where(*_IS_THIS, devices.c.last_seen_at < bindparam("before"))


@dataclass(slots=True)
class SqlDevices:
    connection: SqlConnection

    async def see(self, user_id: int, device: Digest, *, at: datetime, since: datetime) -> bool:
        this = {"account": user_id, "device": device}
        seen_at: datetime | None = (await self.connection.execute(_SEEN_AT, this)).scalar_one_or_none()
        if seen_at is None:
            row = {"user_id": user_id, "digest": device, "last_seen_at": at}
            await self.connection.execute(_SEE_FIRST, row)
            return False
        await self.connection.execute(_SEE_AGAIN, this | {"now": max(seen_at, at)})
        return seen_at > since

    async def of_user(self, user_id: int) -> tuple[datetime, ...]:
        seen = await self.connection.execute(_SEEN_LATEST_FIRST, {"account": user_id})
        return tuple(seen.scalars().all())

    async def forget_surplus(self, user_id: int, *, keep: int) -> None:
        seen = (await self.connection.execute(_OF_USER_NEWEST_FIRST, {"account": user_id})).scalars().all()
        for device in seen[keep:]:
            await self.connection.execute(_FORGET, {"account": user_id, "device": device})

    async def purge(self, *, seen_before: datetime, limit: int) -> int:
        unseen = await self.connection.execute(_UNSEEN, {"before": seen_before, "most": limit})
        deleted = 0
        for row in unseen.mappings():
            these = {
                "account": row[devices.c.user_id],
                "device": row[devices.c.digest],
                "before": seen_before,
            }
            deleted += (await self.connection.execute(_DELETE, these)).rowcount
        return deleted
