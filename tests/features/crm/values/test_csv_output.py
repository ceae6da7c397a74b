"""CSV for spreadsheets: formulas stay texts, numbers stay numbers, and every text comes back."""

from __future__ import annotations

import csv
import io
import tempfile
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.crm.values.csv_output import csv_text, escape_formula, unescape_formula, write_csv

FORMULAS = ("=1+1", "+SUM(A1)", "-2+3", "@cmd", "\tx", "\rx", "＝1", "＋1-1", "－x", "＠x", "-", "+", "'=1")
PLAIN = ("-5", "+5", "-1,200.5", "5", "a=b", "", "'quoted'")


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_is_written_as_text(text: str) -> None:
    assert escape_formula(text) == f"'{text}"


@pytest.mark.parametrize("text", PLAIN)
def test_other_texts_and_numbers_stay(text: str) -> None:
    assert escape_formula(text) == text


def test_values_that_are_no_texts_stay() -> None:
    assert [escape_formula(value) for value in (-1.5, None, True)] == [-1.5, "", True]


@given(st.text(alphabet="'=+-@\t\r\n＝ab1.,", max_size=6))
def test_every_text_is_restored(text: str) -> None:
    assert unescape_formula(str(escape_formula(text))) == text


@given(st.lists(st.text(alphabet="'=+-@\t＝ab1.,あ", max_size=6), min_size=1, max_size=5))
def test_rows_and_tables_are_escaped_alike(texts: list[str]) -> None:
    column = pa.chunked_array([pa.array(texts).dictionary_encode()])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        write_csv(pa.table({"text": column}), path, has_mark=False)
        of_table = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"))))
    of_rows = list(csv.reader(io.StringIO(csv_text(["text"], [[text] for text in texts]))))
    assert [row or [""] for row in of_table] == [row or [""] for row in of_rows]


def test_a_table_keeps_numbers_and_nulls_and_gets_the_mark_on_request(tmp_path: Path) -> None:
    table = pa.table({"id": ["=1", None], "n": pa.array([-1, None]), "x": [-0.5, 2.0]})
    for has_mark in (True, False):
        write_csv(table, tmp_path / "t.csv", has_mark)
        content = (tmp_path / "t.csv").read_bytes()
        assert content.startswith(b"\xef\xbb\xbf") is has_mark
        assert list(csv.reader(io.StringIO(content.decode("utf-8-sig")))) == [
            ["id", "n", "x"],
            ["'=1", "-1", "-0.5"],
            ["", "", "2"],
        ]
