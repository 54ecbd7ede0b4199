"""The few column types of the schema, each with its form on every database.

The migrations use them too: one that must take another form gets another name.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    DateTime,
    Dialect,
    Integer,
    LargeBinary,
    String,
    Text,
    TypeDecorator,
    literal_column,
)
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.types import TypeEngine

EMPTY: ColumnElement[str] = literal_column("''")
"""For code that does not know a column yet, and goes on inserting beside code that does."""
MAIL: ColumnElement[str] = literal_column("'mail'")
"""The same, for code that knows of no other queue of the outbox."""
_MARIADB = ("mysql", "mariadb")
_CHARSET = "utf8mb4"
_BINARY = "utf8mb4_nopad_bin"  # its other collations find admin and ádmin, or "a" and "a ", equal


def key(length: int) -> TypeEngine[str]:
    """Text of at most so many code points that is compared byte by byte, whatever the database's locale."""
    return (
        String(length)
        .with_variant(postgresql.VARCHAR(length, collation="C"), "postgresql")
        .with_variant(mysql.VARCHAR(length, charset=_CHARSET, collation=_BINARY), *_MARIADB)
    )


def text() -> TypeEngine[str]:
    """Text of any length that nobody searches."""
    return Text().with_variant(mysql.TEXT(charset=_CHARSET, collation=_BINARY), *_MARIADB)


def digest() -> TypeEngine[bytes]:
    """32 bytes, which may be a primary key."""
    return LargeBinary(32).with_variant(mysql.BINARY(32), *_MARIADB)


def number() -> TypeEngine[int]:
    """A number that the database gives out; on SQLite only INTEGER can be one."""
    return BigInteger().with_variant(Integer(), "sqlite")


class Instant(TypeDecorator[datetime]):
    """A moment, aware and in UTC on this side, to the microsecond.

    SQLite holds it as text of a fixed width, which sorts as the time does.
    """

    impl = DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), *_MARIADB)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a time zone")
        instant = value.astimezone(UTC)
        return instant if dialect.name == "postgresql" else instant.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
