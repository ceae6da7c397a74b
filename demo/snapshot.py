"""The generated CRM, and writing it as SQLite or Parquet, with the truth in a file of its own."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from demo.clock import month_later

ROWS_AT_ONCE = 100_000
PRIMARY_KEYS = {"leads": "lead_id", "deals": "deal_id", "activities": "activity_id"}
INDEXED = (("deals", "lead_id"), ("activities", "lead_id"), ("changes", "lead_id"))


@dataclass(frozen=True)
class DemoCrm:
    """A CRM at the moment `as_of` (UTC), with what no CRM records in `truth`.

    `tables` holds leads, deals, activities, changes and campaigns; their times are naive local
    time in Japan (Asia/Tokyo). `truth` has one row per lead, in the order of the leads table.
    """

    tables: dict[str, pa.Table]
    truth: pa.Table
    as_of: datetime

    def shift_days(self, days: int) -> "DemoCrm":
        """The same CRM, `days` days later."""
        tables = {name: _shift_days(table, days) for name, table in self.tables.items()}
        return DemoCrm(tables, self.truth, self.as_of + timedelta(days=days))


def write_sqlite(crm: DemoCrm, path: str | Path) -> None:
    """Write the tables (not the truth) as one SQLite file; times as text 'YYYY-MM-DD HH:MM:SS'.

    The file appears complete or not at all; an existing one is replaced.
    """
    with _atomic_replace(Path(path)) as unfinished, closing(sqlite3.connect(unfinished)) as database:
        # Nobody reads the file before it is renamed, so it needs no journal.
        database.execute("PRAGMA journal_mode = OFF")
        database.execute("PRAGMA synchronous = OFF")
        for name, table in crm.tables.items():
            _insert(database, name, table)
        for name, column in INDEXED:
            database.execute(f"CREATE INDEX {name}_{column} ON {name} ({column})")
        database.commit()


def write_parquet(crm: DemoCrm, folder: str | Path) -> None:
    """Write one Parquet file per table (not the truth): leads.parquet, deals.parquet, …"""
    for name, table in crm.tables.items():
        _write_table(table, Path(folder) / f"{name}.parquet")


def write_truth(crm: DemoCrm, path: str | Path) -> None:
    """Write the true probabilities as one Parquet file."""
    _write_table(crm.truth, Path(path))


def _shift_days(table: pa.Table, days: int) -> pa.Table:
    """Move times, and months as text, by whole days."""
    for place, column in enumerate(table.schema):
        if pa.types.is_timestamp(column.type):
            moved = pc.add(table[place], pa.scalar(timedelta(days=days), pa.duration("ms")))
            table = table.set_column(place, column, moved.cast(column.type))
        elif column.name == "month":
            moved = pa.array([month_later(month, days) for month in table[place].to_pylist()], pa.string())
            table = table.set_column(place, column, moved)
    return table


def _write_table(table: pa.Table, path: Path) -> None:
    with _atomic_replace(path) as unfinished:
        pq.write_table(table, unfinished, compression="zstd")


@contextmanager
def _atomic_replace(path: Path) -> Iterator[Path]:
    """A temporary file beside `path` that replaces it when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        unfinished.unlink(missing_ok=True)
        yield unfinished
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def _insert(database: sqlite3.Connection, name: str, table: pa.Table) -> None:
    columns = ", ".join(_column(name, field) for field in table.schema)
    database.execute(f"CREATE TABLE {name} ({columns})")
    marks = ", ".join("?" * table.num_columns)
    for batch in table.to_batches(max_chunksize=ROWS_AT_ONCE):
        values = [_times_to_text(column).to_pylist() for column in batch.columns]
        rows = zip(*values, strict=True)
        database.executemany(f"INSERT INTO {name} VALUES ({marks})", rows)


def _column(table: str, field: pa.Field) -> str:
    kind = "TEXT"
    if pa.types.is_integer(field.type):
        kind = "INTEGER"
    elif pa.types.is_floating(field.type):
        kind = "REAL"
    key = " PRIMARY KEY" if PRIMARY_KEYS.get(table) == field.name else ""
    return f"{field.name} {kind}{key}"


def _times_to_text(column: pa.Array) -> pa.Array:
    """The table with its times as text, in whole seconds."""
    if not pa.types.is_timestamp(column.type):
        return column
    return pc.strftime(column.cast(pa.timestamp("s")), format="%Y-%m-%d %H:%M:%S")
