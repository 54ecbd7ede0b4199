"""The outbox has a queue for each endpoint of webhooks beside that of the mail."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from identity.adapters.sql.types import MAIL, key

revision = "0009_0001"
down_revision = "0008_0001"


def upgrade() -> None:
    there = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("outbox")}
    if "queue" not in there:
        op.add_column("outbox", sa.Column("queue", key(32), nullable=False, server_default=MAIL))
    op.create_index(
        "ix_outbox_queue_dead_at_due_at", "outbox", ["queue", "dead_at", "due_at"], if_not_exists=True
    )
