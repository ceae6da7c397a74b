"""Reading of any table: missing values, times in UTC, and rejected rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time
from typing import Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.clock import CLOCKS_DIFFER_MS, NEVER, iso, now_ms, to_ms
from features.columns import Bools, Column, Floats, Ints, map_texts, merge_categories
from features.crm.joining.ids import match_ids
from features.crm.parsing import (
    Parsed,
    as_numbers,
    as_texts,
    as_times,
    encode_column,
    has_offsets,
    source_texts,
)
from features.crm.rejects import LeftOut, LeftOutReason, Reject, Rejects
from features.crm.sources.cut_ids import check_ids_are_whole
from features.crm.sources.rows import SourceRows
from features.crm.table_settings import RowConditions, Source
from features.crm.tables import read_rows
from features.crm.values.closes import end_of_days
from features.crm.values.find_times import find_number_times, find_time_formats
from features.crm.values.formats import NumberFormat, TimeFormat
from features.crm.values.numbers import find_number_format
from features.crm_data import LeadOrder
from features.errors import DataError
from features.messages import Message, either
from features.settings import CrmSettings

_HOUR_MS = 3_600_000
_ZONES_APART_MS = 14 * _HOUR_MS
_PARTS = {"leads": ("leads", "deals"), "deals": ("deals", "leads"), "changes": ("changes", "leads")}
"""The tables of crm.toml whose formats of numbers hold for the rows of a part."""


Planned: TypeAlias = Literal["error", "reject", "note"]
"""What times after now are: an error if the zone may be wrong, rejects, or plans that are left out."""


class ZoneError(DataError):
    """Times lie in the future as those of another time zone would."""


class Reader:
    """Reads the tables of a crm.toml, and collects unusable rows and values."""

    def __init__(self, settings: CrmSettings) -> None:
        self.settings = settings
        self.rejects = Rejects()
        self.missing = frozenset({"", *settings.missing})
        self.skipped_leads: pa.Array = pa.array([], pa.string())
        self.latest = to_ms(with_zone(settings.as_of, settings)) if settings.as_of else now_ms()

    def read_table(self, part: str, source: Source, columns: Sequence[str] | None = None) -> SourceRows:
        """The table of a part of crm.toml ("leads", "deals", ...), all columns or some.

        Rows that `skip_where` selects are left out and noted.
        """
        wanted = None if columns is None else list(dict.fromkeys((*columns, *source.skip_where)))
        source_rows = read_rows(source, self.settings.folder, wanted)
        files = source_rows.files or (source_rows.name,)
        rows = replace(source_rows, name=f"{part} ({source_rows.name})", part=part, files=files)
        self.rejects.rows.extend(replace(r, table=part) for r in source_rows.rejects)
        self.rejects.read[part] += rows.read
        id_column = getattr(source, "id" if part == "leads" else "lead", None)
        if id_column and id_column in rows.table.column_names:
            check_ids_are_whole(rows.table, id_column, rows.name)
        return self._skip_rows(rows, source.skip_where)

    def _skip_rows(self, rows: SourceRows, conditions: RowConditions) -> SourceRows:
        for column, values in conditions.items():
            if column in rows.table.column_names:
                skipped = self.select_rows(rows, {column: values})
                self.note("skipped", rows.part, column, int(skipped.sum()))
                self._remember_skipped_leads(filter_rows(rows, skipped))
                rows = filter_rows(rows, ~skipped)
        return rows

    def select_rows(self, rows: SourceRows, conditions: RowConditions) -> Bools:
        """The rows with one of the values in any of the columns."""
        selected = np.zeros(rows.table.num_rows, dtype=bool)
        for column, values in conditions.items():
            texts = pc.fill_null(pc.utf8_lower(self.read_texts(rows, column)), "")
            wanted = pa.array([value.strip().lower() for value in values], pa.string())
            selected |= pc.is_in(texts, value_set=wanted).to_numpy(zero_copy_only=False).astype(bool)
        return selected

    def _remember_skipped_leads(self, rows: SourceRows) -> None:
        column = self.settings.leads.id
        if rows.part == "leads" and column in rows.table.column_names:
            ids = self.read_texts(rows, column).drop_null().combine_chunks()
            self.skipped_leads = pa.concat_arrays([self.skipped_leads, ids])

    def drop_without_lead(self, rows: SourceRows, column: str) -> SourceRows:
        """The rows with the id of a lead; the others (calls to customers ...) are noted."""
        texts = self.read_texts(rows, column)
        has_lead = pc.is_valid(texts).to_numpy(zero_copy_only=False).astype(bool)
        self.note("no_lead", rows.part, column, int((~has_lead).sum()))
        of_skipped = pc.is_in(texts, value_set=self.skipped_leads).to_numpy(zero_copy_only=False).astype(bool)
        of_skipped &= has_lead
        self.note("skipped_lead", rows.part, column, int(of_skipped.sum()))
        return filter_rows(rows, has_lead & ~of_skipped)

    def match_leads(
        self, rows: SourceRows, column: str, lead_ids: pa.Array, reason: Message
    ) -> tuple[SourceRows, Ints]:
        """The rows of known leads, and the position of each one's lead among `lead_ids`.

        Rows without a lead are noted, those of unknown leads are rejected with the reason.
        """
        rows = self.drop_without_lead(rows, column)
        position, other_forms = match_ids(self.read_texts(rows, column), lead_ids)
        self.note("id_forms", rows.part, column, other_forms)
        self.reject(rows, position < 0, column, reason)
        return filter_rows(rows, position >= 0), position[position >= 0]

    def note(self, reason: LeftOutReason, part: str, column: str, count: int) -> None:
        """Note a number of rows that are left out, or joined, without being wrong."""
        if count:
            self.rejects.notes.append(LeftOut(part, column, reason, count))

    def read_texts(self, rows: SourceRows, column: str) -> pa.ChunkedArray:
        return as_texts(rows.table[column], self.missing)

    def read_column(self, rows: SourceRows, column: str, kind: str, shown: str | None = None) -> Column:
        """A column as numbers, as times (ms UTC, nan: missing), or as texts with one category for each normal
        form; of personal data only what crm.toml derives from it.

        Values that are no numbers or times become missing and are reported.
        """
        if kind == "time":
            return self._read_dates(rows, column, shown or column)
        if kind == "number":
            return self.read_numbers(rows, column, shown)
        texts = encode_column(rows.table[column], self.missing)
        edge = self.settings.edges.get(shown or column)
        return merge_categories(texts) if edge is None else map_texts(texts, edge)

    def _read_dates(self, rows: SourceRows, column: str, shown: str) -> Floats:
        """The dates of an attribute; any may lie in the future."""
        time_format = self.settings.leads.time_format_of(shown)
        parsed = self.parse_times(rows, column, time_format)
        if parsed.unreadable.any():
            reason = self._explain_times(rows, column, time_format)
            self.rejects.values.extend(self._make_rejects(rows, parsed.unreadable, column, reason, shown))
        return np.where(parsed.values == NEVER, np.nan, parsed.values).astype(np.float64)

    def read_numbers(
        self, rows: SourceRows, column: str, shown: str | None = None, source: Source | None = None
    ) -> Floats:
        """A column as numbers, in the format of `source` or else of its part of crm.toml.

        Raises DataError where 1.500 may be 1500 or 1.5 and crm.toml does not say.
        """
        of_part = self.number_format(rows, shown or column)
        number_format = source.number_formats.get(column) if source else of_part
        parsed = as_numbers(rows.table[column], self.missing, number_format)
        reason = self._explain_numbers(rows, parsed, column, shown or column, number_format)
        rejects = self._make_rejects(rows, parsed.unreadable, column, reason, shown)
        self.rejects.values.extend(rejects)
        return np.asarray(parsed.values, dtype=np.float64)

    def number_format(self, rows: SourceRows, column: str) -> NumberFormat | None:
        """The format of a column of numbers; None if they are plain."""
        tables = [getattr(self.settings, part) for part in _PARTS.get(rows.part, ())]
        formats = (table.number_formats.get(column) for table in tables if table)
        return next((number_format for number_format in formats if number_format), None)

    def _explain_numbers(
        self, rows: SourceRows, parsed: Parsed, column: str, shown: str, number_format: NumberFormat | None
    ) -> Message:
        """Why values are no numbers. Raises DataError if a format that crm.toml does not name fits all."""
        array, reason = rows.table[column], Message("is not a number")
        if not pa.types.is_string(array.type):
            return reason
        if not parsed.unreadable.any():
            finding = find_number_format(self._values(rows, column), True) if not number_format else None
            is_question = finding and ("." in finding.example or self._has_semicolons(rows))
            if finding and not finding.is_settled and is_question:
                raise DataError(
                    "{table}, column {column}: {reason}.",
                    table=rows.name,
                    column=shown,
                    reason=finding.describe(shown, rows.part),
                )
            return reason
        if number_format:
            return Message("is not a number with {format}", format=number_format.describe())
        finding = find_number_format(self._values(rows, column), False)
        if finding:
            raise DataError(
                "{table}, column {column}: {reason}.",
                table=rows.name,
                column=shown,
                reason=finding.describe(shown, rows.part),
            )
        return reason

    def _has_semicolons(self, rows: SourceRows) -> bool:
        """Whether semicolons separate the cells, so that 1,500 may have a decimal comma."""
        table = getattr(self.settings, rows.part, None) or self.settings.leads
        sources = table if isinstance(table, tuple) else (table,)
        return any(source.separator == ";" for source in sources)

    def _values(self, rows: SourceRows, column: str) -> pa.ChunkedArray:
        return self.read_texts(rows, column).drop_null()

    def read_times(
        self, rows: SourceRows, source: Source, column: str, need: Message, planned: Planned = "error"
    ) -> Ints:
        """The times of a column in ms UTC; NEVER for rejected rows.

        Times after now are rejected, or only noted if `planned` is "note". Raises ZoneError if they lie some
        hours after now, as those of another time zone do, unless they may be planned.
        """
        time_format = self.time_format(source, column)
        parsed = self.parse_times(rows, column, time_format)
        times_ms = np.asarray(parsed.values, dtype=np.int64)
        empty = (times_ms == NEVER) & ~parsed.unreadable
        future = (times_ms > self.latest) & (times_ms != NEVER)
        reason = Message("lies in the future (after {moment})", moment=iso(self.latest))
        fault = self._zone_fault(rows, column, times_ms, future) if future.any() else None
        if fault:
            if planned == "error":
                raise ZoneError(
                    "{table}, column {column}: {fault}", table=rows.name, column=column, fault=fault
                )
            reason = Message(
                'lies in the future (after {moment}); if it is not planned, time_zone = "{zone}" is wrong',
                moment=iso(self.latest),
                zone=self.settings.time_zone,
            )
        if parsed.unreadable.any():
            self.reject(rows, parsed.unreadable, column, self._explain_times(rows, column, time_format))
        self.reject(rows, empty, column, Message("is empty; {need}", need=need))
        if planned == "note" and not fault:
            self.note("planned", rows.part, column, int(future.sum()))
        else:
            self.reject(rows, future, column, reason)
        return np.where(future, NEVER, times_ms)

    def read_closes(self, rows: SourceRows, source: Source, column: str, need: Message, newest: int) -> Ints:
        """Like `read_times`, for closes: one without a clock is the end of its day in the zone of crm.toml.

        On a day that is not over, it is just after `newest`, the newest time that was recorded.
        """
        times_ms = self.read_times(rows, source, column, need, planned="reject")
        closes = end_of_days(times_ms, rows.table[column], self.settings.zone)
        is_running = (closes > self.latest) & (closes != NEVER)
        return np.where(is_running, np.maximum(times_ms, min(newest + 1, self.latest)), closes)

    def time_format(self, source: Source, column: str) -> TimeFormat | None:
        """The format of a column; deals in the leads' table have its formats."""
        if source.source or column in source.time_formats or source.time_format:
            return source.time_format_of(column)
        return self.settings.leads.time_format_of(column)

    def parse_times(self, rows: SourceRows, column: str, time_format: TimeFormat | None) -> Parsed:
        return as_times(rows.table[column], self.missing, self.settings.zone, time_format)

    def _explain_times(self, rows: SourceRows, column: str, time_format: TimeFormat | None) -> Message:
        """Why values are no times, with the format that fits."""
        texts = self._values(rows, column)
        iso_ms = np.asarray(as_times(texts, (), self.settings.zone, None).values, dtype=np.int64)
        finding = find_number_times(texts, True) or find_time_formats(texts, iso_ms, True)
        formats = (time_format,) if isinstance(time_format, str) else time_format or ()
        hint: Message | None = None
        if finding and finding.formats not in ((), tuple(formats)):
            is_filled = pc.is_valid(self.read_texts(rows, column)).to_numpy(zero_copy_only=False)
            hint = finding.locate(rows.numbers[is_filled]).describe(column, rows.part)
        if formats:
            no_date = Message("is not a date of the form {formats}", formats=either(formats))
        elif hint:
            no_date = Message("is not a date such as 2026-10-01 09:30")
        else:
            return Message("is not a date such as 2026-10-01 09:30 (set time_format for other forms)")
        return Message("{reason}; {hint}", reason=no_date, hint=hint) if hint else no_date

    def _zone_fault(self, rows: SourceRows, column: str, times_ms: Ints, future: Bools) -> Message | None:
        """Why the zone of crm.toml seems wrong, if the future times look like those of another one."""
        ahead = int(times_ms[future].max()) - self.latest
        if self.settings.as_of or not CLOCKS_DIFFER_MS < ahead <= _ZONES_APART_MS:
            return None
        if has_offsets(rows.table[column].filter(pa.array(future))).any():
            return None
        return Message(
            "{count:,} times lie in the future, up to {hours} hours after now ({now}). They look like times "
            'of another zone than time_zone = "{zone}": set [crm] time_zone to the zone of the export, such '
            'as "Asia/Tokyo".',
            count=int(future.sum()),
            hours=math.ceil(ahead / _HOUR_MS),
            now=iso(self.latest),
            zone=self.settings.time_zone,
        )

    def reject(self, rows: SourceRows, bad: Bools, column: str, reason: Message) -> None:
        """Reject the rows that the mask selects."""
        self.rejects.rows.extend(self._make_rejects(rows, bad, column, reason, None))

    def empty_values(self, rows: SourceRows, bad: Bools, column: str, reason: Message) -> None:
        """Report the values that the mask selects, which then count as missing."""
        self.rejects.values.extend(self._make_rejects(rows, bad, column, reason, None))

    def _make_rejects(
        self, rows: SourceRows, bad: Bools, column: str, reason: Message, shown: str | None
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
