"""Accounts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Executable, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError

from identity.adapters.sql.connection import Row, SqlConnection
from identity.adapters.sql.dialects import Dialect
from identity.adapters.sql.schema import users
from identity.domain.errors import Conflict, EmailTaken, InvalidInput, UsernameTaken
from identity.domain.names import EmailAddress, Username
from identity.domain.secrets import PasswordHash
from identity.domain.user import NewUser, User

_BY_ID = select(users).where(users.c.id == bindparam("wanted"))
_BY_USERNAME = select(users).where(users.c.username_key == bindparam("wanted"))
_BY_EMAIL = select(users).where(users.c.email_key == bindparam("wanted"))
_ADD = insert(users).returning(users.c.id)
_SAVE = update(users).where(users.c.id == bindparam("account"), users.c.version == bindparam("read_version"))
_RECORD_LOGIN = (
    update(users)
    .where(
        users.c.id == bindparam("account"),
        users.c.password_hash == bindparam("verified"),
        users.c.disabled_at.is_(None),
    )
    .values(password_hash=bindparam("hash_of_today"), last_login_at=bindparam("now"))
)
_TAKEN: Mapping[str | None, type[InvalidInput]] = {
    "uq_users_username_key": UsernameTaken,
    "uq_users_email_key": EmailTaken,
}


@dataclass(frozen=True, slots=True)
class SqlUsers:
    connection: SqlConnection
    dialect: Dialect

    async def add(self, user: NewUser) -> User:
        row = _to_row(user) | {"password_changed_at": user.joined_at, "version": 1}
        async with self._names_are_free():
            user_id: int = (await self.connection.execute(_ADD, row)).scalar_one()
        return user.with_id(user_id)

    async def get(self, user_id: int) -> User | None:
        return await self._one(_BY_ID, user_id)

    async def with_username(self, username: Username) -> User | None:
        return await self._one(_BY_USERNAME, username.key)

    async def with_email(self, email: EmailAddress) -> User | None:
        return await self._one(_BY_EMAIL, email.key)

    async def save(self, user: User) -> User:
        saved = replace(user, version=user.version + 1)
        # Not `last_login_at`: only `record_login` notes logins, and leaves the version alone when it does,
        # so this copy may be behind.
        row = _to_row(user) | {
            "password_changed_at": user.password_changed_at,
            "disabled_at": user.disabled_at,
            "version": saved.version,
        }
        async with self._names_are_free():
            result = await self.connection.execute(
                _SAVE, row | {"account": user.id, "read_version": user.version}
            )
        if result.rowcount != 1:
            raise Conflict("the account was changed by another request")
        return saved

    async def record_login(
        self, user_id: int, *, verified: PasswordHash, rehashed: PasswordHash | None, at: datetime
    ) -> bool:
        result = await self.connection.execute(
            _RECORD_LOGIN,
            {"account": user_id, "verified": verified, "hash_of_today": rehashed or verified, "now": at},
        )
        return result.rowcount == 1

    async def _one(self, statement: Executable, wanted: int | str) -> User | None:
        row = (await self.connection.execute(statement, {"wanted": wanted})).mappings().first()
        return None if row is None else user_from_row(row)

    @asynccontextmanager
    async def _names_are_free(self) -> AsyncIterator[None]:
        try:
            yield
        except IntegrityError as error:
            taken = _TAKEN.get(self.dialect.violated_constraint(error))
            if taken is None:
                raise
            await self.connection.rollback()  # as some databases have done: the unit of work is over
            raise taken from None


def user_from_row(row: Row) -> User:
    return User(
        id=row[users.c.id],
        username=Username(row[users.c.username]),
        email=EmailAddress(row[users.c.email]),
        password_hash=PasswordHash(row[users.c.password_hash]),
        joined_at=row[users.c.joined_at],
        password_changed_at=row[users.c.password_changed_at],
        last_login_at=row[users.c.last_login_at],
        superuser_since=row[users.c.superuser_since],
        disabled_at=row[users.c.disabled_at],
        version=row[users.c.version],
    )


def _to_row(user: NewUser | User) -> dict[str, Any]:
    return {
        "username": user.username.value,
        "username_key": user.username.key,
        "email": user.email.value,
        "email_key": user.email.key,
        "password_hash": user.password_hash,
        "joined_at": user.joined_at,
        "superuser_since": user.superuser_since,
    }
