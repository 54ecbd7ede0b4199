"""The repositories of one unit of work, over its connection.

What must happen once is one conditional statement, and its rowcount tells whether it happened. Statements
are made at the top of each module, so that SQLAlchemy compiles each once. New values are bound, never copied
from one column to another: MariaDB assigns from left to right.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, literal, select, update

from identity.adapters.sql.audit_log import SqlAuditLog
from identity.adapters.sql.audit_seals import SqlAuditSeals
from identity.adapters.sql.connection import Row, SqlConnection
from identity.adapters.sql.devices import SqlDevices
from identity.adapters.sql.dialects import Dialect
from identity.adapters.sql.login_codes import SqlLoginCodes
from identity.adapters.sql.one_time_tokens import SqlOneTimeTokens
from identity.adapters.sql.outbox import SqlOutbox
from identity.adapters.sql.reservations import SqlReservations
from identity.adapters.sql.schema import signing_keys
from identity.adapters.sql.sessions import SqlSessions
from identity.adapters.sql.users import SqlUsers
from identity.application.ports import UnitOfWork
from identity.domain.signing_key import SigningKey

_ALL_KEYS = select(signing_keys).order_by(signing_keys.c.created_at, signing_keys.c.kid)
_FIRST_KID = select(signing_keys.c.kid).where(signing_keys.c.is_first == 1)
_SUCCESSOR = select(signing_keys.c.kid).where(signing_keys.c.follows == bindparam("after"))
_THIS_KEY = update(signing_keys).where(signing_keys.c.kid == bindparam("key"))
_RETIRE = _THIS_KEY.where(signing_keys.c.retired_at.is_(None)).values(retired_at=bindparam("now"))
_RESEAL = _THIS_KEY.values(sealed_private_key=bindparam("sealed"))
_ANY_KEY = select(literal(1)).select_from(signing_keys).limit(1)


def unit_of_work(connection: SqlConnection, dialect: Dialect) -> UnitOfWork:
    return UnitOfWork(
        users=SqlUsers(connection, dialect),
        reservations=SqlReservations(connection),
        sessions=SqlSessions(connection),
        devices=SqlDevices(connection),
        one_time_tokens=SqlOneTimeTokens(connection),
        login_codes=SqlLoginCodes(connection),
        outbox=SqlOutbox(connection, dialect),
        audit_log=SqlAuditLog(connection),
        audit_seals=SqlAuditSeals(connection, dialect),
        signing_keys=SqlSigningKeys(connection, dialect),
    )


@dataclass(slots=True)
class SqlSigningKeys:
    connection: SqlConnection
    dialect: Dialect

    async def all(self) -> tuple[SigningKey, ...]:
        rows = (await self.connection.execute(_ALL_KEYS)).mappings()
        return tuple(_key_from_row(row) for row in rows)

    async def add_first(self, key: SigningKey) -> bool:
        if (await self.connection.execute(_ANY_KEY)).first() is not None:
            return False
        # Others may have found none too. The unique `is_first` lets one of them in.
        statement = self.dialect.insert_unless_taken(signing_keys, signing_keys.c.is_first)
        await self.connection.execute(statement, _key_to_row(key) | {"is_first": 1})
        first: str = (await self.connection.execute(_FIRST_KID)).scalar_one()
        return first == key.kid

    async def add_next(self, key: SigningKey, *, after: str) -> bool:
        statement = self.dialect.insert_unless_taken(signing_keys, signing_keys.c.follows)
        await self.connection.execute(statement, _key_to_row(key) | {"follows": after})
        successor: str = (await self.connection.execute(_SUCCESSOR, {"after": after})).scalar_one()
        return successor == key.kid

    async def retire(self, kid: str, *, at: datetime) -> bool:
        return (await self.connection.execute(_RETIRE, {"key": kid, "now": at})).rowcount == 1

    async def reseal(self, key: SigningKey) -> bool:
        sealed = {"key": key.kid, "sealed": key.sealed_private_key}
        return (await self.connection.execute(_RESEAL, sealed)).rowcount == 1


def _key_from_row(row: Row) -> SigningKey:
    return SigningKey(
        kid=row[signing_keys.c.kid],
        algorithm=row[signing_keys.c.algorithm],
        sealed_private_key=row[signing_keys.c.sealed_private_key],
        created_at=row[signing_keys.c.created_at],
        signs_from=row[signing_keys.c.signs_from] or row[signing_keys.c.created_at],
        retired_at=row[signing_keys.c.retired_at],
    )


def _key_to_row(key: SigningKey) -> dict[str, Any]:
    return {
        "kid": key.kid,
        "algorithm": key.algorithm,
        "sealed_private_key": key.sealed_private_key,
        "created_at": key.created_at,
        "signs_from": key.signs_from,
        "retired_at": key.retired_at,
    }
