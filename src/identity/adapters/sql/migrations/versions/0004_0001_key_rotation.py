"""Signing keys follow each other, sign from some time on, and can be retired."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from identity.adapters.sql.types import Instant, key

revision = "0004_0001"
down_revision = "0003_0001"


def upgrade() -> None:
    there = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("signing_keys")}
    for column in (
        sa.Column("follows", key(64)),
        sa.Column("signs_from", Instant),
        sa.Column("retired_at", Instant),
    ):
        if column.name not in there:
            op.add_column("signing_keys", column)
    op.create_index("uq_signing_keys_follows", "signing_keys", ["follows"], unique=True, if_not_exists=True)
