"""What the writer inserts, the same for both databases: new records, and predictions with present scores.

Texts on the driver's cursor instead of SQLAlchemy statements: a prediction is stored in 0.1 ms, and
compiling a statement takes as long again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from scoring.decision.actions import FOLLOW_UP
from serving.store.activities.blocks import drop_blocks_of_keys
from serving.store.backends.base import Cursor, Database, SqlRow
from serving.store.errors import WriteConflict
from serving.store.records import COLUMNS, KINDS, Prediction, RecordKind, WriteOutcome

RECORD_COLUMNS: dict[RecordKind, tuple[str, ...]] = {
    kind: ("key", "version", "lead_id", "at", "digest", *COLUMNS[kind]) for kind in KINDS
}
PREDICTION_COLUMNS = Prediction._fields
"""The columns of the table of predictions, without `seq`."""

_CURRENT_COLUMNS = tuple(name for name in PREDICTION_COLUMNS if name != "replay")
_NOT_OVERWRITTEN = ("lead_id", "deadline")
Entry = tuple[RecordKind, SqlRow]
"""The kind of a record and its row (see Record.row)."""
_RecordKey = tuple[RecordKind, str, int]
_LEAD, _DIGEST = 2, 4


def quoted_columns(names: Iterable[str]) -> str:
    """Column names in quotes, for some of them (such as `by`) are keywords of SQL."""
    return ", ".join(f'"{name}"' for name in names)


def upsert_current_scores(source: str, mark: str) -> str:
    """The upsert of current_scores from the predictions of `source`, in which a lead occurs once.

    The newest moment wins; of equal moments, the later arrival. A stage begins when it changes. An action
    keeps its earliest deadline, except a follow-up, which sales plans: it keeps the newest. The only
    parameter, written as `mark` (? or %s), is a moment in the future (ms UTC): a stored score from after
    it comes from a wrong clock and is replaced.
    """
    assignments = ", ".join(
        f'"{name}" = excluded."{name}"' for name in _CURRENT_COLUMNS if name not in _NOT_OVERWRITTEN
    )
    return (
        f"INSERT INTO current_scores ({quoted_columns(_CURRENT_COLUMNS)}, stage_since) "
        f"SELECT {quoted_columns(_CURRENT_COLUMNS)}, as_of FROM {source} "
        f"ON CONFLICT (lead_id) DO UPDATE SET {assignments}, "
        "stage_since = CASE WHEN current_scores.stage = excluded.stage "
        "AND current_scores.stage_since <= excluded.as_of "
        "THEN current_scores.stage_since ELSE excluded.as_of END, "
        "deadline = CASE WHEN current_scores.stage = excluded.stage "
        f"AND current_scores.action = excluded.action AND excluded.action <> '{FOLLOW_UP}' "
        "AND current_scores.deadline <= coalesce(excluded.deadline, current_scores.deadline) "
        "THEN current_scores.deadline ELSE excluded.deadline END "
        f"WHERE excluded.as_of >= current_scores.as_of OR current_scores.as_of > {mark}"
    )


def lead_of(entry: Entry) -> str:
    """The lead of a record."""
    return str(entry[1][_LEAD])


def insert_new(
    database: Database,
    cursor: Cursor,
    groups: Sequence[Sequence[Entry]],
    suppressed: frozenset[str] = frozenset(),
) -> list[list[WriteOutcome]]:
    """Insert the new records of several lists, not of suppressed leads; the outcomes in the same order.

    Raises WriteConflict when another process stored one of them, and the errors of the driver.
    """
    digests = _find_existing(database, cursor, (entry for entries in groups for entry in entries))
    fresh: dict[RecordKind, list[SqlRow]] = {}
    outcomes: list[list[WriteOutcome]] = [
        [
            "suppressed" if lead_of(entry) in suppressed else _classify(entry, digests, fresh)
            for entry in entries
        ]
        for entries in groups
    ]
    for kind, rows in fresh.items():
        if database.insert(cursor, kind, RECORD_COLUMNS[kind], rows) < len(rows):
            raise WriteConflict
        if kind == "activities" and (corrected_keys := [row[0] for row in rows if row[1] > 1]):
            drop_blocks_of_keys(database, cursor, corrected_keys)
    return outcomes


def _classify(
    entry: Entry, digests: dict[_RecordKey, str], fresh: dict[RecordKind, list[SqlRow]]
) -> WriteOutcome:
    kind, row = entry
    record_key = (kind, row[0], row[1])
    existing_digest = digests.get(record_key)
    if existing_digest is not None:
        return "known" if existing_digest == row[_DIGEST] else "conflict"
    digests[record_key] = row[_DIGEST]
    fresh.setdefault(kind, []).append(row)
    return "stored"


def _find_existing(database: Database, cursor: Cursor, entries: Iterable[Entry]) -> dict[_RecordKey, str]:
    keys: dict[RecordKind, dict[str, None]] = {}
    for kind, row in entries:
        keys.setdefault(kind, {})[row[0]] = None
    return {
        (kind, key, version): digest
        for kind, record_keys in keys.items()
        for key, version, digest in database.find_records(cursor, kind, list(record_keys))
    }
