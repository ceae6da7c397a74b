"""The activities of leads with very many of them are stored once more, packed in blocks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from serving.store.migrations.tables import integer, text

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table of the blocks, and the index by which the activities that are in none are found."""
    op.create_table(
        "activity_blocks",
        text("lead_id"),
        integer("first_seq"),
        integer("last_seq"),
        text("types"),
        sa.Column("packed", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("lead_id", "first_seq"),
    )
    op.create_index("activities_by_arrival", "activities", ["lead_id", "seq"])
