"""SQL texts of the writer, the same for both databases.

Texts on the driver's cursor instead of SQLAlchemy statements: a prediction is stored in 0.1 ms, and
compiling a statement takes as long again.
"""

from __future__ import annotations

from collections.abc import Iterable

from scoring.decision.actions import FOLLOW_UP
from serving.store.records import COLUMNS, KINDS, Prediction, RecordKind

RECORD_COLUMNS: dict[RecordKind, tuple[str, ...]] = {
    kind: ("key", "version", "lead_id", "at", "digest", *COLUMNS[kind]) for kind in KINDS
}
PREDICTION_COLUMNS = Prediction._fields
"""The columns of the table of predictions, without `seq`."""

_CURRENT_COLUMNS = tuple(name for name in PREDICTION_COLUMNS if name != "replay")
_NOT_OVERWRITTEN = ("lead_id", "deadline")


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
