"""Codes to log in with that were asked for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from identity.adapters.sql.types import Instant, digest, key

revision = "0007_0001"
down_revision = "0006_0001"


def upgrade() -> None:
    op.create_table(
        "login_codes",
        sa.Column("request", digest(), nullable=False),
        sa.Column("email_key", key(254), nullable=False),
        sa.Column("digest", digest()),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("expires_at", Instant, nullable=False),
        sa.Column("spent_at", Instant),
        sa.PrimaryKeyConstraint("request", name="pk_login_codes"),
        if_not_exists=True,
    )
    op.create_index("ix_login_codes_email_key", "login_codes", ["email_key"], if_not_exists=True)
    op.create_index("ix_login_codes_expires_at", "login_codes", ["expires_at"], if_not_exists=True)
