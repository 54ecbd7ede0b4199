"""Codes to log in with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, delete, insert, select, update

from identity.adapters.sql.connection import SqlConnection
from identity.adapters.sql.schema import login_codes as codes
from identity.domain.login_code import LoginCode
from identity.domain.secrets import Digest

_IS_THIS = codes.c.request == bindparam("wanted")
_IS_LIVE = (_IS_THIS, codes.c.spent_at.is_(None), codes.c.expires_at > bindparam("now"))
_ADD = insert(codes)
_FIND = select(codes).where(_IS_THIS)
_SET_DIGEST = update(codes).where(*_IS_LIVE).values(digest=bindparam("fresh"))
_COUNT_TRY = update(codes).where(*_IS_LIVE, codes.c.tries < bindparam("most")).values(tries=codes.c.tries + 1)
_SPEND = (
    update(codes).where(*_IS_LIVE, codes.c.digest == bindparam("given")).values(spent_at=bindparam("now"))
)
_EXPIRED = select(codes.c.request).where(codes.c.expires_at < bindparam("before")).limit(bindparam("most"))
_DELETE = delete(codes).where(codes.c.request.in_(bindparam("these", expanding=True)))


@dataclass(frozen=True, slots=True)
class SqlLoginCodes:
    connection: SqlConnection

    async def add(self, code: LoginCode) -> None:
        row = {
            "request": code.request,
            "email_key": code.email_key,
            "digest": code.digest,
            "tries": code.tries,
            "created_at": code.created_at,
            "expires_at": code.expires_at,
            "spent_at": code.spent_at,
        }
        await self.connection.execute(_ADD, row)

    async def find(self, request: Digest) -> LoginCode | None:
        row = (await self.connection.execute(_FIND, {"wanted": request})).mappings().first()
        if row is None:
            return None
        return LoginCode(
            request=Digest(row[codes.c.request]),
            email_key=row[codes.c.email_key],
            digest=None if row[codes.c.digest] is None else Digest(row[codes.c.digest]),
            tries=row[codes.c.tries],
            created_at=row[codes.c.created_at],
            expires_at=row[codes.c.expires_at],
            spent_at=row[codes.c.spent_at],
        )

    async def set_digest(self, request: Digest, digest: Digest, *, at: datetime) -> bool:
        this = {"wanted": request, "fresh": digest, "now": at}
        return (await self.connection.execute(_SET_DIGEST, this)).rowcount == 1

    async def count_try(self, request: Digest, *, most: int, at: datetime) -> bool:
        this = {"wanted": request, "most": most, "now": at}
        return (await self.connection.execute(_COUNT_TRY, this)).rowcount == 1

    async def spend(self, request: Digest, *, digest: Digest, at: datetime) -> bool:
        this = {"wanted": request, "given": digest, "now": at}
        return (await self.connection.execute(_SPEND, this)).rowcount == 1

    async def purge(self, *, expired_before: datetime, limit: int) -> int:
        expired = (
            await self.connection.execute(_EXPIRED, {"before": expired_before, "most": limit})
        ).scalars()
        return (await self.connection.execute(_DELETE, {"these": expired.all()})).rowcount
