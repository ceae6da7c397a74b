"""What a table looks like: for each column how full it is, how many values, and of what sort."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import inspect

from features.crm.parsing import as_numbers, as_texts, as_times
from features.crm.tables import Rows, database, database_url, read_rows, shown
from features.errors import DataError
from features.settings import MISSING, Source, expanded

Sort: TypeAlias = Literal["time", "number", "text", "empty"]
_EMPTY = frozenset({*MISSING, "Select"})
_SEPARATORS, _ENCODINGS = (",", ";", "\t", "|"), ("utf-8", "cp932")


@dataclass(frozen=True)
class ColumnProfile:
    """One column: `distinct` values, `filled` share, and the commonest values first."""

    name: str
    sort: Sort
    filled: float
    distinct: int
    rows: int
    common: tuple[str, ...]

    @property
    def unique(self) -> bool:
        return self.filled > 0.99 and self.distinct >= 0.95 * self.rows > 1


@dataclass(frozen=True)
class TableProfile:
    """One table: where it lies and what its columns look like."""

    source: Source
    name: str
    rows: Rows
    columns: tuple[ColumnProfile, ...]

    def column(self, name: str) -> ColumnProfile:
        return next(c for c in self.columns if c.name == name)

    def texts(self, name: str) -> pa.ChunkedArray:
        return as_texts(self.rows.table[name], _EMPTY)


def profile_tables(place: str, folder: Path) -> list[TableProfile]:
    """The table of a file, or all tables of a database."""
    if "://" not in place:
        return [_profile(_guessed(place, folder), Path(place).stem, folder)]
    url = database_url(expanded(place), folder)
    with database(url, "its list of tables") as engine:
        names = inspect(engine).get_table_names()
    if not names:
        raise DataError(f"{shown(url)}: holds no table.")
    return [_profile(Source(source=place, table=name), name, folder) for name in names]


def _guessed(place: str, folder: Path) -> Source:
    """The source of a file with the encoding and the separator that fit its first lines."""
    path = folder / place
    if not path.is_file() or path.suffix.lower() in (".parquet", ".pq"):
        return Source(source=place)
    with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
        start = file.read(100_000)
    encoding = next((e for e in _ENCODINGS if _decodes(start, e)), "utf-8")
    header = start.decode(encoding, errors="replace").split("\n", 1)[0]
    separator = max(_SEPARATORS, key=header.count)
    return Source(source=place, encoding=encoding, separator=separator)


def _decodes(start: bytes, encoding: str) -> bool:
    try:
        start[: start.rfind(b"\n")].decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _profile(source: Source, name: str, folder: Path) -> TableProfile:
    rows = read_rows(source, folder)
    columns = tuple(_column(rows.table[c], c) for c in rows.table.column_names)
    return TableProfile(source, name, rows, columns)


def _column(array: pa.ChunkedArray, name: str) -> ColumnProfile:
    told = as_texts(array, _EMPTY)
    there = pc.is_valid(told)
    filled = float(pc.mean(there.cast(pa.int8())).as_py() or 0)
    counts = pc.value_counts(told.drop_null().combine_chunks())
    ranked = sorted(counts.to_pylist(), key=lambda c: -c["counts"])[:40]
    common = tuple(str(c["values"]) for c in ranked)
    return ColumnProfile(name, _sort(array, told), filled, len(counts), len(array), common)


def _sort(array: pa.ChunkedArray, told: pa.ChunkedArray) -> Sort:
    if pa.types.is_temporal(array.type):
        return "time"
    filled = told.drop_null()
    if not len(filled):
        return "empty"
    if not as_numbers(filled, ()).unreadable.any():
        return "number"
    sample = filled.slice(0, 2_000)
    return "time" if np.mean(as_times(sample, (), ZoneInfo("UTC"), None).unreadable) < 0.05 else "text"
