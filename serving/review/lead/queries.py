"""What the page of a lead reads: all that happened to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy.engine import Connection

from serving.store import queries as store_queries
from serving.store.records import RecordKind
from serving.store.tables import RECORDS

_KINDS: tuple[RecordKind, ...] = ("handovers", "overrides", "outcomes", "opportunities", "verdicts")
_CODE_COLUMNS = {"handovers": "step", "overrides": "verdict", "outcomes": "outcome", "verdicts": "right_side"}
_REASON_COLUMNS = ("reason", "lost_reason", "stage")


@dataclass(frozen=True)
class SalesRecord:
    """Something that people did about a lead: its kind, what it was, by whom and why. Times are ms UTC."""

    kind: RecordKind
    happened_at: int
    code: str
    author: str
    reason: str
    due_at: int | None = None


def read_sales_records(connection: Connection, lead_id: str) -> list[SalesRecord]:
    """All that people did about a lead, the newest first."""
    records = [record for kind in _KINDS for record in _records_of_kind(connection, kind, lead_id)]
    return sorted(records, key=lambda record: -record.happened_at)


def _records_of_kind(connection: Connection, kind: RecordKind, lead_id: str) -> Iterator[SalesRecord]:
    rows = connection.execute(store_queries.newest_rows(RECORDS[kind]), {"ids": [lead_id]})
    for row in rows:
        values: dict[str, Any] = dict(row._mapping)
        reason = next((str(values[name]) for name in _REASON_COLUMNS if values.get(name)), "")
        yield SalesRecord(
            kind,
            row.at,
            str(values.get(_CODE_COLUMNS.get(kind, ""), "") or ""),
            str(values.get("by") or ""),
            reason,
            values.get("due_at"),
        )
