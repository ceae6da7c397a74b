"""The first tables: what was sent, what was answered, and each lead's present score."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from serving.store.migrations.tables import (
    create_partial_index,
    create_record_table,
    integer,
    primary_key,
    text,
)

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

NEVER = 4611686018427387904


def upgrade() -> None:
    """Make all tables."""
    _create_records()
    replay = sa.Column("replay", sa.Boolean, nullable=False)
    op.create_table("predictions", primary_key("seq"), text("lead_id"), *_times(), replay, *_answer())
    op.create_index("predictions_of_lead", "predictions", ["lead_id", "as_of"])
    op.create_index("predictions_by_age", "predictions", ["scored_at"])
    lead_id = sa.Column("lead_id", sa.Text, primary_key=True)
    op.create_table("current_scores", lead_id, *_times(), *_answer(), integer("stage_since"))
    due, best = sa.text(f"coalesce(deadline, {NEVER})"), sa.text("score DESC")
    create_partial_index("hot_by_deadline", "current_scores", [due, best], "stage = 'hot'")
    create_partial_index("hot_of_owner", "current_scores", ["owner", due, best], "stage = 'hot'")


def _create_records() -> None:
    time = sa.BigInteger
    create_record_table("leads", attributes=sa.Text, created_at=time, account=sa.Text)
    op.create_index("leads_of_account", "leads", ["account"])
    create_record_table("activities", type=sa.Text, value=sa.Double)
    create_record_table("outcomes", outcome=sa.Text, amount=sa.Double, lost_reason=sa.Text)
    create_record_table("opportunities", stage=sa.Text, amount=sa.Double, by=sa.Text)
    create_record_table("handovers", step=sa.Text, by=sa.Text, reason=sa.Text, hearing=sa.Text, due_at=time)
    create_record_table("overrides", verdict=sa.Text, reason=sa.Text, by=sa.Text, expires_at=time)


def _times() -> list[sa.Column[int]]:
    return [integer("as_of"), integer("scored_at")]


def _answer() -> list[sa.Column[Any]]:
    return [
        integer("score"),
        text("stage"),
        text("decided_by"),
        sa.Column("fallback", sa.Text),
        sa.Column("model_version", sa.Text),
        sa.Column("probability", sa.Double),
        sa.Column("model_score", sa.BigInteger),
        sa.Column("model_stage", sa.Text),
        text("card_version"),
        *map(integer, ("points", "fit", "intent", "rules_score")),
        *map(text, ("rules_stage", "action", "owner")),
        sa.Column("deadline", sa.BigInteger),
        sa.Column("request_id", sa.Text),
        text("detail"),
    ]
