"""What the page of a lead reads: all that happened to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy.engine import Connection

from serving.store import queries as store_queries
from serving.store.records import Kind
from serving.store.tables import RECORDS

_KINDS: tuple[Kind, ...] = ("handovers", "overrides", "outcomes", "opportunities", "verdicts")
_WHAT = {
    "handovers": "step",
    "overrides": "verdict",
    "outcomes": "outcome",
    "verdicts": "right_side",
}
_WHY = ("reason", "lost_reason", "stage")


@dataclass(frozen=True)
class Deed:
    """Something that people did about a lead: its kind, what it was, by whom and why. Times are ms UTC."""

    kind: Kind
    at: int
    what: str
    by: str
    why: str
    due_at: int | None = None


def deeds(connection: Connection, lead_id: str) -> list[Deed]:
    """All that people did about a lead, the newest first."""
    found = [deed for kind in _KINDS for deed in _of_kind(connection, kind, lead_id)]
    return sorted(found, key=lambda deed: -deed.at)


def _of_kind(connection: Connection, kind: Kind, lead_id: str) -> Iterator[Deed]:
    rows = connection.execute(store_queries.newest(RECORDS[kind]), {"asked": [lead_id]})
    for row in rows:
        told: dict[str, Any] = dict(row._mapping)
        why = next((str(told[name]) for name in _WHY if told.get(name)), "")
        yield Deed(
            kind,
            row.at,
            str(told.get(_WHAT.get(kind, ""), "") or ""),
            str(told.get("by") or ""),
            why,
            told.get("due_at"),
        )
