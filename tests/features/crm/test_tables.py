import gzip
import sqlite3
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import create_engine, make_url, text

from features.crm.connections.urls import database_url
from features.crm.load import load
from features.crm.table_settings import Source
from features.crm.tables import read_rows
from features.errors import DataError, OutsideError, SettingsError
from tests.helpers.builders import ms, settings_of, write_csv
from tests.helpers.service.stores import Server

ROWS = [("id", "name", "size"), ("1", "株式会社山田", "10"), ("2", "ｱｲｳ, Inc.", "20")]
TABLE = {"id": ["1", "2"], "name": ["株式会社山田", "ｱｲｳ, Inc."], "size": ["10", "20"]}


def read(folder: Path, source: str, columns: list[str] | None = None, **keys: Any) -> Any:
    return read_rows(Source(source=source, **keys), folder, columns).table.to_pydict()


@pytest.mark.parametrize(
    ("file_encoding", "source_encoding"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8"),
        ("utf-8-sig", "UTF8"),
        ("utf-8", "utf-8-sig"),
        ("cp932", "cp932"),
        ("cp932", "Shift_JIS"),
        ("utf-16", "utf-16"),
    ],
)
def test_csv_of_every_encoding(tmp_path: Path, file_encoding: str, source_encoding: str) -> None:
    write_csv(tmp_path / "a.csv", ROWS, file_encoding)
    assert read(tmp_path, "a.csv", encoding=source_encoding) == TABLE


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_csv_of_every_separator(tmp_path: Path, separator: str) -> None:
    (tmp_path / "a.csv").write_text(separator.join("ab") + "\n" + separator.join(["1,5", '"x\ny"']))
    assert read(tmp_path, "a.csv", separator=separator) == {"a": ["1,5"], "b": ["x\ny"]}


def test_csv_packed_and_only_some_columns(tmp_path: Path) -> None:
    plain = write_csv(tmp_path / "a.csv", ROWS)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(plain.read_bytes()))
    assert read(tmp_path, "a.csv.gz", ["size", "id"]) == {"size": ["10", "20"], "id": ["1", "2"]}


