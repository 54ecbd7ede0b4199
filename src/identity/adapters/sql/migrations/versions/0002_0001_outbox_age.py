"""How long the oldest mail has been waiting is asked at every readiness check."""

from __future__ import annotations

from alembic import op

revision = "0002_0001"
down_revision = "0001"


def upgrade() -> None:
    op.create_index("ix_outbox_dead_at_created_at", "outbox", ["dead_at", "created_at"], if_not_exists=True)
