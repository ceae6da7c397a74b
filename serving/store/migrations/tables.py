"""Columns, tables and indexes as the migrations make them. Migrations do not change, so neither does this."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op


def primary_key(name: str) -> sa.Column[int]:
    """A number of a row, which the database gives."""
    return sa.Column(name, sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True)


def text(name: str) -> sa.Column[str]:
    """A text that is always there."""
    return sa.Column(name, sa.Text, nullable=False)


def integer(name: str) -> sa.Column[int]:
    """A whole number that is always there."""
    return sa.Column(name, sa.BigInteger, nullable=False)


def create_record_table(kind: str, **types: type[sa.types.TypeEngine[Any]]) -> None:
    """The table of a kind of record; `types` has the types of the kind's own columns, which may be NULL."""
    op.create_table(
        kind,
        primary_key("seq"),
        text("key"),
        integer("version"),
        text("lead_id"),
        integer("at"),
        text("digest"),
        *(sa.Column(name, column_type) for name, column_type in types.items()),
        sa.UniqueConstraint("key", "version", name=f"{kind}_key"),
        sqlite_autoincrement=True,
    )
    op.create_index(f"{kind}_of_lead", kind, ["lead_id", "at"])


def create_partial_index(name: str, table: str, columns: list[str | sa.TextClause], rows: str) -> None:
    """An index of the rows for which a condition in SQL holds."""
    condition = sa.text(rows)
    op.create_index(name, table, columns, sqlite_where=condition, postgresql_where=condition)
