"""The activities of leads, and the history of their attributes."""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from features.clock import NEVER
from features.columns import Ints
from features.crm.leads import base_columns, once
from features.crm.parsing import encoded, positions
from features.crm.reader import Places, Reader, taken
from features.crm.tables import Rows
from features.crm_data import Activities, Changes, no_activities
from features.errors import DataError, SettingsError, nearest
from features.settings import ActivitiesTable, ChangesTable

_MOST_TYPES = 30_000


def read_activities(reader: Reader, places: Places) -> Activities:
    """The activities of the kept leads. Raises DataError where features count and none is told."""
    told = reader.settings.activities
    if told is None:
        return no_activities()
    columns = [c for c in (told.lead, told.at, told.type, told.value, told.id) if c]
    rows = reader.read("activities", told, list(dict.fromkeys(columns)))
    _not_empty(reader, rows)
    if told.id:
        rows = once(reader, rows, told.id)
    lead, rows = _known(reader, places, rows, told.lead, "activity")
    at = reader.times(rows, told, told.at, "an activity needs its time")
    kind, types = _types(reader, rows, told)
    good = (at != NEVER) & (kind >= 0)
    value = reader.numbers(rows, told.value)[good] if told.value else None
    return Activities(lead[good].astype(np.int32), kind[good], at[good], value, types)


def read_changes(reader: Reader, places: Places) -> dict[str, Changes]:
    """The histories of the columns that features and segments use."""
    told = reader.settings.changes
    if told is None:
        return {}
    columns = [c for c in (told.lead, told.at, told.column, told.value, *told.columns) if c]
    rows = reader.read("changes", told, list(dict.fromkeys(columns)))
    _tells_of(reader, told)
    lead, rows = _known(reader, places, rows, told.lead, "change")
    at = reader.times(rows, told, told.at, "a change needs its time")
    rows, lead, at = taken(rows, at != NEVER), lead[at != NEVER], at[at != NEVER]
    found = {c: _history(reader, rows, told, lead, at, c) for c in reader.settings.columns}
    return {c: history for c, history in found.items() if history is not None}


def _not_empty(reader: Reader, rows: Rows) -> None:
    counting = [name for name, f in reader.settings.table if f.kind not in ("attribute", "age")]
    if counting and not rows.read:
        raise DataError(
            f"{rows.name}: holds no activity, but [features] {counting[0]} counts some. Export the "
            "activities, or take [activities] and such features out of crm.toml."
        )


def _tells_of(reader: Reader, told: ChangesTable) -> None:
    """A history in columns must have a column for each feature that is read from it."""
    for name, feature in reader.settings.table.attributes.items():
        if told.columns and feature.known == "history" and feature.column not in told.columns:
            raise SettingsError(
                f'[features] {name}: known = "history", but [changes] columns does not name '
                f"{feature.column!r}; {nearest(feature.column, list(told.columns))}."
            )


def _known(reader: Reader, places: Places, rows: Rows, column: str, what: str) -> tuple[Ints, Rows]:
    """The rows of kept leads, and those leads. A lead that no table knows rejects the row."""
    found = positions(reader.texts(rows, column), places.ids)
    reader.reject(rows, found < 0, column, f"{what} of a lead that is not in the leads' table")
    lead = np.where(found >= 0, places.row[found], -1)
    known = lead >= 0
    return lead[known], taken(rows, known)


def _types(reader: Reader, rows: Rows, told: ActivitiesTable) -> tuple[NDArray[np.int16], tuple[str, ...]]:
    if not told.type:
        return np.zeros(rows.table.num_rows, dtype=np.int16), ("activity",)
    found = encoded(rows.table[told.type], reader.missing)
    if len(found.categories) > _MOST_TYPES:
        raise SettingsError(
            f"{rows.name}, column {told.type}: {len(found.categories):,} different activity "
            "types; this looks like an id. Name the column that tells the kind of activity."
        )
    reader.reject(rows, found.codes < 0, told.type, "an activity needs a type")
    return found.codes.astype(np.int16), found.categories


def _history(
    reader: Reader, rows: Rows, told: ChangesTable, lead: Ints, at: Ints, column: str
) -> Changes | None:
    """The history of one column, from a column of its own or from the rows that name it."""
    source = column if column in told.columns else None
    if told.column and told.value:
        named = pc.fill_null(pc.equal(reader.texts(rows, told.column), column), False)
        here = named.to_numpy(zero_copy_only=False).astype(bool)
        rows, lead, at, source = taken(rows, here), lead[here], at[here], told.value
    if source is None or (not len(lead) and column in base_columns(reader.settings)):
        return None
    value = reader.column(rows, source, reader.settings.columns[column], column)
    return Changes(lead.astype(np.int32), at, value)
