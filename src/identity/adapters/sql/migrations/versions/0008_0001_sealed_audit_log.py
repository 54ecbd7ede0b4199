"""The audit log knows who did it, by which request, and is sealed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from identity.adapters.sql.types import EMPTY, Instant, digest, key, number

revision = "0008_0001"
down_revision = "0007_0001"


def upgrade() -> None:
    there = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("audit_events")}
    for column in (
        sa.Column("actor", key(16), nullable=False, server_default=EMPTY),
        sa.Column("actor_id", number()),
        sa.Column("request_id", key(32), nullable=False, server_default=EMPTY),
        sa.Column("subject", key(64), nullable=False, server_default=EMPTY),
        sa.Column("client_salt", digest()),
        sa.Column("client_digest", digest()),
        sa.Column("seal", digest()),
    ):
        if column.name not in there:
            op.add_column("audit_events", column)
    op.create_index("ix_users_superuser_since", "users", ["superuser_since"], if_not_exists=True)
    op.create_index("ix_audit_events_kind_at", "audit_events", ["kind", "at"], if_not_exists=True)
    op.create_table(
        "audit_heads",
        sa.Column("day", key(10), nullable=False),
        sa.Column("last_id", number(), nullable=False),
        sa.Column("events", sa.Integer, nullable=False),
        sa.Column("seal", digest(), nullable=False),
        sa.Column("key_id", key(32), nullable=False),
        sa.Column("purged_at", Instant),
        sa.PrimaryKeyConstraint("day", name="pk_audit_heads"),
        if_not_exists=True,
    )
