from __future__ import annotations

import math
import os
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from features.errors import OutsideError, SettingsError
from tests.helpers.service.stores import Server
from tests.helpers.small_crm import listing
from training.lists.output import check_output, write_output

AS_OF = datetime(2026, 10, 1, tzinfo=UTC)
SCORES = pa.table(
    {
        "lead_id": ["L1", "L,2", '紹介"3"'],
        "probability": [0.9, 0.1 + 0.2, 1e-12],
        "reasons": ['[{"text": "予算：承認済み"}]', "[]", None],
        "model_version": ["abc"] * 3,
        "as_of": pa.array([AS_OF] * 3, pa.timestamp("ms", "UTC")),
    }
)
Line = tuple[str, float, str | None]


def lines(table: pa.Table) -> list[Line]:
    return [(r["lead_id"], r["probability"], r["reasons"]) for r in table.to_pylist()]


@pytest.fixture
def postgres(server: Server) -> str:
    return server.new()


def test_parquet_holds_the_list(tmp_path: Path) -> None:
    path = tmp_path / "new" / "scores.parquet"
    write_output(SCORES, str(path), "")
    assert pq.read_table(path).equals(SCORES)


def test_csv_holds_the_list(tmp_path: Path) -> None:
    path = tmp_path / "scores.CSV"
    write_output(SCORES, str(path), "")
    texts = pa_csv.ConvertOptions(column_types={"lead_id": pa.string()}, strings_can_be_null=True)
    assert lines(pa_csv.read_csv(path, convert_options=texts)) == lines(SCORES)


def test_sqlite_table_holds_the_list_and_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "crm.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE kept (x)")
    for _ in range(2):  # the second time replaces the table
        write_output(SCORES, f"sqlite:///{path}", "scores")
    with sqlite3.connect(path) as database:
        rows = database.execute("SELECT lead_id, probability, reasons FROM scores").fetchall()
        assert database.execute("SELECT count(*) FROM kept").fetchone() == (0,)
    assert rows == lines(SCORES)


def test_sqlite_file_is_made_where_there_is_none(tmp_path: Path) -> None:
    write_output(SCORES, f"sqlite:///{tmp_path / 'new.db'}", "scores")
    with sqlite3.connect(tmp_path / "new.db") as database:
        assert database.execute("SELECT count(*) FROM scores").fetchone() == (3,)


def test_postgresql_table_holds_the_list(postgres: str) -> None:
    for _ in range(2):
        write_output(SCORES, postgres, "scores")
    with psycopg.connect(postgres) as database:
        rows = database.execute("SELECT lead_id, probability, reasons, as_of FROM scores").fetchall()
    assert [row[:3] for row in rows] == lines(SCORES)
    assert rows[0][3] == AS_OF


def broken() -> pa.Table:
    """A list whose last row no SQLite column takes: an integer beyond 64 bits."""
    return SCORES.set_column(1, "probability", pa.array([1, 2, 2**63], pa.uint64()))


def test_failure_in_the_middle_leaves_the_old_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.lists.output._ROWS_AT_ONCE", 1)
    path = tmp_path / "crm.db"
    write_output(SCORES, f"sqlite:///{path}", "scores")
    with pytest.raises(OutsideError, match=r"crm\.db, table scores: cannot be written"):
        write_output(broken(), f"sqlite:///{path}", "scores")
    with sqlite3.connect(path) as database:
        rows = database.execute("SELECT lead_id, probability, reasons FROM scores").fetchall()
    assert rows == lines(SCORES)


def test_failure_in_the_middle_leaves_the_old_table_in_postgresql(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.lists.output._ROWS_AT_ONCE", 1)
    write_output(SCORES, postgres, "scores")
    bad = SCORES.set_column(0, "lead_id", pa.array(["a", "b", "c\0"]))
    with pytest.raises(OutsideError, match="table scores: cannot be written"):
        write_output(bad, postgres, "scores")
    with psycopg.connect(postgres) as database:
        rows = database.execute("SELECT lead_id, probability, reasons FROM scores").fetchall()
    assert rows == lines(SCORES)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_full_disk_is_named_and_the_old_list_stays(ending: str, tiny_disk: Path) -> None:
    path = tiny_disk / f"scores.{ending}"
    write_output(SCORES, str(path), "")
    before, content = listing(tiny_disk), path.read_bytes()
    rows = 40_000
    large = pa.table({"lead_id": [os.urandom(8).hex() for _ in range(rows)]})
    with pytest.raises(OutsideError, match=rf"scores\.{ending}: cannot be written .*Free some space"):
        write_output(large, str(path), "")
    assert listing(tiny_disk) == before
    assert path.read_bytes() == content


@pytest.mark.parametrize("to", ["scores.xlsx", "scores", "scores.csv.gz"])
def test_other_endings_are_refused_before_any_work(to: str) -> None:
    with pytest.raises(SettingsError, match=rf"{to}: .*\.parquet or \.csv.*sqlite:///crm\.db"):
        check_output(to)


UNREACHABLE = "postgresql://me:geheim@127.0.0.1:9/crm"


@pytest.mark.parametrize(
    ("to", "problem", "expected"),
    [
        (UNREACHABLE, OutsideError, "127.0.0.1:9/crm"),
        ("sqlite:////no/such/folder/crm.db", OutsideError, "/no/such/folder/crm.db"),
        ("nonsense://", SettingsError, "nonsense"),
    ],
)
def test_a_database_that_does_not_answer_is_named_before_any_work(
    to: str, problem: type[Exception], expected: str
) -> None:
    with pytest.raises(problem) as error:
        check_output(to)
    assert expected in str(error.value)
    assert "geheim" not in str(error.value)


def test_checking_makes_nothing(tmp_path: Path) -> None:
    check_output(f"sqlite:///{tmp_path / 'new.db'}")
    check_output(str(tmp_path / "new" / "scores.csv"))
    assert listing(tmp_path) == set()


def test_missing_numbers_survive(tmp_path: Path) -> None:
    table: Any = pa.table({"probability": [0.5, math.nan]})
    write_output(table, str(tmp_path / "a.parquet"), "")
    assert math.isnan(pq.read_table(tmp_path / "a.parquet")["probability"][1].as_py())