def test_values_of_csv_stay_as_they_stand(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", [("id", "note"), ("007", ""), ("1e5", "NULL")])
    assert read(tmp_path, "a.csv") == {"id": ["007", "1e5"], "note": ["", "NULL"]}


def test_a_glob_of_csv_reads_all_files_and_knows_the_place_of_each_row(tmp_path: Path) -> None:
    write_csv(tmp_path / "in/2025.csv", [("id", "n"), ("a", 1), ("b",), ("c", 3)])
    write_csv(tmp_path / "in/2026.csv", [("id", "n"), ("d", 4), ("e", 5, 6), ("f", 7)])
    rows = read_rows(Source(source="in/*.csv"), tmp_path)
    assert rows.table["id"].to_pylist() == ["a", "c", "d", "f"]
    assert [rows.locate(n) for n in rows.numbers] == [
        ("2025.csv", 1),
        ("2025.csv", 3),
        ("2026.csv", 1),
        ("2026.csv", 3),
    ]
    assert [(r.file, r.row, str(r.value)) for r in rows.rejects] == [
        ("2025.csv", 2, "1 cells"),
        ("2026.csv", 2, "3 cells"),
    ]
    assert rows.read == 6


def test_ragged_rows_are_set_aside_with_their_number(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('a,b\n1,"x\ny"\n2\n3,z\n4,5,6\n')
    rows = read_rows(Source(source="a.csv"), tmp_path)
    assert rows.table.to_pydict() == {"a": ["1", "3"], "b": ["x\ny", "z"]}
    assert [(r.row, str(r.value), str(r.reason)) for r in rows.rejects] == [
        (2, "1 cells", "the header has 2 columns"),
        (4, "3 cells", "the header has 2 columns"),
    ]
    assert rows.numbers.tolist() == [1, 3]


def test_parquet_of_one_file_and_of_a_glob(tmp_path: Path) -> None:
    for year, ids in (("2025", ["a", "b"]), ("2026", ["c"])):
        pd.DataFrame({"id": ids, "n": 1.5}).to_parquet(tmp_path / f"{year}.parquet")
    assert read(tmp_path, "2025.parquet", ["id"]) == {"id": ["a", "b"]}
    rows = read_rows(Source(source="*.parquet"), tmp_path)
    assert rows.table["id"].to_pylist() == ["a", "b", "c"]
    assert rows.locate(3) == ("2026.parquet", 1)


def sqlite_at(path: Path) -> None:
    with sqlite3.connect(path) as base:
        base.execute('CREATE TABLE leads (id, "First Name", at TEXT, mixed)')
        base.execute("INSERT INTO leads VALUES (1, 'A', '2026-01-02 10:30:00', 5), (2, 'B', NULL, 'x')")
        base.execute("CREATE VIEW named AS SELECT id FROM leads")
    base.close()


def test_sqlite_by_table_view_and_query(tmp_path: Path) -> None:
    sqlite_at(tmp_path / "crm.db")
    url = "sqlite:///crm.db"
    assert read(tmp_path, url, ["First Name", "mixed"], table="leads") == {
        "First Name": ["A", "B"],
        "mixed": ["5", "x"],
    }
    assert read(tmp_path, url, table="named") == {"id": [1, 2]}
    query = "SELECT id, ':x' AS colon FROM leads WHERE at < '2026-01-02 10:31:00';"
    assert read(tmp_path, url, ["colon", "id"], query=query) == {"colon": [":x"], "id": [1]}


def test_a_sqlite_table_of_no_rows_still_has_its_columns(tmp_path: Path) -> None:
    sqlite_at(tmp_path / "crm.db")
    columns = read(tmp_path, "sqlite:///crm.db", query="SELECT * FROM leads WHERE id > 9")
    assert columns == {"id": [], "First Name": [], "at": [], "mixed": []}


def refused(folder: Path, kind: type[Exception], **source: Any) -> str:
    columns = source.pop("columns", None)
    with pytest.raises(kind) as problem:
        read_rows(Source(**source), folder, columns)
    return str(problem.value)


def test_what_is_not_there_is_named_with_the_nearest(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", ROWS)
    sqlite_at(tmp_path / "crm.db")
    base = "sqlite:///crm.db"
    no = SettingsError
    assert "b.csv: there is no such file" in refused(tmp_path, no, source="b.csv")
    assert "*.pq: no file matches" in refused(tmp_path, no, source="*.pq")
    assert "no such database file" in refused(tmp_path, no, source="sqlite:///x.db", table="leads")
    assert "no table 'lead'; nearest: 'leads'" in refused(tmp_path, no, source=base, table="lead")
    message = refused(tmp_path, no, source="a.csv", columns=["id", "siez"])
    assert "a.csv: there is no column 'siez' as crm.toml says; nearest: 'size'" in message
    message = refused(tmp_path, no, source=base, table="leads", columns=["FirstName"])
    assert "no column 'FirstName' as crm.toml says; nearest: 'First Name'" in message
    assert "is not a database URL" in refused(tmp_path, no, source="://x", table="leads")
    assert "driver" in refused(tmp_path, no, source="nosuchbase://u:pw@h/x", table="leads")


def test_files_that_cannot_be_read_are_told_in_one_sentence(tmp_path: Path) -> None:
    write_csv(tmp_path / "sjis.csv", ROWS, "cp932")
    (tmp_path / "late.csv").write_bytes(b"id,name\n" + b"1,x\n" * 9 + "2,山\n".encode("cp932"))
    (tmp_path / "empty.csv").write_bytes(b"")
    (tmp_path / "twice.csv").write_text("id,name,id\n1,2,3\n")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 but not really")
    (tmp_path / "plain.csv.gz").write_text("id\n1\n")
    packed = gzip.compress("\n".join(["id", *map(str, range(50_000))]).encode())
    (tmp_path / "cut.csv.gz").write_bytes(packed[: len(packed) // 2])
    (tmp_path / "bad.db").write_bytes(b"not a database at all" * 100)
    data, outside = DataError, OutsideError
    assert 'is not utf-8. Name its encoding in crm.toml: encoding = "cp932"' in refused(
        tmp_path, data, source="sjis.csv"
    )
    assert "late.csv: is not utf-8" in refused(tmp_path, data, source="late.csv")
    assert "empty.csv: is empty" in refused(tmp_path, data, source="empty.csv")
    twice = refused(tmp_path, SettingsError, source="twice.csv", columns=["id"])
    assert "no column 'id' as crm.toml says; nearest: 'id (2)', 'id (1)'" in twice
    assert read(tmp_path, "twice.csv") == {"id (1)": ["1"], "name": ["2"], "id (2)": ["3"]}
    assert "cannot be read as Parquet" in refused(tmp_path, data, source="bad.parquet")
    assert "plain.csv.gz: cannot be read" in refused(tmp_path, outside, source="plain.csv.gz")
    assert "cut.csv.gz: cannot be read" in refused(tmp_path, outside, source="cut.csv.gz")
    message = refused(tmp_path, outside, source="sqlite:///bad.db", table="leads")
    assert "does not answer as it should (file is not a database)" in message
    no_encoding = refused(tmp_path, SettingsError, source="sjis.csv", encoding="utf-9")
    assert "'utf-9' is no encoding" in no_encoding


def test_files_of_a_glob_must_agree_on_their_columns(tmp_path: Path) -> None:
    write_csv(tmp_path / "1.csv", [("id", "n"), (1, 2)])
    write_csv(tmp_path / "2.csv", [("id", "m"), (1, 2)])
    assert "differ in their columns" in refused(tmp_path, DataError, source="*.csv")


def test_a_password_is_never_shown(tmp_path: Path) -> None:
    url = "postgresql://me:secret@127.0.0.1:1/crm"
    message = refused(tmp_path, OutsideError, source=url, table="leads")
    assert "secret" not in message
    assert database_url(url, tmp_path).drivername == "postgresql+psycopg"


def new_database(server: Server) -> str:
    return server.new().replace("postgresql://", "postgresql+psycopg://")


@pytest.fixture(scope="session")
def postgres(server: Server) -> str:
    url = new_database(server)
    engine = create_engine(url)
    with engine.begin() as base:
        base.execute(
            text(
                "CREATE SCHEMA sales; "
                'CREATE TABLE sales.leads (id uuid, "Size" numeric(12,2), at timestamptz, '
                "day timestamp, tags jsonb, parts int[], channel text); "
                "INSERT INTO sales.leads SELECT md5(n::text)::uuid, n * 1000.5, "
                "'2026-07-01 12:00+09'::timestamptz, '2026-07-01 12:00', '{\"a\": [1]}', '{1,2}', "
                "CASE WHEN n % 2 = 0 THEN 'web' END FROM generate_series(1, 60000) n"
            )
        )
        base.execute(
            text(
                "CREATE TABLE deals AS "
                "SELECT id AS lead, CASE WHEN n % 3 = 0 THEN 'won' ELSE 'lost' END AS outcome "
                "FROM (SELECT id, row_number() OVER () n FROM sales.leads) t"
            )
        )
    engine.dispose()
    return url


def test_postgresql_of_a_schema_with_its_own_types(postgres: str, tmp_path: Path) -> None:
    features = {
        "size": {"kind": "attribute", "column": "Size", "values": "number"},
        "tags": {"kind": "attribute", "column": "tags"},
    }
    settings = settings_of(
        tmp_path,
        time_zone="Asia/Tokyo",
        features=features,
        leads={"source": postgres, "table": "sales.leads", "id": "id", "created_at": "day"},
        deals={"source": postgres, "table": "deals", "lead": "lead", "outcome": "outcome", "won": ["won"]},
    )
    loaded = load(settings, tmp_path / "rejects.csv")
    assert loaded.crm.lead_ids[0] == "c4ca4238-a0b9-2382-0dcc-509a6f75849b"
    assert len(loaded.crm) == 60_000
    assert loaded.crm.outcomes.won.sum() == 20_000
    assert loaded.crm.created[0] == ms(2026, 7, 1, 3)
    assert loaded.crm.attributes["Size"][0] == 1000.5  # type: ignore[index]
    assert loaded.crm.attributes["tags"].categories == ("{'a': [1]}",)  # type: ignore[union-attr]


def test_postgresql_by_query_with_colons_and_percents(postgres: str, tmp_path: Path) -> None:
    query = "SELECT channel, count(*)::int AS n FROM sales.leads WHERE channel LIKE 'w%' GROUP BY 1"
    assert read(tmp_path, postgres, query=query) == {"channel": ["web"], "n": [30_000]}


def test_a_database_that_goes_away_is_told_in_one_sentence(server: Server, tmp_path: Path) -> None:
    url = new_database(server)
    query = {"source": url, "query": "SELECT 1 AS id"}
    assert read(tmp_path, **query) == {"id": [1]}
    server.psql(f"DROP DATABASE {make_url(url).database} WITH (FORCE)")
    message = refused(tmp_path, OutsideError, **query)
    assert "query: the database does not answer as it should" in message
    assert message.endswith("Nothing was written; see to it and run again.")
    assert "\n" not in message
