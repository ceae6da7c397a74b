"""Inserts the new records of a group, and classifies the others as known or in conflict."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from serving.store.backends.base import Cursor, Database, SqlRow
from serving.store.backends.upserts import RECORD_COLUMNS
from serving.store.errors import WriteConflict
from serving.store.records import RecordKind, WriteOutcome

Entry = tuple[RecordKind, SqlRow]
"""The kind of a record and its row (see Record.row)."""
_RecordKey = tuple[RecordKind, str, int]
_DIGEST = 4


def insert_new(
    database: Database, cursor: Cursor, groups: Sequence[Sequence[Entry]]
) -> list[list[WriteOutcome]]:
    """Insert the new records of several lists; the outcomes in the same order.

    Raises WriteConflict when another process stored one of them, and the errors of the driver.
    """
    digests = _find_existing(database, cursor, (entry for entries in groups for entry in entries))
    fresh: dict[RecordKind, list[SqlRow]] = {}
    outcomes = [[_classify(entry, digests, fresh) for entry in entries] for entries in groups]
    for kind, rows in fresh.items():
        if database.insert(cursor, kind, RECORD_COLUMNS[kind], rows) < len(rows):
            raise WriteConflict
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
