"""Accounts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from types import SimpleNamespace
from typing import Any, NoReturn

from sqlalchemy import Executable, and_, bindparam, delete, insert, or_, select, union_all, update
from sqlalchemy.exc import IntegrityError

from identity.adapters.sql.connection import Row, SqlConnection
from identity.adapters.sql.dialects import Dialect
from identity.adapters.sql.reservations import EMAIL, USERNAME
from identity.adapters.sql.schema import (
    devices,
    login_codes,
    one_time_tokens,
    outbox,
    reservations,
    sessions,
    users,
)
from identity.application.mail import MAIL
from identity.domain.errors import Conflict, EmailTaken, UsernameTaken
from identity.domain.names import EmailAddress, Username
from identity.domain.secrets import PasswordHash
from identity.domain.user import NewUser, User
from identity.domain.user_search import Candidate, Cursor, Prefix, UserPage

_c = SimpleNamespace(**users.c)  # whose look-ups are ten times as fast
_BY_ID = select(users).where(users.c.id == bindparam("wanted"))
_BY_USERNAME = select(users).where(users.c.username_key == bindparam("wanted"))
_BY_EMAIL = select(users).where(users.c.email_key == bindparam("wanted"))
_FROM_USERNAME, _FROM_EMAIL = (
    select(users).where(key >= bindparam("start")).order_by(key).limit(bindparam("most"))
    for key in (users.c.username_key, users.c.email_key)
)
_ADD = insert(users).returning(users.c.id)
_SAVE = update(users).where(users.c.id == bindparam("account"), users.c.version == bindparam("read_version"))
_RECORD_LOGIN = (
    update(users)
    .where(
        users.c.id == bindparam("account"),
        users.c.password_hash == bindparam("verified"),
        users.c.disabled_at.is_(None),
        users.c.erasure_due_at.is_(None),
    )
    .values(password_hash=bindparam("hash_of_today"), last_login_at=bindparam("now"))
)
_KEEPS_USERNAME = and_(reservations.c.kind == USERNAME, reservations.c.key == bindparam("username"))
_KEEPS_EMAIL = and_(reservations.c.kind == EMAIL, reservations.c.key == bindparam("address"))
_RESERVED = select(reservations.c.kind).where(or_(_KEEPS_USERNAME, _KEEPS_EMAIL))
_HOLDER_OF_EMAIL = select(users).join(reservations, reservations.c.user_id == users.c.id).where(_KEEPS_EMAIL)
_USERNAME_OF_OTHERS = union_all(
    select(users.c.id).where(
        users.c.username_key == bindparam("username"), users.c.id != bindparam("account")
    ),
    select(reservations.c.user_id).where(_KEEPS_USERNAME),
)
_DUE_FOR_ERASURE = (
    select(users)
    .where(users.c.erasure_due_at <= bindparam("now"))
    .order_by(users.c.erasure_due_at, users.c.id)
    .limit(bindparam("most"))
)
_LOCK_SUPERUSERS = (
    select(users)
    .where(
        users.c.superuser_since.is_not(None), users.c.disabled_at.is_(None), users.c.erasure_due_at.is_(None)
    )
    .order_by(users.c.id)
    .with_for_update()
)
_LOCK = _BY_ID.with_for_update()
_ERASE = (
    *(
        delete(table).where(table.c.user_id == bindparam("account"))
        for table in (sessions, devices, one_time_tokens, reservations)
    ),
    delete(login_codes).where(login_codes.c.email_key == bindparam("address")),
    delete(outbox).where(  # webhooks know of nobody but by an id
        outbox.c.queue == MAIL,
        or_(outbox.c.user_id == bindparam("account"), outbox.c.email_key == bindparam("address")),
    ),
    delete(users).where(users.c.id == bindparam("account")),
)
_TAKEN: Mapping[str | None, type[UsernameTaken | EmailTaken]] = {
    "uq_users_username_key": UsernameTaken,
    "uq_users_email_key": EmailTaken,
}


@dataclass(slots=True)
class SqlUsers:
    connection: SqlConnection
    dialect: Dialect

    async def add(self, user: NewUser) -> User:
        async with self._names_are_free():
            added = await self._insert(user)
        names = {"username": user.username.key, "address": user.email.key}
        reserved = (await self.connection.execute(_RESERVED, names)).scalars().all()
        if reserved:
            await self._refuse(UsernameTaken if USERNAME in reserved else EmailTaken)
        return added

    async def add_or_find(self, user: NewUser) -> tuple[User, bool]:
        # As many statements whichever it is, so that nobody can tell by the time they take.
        attempt = await self.connection.begin_nested()
        try:
            added = await self._insert(user)
        except IntegrityError as error:
            await attempt.rollback()
            refusal = self._refusal_for(error)
            is_one_name = user.username.is_address(user.email)
            if refusal is not EmailTaken and not is_one_name:
                await self._refuse(refusal)
            found = await self.with_email(user.email)
            if found is None:
                raise Conflict("the account with the address gave it up meanwhile") from None
            user_id = found.id if is_one_name else 0
        else:
            user_id, found = added.id, await self._one(_HOLDER_OF_EMAIL, address=user.email.key)
            await (attempt.rollback() if found else attempt.commit())
        others = {"username": user.username.key, "account": user_id}
        if (await self.connection.execute(_USERNAME_OF_OTHERS, others)).first() is not None:
            await self._refuse(UsernameTaken)
        return (found, False) if found else (added, True)

    async def get(self, user_id: int) -> User | None:
        return await self._one(_BY_ID, wanted=user_id)

    async def with_username(self, username: Username) -> User | None:
        return await self._one(_BY_USERNAME, wanted=username.key)

    async def with_email(self, email: EmailAddress) -> User | None:
        return await self._one(_BY_EMAIL, wanted=email.key)

    async def search(self, prefix: str, *, after: Cursor | None, limit: int) -> UserPage:
        wanted, place = Prefix(prefix), after.key if after else ""
        by_username = await self._from(_FROM_USERNAME, max(wanted.of_username, place), limit)
        by_email = await self._from(_FROM_EMAIL, max(wanted.of_email, place), limit) if prefix else []
        return wanted.page(by_username, by_email, after=after, limit=limit)

    async def save(self, user: User) -> User:
        saved = replace(user, version=user.version + 1)
        # Not `last_login_at`: only `record_login` notes logins, and leaves the version alone when it does,
        # so this copy may be behind.
        row = _to_row(user) | {
            "password_changed_at": user.password_changed_at,
            "display_name": user.display_name,
            "time_zone": user.time_zone,
            "disabled_at": user.disabled_at,
            "erasure_due_at": user.erasure_due_at,
            "version": saved.version,
        }
        async with self._names_are_free():
            result = await self.connection.execute(
                _SAVE, row | {"account": user.id, "read_version": user.version}
            )
        if result.rowcount != 1:
            raise Conflict("the account was changed by another request")
        return saved

    async def erase(self, user: User) -> bool:
        stored = await self._one(_LOCK, wanted=user.id)
        if stored is None or (stored.version, stored.last_login_at) != (user.version, user.last_login_at):
            return False
        for statement in _ERASE:
            await self.connection.execute(statement, {"account": user.id, "address": stored.email.key})
        return True

    async def due_for_erasure(self, *, at: datetime, limit: int) -> tuple[User, ...]:
        due = await self.connection.execute(_DUE_FOR_ERASURE, {"now": at, "most": limit})
        return tuple(user_from_row(row) for row in due.mappings())

    async def open_superusers(self) -> tuple[User, ...]:
        superusers = await self.connection.execute(_LOCK_SUPERUSERS)
        return tuple(user_from_row(row) for row in superusers.mappings())

    async def record_login(
        self, user_id: int, *, verified: PasswordHash, rehashed: PasswordHash | None, at: datetime
    ) -> bool:
        result = await self.connection.execute(
            _RECORD_LOGIN,
            {"account": user_id, "verified": verified, "hash_of_today": rehashed or verified, "now": at},
        )
        return result.rowcount == 1

    async def _from(self, statement: Executable, start: str, limit: int) -> list[Candidate]:
        rows = await self.connection.execute(statement, {"start": start, "most": limit + 2})
        return [
            Candidate(username_key=row[_c.username_key], email_key=row[_c.email_key], user=user_from_row(row))
            for row in rows.mappings()
        ]

    async def _insert(self, user: NewUser) -> User:
        row = _to_row(user) | {"password_changed_at": user.joined_at, "version": 1}
        user_id: int = (await self.connection.execute(_ADD, row)).scalar_one()
        return user.with_id(user_id)

    async def _one(self, statement: Executable, **wanted: int | str) -> User | None:
        row = (await self.connection.execute(statement, wanted)).mappings().first()
        return None if row is None else user_from_row(row)

    @asynccontextmanager
    async def _names_are_free(self) -> AsyncIterator[None]:
        try:
            yield
        except IntegrityError as error:
            await self._refuse(self._refusal_for(error))

    def _refusal_for(self, error: IntegrityError) -> type[UsernameTaken | EmailTaken]:
        taken = _TAKEN.get(self.dialect.violated_constraint(error))
        if taken is None:
            raise error
        return taken

    async def _refuse(self, refusal: type[UsernameTaken | EmailTaken]) -> NoReturn:
        await self.connection.rollback()  # as some databases have done: the unit of work is over
        raise refusal() from None


def user_from_row(row: Row) -> User:
    return User(
        id=row[_c.id],
        username=Username(row[_c.username]),
        email=EmailAddress(row[_c.email]),
        password_hash=PasswordHash(row[_c.password_hash]),
        joined_at=row[_c.joined_at],
        password_changed_at=row[_c.password_changed_at],
        last_login_at=row[_c.last_login_at],
        superuser_since=row[_c.superuser_since],
        email_verified_at=row[_c.email_verified_at],
        display_name=row[_c.display_name],
        locale=row[_c.locale],
        time_zone=row[_c.time_zone],
        disabled_at=row[_c.disabled_at],
        erasure_due_at=row[_c.erasure_due_at],
        version=row[_c.version],
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
        "email_verified_at": user.email_verified_at,
        "locale": user.locale,
    }
