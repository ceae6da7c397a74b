"""What the open deal of a lead is expected to bring is stored with the lead."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; the leads that are stored have no amount."""
    op.add_column("leads", sa.Column("amount", sa.Double))
