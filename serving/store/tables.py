"""The tables of the store. Times are ms UTC; `seq` is the order in which rows arrived."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias, get_args, get_type_hints

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    func,
    literal_column,
)
from sqlalchemy.types import TypeEngine

from features.clock import NEVER
from serving.store.records import COLUMNS, KINDS, ColumnType, Prediction, RecordKind

SCHEMA = "0008"
"""The revision in migrations/versions/ that makes these tables."""

metadata = MetaData()

SqlType: TypeAlias = type[TypeEngine[Any]]
_COLUMN_TYPES: Mapping[ColumnType, SqlType] = {
    "text": Text,
    "time": BigInteger,
    "real": Double,
    "object": Text,
}
_FIELD_TYPES: Mapping[type, SqlType] = {str: Text, int: BigInteger, float: Double, bool: Boolean}


def _seq() -> Column[int]:
    # Only an INTEGER key is SQLite's own row number.
    return Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True)


def _create_record_table(kind: RecordKind) -> Table:
    """A kind's rows; every version of a key stays, the highest counts."""
    kind_columns = [Column(name, _COLUMN_TYPES[column_type]) for name, column_type in COLUMNS[kind].items()]
    return Table(
        kind,
        metadata,
        _seq(),
        Column("key", Text, nullable=False),
        Column("version", BigInteger, nullable=False),
        Column("lead_id", Text, nullable=False),
        Column("at", BigInteger, nullable=False),
        Column("digest", Text, nullable=False),
        *kind_columns,
        UniqueConstraint("key", "version", name=f"{kind}_key"),
        Index(f"{kind}_of_lead", "lead_id", "at"),
        # No number is reused after an erasure, so that the newest one shows whether rows were added.
        sqlite_autoincrement=True,
    )


def _prediction_columns(primary_key: str = "") -> Iterator[Column[object]]:
    """A column for each field of Prediction, NULL where the field may be None."""
    for name, hint in get_type_hints(Prediction).items():
        kind, *others = get_args(hint) or (hint,)
        yield Column(name, _FIELD_TYPES[kind], nullable=bool(others), primary_key=name == primary_key)


def _create_partial_index(name: str, rows: ColumnElement[bool], *columns: ColumnElement[Any]) -> None:
    Index(name, *columns, sqlite_where=rows, postgresql_where=rows)


RECORDS: Mapping[RecordKind, Table] = {kind: _create_record_table(kind) for kind in KINDS}
Index("leads_of_account", RECORDS["leads"].c.account)
Index("activities_by_arrival", RECORDS["activities"].c.lead_id, RECORDS["activities"].c.seq)

activity_blocks = Table(
    "activity_blocks",
    metadata,
    Column("lead_id", Text, primary_key=True),
    Column("first_seq", BigInteger, primary_key=True),
    Column("last_seq", BigInteger, nullable=False),
    Column("types", Text, nullable=False),
    Column("packed", LargeBinary, nullable=False),
)
"""The activities of a lead from `first_seq` to `last_seq`, packed: see `activities.blocks`."""

predictions = Table(
    "predictions",
    metadata,
    _seq(),
    *_prediction_columns(),
    Index("predictions_of_lead", "lead_id", "as_of"),
    Index("predictions_by_age", "scored_at"),
)
_was_hot = predictions.c.stage == literal_column("'hot'")
_create_partial_index(
    "hot_predictions", _was_hot, *(predictions.c[n] for n in ("lead_id", "as_of", "replay"))
)

current_scores = Table(
    "current_scores",
    metadata,
    *(column for column in _prediction_columns("lead_id") if column.name != "replay"),
    Column("stage_since", BigInteger, nullable=False),
)
"""One row a lead: its newest prediction, since when it is in its stage, and the earliest deadline since."""

DUE = func.coalesce(current_scores.c.deadline, literal_column(str(NEVER)))
"""The deadline by which the call list is ordered: leads without one come last."""
IS_HOT = current_scores.c.stage == literal_column("'hot'")
_create_partial_index("hot_by_deadline", IS_HOT, DUE, current_scores.c.score.desc())
_create_partial_index("hot_of_owner", IS_HOT, current_scores.c.owner, DUE, current_scores.c.score.desc())

SIDE_GAP = func.abs(current_scores.c.model_score - current_scores.c.rules_score)
"""By how many points model and rules differ; NULL if one of them gave no score."""
IS_NEAR = (current_scores.c.stage == literal_column("'warm'")) & (
    current_scores.c.decided_by != literal_column("'person'")
)
"""Whether a lead is warm, and not because of an override."""
Index("apart", SIDE_GAP.desc())
Index("by_sides", *(current_scores.c[name] for name in ("rules_stage", "model_stage", "lead_id")))
_best_first = current_scores.c.score.desc(), current_scores.c.stage_since.desc()
_create_partial_index("near_by_score", IS_NEAR, *_best_first)
_due_at = RECORDS["handovers"].c.due_at
_create_partial_index("due_steps", _due_at.isnot(None), _due_at)

card_versions = Table(
    "card_versions",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("version", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("based_on", BigInteger),
    Column("author", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("in_force_at", BigInteger),
)
"""The saved definitions of a hot lead: `text` is the scorecard.toml, `version` its hash."""

suppressed = Table(
    "suppressed",
    metadata,
    _seq(),
    Column("digest", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    UniqueConstraint("digest", name="suppressed_once"),
    sqlite_autoincrement=True,
)
"""The suppression list: an HMAC of the id of each erased lead, the key of it, and since when."""

sign_offs = Table(
    "sign_offs",
    metadata,
    _seq(),
    Column("number", BigInteger, nullable=False),
    Column("party", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("note", Text, nullable=False),
    UniqueConstraint("number", "party", name="sign_offs_once"),
)
"""Sign-offs of a definition (by its number): each party signs once."""

audit_log = Table(
    "audit_log",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("made_at", BigInteger, nullable=False),
    *(
        Column(name, Text, nullable=False)
        for name in ("actor", "role", "key_id", "action", "subject", "detail", "hash")
    ),
)
"""Who changed what: see audit_log.py. Triggers of the migration refuse to change its rows."""

store_state = Table(
    "store_state", metadata, Column("name", Text, primary_key=True), Column("value", Text, nullable=False)
)
"""What the store remembers about itself: names and their values."""
