"""Reads activities: those of most leads as rows, those of leads with very many from blocks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from operator import itemgetter
from typing import TypeAlias

from sqlalchemy.engine import Connection

from features.large.large_lead import MANY_EVENTS
from features.one_lead import Event
from serving.store import queries
from serving.store.activities.blocks import (
    BLOCK_ROWS,
    MAX_GAPS,
    VersionedEvents,
    find_gaps,
    join_versioned,
    pack_rows,
    unpack_rows,
)
from serving.store.errors import ManyActivities
from serving.store.queries import in_chunks

EventsByLead: TypeAlias = dict[str, Sequence[Event]]
Report: TypeAlias = Callable[[str], None]
"""Is told of a lead with enough activities for a block that are in none."""
PAGE_ROWS = 20_000
"""The rows of one statement: a database may end longer ones."""


def read_events(
    connection: Connection, lead_ids: Sequence[str], limit: int | None, report: Report
) -> EventsByLead:
    """Activities by lead: type, time (ms UTC) and value (NaN: none), by time.

    Of a lead with more than `MANY_EVENTS`, they are EventColumns. Raises ManyActivities for more than `limit`
    in all (at most `MANY_EVENTS`; None: any number).
    """
    if len(lead_ids) == 1:
        (lead_id,) = lead_ids
        events: Sequence[Event] | None = _read_few(connection, lead_id)
        if events is None or (limit is not None and len(events) > limit):
            if limit is not None:
                raise ManyActivities
            events = _read_many(connection, lead_id, report)
        return {lead_id: events} if len(events) else {}
    counts = {
        lead_id: count
        for chunk in in_chunks(lead_ids)
        for lead_id, count in connection.execute(queries.activity_counts(), {"ids": chunk})
    }
    if limit is not None and sum(counts.values()) > limit:
        raise ManyActivities
    few = [lead_id for lead_id, count in counts.items() if count <= MANY_EVENTS]
    many = [lead_id for lead_id, count in counts.items() if count > MANY_EVENTS]
    return _read_rows(connection, few) | {
        lead_id: _read_many(connection, lead_id, report) for lead_id in many
    }


def _read_few(connection: Connection, lead_id: str) -> list[Event] | None:
    """The activities of one lead; None where they may be more than `MANY_EVENTS`."""
    params = {"lead_id": lead_id, "limit": MANY_EVENTS + 1}
    rows = connection.execute(queries.few_activities(), params).all()
    if len(rows) > MANY_EVENTS:
        return None
    if not rows and connection.scalar(queries.has_blocks(), {"lead_id": lead_id}):
        return None
    return [(kind, time_ms, math.nan if value is None else value) for kind, time_ms, value in rows]


def _read_rows(connection: Connection, lead_ids: Sequence[str]) -> EventsByLead:
    events: dict[str, list[Event]] = {}
    for chunk in in_chunks(lead_ids):
        for lead_id, kind, time_ms, value in connection.execute(
            queries.activities_of_leads(), {"ids": chunk}
        ):
            events.setdefault(lead_id, []).append((kind, time_ms, math.nan if value is None else value))
    return {**events}


def _read_many(connection: Connection, lead_id: str, report: Report) -> Sequence[Event]:
    """The activities of a lead from its blocks, and from rows that are in none."""
    with _snapshot(connection):
        blocks = connection.execute(queries.blocks(), {"lead_id": lead_id}).all()
        gaps = find_gaps([(block.first_seq, block.last_seq) for block in blocks])
        if not blocks or len(gaps) > 1:
            report(lead_id)  # at once: reading the rows takes long
        if len(gaps) > MAX_GAPS:
            blocks, gaps = [], find_gaps([])
        parts = [(block.first_seq, unpack_rows(block.types, block.packed)) for block in blocks]
        in_gaps = [list(_read_gap(connection, lead_id, low, high)) for low, high in gaps]
    if sum(len(part.versions) for _, part in in_gaps[-1]) >= BLOCK_ROWS:
        report(lead_id)
    parts = sorted([*parts, *chain.from_iterable(in_gaps)], key=itemgetter(0))
    return join_versioned([part for _, part in parts])


def _read_gap(
    connection: Connection, lead_id: str, low: int, high: int
) -> Iterator[tuple[int, VersionedEvents]]:
    """The activities of a lead from `low` to `high`, in pages by arrival; the first `seq` of each."""
    while True:
        params = {"lead_id": lead_id, "low": low, "high": high, "limit": PAGE_ROWS}
        rows = connection.execute(queries.activities_by_arrival(), params).all()
        if rows:
            yield (
                rows[0].seq,
                unpack_rows(*pack_rows([(row.at, row.version, row.type, row.value) for row in rows])),
            )
        if len(rows) < PAGE_ROWS:
            return
        low = rows[-1].seq + 1


@contextmanager
def _snapshot(connection: Connection) -> Iterator[None]:
    """Within the block, all statements read one state: a block may be dropped when a row is corrected."""
    is_sqlite = connection.dialect.name == "sqlite"
    connection.exec_driver_sql("BEGIN" if is_sqlite else "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    try:
        yield
    finally:
        connection.exec_driver_sql("ROLLBACK")
