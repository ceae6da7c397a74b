"""What the reading of every table shares: what is missing, times in UTC, and setting rows aside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time

import numpy as np
import pyarrow as pa

from features.clock import NEVER, iso, now_ms, to_ms
from features.columns import Bools, Column, Floats, Ints
from features.crm.parsing import Parsed, as_numbers, as_texts, as_times, encoded, plain
from features.crm.rejects import Reject, Rejects
from features.crm.tables import Rows, read_rows
from features.crm_data import Order
from features.settings import CrmSettings, Source

_DATE_FORMS = "is not a date such as 2026-10-01 09:30 (set time_format for other forms)"


class Reader:
    """Reads tables as one crm.toml says, and collects the rows and values that cannot be used."""

    def __init__(self, settings: CrmSettings) -> None:
        self.settings = settings
        self.rejects = Rejects()
        self.missing = frozenset({"", *settings.missing})
        self.latest = to_ms(aware(settings.as_of, settings)) if settings.as_of else now_ms()

    def read(self, part: str, source: Source, columns: Sequence[str] | None = None) -> Rows:
        """The table of a part of crm.toml ("leads", "deals", ...), all columns or some."""
        found = read_rows(source, self.settings.folder, columns)
        files = found.files or (found.name,)
        rows = replace(found, name=f"{part} ({found.name})", part=part, files=files)
        self.rejects.rows.extend(replace(r, table=part) for r in found.rejects)
        self.rejects.read[part] += rows.read
        return rows

    def texts(self, rows: Rows, column: str) -> pa.ChunkedArray:
        return as_texts(rows.table[column], self.missing)

    def column(self, rows: Rows, column: str, kind: str, shown: str | None = None) -> Column:
        """A column as texts or numbers; what is no number is emptied and told."""
        if kind == "category":
            return encoded(rows.table[column], self.missing)
        return self.numbers(rows, column, shown)

    def numbers(self, rows: Rows, column: str, shown: str | None = None) -> Floats:
        parsed = as_numbers(rows.table[column], self.missing)
        found = self._rejected(rows, parsed.unreadable, column, "is not a number", shown)
        self.rejects.values.extend(found)
        return np.asarray(parsed.values, dtype=np.float64)

    def times(self, rows: Rows, source: Source, column: str, need: str) -> Ints:
        """The times of a column; NEVER where the row is rejected."""
        parsed = self.parsed_times(rows, column, source.time_format)
        at = np.asarray(parsed.values, dtype=np.int64)
        empty = (at == NEVER) & ~parsed.unreadable
        future = (at > self.latest) & (at != NEVER)
        self.reject(rows, parsed.unreadable, column, _DATE_FORMS)
        self.reject(rows, empty, column, f"is empty; {need}")
        self.reject(rows, future, column, f"lies in the future (after {iso(self.latest)})")
        return np.where(future, NEVER, at)

    def parsed_times(self, rows: Rows, column: str, time_format: str | None) -> Parsed:
        return as_times(rows.table[column], self.missing, self.settings.zone, time_format)

    def reject(self, rows: Rows, bad: Bools, column: str, reason: str) -> None:
        """Set whole rows aside."""
        self.rejects.rows.extend(self._rejected(rows, bad, column, reason, None))

    def _rejected(self, rows: Rows, bad: Bools, column: str, reason: str, shown: str | None) -> list[Reject]:
        at = np.flatnonzero(bad)
        if not len(at):
            return []
        places = [rows.place(int(number)) for number in rows.numbers[at]]
        values = plain(rows.table[column], at)
        return [
            Reject(rows.part, file, row, shown or column, value, reason)
            for (file, row), value in zip(places, values, strict=True)
        ]


@dataclass(frozen=True)
class Places:
    """Which leads are known, and the row that each of them has among those that are kept.

    `ids` of all leads that have one; `row` the kept lead, -1 where it is left out.
    """

    ids: pa.Array
    row: Ints


def taken(rows: Rows, mask: Bools) -> Rows:
    """The rows where the mask holds."""
    if mask.all():
        return rows
    return replace(rows, table=rows.table.filter(pa.array(mask)), numbers=rows.numbers[mask])


def rows_as_texts(table: pa.Table, rows: Ints) -> np.ndarray[tuple[int], np.dtype[np.object_]]:
    """The whole content of some rows, a text a row: equal where they are equal to the letter."""
    told = table.take(pa.array(rows))
    columns = [told[name].to_pylist() for name in told.column_names]
    found = np.empty(len(rows), dtype=object)
    found[:] = [repr(row) for row in zip(*columns, strict=True)]
    return found


def order_of(settings: CrmSettings) -> Order:
    """By what the leads of a crm.toml are ordered."""
    if settings.order == "none":
        return "none"
    if settings.order in (None, "date"):
        return "date" if settings.leads.created_at else "none"
    return "rank"


def since_ms(settings: CrmSettings) -> int:
    """The moment before which leads are dropped."""
    since = settings.since
    if since is None or order_of(settings) != "date":
        return -NEVER
    at = since if isinstance(since, datetime) else datetime.combine(since, time())
    return to_ms(aware(at, settings))


def aware(at: datetime, settings: CrmSettings) -> datetime:
    """A time of crm.toml: in its zone where it has none."""
    return at if at.tzinfo else at.replace(tzinfo=settings.zone)
