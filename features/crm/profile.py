"""Profiles of tables: kind, fill rate and values of each column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, TypeAlias
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.clock import NEVER
from features.columns import Ints
from features.crm.connections.urls import database_url, mask_password
from features.crm.parsing import are_numbers, as_texts, as_times, sample_values
from features.crm.sources.databases import list_tables
from features.crm.sources.guess import FoundTable, find_tables
from features.crm.sources.rows import SourceRows
from features.crm.table_settings import Source, expand_variables
from features.crm.tables import read_rows
from features.crm.values.find_times import (
    TimeFinding,
    find_number_times,
    find_time_formats,
    may_be_times,
    sounds_like_a_time,
)
from features.crm.values.missing_words import select_missing_words
from features.crm.values.numbers import NumberFinding, find_number_format
from features.errors import DataError
from features.messages import Message
from features.settings import MISSING

ColumnKind: TypeAlias = Literal["time", "number", "text", "empty"]
_EMPTY = frozenset({*MISSING, "Select"})
FEW_NUMBERS = 12
"""A column with as few different numbers holds categories."""
_SAMPLE, _FIRST_LOOK, _COMMON = 2_000, 100, 40
MAX_BYTES = 64 * 2**20
"""What a table may take in memory to be profiled in full."""
_MIN_BYTES, _FEW_VALUES, _ID_LENGTH, _SOME_ROWS = 2**20, 20, 60, 10


@dataclass(frozen=True)
class ColumnProfile:
    """One column: number of `distinct` values, `filled` share, and the most common values first.

    `times` and `numbers` say in which format its texts write times or numbers, `missing_words` stand among
    them for a missing value.
    """

    name: str
    kind: ColumnKind
    filled: float
    distinct: int
    rows: int
    common: tuple[str, ...]
    times: TimeFinding | None = None
    numbers: NumberFinding | None = None
    missing_words: frozenset[str] = frozenset()

    @property
    def unique(self) -> bool:
        """Whether nearly every row has a value of its own; of some ten rows, one may repeat."""
        min_distinct = min(0.95 * self.rows, self.rows - 1) if self.rows >= _SOME_ROWS else 0.95 * self.rows
        return self.filled > 0.99 and self.distinct >= min_distinct and self.rows > 1


@dataclass(frozen=True, kw_only=True)
class TableProfile:
    """One table: its source, its rows and the profiles of its columns.

    `comments` explain keys of the source in crm.toml. The rows of a long table are a sample; `complete` then
    has the columns that may hold ids with all their values, which are not in line with `rows`.
    """

    source: Source
    name: str
    rows: SourceRows
    columns: tuple[ColumnProfile, ...]
    comments: Mapping[str, Message] = field(default_factory=dict)
    complete: pa.Table = field(default_factory=lambda: pa.table({}), compare=False, repr=False)
    parsed: dict[str, Ints] = field(default_factory=dict, compare=False, repr=False)

    def __len__(self) -> int:
        return int(self.rows.table.num_rows)

    def column(self, name: str) -> ColumnProfile:
        return next(c for c in self.columns if c.name == name)

    def texts(self, name: str) -> pa.ChunkedArray:
        return as_texts(self.rows.table[name], _EMPTY | self.column(name).missing_words)

    def all_texts(self, name: str) -> pa.ChunkedArray:
        """All values of a column, also where `rows` are a sample, if the column may hold ids."""
        if name not in self.complete.column_names:
            return self.texts(name)
        return as_texts(self.complete[name], _EMPTY | self.column(name).missing_words)

    def counts(self, name: str) -> dict[str, int]:
        """How often each value occurs, most common first."""
        counted = pc.value_counts(self.texts(name).drop_null().combine_chunks()).to_pylist()
        return {c["values"]: c["counts"] for c in sorted(counted, key=lambda c: -c["counts"])}

    def times(self, name: str) -> Ints:
        """The times of a column in ms UTC (NEVER: none)."""
        if name not in self.parsed:
            column = self.column(name)
            formats = column.times.formats if column.times and column.times.formats else None
            empty = _EMPTY | column.missing_words
            parsed = as_times(self.rows.table[name], empty, ZoneInfo("UTC"), formats)
            self.parsed[name] = np.asarray(parsed.values, dtype=np.int64)
        return self.parsed[name]


def profile_tables(
    place: str, folder: Path, table_names: Sequence[str] = (), max_bytes: int = MAX_BYTES
) -> list[TableProfile]:
    """The table of a file, or all tables and views of a database, or the named ones.

    Of a table that takes more than `max_bytes`, a sample is profiled; columns that may hold ids are read in
    full.
    """
    if "://" not in place:
        return [_profile_table(table, folder) for table in find_tables(place, folder, max_bytes)]
    url = database_url(expand_variables(place), folder)
    names = list_tables(url, table_names)
    if not names:
        raise DataError("{url}: holds no table.", url=mask_password(url))
    limit = max(max_bytes // len(names), _MIN_BYTES)
    sources = [Source(source=place, table=name) for name in names]
    tables = (FoundTable(s, str(s.table), read_rows(s, folder, None, limit), {}) for s in sources)
    return [_profile_table(table, folder) for table in tables]


def _profile_table(table: FoundTable, folder: Path) -> TableProfile:
    rows = table.rows.table
    columns = [_profile_column(rows[name], name) for name in rows.column_names]
    complete = pa.table({})
    if table.rows.is_sample:
        keys = [column.name for column in columns if _may_hold_ids(column, rows[column.name])]
        complete = read_rows(table.source, folder, keys).table if keys else complete
        columns = [_count_all(c, complete[c.name]) if c.name in keys else c for c in columns]
    return TableProfile(
        source=table.source,
        name=table.name,
        rows=table.rows,
        columns=tuple(columns),
        comments=table.comments,
        complete=complete,
    )


def _may_hold_ids(column: ColumnProfile, array: pa.ChunkedArray) -> bool:
    """Whether a column is short and has so many values that it may name the rows of a table."""
    if column.kind not in ("text", "number") or column.distinct < _FEW_VALUES or column.numbers:
        return False
    return not pa.types.is_floating(array.type) and max(map(len, column.common), default=0) <= _ID_LENGTH


def _count_all(column: ColumnProfile, array: pa.ChunkedArray) -> ColumnProfile:
    """The profile with the counts of all rows of the column."""
    texts = as_texts(array, _EMPTY | column.missing_words)
    filled = 1 - texts.null_count / max(len(texts), 1)
    distinct = pc.count_distinct(texts).as_py()
    return replace(column, filled=filled, distinct=distinct, rows=len(array))


def _profile_column(array: pa.ChunkedArray, name: str) -> ColumnProfile:
    """The profile; words for a missing value are taken out where all other values are numbers or times."""
    profile = _profile_values(array, name, frozenset())
    if not _is_text(array):
        return profile
    words = select_missing_words(pc.unique(as_texts(array, _EMPTY).drop_null()))
    if not words:
        return profile
    cleaned = _profile_values(array, name, words)
    is_number = cleaned.kind == "number" and cleaned.distinct > FEW_NUMBERS
    return cleaned if is_number or cleaned.kind == "time" else profile


def _profile_values(array: pa.ChunkedArray, name: str, words: frozenset[str]) -> ColumnProfile:
    """The profile without the `words` for a missing value."""
    texts = as_texts(array, _EMPTY | words)
    is_filled = pc.is_valid(texts)
    filled = float(pc.mean(is_filled.cast(pa.int8())).as_py() or 0)
    counts = pc.value_counts(texts.drop_null().combine_chunks())
    ranked = np.argsort(-counts.field("counts").to_numpy(), kind="stable")[:_COMMON]
    common = tuple(map(str, counts.field("values").take(pa.array(ranked)).to_pylist()))
    values = texts.drop_null()
    rows = np.flatnonzero(is_filled.to_numpy(zero_copy_only=False)) + 1
    is_number = _are_numbers(values)
    is_time = pa.types.is_temporal(array.type)
    times = None if is_time else _find_times(values, rows, name, is_number)
    numbers = find_number_format(values, is_number) if times is None and _is_text(array) else None
    kind = _detect_kind(array, values, is_number or bool(numbers and len(numbers.units) < 2), times)
    return ColumnProfile(name, kind, filled, len(counts), len(array), common, times, numbers, words)


def _detect_kind(
    array: pa.ChunkedArray, values: pa.ChunkedArray, is_number: bool, times: TimeFinding | None
) -> ColumnKind:
    if pa.types.is_temporal(array.type):
        return "time"
    if not len(values):
        return "empty"
    return "time" if times else "number" if is_number else "text"


def _is_text(array: pa.ChunkedArray) -> bool:
    kinds = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_dictionary)
    return len(array) > array.null_count and any(is_kind(array.type) for is_kind in kinds)


def _are_numbers(values: pa.ChunkedArray) -> bool:
    return bool(len(values)) and are_numbers(values, ())


def _look_like_times(few: pa.ChunkedArray) -> bool:
    is_iso = as_times(few, (), ZoneInfo("UTC"), None).values != NEVER
    return bool(is_iso.any()) or may_be_times(few)


def _find_times(values: pa.ChunkedArray, rows: Ints, name: str, is_number: bool) -> TimeFinding | None:
    """The format of the times in the `rows` of a column; None if a sample or all values are no times."""
    is_named = sounds_like_a_time(name)
    if not is_number and not _look_like_times(sample_values(values, _FIRST_LOOK)):
        return None
    for texts in (values.slice(0, _SAMPLE), values) if len(values) > _SAMPLE else (values,):
        if not len(texts):
            return None
        if is_number or (texts is not values and _are_numbers(texts)):
            finding = find_number_times(texts, is_named)
        else:
            iso_ms = np.asarray(as_times(texts, (), ZoneInfo("UTC"), None).values, dtype=np.int64)
            finding = find_time_formats(texts, iso_ms, is_named)
        if finding is None:
            return None
    return finding.locate(rows) if finding else None
