"""One group of records in one transaction: known, in conflict, or new and stored."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from serving.store.backends.base import Database, Row
from serving.store.records import Kind, Outcome
from serving.store.upserts import RECORD_COLUMNS

Entry = tuple[Kind, Row]
"""A record as its kind and its row (see Record.row)."""
_Place = tuple[Kind, str, int]
_DIGEST = 4


class Overtaken(Exception):
    """Another process stored one of the records meanwhile: look again."""


def accept_all(database: Database, cursor: Any, groups: Sequence[Sequence[Entry]]) -> list[list[Outcome]]:
    """Store what is new of several lists of records; the outcome of each at its place.

    Raises Overtaken, and what the driver raises.
    """
    digests = _held(database, cursor, (entry for entries in groups for entry in entries))
    fresh: dict[Kind, list[Row]] = {}
    outcomes = [[_outcome(entry, digests, fresh) for entry in entries] for entries in groups]
    for kind, rows in fresh.items():
        if database.insert(cursor, kind, RECORD_COLUMNS[kind], rows) < len(rows):
            raise Overtaken
    return outcomes


def _outcome(entry: Entry, digests: dict[_Place, str], fresh: dict[Kind, list[Row]]) -> Outcome:
    kind, row = entry
    place = (kind, row[0], row[1])
    told = digests.get(place)
    if told is not None:
        return "known" if told == row[_DIGEST] else "conflict"
    digests[place] = row[_DIGEST]
    fresh.setdefault(kind, []).append(row)
    return "stored"


def _held(database: Database, cursor: Any, entries: Iterable[Entry]) -> dict[_Place, str]:
    keys: dict[Kind, dict[str, None]] = {}
    for kind, row in entries:
        keys.setdefault(kind, {})[row[0]] = None
    return {
        (kind, key, version): digest
        for kind, told in keys.items()
        for key, version, digest in database.held(cursor, kind, list(told))
    }
