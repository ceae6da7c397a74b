import gzip
import zipfile
from collections.abc import Mapping
from datetime import time, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.crm.table_settings import Source
from features.crm.tables import read_rows
from features.errors import DataError, HotleadError, OutsideError, SettingsError
from features.settings import load_settings
from tests.helpers.exports.initialised import HEAD, csv_text, export_rows, init_files, init_text
from tests.helpers.exports.workbooks import write_workbook


def pack(path: Path, members: Mapping[str, str | bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("leads.csv", csv_text()),
        ("out/leads.csv", csv_text(separator=";").encode()),
        ("leads.txt", csv_text(separator="\t").encode("utf-16")),
        ("見込み客.csv", csv_text(export_rows(["展示会", "検索"])).encode("cp932")),
        ("leads.csv", "sep=,\r\nReport\r\n" + csv_text() + "Total,,,,,1\r\n"),
    ],
)
def test_a_zip_of_one_table(tmp_path: Path, name: str, content: str | bytes) -> None:
    pack(tmp_path / "export.zip", {name: content, "__MACOSX/._leads.csv": "x", ".DS_Store": "y"})
    assert init_files(tmp_path, "export.zip").is_complete


def test_packed_workbooks_and_uppercase_names(tmp_path: Path) -> None:
    book = write_workbook(tmp_path / "t.xlsx", {"Leads": [HEAD, *export_rows()]}).read_bytes()
    pack(tmp_path / "a.zip", {"t.xlsx": book})
    assert init_files(tmp_path, "a.zip").is_complete
    assert init_text(tmp_path, gzip.compress(book), "t.xlsx.gz").is_complete
    assert init_text(tmp_path, gzip.compress(csv_text().encode()), "LEADS.CSV.GZ").is_complete


def test_a_zip_of_several_tables_lists_them(tmp_path: Path) -> None:
    pack(tmp_path / "a.zip", {"leads.csv": csv_text(), "deals.csv": csv_text()})
    with pytest.raises(DataError, match=r"holds 2 files \(leads.csv, deals.csv\); one table is needed"):
        init_files(tmp_path, "a.zip")
    pack(tmp_path / "none.zip", {})
    with pytest.raises(DataError, match=r"none\.zip: holds no file"):
        init_files(tmp_path, "none.zip")
    content = (tmp_path / "a.zip").read_bytes()
    with pytest.raises(OutsideError, match=r"cannot be read .* Is it whole"):
        init_text(tmp_path, content[: len(content) // 2], "cut.zip")


@pytest.mark.parametrize(
    ("content", "name", "why"),
    [
        (b"%PDF-1.7\n", "leads.pdf", "is a PDF"),
        (b"\x89PNG\r\n\x1a\n\0\0", "leads.csv", "is a picture"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(99), "leads.xls", "is an old Excel workbook"),
        (b"<html><table><tr><td>id</td></tr></table></html>", "leads.xls", "is a web page or XML"),
        (b"<?xml version='1.0'?><Workbook/>", "leads.xls", "is a web page or XML"),
        (b"SET NAMES utf8;\nINSERT INTO leads VALUES (1);\n", "leads.txt", "is an SQL script"),
        ("-- dump\nCREATE TABLE a (id int)".encode("utf-16"), "leads.sql", "is an SQL script"),
        (b"SQLite format 3\0" + bytes(99), "crm.db", "Name it by its URL: sqlite:///crm.db"),
        (bytes(8) + b"DUCK" + bytes(99), "crm.duckdb", "Name it by its URL: duckdb:///crm.duckdb"),
        (gzip.compress(b"id\n1\n", mtime=0), "leads.csv", "is packed as gzip"),
        (b"7z\xbc\xaf\x27\x1c", "leads.7z", "is packed as 7z"),
        (bytes(range(256)) * 9, "leads.csv", "is no text"),
    ],
)
def test_files_that_are_no_tables(tmp_path: Path, content: bytes, name: str, why: str) -> None:
    with pytest.raises(DataError) as problem:
        init_text(tmp_path, content, name)
    assert why in str(problem.value)
    assert "\n" not in str(problem.value)


def test_a_document_of_office_is_no_workbook(tmp_path: Path) -> None:
    pack(tmp_path / "l.docx", {"[Content_Types].xml": "x", "word/document.xml": "y"})
    with pytest.raises(DataError, match="is a packed file, but no Excel workbook"):
        init_files(tmp_path, "l.docx")


@pytest.mark.parametrize(
    "text", ["", "\n\n", "Use,Case\n1,2\n", "-- id --,n\n1,2\n", "[Id],Name\n1,2\n", "{0A-1},x\n1,2\n"]
)
def test_small_texts_end_in_one_sentence(tmp_path: Path, text: str) -> None:
    with pytest.raises(HotleadError) as problem:
        init_text(tmp_path, text)
    assert "is empty" in str(problem.value) or "No column looks like an outcome" in str(problem.value)


def test_parquet_with_nested_columns_and_spans(tmp_path: Path) -> None:
    rows = [
        {
            "id": 1,
            "tags": ["a", "b"],
            "owner": {"name": "x", "age": 3},
            "lines": [{"n": 1}],
            "at": time(9, 30),
        },
        {"id": 2, "tags": [], "owner": None, "lines": [], "at": None},
    ]
    table = pa.Table.from_pylist(rows).append_column("span", pa.array([timedelta(hours=3), None]))
    table = table.append_column("bytes", pa.array(["é".encode(), None], pa.binary()))
    pq.write_table(table, tmp_path / "a.parquet")
    read = read_rows(Source(source="a.parquet"), tmp_path)
    assert read.table.to_pydict() == {
        "id": [1, 2],
        "tags": ["a;b", None],
        "owner.name": ["x", None],
        "owner.age": [3, None],
        "at": ["09:30:00", None],
        "span": ["3:00:00", None],
        "bytes": ["é", None],
    }
    assert [str(note) for note in read.notes] == [
        "a.parquet: lines left out: lists of records; export them as a table of their own."
    ]
    selected = read_rows(Source(source="a.parquet"), tmp_path, ["owner.name", "id"])
    assert selected.table.to_pydict() == {"owner.name": ["x", None], "id": [1, 2]}


def test_a_folder_names_its_files(tmp_path: Path) -> None:
    (tmp_path / "export").mkdir()
    (tmp_path / "export/leads.csv").write_text("id\n1\n")
    with pytest.raises(SettingsError, match=r"export: is a folder\. Name the files .*\(leads\.csv\)"):
        init_files(tmp_path, "export")


def test_crm_toml_with_a_byte_order_mark(tmp_path: Path) -> None:
    result = init_text(tmp_path, csv_text())
    (tmp_path / "crm.toml").write_text(result.text, encoding="utf-8-sig")
    assert load_settings(tmp_path / "crm.toml").leads == result.settings.leads
