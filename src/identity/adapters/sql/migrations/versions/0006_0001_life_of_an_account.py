"""Addresses are verified, names reserved, accounts described, and erased when their owner says so."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from identity.adapters.sql.types import EMPTY, Instant, key, number

revision = "0006_0001"
down_revision = "0005_0001"


def upgrade() -> None:
    for table, column in (
        ("users", sa.Column("email_verified_at", Instant)),
        ("users", sa.Column("display_name", key(150), nullable=False, server_default=EMPTY)),
        ("users", sa.Column("locale", key(35), nullable=False, server_default=EMPTY)),
        ("users", sa.Column("time_zone", key(64), nullable=False, server_default=EMPTY)),
        ("users", sa.Column("erasure_due_at", Instant)),
        ("one_time_tokens", sa.Column("email", key(254))),
    ):
        there = {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}
        if column.name not in there:
            op.add_column(table, column)
    op.create_index("ix_users_erasure_due_at", "users", ["erasure_due_at"], if_not_exists=True)
    op.create_table(
        "reservations",
        sa.Column("kind", key(16), nullable=False),
        sa.Column("key", key(254), nullable=False),
        sa.Column("user_id", number()),
        sa.Column("expires_at", Instant, nullable=False),
        sa.PrimaryKeyConstraint("kind", "key", name="pk_reservations"),
        if_not_exists=True,
    )
    op.create_index("ix_reservations_user_id", "reservations", ["user_id"], if_not_exists=True)
    op.create_index("ix_reservations_expires_at", "reservations", ["expires_at"], if_not_exists=True)
