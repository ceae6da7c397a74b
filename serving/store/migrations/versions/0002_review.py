"""What reviewers leave: verdicts, versions of the definition and who signed them; and what pages look up."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables and the indexes."""
    _verdicts()
    _definitions()
    _indexes()


def _verdicts() -> None:
    op.create_table(
        "verdicts",
        _number("seq"),
        _text("key"),
        _integer("version"),
        _text("lead_id"),
        _integer("at"),
        _text("digest"),
        sa.Column("right_side", sa.Text),
        sa.Column("reason", sa.Text),
        sa.Column("by", sa.Text),
        sa.Column("model_version", sa.Text),
        sa.Column("card_version", sa.Text),
        sa.UniqueConstraint("key", "version", name="verdicts_key"),
        sqlite_autoincrement=True,
    )
    op.create_index("verdicts_of_lead", "verdicts", ["lead_id", "at"])


def _definitions() -> None:
    op.create_table(
        "card_versions",
        _number("number"),
        _text("version"),
        _text("text"),
        sa.Column("based_on", sa.BigInteger),
        _text("author"),
        _text("note"),
        _integer("created_at"),
        sa.Column("in_force_at", sa.BigInteger),
    )
    op.create_table(
        "sign_offs",
        _number("seq"),
        _integer("number"),
        _text("party"),
        _text("by"),
        _text("key_id"),
        _integer("at"),
        _text("note"),
        sa.UniqueConstraint("number", "party", name="sign_offs_once"),
    )


def _indexes() -> None:
    _create_partial_index("hot_predictions", "predictions", ["lead_id", "as_of", "replay"], "stage = 'hot'")
    _create_partial_index("warm_by_score", "current_scores", [sa.text("score DESC")], "stage = 'warm'")
    _create_partial_index("due_steps", "handovers", ["due_at"], "due_at IS NOT NULL")
    op.create_index("apart", "current_scores", [sa.text("abs(model_score - rules_score) DESC")])
    op.create_index("by_sides", "current_scores", ["rules_stage", "model_stage", "lead_id"])


def _create_partial_index(name: str, table: str, columns: list[str | sa.TextClause], rows: str) -> None:
    which = sa.text(rows)
    op.create_index(name, table, columns, sqlite_where=which, postgresql_where=which)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def _integer(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False)
