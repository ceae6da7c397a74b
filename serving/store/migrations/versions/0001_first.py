"""The first tables: what was sent, what was answered, and each lead's present score."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

NEVER = 4611686018427387904


def upgrade() -> None:
    """Make all tables."""
    _records()
    _predictions()
    _current_scores()


def _records() -> None:
    _record(
        "leads",
        sa.Column("attributes", sa.Text),
        sa.Column("created_at", sa.BigInteger),
        sa.Column("account", sa.Text),
    )
    op.create_index("leads_of_account", "leads", ["account"])
    _record("activities", sa.Column("type", sa.Text), sa.Column("value", sa.Double))
    _record(
        "outcomes",
        sa.Column("outcome", sa.Text),
        sa.Column("amount", sa.Double),
        sa.Column("lost_reason", sa.Text),
    )
    _record(
        "opportunities", sa.Column("stage", sa.Text), sa.Column("amount", sa.Double), sa.Column("by", sa.Text)
    )
    _record(
        "handovers",
        sa.Column("step", sa.Text),
        sa.Column("by", sa.Text),
        sa.Column("reason", sa.Text),
        sa.Column("hearing", sa.Text),
        sa.Column("due_at", sa.BigInteger),
    )
    _record(
        "overrides",
        sa.Column("verdict", sa.Text),
        sa.Column("reason", sa.Text),
        sa.Column("by", sa.Text),
        sa.Column("expires_at", sa.BigInteger),
    )


def _record(kind: str, *columns: sa.Column[Any]) -> None:
    op.create_table(
        kind,
        _seq(),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("lead_id", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        *columns,
        sa.UniqueConstraint("key", "version", name=f"{kind}_key"),
        sqlite_autoincrement=True,
    )
    op.create_index(f"{kind}_of_lead", kind, ["lead_id", "at"])


def _predictions() -> None:
    op.create_table(
        "predictions",
        _seq(),
        _text("lead_id"),
        _integer("as_of"),
        _integer("scored_at"),
        sa.Column("replay", sa.Boolean, nullable=False),
        *_answer(),
    )
    op.create_index("predictions_of_lead", "predictions", ["lead_id", "as_of"])
    op.create_index("predictions_by_age", "predictions", ["scored_at"])


def _current_scores() -> None:
    op.create_table(
        "current_scores",
        sa.Column("lead_id", sa.Text, primary_key=True),
        _integer("as_of"),
        _integer("scored_at"),
        *_answer(),
        _integer("stage_since"),
    )
    due = sa.text(f"coalesce(deadline, {NEVER})")
    best, hot = sa.text("score DESC"), sa.text("stage = 'hot'")
    partly: dict[str, Any] = {"sqlite_where": hot, "postgresql_where": hot}
    op.create_index("hot_by_deadline", "current_scores", [due, best], **partly)
    op.create_index("hot_of_owner", "current_scores", ["owner", due, best], **partly)


def _answer() -> list[sa.Column[Any]]:
    return [
        _integer("score"),
        _text("stage"),
        _text("decided_by"),
        sa.Column("fallback", sa.Text),
        sa.Column("model_version", sa.Text),
        sa.Column("probability", sa.Double),
        sa.Column("model_score", sa.BigInteger),
        sa.Column("model_stage", sa.Text),
        _text("card_version"),
        _integer("points"),
        _integer("fit"),
        _integer("intent"),
        _integer("rules_score"),
        _text("rules_stage"),
        _text("action"),
        _text("owner"),
        sa.Column("deadline", sa.BigInteger),
        sa.Column("request_id", sa.Text),
        _text("detail"),
    ]


def _seq() -> sa.Column[int]:
    return sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def _integer(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False)
