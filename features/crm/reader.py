"""Reading of any table: missing values, times in UTC, and rejected rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time

import numpy as np
import pyarrow as pa

from features.clock import NEVER, iso, now_ms, to_ms
from features.columns import Bools, Column, Floats, Ints, merge_categories
from features.crm.parsing import Parsed, as_numbers, as_texts, as_times, encode_column, source_texts
from features.crm.rejects import Reject, Rejects
from features.crm.table_settings import Source
from features.crm.tables import SourceRows, read_rows
from features.crm_data import LeadOrder
from features.settings import CrmSettings

_DATE_FORMS = "is not a date such as 2026-10-01 09:30 (set time_format for other forms)"


class Reader:
    """Reads the tables of a crm.toml, and collects unusable rows and values."""

    def __init__(self, settings: CrmSettings) -> None:
        self.settings = settings
        self.rejects = Rejects()
        self.missing = frozenset({"", *settings.missing})
        self.latest = to_ms(with_zone(settings.as_of, settings)) if settings.as_of else now_ms()

    def read_table(self, part: str, source: Source, columns: Sequence[str] | None = None) -> SourceRows:
        """The table of a part of crm.toml ("leads", "deals", ...), all columns or some."""
        source_rows = read_rows(source, self.settings.folder, columns)
        files = source_rows.files or (source_rows.name,)
        rows = replace(source_rows, name=f"{part} ({source_rows.name})", part=part, files=files)
        self.rejects.rows.extend(replace(r, table=part) for r in source_rows.rejects)
        self.rejects.read[part] += rows.read
        return rows

    def read_texts(self, rows: SourceRows, column: str) -> pa.ChunkedArray:
        return as_texts(rows.table[column], self.missing)

    def read_column(self, rows: SourceRows, column: str, kind: str, shown: str | None = None) -> Column:
        """A column as numbers, or as texts with one category for each normal form.

        Values that are no numbers become missing and are reported.
        """
        if kind == "category":
            return merge_categories(encode_column(rows.table[column], self.missing))
        return self.read_numbers(rows, column, shown)

    def read_numbers(self, rows: SourceRows, column: str, shown: str | None = None) -> Floats:
        parsed = as_numbers(rows.table[column], self.missing)
        rejects = self._make_rejects(rows, parsed.unreadable, column, "is not a number", shown)
        self.rejects.values.extend(rejects)
        return np.asarray(parsed.values, dtype=np.float64)

    def read_times(self, rows: SourceRows, source: Source, column: str, need: str) -> Ints:
        """The times of a column in ms UTC; NEVER for rejected rows."""
        parsed = self.parse_times(rows, column, source.time_format)
        times_ms = np.asarray(parsed.values, dtype=np.int64)
        empty = (times_ms == NEVER) & ~parsed.unreadable
        future = (times_ms > self.latest) & (times_ms != NEVER)
        self.reject(rows, parsed.unreadable, column, _DATE_FORMS)
        self.reject(rows, empty, column, f"is empty; {need}")
        self.reject(rows, future, column, f"lies in the future (after {iso(self.latest)})")
        return np.where(future, NEVER, times_ms)

    def parse_times(self, rows: SourceRows, column: str, time_format: str | None) -> Parsed:
        return as_times(rows.table[column], self.missing, self.settings.zone, time_format)

    def reject(self, rows: SourceRows, bad: Bools, column: str, reason: str) -> None:
        """Reject the rows that the mask selects."""
        self.rejects.rows.extend(self._make_rejects(rows, bad, column, reason, None))

    def _make_rejects(
        self, rows: SourceRows, bad: Bools, column: str, reason: str, shown: str | None
    ) -> list[Reject]:
        positions = np.flatnonzero(bad)
        if not len(positions):
            return []
        places = [rows.locate(int(number)) for number in rows.numbers[positions]]
        values = source_texts(rows.table[column], positions)
        return [
            Reject(rows.part, file, row, shown or column, value, reason)
            for (file, row), value in zip(places, values, strict=True)
        ]


@dataclass(frozen=True)
class LeadIndex:
    """The `ids` of all known leads, and the `row` of each among the selected leads (-1 if excluded)."""

    ids: pa.Array
    row: Ints


def filter_rows(rows: SourceRows, mask: Bools) -> SourceRows:
    """The rows that the mask selects."""
    if mask.all():
        return rows
    return replace(rows, table=rows.table.filter(pa.array(mask)), numbers=rows.numbers[mask])


def rows_as_texts(table: pa.Table, rows: Ints) -> np.ndarray[tuple[int], np.dtype[np.object_]]:
    """The content of each row as one text, equal for identical rows."""
    selected = table.take(pa.array(rows))
    columns = [selected[name].to_pylist() for name in selected.column_names]
    texts = np.empty(len(rows), dtype=object)
    texts[:] = [repr(row) for row in zip(*columns, strict=True)]
    return texts


def lead_order(settings: CrmSettings) -> LeadOrder:
    """How the leads of a crm.toml are ordered."""
    if settings.order == "none":
        return "none"
    if settings.order in (None, "date"):
        return "date" if settings.leads.created_at else "none"
    return "rank"


def since_ms(settings: CrmSettings) -> int:
    """The moment before which leads are excluded."""
    since = settings.since
    if since is None or lead_order(settings) != "date":
        return -NEVER
    moment = since if isinstance(since, datetime) else datetime.combine(since, time())
    return to_ms(with_zone(moment, settings))


def with_zone(moment: datetime, settings: CrmSettings) -> datetime:
    """A time of crm.toml in ms UTC; without an offset it is in the time zone of crm.toml."""
    return moment if moment.tzinfo else moment.replace(tzinfo=settings.zone)
