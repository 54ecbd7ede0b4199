"""What is counted, so that it does not happen too often."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from identity.adapters.sql.types import Instant, digest

revision = "0005_0001"
down_revision = "0004_0001"


def upgrade() -> None:
    op.create_table(
        "rate_limits",
        sa.Column("digest", digest(), nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("reserved", sa.Integer, nullable=False),
        sa.Column("reserved_until", Instant, nullable=False),
        sa.Column("blocked_until", Instant, nullable=False),
        sa.Column("ends_at", Instant, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_rate_limits"),
        if_not_exists=True,
    )
    op.create_index("ix_rate_limits_ends_at", "rate_limits", ["ends_at"], if_not_exists=True)
