"""The tables. Every change here is a revision in `migrations/`; a test compares the two."""

from __future__ import annotations

from sqlalchemy import (
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    UniqueConstraint,
)

from identity.adapters.sql.types import EMPTY, MAIL, Instant, digest, key, number, text

REVISION = "0009_0001"
"""The newest revision in `migrations/versions/`, known without importing Alembic."""

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    }
)

users = Table(
    "users",
    metadata,
    Column("id", number(), primary_key=True),
    Column("username", key(150), nullable=False),
    Column("username_key", key(150), nullable=False),
    Column("email", key(254), nullable=False),
    Column("email_key", key(254), nullable=False),
    Column("password_hash", key(255), nullable=False),
    Column("joined_at", Instant, nullable=False),
    Column("password_changed_at", Instant, nullable=False),
    Column("last_login_at", Instant),
    Column("superuser_since", Instant),
    Column("email_verified_at", Instant),
    Column("display_name", key(150), nullable=False, server_default=EMPTY),
    Column("locale", key(35), nullable=False, server_default=EMPTY),
    Column("time_zone", key(64), nullable=False, server_default=EMPTY),
    Column("disabled_at", Instant),
    Column("erasure_due_at", Instant),
    Column("version", Integer, nullable=False),
    UniqueConstraint("username_key"),
    UniqueConstraint("email_key"),
    Index(None, "erasure_due_at"),
    Index(None, "superuser_since"),
    sqlite_autoincrement=True,  # an id is never given again, not even that of the last row deleted
)

reservations = Table(
    "reservations",
    metadata,
    Column("kind", key(16), primary_key=True),  # of the name: username or email
    Column("key", key(254), primary_key=True),
    Column("user_id", number()),
    Column("expires_at", Instant, nullable=False),
    Index(None, "user_id"),
    Index(None, "expires_at"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", key(32), primary_key=True),
    Column("user_id", number(), ForeignKey(users.c.id), nullable=False),
    Column("current_jti", key(32), nullable=False),
    Column("pending_jti", key(32)),
    Column("previous_jti", key(32)),
    Column("pending_since", Instant),
    Column("handed_out_at", Instant),
    Column("promoted_at", Instant),
    Column("created_at", Instant, nullable=False),
    Column("last_used_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("revoked_at", Instant),
    Column("client_address", text(), nullable=False),
    Column("client_user_agent", text(), nullable=False),
    Index(None, "user_id", "created_at"),
    Index(None, "expires_at"),
)

devices = Table(
    "devices",
    metadata,
    Column("user_id", number(), ForeignKey(users.c.id), primary_key=True, autoincrement=False),
    Column("digest", digest(), primary_key=True),
    Column("last_seen_at", Instant, nullable=False),
    Index(None, "last_seen_at"),
)

one_time_tokens = Table(
    "one_time_tokens",
    metadata,
    Column("digest", digest(), primary_key=True),
    Column("purpose", key(32), nullable=False),
    Column("user_id", number(), ForeignKey(users.c.id), nullable=False),
    Column("email_key", key(254), nullable=False),
    Column("email", key(254)),
    Column("intent_id", key(32), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("sent_at", Instant),
    Column("over_at", Instant),  # when it was spent or voided
    Index(None, "user_id", "created_at"),
    Index(None, "intent_id"),
    Index(None, "expires_at"),
)

login_codes = Table(
    "login_codes",
    metadata,
    Column("request", digest(), primary_key=True),
    Column("email_key", key(254), nullable=False),
    Column("digest", digest()),  # empty until the code is mailed, and for ever where nobody is
    Column("tries", Integer, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("spent_at", Instant),
    Index(None, "email_key"),
    Index(None, "expires_at"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", key(32), primary_key=True),
    Column("queue", key(32), nullable=False, server_default=MAIL),
    Column("kind", key(32), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("user_id", number()),
    Column("email_key", key(254)),
    Column("details", text(), nullable=False),  # a mail's values, or the body of a webhook, as JSON
    Column("coalescing_key", key(320)),  # empty once a worker has claimed the intent
    Column("due_at", Instant, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("lease_id", key(32)),
    Column("leased_until", Instant),
    Column("dead_at", Instant),
    Column("error", text()),
    UniqueConstraint("coalescing_key"),
    Index(None, "queue", "dead_at", "due_at"),
    Index(None, "dead_at", "due_at"),
    Index(None, "dead_at", "created_at"),
)

audit_events = Table(
    "audit_events",
    metadata,
    Column("id", number(), primary_key=True),
    Column("at", Instant, nullable=False),
    Column("kind", key(64), nullable=False),
    # No foreign key: the log outlives the account. 0: it is of no account.
    Column("user_id", number(), nullable=False),
    Column("session_id", key(32)),
    Column("actor", key(16), nullable=False, server_default=EMPTY),  # a role; empty: of an older version
    Column("actor_id", number()),
    Column("request_id", key(32), nullable=False, server_default=EMPTY),
    Column("subject", key(64), nullable=False, server_default=EMPTY),
    # What is personal. When it is erased, its salt goes with it; the digest stays, and tells nothing.
    Column("client_address", text(), nullable=False),
    Column("client_user_agent", text(), nullable=False),
    Column("client_salt", digest()),
    Column("client_digest", digest()),
    Column("seal", digest()),
    Index(None, "user_id", "at"),
    Index(None, "kind", "at"),
    sqlite_autoincrement=True,
)

audit_heads = Table(
    "audit_heads",
    metadata,
    Column("day", key(10), primary_key=True),  # on which it was sealed
    Column("last_id", number(), nullable=False),  # of the last event that was
    Column("events", Integer, nullable=False),  # how many were
    Column("seal", digest(), nullable=False),
    Column("key_id", key(32), nullable=False),  # of the key that sealed them
    Column("purged_at", Instant),
)

rate_limits = Table(
    "rate_limits",
    metadata,
    Column("digest", digest(), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("reserved", Integer, nullable=False),
    Column("reserved_until", Instant, nullable=False),
    Column("blocked_until", Instant, nullable=False),
    Column("ends_at", Instant, nullable=False),
    Index(None, "ends_at"),
)

signing_keys = Table(
    "signing_keys",
    metadata,
    Column("kid", key(64), primary_key=True),
    Column("algorithm", key(16), nullable=False),
    Column("sealed_private_key", LargeBinary, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("is_first", SmallInteger),  # 1 or empty; unique, so only one of several first keys gets in
    Column("follows", key(64)),  # the kid of the key before; unique, so that it has one successor
    Column("signs_from", Instant),  # empty for a key of an older version: from the beginning
    Column("retired_at", Instant),
    UniqueConstraint("is_first"),
    Index("uq_signing_keys_follows", "follows", unique=True),
)
