"""Profiles of tables: kind, fill rate and values of each column."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import inspect

from features.columns import Ints
from features.crm.parsing import as_numbers, as_texts, as_times
from features.crm.sources.databases import database_engine, database_url, mask_password
from features.crm.sources.guess import FoundTable, find_tables
from features.crm.sources.rows import SourceRows
from features.crm.table_settings import Source, expand_variables
from features.crm.tables import read_rows
from features.errors import DataError
from features.settings import MISSING

ColumnKind: TypeAlias = Literal["time", "number", "text", "empty"]
_EMPTY = frozenset({*MISSING, "Select"})


@dataclass(frozen=True)
class ColumnProfile:
    """One column: number of `distinct` values, `filled` share, and the most common values first."""

    name: str
    kind: ColumnKind
    filled: float
    distinct: int
    rows: int
    common: tuple[str, ...]

    @property
    def unique(self) -> bool:
        return self.filled > 0.99 and self.distinct >= 0.95 * self.rows > 1


@dataclass(frozen=True)
class TableProfile:
    """One table: its source, its rows and the profiles of its columns.

    `comments` explain keys of the source in crm.toml.
    """

    source: Source
    name: str
    rows: SourceRows
    columns: tuple[ColumnProfile, ...]
    comments: Mapping[str, str] = field(default_factory=dict)
    parsed: dict[str, Ints] = field(default_factory=dict, compare=False, repr=False)

    def __len__(self) -> int:
        return int(self.rows.table.num_rows)

    def column(self, name: str) -> ColumnProfile:
        return next(c for c in self.columns if c.name == name)

    def texts(self, name: str) -> pa.ChunkedArray:
        return as_texts(self.rows.table[name], _EMPTY)

    def counts(self, name: str) -> dict[str, int]:
        """How often each value occurs, most common first."""
        counted = pc.value_counts(self.texts(name).drop_null().combine_chunks()).to_pylist()
        return {c["values"]: c["counts"] for c in sorted(counted, key=lambda c: -c["counts"])}

    def times(self, name: str) -> Ints:
        """The times of a column in ms UTC (NEVER: none)."""
        if name not in self.parsed:
            parsed = as_times(self.rows.table[name], _EMPTY, ZoneInfo("UTC"), None)
            self.parsed[name] = np.asarray(parsed.values, dtype=np.int64)
        return self.parsed[name]


def profile_tables(place: str, folder: Path) -> list[TableProfile]:
    """The table of a file, or all tables of a database."""
    if "://" not in place:
        return [_profile_table(table) for table in find_tables(place, folder)]
    url = database_url(expand_variables(place), folder)
    with database_engine(url, "its list of tables") as engine:
        names = inspect(engine).get_table_names()
    if not names:
        raise DataError(f"{mask_password(url)}: holds no table.")
    sources = [Source(source=place, table=name) for name in names]
    return [_profile_table(FoundTable(s, str(s.table), read_rows(s, folder), {})) for s in sources]


def _profile_table(table: FoundTable) -> TableProfile:
    columns = tuple(_profile_column(table.rows.table[c], c) for c in table.rows.table.column_names)
    return TableProfile(table.source, table.name, table.rows, columns, table.comments)


def _profile_column(array: pa.ChunkedArray, name: str) -> ColumnProfile:
    texts = as_texts(array, _EMPTY)
    is_filled = pc.is_valid(texts)
    filled = float(pc.mean(is_filled.cast(pa.int8())).as_py() or 0)
    counts = pc.value_counts(texts.drop_null().combine_chunks())
    ranked = sorted(counts.to_pylist(), key=lambda c: -c["counts"])[:40]
    common = tuple(str(c["values"]) for c in ranked)
    return ColumnProfile(name, _detect_kind(array, texts), filled, len(counts), len(array), common)


def _detect_kind(array: pa.ChunkedArray, texts: pa.ChunkedArray) -> ColumnKind:
    if pa.types.is_temporal(array.type):
        return "time"
    filled = texts.drop_null()
    if not len(filled):
        return "empty"
    if not as_numbers(filled, ()).unreadable.any():
        return "number"
    sample = filled.slice(0, 2_000)
    return "time" if np.mean(as_times(sample, (), ZoneInfo("UTC"), None).unreadable) < 0.05 else "text"
