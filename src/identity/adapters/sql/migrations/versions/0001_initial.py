"""The first tables. Every statement can be run again, for where DDL commits by itself one may be killed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from identity.adapters.sql.types import Instant, digest, key, number, text

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "users",
        sa.Column("id", number(), nullable=False),
        sa.Column("username", key(150), nullable=False),
        sa.Column("username_key", key(150), nullable=False),
        sa.Column("email", key(254), nullable=False),
        sa.Column("email_key", key(254), nullable=False),
        sa.Column("password_hash", key(255), nullable=False),
        sa.Column("joined_at", Instant, nullable=False),
        sa.Column("password_changed_at", Instant, nullable=False),
        sa.Column("last_login_at", Instant),
        sa.Column("superuser_since", Instant),
        sa.Column("disabled_at", Instant),
        sa.Column("version", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("username_key", name="uq_users_username_key"),
        sa.UniqueConstraint("email_key", name="uq_users_email_key"),
        sqlite_autoincrement=True,
        if_not_exists=True,
    )
    op.create_table(
        "sessions",
        sa.Column("id", key(32), nullable=False),
        sa.Column("user_id", number(), nullable=False),
        sa.Column("current_jti", key(32), nullable=False),
        sa.Column("pending_jti", key(32)),
        sa.Column("previous_jti", key(32)),
        sa.Column("handed_out_at", Instant),
        sa.Column("promoted_at", Instant),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("last_used_at", Instant, nullable=False),
        sa.Column("expires_at", Instant, nullable=False),
        sa.Column("revoked_at", Instant),
        sa.Column("client_address", text(), nullable=False),
        sa.Column("client_user_agent", text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_sessions_user_id"),
        if_not_exists=True,
    )
    op.create_index(
        "ix_sessions_user_id_created_at", "sessions", ["user_id", "created_at"], if_not_exists=True
    )
    op.create_index("ix_sessions_expires_at", "sessions", ["expires_at"], if_not_exists=True)
    op.create_table(
        "one_time_tokens",
        sa.Column("digest", digest(), nullable=False),
        sa.Column("purpose", key(32), nullable=False),
        sa.Column("user_id", number(), nullable=False),
        sa.Column("email_key", key(254), nullable=False),
        sa.Column("intent_id", key(32), nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("expires_at", Instant, nullable=False),
        sa.Column("sent_at", Instant),
        sa.Column("over_at", Instant),
        sa.PrimaryKeyConstraint("digest", name="pk_one_time_tokens"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_one_time_tokens_user_id"),
        if_not_exists=True,
    )
    op.create_index(
        "ix_one_time_tokens_user_id_created_at",
        "one_time_tokens",
        ["user_id", "created_at"],
        if_not_exists=True,
    )
    op.create_index("ix_one_time_tokens_intent_id", "one_time_tokens", ["intent_id"], if_not_exists=True)
    op.create_index("ix_one_time_tokens_expires_at", "one_time_tokens", ["expires_at"], if_not_exists=True)
    op.create_table(
        "outbox",
        sa.Column("id", key(32), nullable=False),
        sa.Column("kind", key(32), nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("user_id", number()),
        sa.Column("email_key", key(254)),
        sa.Column("details", text(), nullable=False),
        sa.Column("coalescing_key", key(320)),
        sa.Column("due_at", Instant, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("lease_id", key(32)),
        sa.Column("leased_until", Instant),
        sa.Column("dead_at", Instant),
        sa.Column("error", text()),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
        sa.UniqueConstraint("coalescing_key", name="uq_outbox_coalescing_key"),
        if_not_exists=True,
    )
    op.create_index("ix_outbox_dead_at_due_at", "outbox", ["dead_at", "due_at"], if_not_exists=True)
    op.create_table(
        "audit_events",
        sa.Column("id", number(), nullable=False),
        sa.Column("at", Instant, nullable=False),
        sa.Column("kind", key(64), nullable=False),
        sa.Column("user_id", number(), nullable=False),
        sa.Column("session_id", key(32)),
        sa.Column("client_address", text(), nullable=False),
        sa.Column("client_user_agent", text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_events"),
        sqlite_autoincrement=True,
        if_not_exists=True,
    )
    op.create_index("ix_audit_events_user_id_at", "audit_events", ["user_id", "at"], if_not_exists=True)
    op.create_table(
        "signing_keys",
        sa.Column("kid", key(64), nullable=False),
        sa.Column("algorithm", key(16), nullable=False),
        sa.Column("sealed_private_key", sa.LargeBinary, nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("is_first", sa.SmallInteger),
        sa.PrimaryKeyConstraint("kid", name="pk_signing_keys"),
        sa.UniqueConstraint("is_first", name="uq_signing_keys_is_first"),
        if_not_exists=True,
    )
