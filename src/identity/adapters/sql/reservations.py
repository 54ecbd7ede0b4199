"""Names that are kept for an account, or for nobody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from identity.adapters.sql.connection import SqlConnection
from identity.adapters.sql.schema import reservations
from identity.domain.errors import EmailTaken, UsernameTaken
from identity.domain.names import EmailAddress, Username

USERNAME, EMAIL = "username", "email"
_NAMES: Mapping[str, type[Username | EmailAddress]] = {USERNAME: Username, EMAIL: EmailAddress}
_IS_THIS = (reservations.c.kind == bindparam("of_kind"), reservations.c.key == bindparam("wanted"))
_IS_OWN = (*_IS_THIS, reservations.c.user_id == bindparam("account"))
_HOLDER = select(reservations.c.user_id).where(*_IS_THIS)
_OF_USER = (
    select(reservations)
    .where(reservations.c.user_id == bindparam("account"))
    .order_by(reservations.c.expires_at, reservations.c.kind, reservations.c.key)
)
_EXTEND = update(reservations).where(*_IS_OWN).values(expires_at=bindparam("until"))
_HOLD = insert(reservations)
_RELEASE = delete(reservations).where(*_IS_OWN)
_UNTIL = select(reservations.c.expires_at).where(*_IS_OWN)
_RELEASE_FROM = delete(reservations).where(
    reservations.c.kind == bindparam("of_kind"),
    reservations.c.user_id == bindparam("account"),
    reservations.c.expires_at >= bindparam("until"),
)
_ENDED = (
    select(reservations.c.kind, reservations.c.key, reservations.c.user_id)
    .where(reservations.c.expires_at < bindparam("before"))
    .limit(bindparam("most"))
)
_DELETE = delete(reservations).where(*_IS_THIS, reservations.c.expires_at < bindparam("before"))


@dataclass(slots=True)
class SqlReservations:
    connection: SqlConnection

    async def hold(self, name: Username | EmailAddress, *, user_id: int | None, until: datetime) -> None:
        own = _this(name) | {"account": user_id, "until": until}
        # Also for nobody, who has none: a registration is not to tell by its time for whom a name is held.
        if (await self.connection.execute(_EXTEND, own)).rowcount == 1:
            return
        row = {"kind": own["of_kind"], "key": name.key, "user_id": user_id, "expires_at": until}
        try:
            await self.connection.execute(_HOLD, row)
        except IntegrityError:  # of the primary key: there is no other that this row could violate
            await self.connection.rollback()  # as some databases have done: the unit of work is over
            raise UsernameTaken if isinstance(name, Username) else EmailTaken from None

    async def is_held(self, name: Username | EmailAddress, *, besides: int | None = None) -> bool:
        holder = (await self.connection.execute(_HOLDER, _this(name))).mappings().first()
        return holder is not None and (besides is None or holder[reservations.c.user_id] != besides)

    async def of_user(self, user_id: int) -> tuple[tuple[Username | EmailAddress, datetime], ...]:
        held = await self.connection.execute(_OF_USER, {"account": user_id})
        return tuple(
            (
                _NAMES[row[reservations.c.kind]](row[reservations.c.key]),
                row[reservations.c.expires_at],
            )
            for row in held.mappings()
        )

    async def release(self, name: Username | EmailAddress, *, user_id: int) -> bool:
        return (await self.connection.execute(_RELEASE, _this(name) | {"account": user_id})).rowcount == 1

    async def release_from(self, name: Username | EmailAddress, *, user_id: int) -> bool:
        own = _this(name) | {"account": user_id}
        held = (await self.connection.execute(_UNTIL, own)).mappings().first()
        if held is None:
            return False
        until = held[reservations.c.expires_at]
        later = {"of_kind": own["of_kind"], "account": user_id, "until": until}
        return (await self.connection.execute(_RELEASE_FROM, later)).rowcount > 0

    async def purge(self, *, ended_before: datetime, limit: int) -> tuple[int | None, ...]:
        ended = await self.connection.execute(_ENDED, {"before": ended_before, "most": limit})
        holders = []
        for row in ended.mappings():
            this = {"of_kind": row[reservations.c.kind], "wanted": row[reservations.c.key]}
            if (await self.connection.execute(_DELETE, this | {"before": ended_before})).rowcount == 1:
                holders.append(row[reservations.c.user_id])
        return tuple(holders)


def _this(name: Username | EmailAddress) -> dict[str, object]:
    return {"of_kind": USERNAME if isinstance(name, Username) else EMAIL, "wanted": name.key}
