"""Leads that were erased are listed, without their ids, so that nothing brings them back."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from serving.store.migrations.tables import integer, primary_key, text

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "suppressed",
        primary_key("seq"),
        *map(text, ("digest", "key_id")),
        integer("at"),
        sa.UniqueConstraint("digest", name="suppressed_once"),
        sqlite_autoincrement=True,
    )
