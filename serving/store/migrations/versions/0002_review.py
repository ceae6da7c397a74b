"""What reviewers leave: verdicts, versions of the definition and who signed them; and what pages look up."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from serving.store.migrations.tables import (
    create_partial_index,
    create_record_table,
    integer,
    primary_key,
    text,
)

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables and the indexes."""
    create_record_table(
        "verdicts",
        right_side=sa.Text,
        reason=sa.Text,
        by=sa.Text,
        model_version=sa.Text,
        card_version=sa.Text,
    )
    op.create_table(
        "card_versions",
        primary_key("number"),
        *map(text, ("version", "text")),
        sa.Column("based_on", sa.BigInteger),
        *map(text, ("author", "note")),
        integer("created_at"),
        sa.Column("in_force_at", sa.BigInteger),
    )
    op.create_table(
        "sign_offs",
        primary_key("seq"),
        integer("number"),
        *map(text, ("party", "by", "key_id")),
        integer("at"),
        text("note"),
        sa.UniqueConstraint("number", "party", name="sign_offs_once"),
    )
    create_partial_index("hot_predictions", "predictions", ["lead_id", "as_of", "replay"], "stage = 'hot'")
    create_partial_index("warm_by_score", "current_scores", [sa.text("score DESC")], "stage = 'warm'")
    create_partial_index("due_steps", "handovers", ["due_at"], "due_at IS NOT NULL")
    op.create_index("apart", "current_scores", [sa.text("abs(model_score - rules_score) DESC")])
    op.create_index("by_sides", "current_scores", ["rules_stage", "model_stage", "lead_id"])
