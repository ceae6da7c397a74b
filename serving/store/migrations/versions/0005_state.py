"""What the store remembers about itself, such as when old predictions were last deleted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from serving.store.migrations.tables import text

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table("store_state", sa.Column("name", sa.Text, primary_key=True), text("value"))
