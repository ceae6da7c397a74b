"""Blocks: the activities of leads with very many of them once more, packed as arrays.

A million rows take seconds to read, and their blocks some ten milliseconds. Blocks hold nothing that the rows
do not: what is in no block is read from the rows. A block covers the rows of its lead from `first_seq` to
`last_seq`; the next one begins right after it. It is dropped when one of its rows is corrected or erased.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import orjson
from numpy.typing import NDArray

from features.columns import Floats, Ints, encode_texts
from features.large.event_columns import EventColumns, join_events, order_by_time
from serving.store.backends.base import Cursor, Database

BLOCK_ROWS = 2_000
MAX_GAPS = 8
"""With more gaps between its blocks than these, a lead is read from its rows."""
LAST_SEQ = 2**62
_ROW = np.dtype([("at", "<i8"), ("value", "<f8"), ("version", "<i8"), ("type", "<i4")])


@dataclass(frozen=True)
class VersionedEvents:
    """Activities in the order of arrival, and the version of each."""

    events: EventColumns
    versions: NDArray[np.int64]


def pack_rows(rows: Sequence[tuple[int, int, str, float | None]]) -> tuple[str, bytes]:
    """Time, version, type and value of activities as the columns `types` and `packed`."""
    kinds = encode_texts([kind for _, _, kind, _ in rows])
    packed = np.empty(len(rows), dtype=_ROW)
    packed["at"] = [time_ms for time_ms, _, _, _ in rows]
    packed["version"] = [version for _, version, _, _ in rows]
    packed["value"] = [np.nan if value is None else value for _, _, _, value in rows]
    packed["type"] = kinds.codes
    return orjson.dumps(kinds.categories).decode(), packed.tobytes()


def unpack_rows(types: str, packed: bytes) -> VersionedEvents:
    """What `pack_rows` packed."""
    rows = np.frombuffer(packed, dtype=_ROW)
    times_ms: Ints = rows["at"].astype(np.int64)
    values: Floats = rows["value"].astype(np.float64)
    codes, versions = rows["type"].astype(np.int32), rows["version"].astype(np.int64)
    return VersionedEvents(EventColumns(times_ms, codes, values, tuple(orjson.loads(types))), versions)


def join_versioned(parts: Sequence[VersionedEvents]) -> EventColumns:
    """The activities of all parts, which follow each other by arrival, by time, version and arrival."""
    events = join_events([part.events for part in parts])
    order = order_by_time(events.times_ms)
    versions, times_ms = np.concatenate([part.versions for part in parts])[order], events.times_ms[order]
    # Few activities have equal times, so only those are sorted once more.
    same = np.flatnonzero((times_ms[1:] == times_ms[:-1]) & (versions[1:] < versions[:-1]))
    if len(same):
        tied = np.flatnonzero(np.isin(times_ms, times_ms[same]))
        order[tied] = order[tied][np.lexsort((versions[tied], times_ms[tied]))]
    return events.select(order)


def find_gaps(blocks: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The ranges of `seq` that blocks (first and last, sorted) leave out; the last one is without end."""
    gaps, start = [], 0
    for first, last in blocks:
        if first > start:
            gaps.append((start, first - 1))
        start = last + 1
    return [*gaps, (start, LAST_SEQ)]


def pack_block(database: Database, cursor: Cursor, *, lead_id: str) -> bool:
    """Make the next block of a lead, in a transaction that writes; False where there is none to make.

    The newest activities are packed when they fill a block.
    """
    database.lock_activities(cursor)
    mark = database.mark
    covered = f"SELECT first_seq, last_seq FROM activity_blocks WHERE lead_id = {mark} ORDER BY first_seq"
    gaps = find_gaps([(first, last) for first, last in cursor.execute(covered, (lead_id,)).fetchall()])
    low, high = gaps[0]
    rows = cursor.execute(_select_rows(mark), (lead_id, low, high, BLOCK_ROWS)).fetchall()
    is_full = len(rows) == BLOCK_ROWS
    if high == LAST_SEQ and not is_full:
        return False
    last_seq = rows[-1][0] if is_full else high
    types, packed = pack_rows([row[1:5] for row in rows if not row[5]])
    insert = f"INSERT INTO activity_blocks VALUES ({', '.join([mark] * 5)})"
    cursor.execute(insert, (lead_id, low, last_seq, types, packed))
    return True


def drop_blocks_of_keys(database: Database, cursor: Cursor, keys: Sequence[str]) -> None:
    """Drop the blocks that cover a version of some activities; call it after their rows have changed."""
    covering = (
        "SELECT b.lead_id, b.first_seq FROM activities a JOIN activity_blocks b ON b.lead_id = a.lead_id "
        f'AND a.seq BETWEEN b.first_seq AND b.last_seq WHERE a."key" {database.in_list}'
    )
    drop = f"DELETE FROM activity_blocks WHERE (lead_id, first_seq) IN ({covering})"
    cursor.execute(drop, (database.to_list(keys),))


def find_corrected_keys(database: Database, cursor: Cursor, lead_ids: Sequence[str]) -> list[str]:
    """The keys of the activities of leads that correct an earlier version, perhaps of another lead."""
    query = f'SELECT "key" FROM activities WHERE lead_id {database.in_list} AND version > 1'
    return [key for (key,) in cursor.execute(query, (database.to_list(lead_ids),)).fetchall()]


def _select_rows(mark: str) -> str:
    newer = 'SELECT 1 FROM activities n WHERE n."key" = a."key" AND n.version > a.version'
    return (
        f'SELECT seq, "at", version, type, value, EXISTS ({newer}) FROM activities a '
        f"WHERE lead_id = {mark} AND seq BETWEEN {mark} AND {mark} ORDER BY seq LIMIT {mark}"
    )
