"""Tables whose rows are states or events of records, not records: their ids repeat."""

from __future__ import annotations

import numpy as np

from features.columns import Ints
from features.crm.parsing import encode_column
from features.crm.profile import ColumnProfile, TableProfile
from features.crm.propose.recognised import RecognisedTable
from features.crm.propose.words import header_key
from features.errors import DataError
from features.settings import MISSING

_ID_KEYS = frozenset(
    ["id", "leadid", "dealid", "opportunityid", "recordid", "contactid", "リードid", "商談id", "案件id"]
)
_FEW_IDS = 20


def check_one_row_each(leads: RecognisedTable, lead_id: str) -> None:
    """Raise DataError where ids repeat: then the rows are states or activities of records."""
    if lead_id != "row":
        return
    column = _named_id(leads) or _id_of_snapshots(leads.profile)
    if column is not None:
        raise DataError(
            "{file}: {name} repeats ({distinct:,} ids in {rows:,} rows): a row is one state or event of "
            "a record, not the record. Export a file with one row for each lead or deal as it is now, "
            "and name this file after it: hotlead init LEADS.csv {source}",
            file=leads.file,
            name=column.name,
            distinct=column.distinct,
            rows=column.rows,
            source=leads.profile.source.source,
        )


def _named_id(leads: RecognisedTable) -> ColumnProfile | None:
    profile = leads.profile
    for column in profile.columns:
        is_id = column.name in leads.recipe.columns("id", profile) or header_key(column.name) in _ID_KEYS
        if is_id and column.filled > 0.9 and 1 < column.distinct < 0.9 * column.rows:
            return column
    return None


def _id_of_snapshots(table: TableProfile) -> ColumnProfile | None:
    """A column that repeats once a snapshot, while a date of creation is the same in all rows of a value."""
    times = [c for c in table.columns if c.kind == "time" and c.filled > 0.95]
    ids = [
        c
        for c in table.columns
        if c.kind in ("text", "number") and c.filled > 0.99 and _FEW_IDS < c.distinct < 0.7 * c.rows
    ]
    for column in ids if len(times) > 1 else []:
        codes = encode_column(table.rows.table[column.name], MISSING).codes.astype(np.int64)
        pairs = {t.name: _count_pairs(codes, table.times(t.name)) for t in times}
        distinct = len(np.unique(codes))
        fixed = [t for t in times if pairs[t.name] < 1.02 * distinct]
        unique = [t for t in times if pairs[t.name] > 0.99 * len(table)]
        if any(t.distinct > 0.3 * distinct for t in fixed) and any(t.distinct < 0.2 * t.rows for t in unique):
            return column
    return None


def _count_pairs(codes: Ints, times_ms: Ints) -> int:
    """The number of different pairs of a value and a time."""
    moments = np.unique(times_ms, return_inverse=True)[1].astype(np.int64)
    return len(np.unique(codes * (int(moments.max(initial=0)) + 1) + moments))
