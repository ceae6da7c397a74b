"""The warm leads nearest to hot are looked up without those whom a person named not hot."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from serving.store.migrations.tables import create_partial_index

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Put one index in the place of another."""
    op.drop_index("warm_by_score", "current_scores")
    best_first: list[str | sa.TextClause] = [sa.text("score DESC"), sa.text("stage_since DESC")]
    condition = "stage = 'warm' AND decided_by != 'person'"
    create_partial_index("near_by_score", "current_scores", best_first, condition)
