"""Where logins came from, and since when a refresh token has been handed out."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from identity.adapters.sql.types import Instant, digest, number

revision = "0003_0001"
down_revision = "0002_0001"


def upgrade() -> None:
    columns = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("sessions")}
    if "pending_since" not in columns:
        op.add_column("sessions", sa.Column("pending_since", Instant))
    op.create_table(
        "devices",
        sa.Column("user_id", number(), nullable=False, autoincrement=False),
        sa.Column("digest", digest(), nullable=False),
        sa.Column("last_seen_at", Instant, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "digest", name="pk_devices"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_devices_user_id"),
        if_not_exists=True,
    )
    op.create_index("ix_devices_last_seen_at", "devices", ["last_seen_at"], if_not_exists=True)
