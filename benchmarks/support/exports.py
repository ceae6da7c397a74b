"""Exports at scale, made once in .benchmarks/: a pair of CSV files, and a database of many tables."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
from numpy.typing import NDArray

from benchmarks.support.data import FOLDER

_CHUNK, _TASKS_PER_LEAD, _BYTES_PER_LEAD, _OTHER_TABLES, _OTHER_ROWS = 50_000, 6, 2_090, 197, 2_000
_FIRST_DAY, _DAYS = np.datetime64("2024-06-01T00:00:00", "s"), 880
_TITLES = ["Head of IT", "Buyer", "CEO", "Head of Sales", "Engineer", "Assistant"]
_SOURCES = ["Web", "Trade Show", "Partner Referral", "Purchased List", "Webinar"]
_TRADES = ["Banking", "Retail", "Energy", "Media", "Chemicals", "Insurance", "Education"]
_SUBJECTS = ["Call", "Email: offer", "Meeting", "Send letter", "Demo", "Email: follow-up"]
_WORDS = ["asked", "for", "a", "quote", "by", "the", "end", "of", "next", "month", "and", "wants", "call"]
_DEALS = (
    "CREATE TABLE opportunity AS SELECT '006' || substr(Id, 4) AS Id, Id AS LeadId, "
    "CASE Status WHEN 'Closed - Converted' THEN 'Closed Won' "
    "WHEN 'Closed - Not Converted' THEN 'Closed Lost' "
    "ELSE 'Prospecting' END AS StageName, ClosedDate AS CloseDate FROM lead"
)


def csv_files(mib: int) -> list[Path]:
    """A Salesforce-like pair of files, leads and their tasks, of about this size together."""
    folder = FOLDER / f"csv-{mib}"
    leads, tasks = folder / "Lead.csv", folder / "Task.csv"
    if not tasks.exists():
        folder.mkdir(parents=True, exist_ok=True)
        count = mib * 2**20 // _BYTES_PER_LEAD
        print(f"making {count:,} leads with {count * _TASKS_PER_LEAD:,} tasks in {folder} ...", flush=True)
        _write_csv(leads, _lead_tables(count))
        part = folder / "part"
        _write_csv(part, _task_tables(count))
        part.rename(tasks)
    return [leads, tasks]


def database(leads: int) -> Path:
    """A SQLite database of 200 tables: leads, deals, tasks, and others that have nothing to do with them."""
    path = FOLDER / f"crm-{leads}.db"
    if not path.exists():
        FOLDER.mkdir(exist_ok=True)
        print(f"making {leads:,} leads in {path} ...", flush=True)
        part = path.with_suffix(".part")
        part.unlink(missing_ok=True)
        with sqlite3.connect(part) as connection:
            _fill(connection, "lead", _lead_tables(leads))
            connection.execute(_DEALS)
            _fill(connection, "task", _task_tables(leads))
            for number in range(_OTHER_TABLES):
                _fill(connection, f"ledger_{number:03d}", iter([_other_table(number)]))
        part.rename(path)
    return path


def _write_csv(path: Path, tables: Iterator[pa.Table]) -> None:
    first = next(tables)
    with pa_csv.CSVWriter(path, first.schema) as writer:
        writer.write_table(first)
        for table in tables:
            writer.write_table(table)


def _fill(connection: sqlite3.Connection, name: str, tables: Iterator[pa.Table]) -> None:
    for number, table in enumerate(tables):
        if not number:
            connection.execute(f"CREATE TABLE {name} ({', '.join(table.column_names)})")
        marks = ", ".join("?" * table.num_columns)
        rows = zip(*(column.to_pylist() for column in table.columns), strict=True)
        connection.executemany(f"INSERT INTO {name} VALUES ({marks})", rows)


def _lead_tables(count: int) -> Iterator[pa.Table]:
    for start in range(0, count, _CHUNK):
        yield _leads(np.random.default_rng(start), np.arange(start, min(start + _CHUNK, count)))


def _leads(rng: np.random.Generator, number: NDArray[np.int64]) -> pa.Table:
    size, employees = len(number), rng.integers(1, 5_000, len(number))
    created = _days(rng, size)
    closed = created + (rng.gamma(2, 15, size) * 86_400).astype("timedelta64[s]")
    title = rng.integers(0, len(_TITLES), size)
    is_won = rng.random(size) < 0.1 + 0.1 * (title < 3) + 0.1 * (employees > 2_000)
    is_open = closed > _FIRST_DAY + np.timedelta64(_DAYS, "D")
    status = np.where(
        is_open, "Open - Not Contacted", np.where(is_won, "Closed - Converted", "Closed - Not Converted")
    )
    return pa.table(
        {
            "Id": _ids("00Q", number),
            "LastName": _ids("Name ", number // 3),
            "Company": _ids("Company ", number // 2),
            "Email": _ids("person", number),
            "Title": pa.array(_TITLES).take(pa.array(title)),
            "Status": status,
            "LeadSource": _pick(rng, _SOURCES, size),
            "Industry": _pick(rng, _TRADES, size),
            "NumberOfEmployees": employees,
            "CreatedDate": _times(created),
            "ClosedDate": pc.if_else(pa.array(is_open), None, _times(closed)),
            "OwnerId": _ids("005", rng.integers(0, 40, size)),
            "IsDeleted": _pick(rng, ["false"], size),
            "Description": _sentences(rng, size, 60),
        }
    )


def _task_tables(leads: int) -> Iterator[pa.Table]:
    for start in range(0, leads * _TASKS_PER_LEAD, _CHUNK):
        number = np.arange(start, min(start + _CHUNK, leads * _TASKS_PER_LEAD))
        yield _tasks(np.random.default_rng(start), number, leads)


def _tasks(rng: np.random.Generator, number: NDArray[np.int64], leads: int) -> pa.Table:
    size, created = len(number), _days(rng, len(number))
    return pa.table(
        {
            "Id": _ids("00T", number),
            "WhoId": _ids("00Q", rng.integers(0, leads, size)),
            "Subject": _pick(rng, _SUBJECTS, size),
            "Status": _pick(rng, ["Completed"], size),
            "Priority": _pick(rng, ["Normal", "High"], size),
            "CreatedDate": _times(created),
            "ActivityDate": pc.utf8_slice_codeunits(_times(created), 0, 10),
            "OwnerId": _ids("005", rng.integers(0, 40, size)),
            "Description": _sentences(rng, size, 30),
        }
    )


def _other_table(number: int) -> pa.Table:
    """A table of a bookkeeping, with numbers of documents that are no ids of leads."""
    rng = np.random.default_rng(number)
    return pa.table(
        {
            "document": _ids(f"L{number:03d}-", np.arange(_OTHER_ROWS)),
            "booked_on": pc.utf8_slice_codeunits(_times(_days(rng, _OTHER_ROWS)), 0, 10),
            "account": rng.integers(1_000, 1_100, _OTHER_ROWS),
            "amount": rng.integers(1, 90_000, _OTHER_ROWS),
            "memo": _sentences(rng, _OTHER_ROWS, 6),
        }
    )


def _ids(prefix: str, numbers: NDArray[np.int64]) -> pa.Array:
    digits = pc.utf8_lpad(pa.array(numbers).cast(pa.string()), 12, "0")
    return pc.binary_join_element_wise(prefix, digits, "")


def _days(rng: np.random.Generator, size: int) -> NDArray[np.datetime64]:
    return _FIRST_DAY + rng.integers(0, _DAYS * 86_400, size).astype("timedelta64[s]")


def _times(times: NDArray[np.datetime64]) -> pa.Array:
    return pc.strftime(pa.array(times), "%Y-%m-%dT%H:%M:%S.000+0000")


def _pick(rng: np.random.Generator, values: Sequence[str], size: int) -> pa.Array:
    return pa.array(values).take(pa.array(rng.integers(0, len(values), size)))


def _sentences(rng: np.random.Generator, size: int, words: int) -> pa.Array:
    """Texts of this many words, with a comma and a line break as people write them."""
    halves = [_half(rng, size, words // 2) for _ in range(2)]
    return pc.binary_join_element_wise(*halves, ",\n")


def _half(rng: np.random.Generator, size: int, words: int) -> pa.Array:
    pool = [" ".join(rng.choice(_WORDS, max(words, 1))) for _ in range(1_000)]
    return _pick(rng, pool, size)
