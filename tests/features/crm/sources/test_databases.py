"""Databases: samples of long tables, DuckDB, server-side cursors, drivers and passwords."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import create_engine, event, make_url, text
from sqlalchemy.engine import Engine

from features.crm.connections.sql import select_block
from features.crm.connections.urls import database_url, mask_password, without_password
from features.crm.propose import propose
from features.crm.sources.databases import list_tables
from features.crm.table_settings import Source
from features.crm.tables import read_rows
from features.errors import OutsideError, SettingsError
from tests.helpers.service.stores import Server

LONG, SAMPLE = 120_000, 50_000


def fill_sqlite(path: Path, rows: int = LONG) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE lead (id TEXT, size INTEGER)")
        connection.executemany("INSERT INTO lead VALUES (?, ?)", ((f"L-{n:06d}", n) for n in range(rows)))
        connection.execute("CREATE VIEW large AS SELECT * FROM lead WHERE size > 10")


def fill_duckdb(path: Path, rows: int = LONG) -> None:
    duckdb = pytest.importorskip("duckdb")
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "CREATE TABLE lead AS SELECT printf('L-%06d', n) AS id, n AS size, "
            f"TIMESTAMPTZ '2026-10-01 09:00+09' AS came FROM range({rows}) t(n)"
        )
        connection.execute("CREATE VIEW large AS SELECT * FROM lead WHERE size > 10")
        connection.execute("CREATE SCHEMA sales; CREATE TABLE sales.deals AS SELECT 1 AS x")


@pytest.mark.parametrize(("kind", "fill"), [("sqlite", fill_sqlite), ("duckdb", fill_duckdb)])
def test_a_sample_of_a_long_table_has_its_first_and_last_rows(tmp_path: Path, kind: str, fill: Any) -> None:
    fill(tmp_path / "crm.db")
    source = Source(source=f"{kind}:///crm.db", table="lead")
    rows = read_rows(source, tmp_path, None, 2**26)
    assert rows.is_sample
    assert rows.read == LONG
    assert rows.table.num_rows == len(rows.numbers) == SAMPLE
    assert (rows.numbers[0], rows.numbers[-1]) == (1, LONG)
    assert (np.array(rows.table["size"].to_pylist()) == rows.numbers - 1).all()
    full = read_rows(source, tmp_path, ["id"])
    assert not full.is_sample
    assert (full.table.num_rows, full.table.column_names) == (LONG, ["id"])


@pytest.mark.parametrize(("kind", "fill"), [("sqlite", fill_sqlite), ("duckdb", fill_duckdb)])
def test_tables_and_views_are_listed_and_a_wrong_name_is_an_error(
    tmp_path: Path, kind: str, fill: Any
) -> None:
    fill(tmp_path / "crm.db", 20)
    url = database_url(f"{kind}:///crm.db", tmp_path)
    assert list_tables(url) == ["large", "lead"]
    assert list_tables(url, ["large"]) == ["large"]
    with pytest.raises(SettingsError, match=r"there is no table 'leads'; nearest: 'lead'"):
        list_tables(url, ["leads"])


def test_duckdb_keeps_types_reads_queries_and_schemas_and_is_opened_for_reading(tmp_path: Path) -> None:
    fill_duckdb(tmp_path / "crm.duckdb", 3)
    source = "duckdb:///crm.duckdb"
    rows = read_rows(Source(source=source, query="SELECT id, came FROM lead WHERE size = 2"), tmp_path)
    assert rows.table["id"].to_pylist() == ["L-000002"]
    assert rows.table["came"][0].as_py().timestamp() == 1_790_812_800
    assert read_rows(Source(source=source, table="sales.deals"), tmp_path).table.to_pydict() == {"x": [1]}
    with pytest.raises(OutsideError, match="does not answer as it should"):
        read_rows(Source(source=source, query="DELETE FROM lead"), tmp_path)
    (tmp_path / "no.duckdb").write_text("no database")
    with pytest.raises(OutsideError, match="not a valid DuckDB database"):
        read_rows(Source(source="duckdb:///no.duckdb", table="lead"), tmp_path)


@pytest.mark.parametrize(
    ("url", "package"),
    [
        ("bigquery://project/data", "sqlalchemy-bigquery"),
        ("snowflake://me:s3cret@account/db", "snowflake-sqlalchemy"),
        ("redshift+redshift_connector://me:s3cret@host/db", "sqlalchemy-redshift redshift_connector"),
        ("mysql+pymysql://me:s3cret@host/db", "pymysql"),
    ],
)
def test_a_missing_driver_is_named_with_the_package_to_install(
    tmp_path: Path, url: str, package: str
) -> None:
    with pytest.raises(SettingsError, match=f"pip install {package}$") as error:
        list_tables(database_url(url, tmp_path))
    assert "s3cret" not in str(error.value)


@pytest.mark.parametrize(
    ("url", "written"),
    [
        ("postgresql://me:p%40w:x@h/d?a=b@c", "postgresql://me:${HOTLEAD_DATABASE_PASSWORD}@h/d?a=b@c"),
        ("postgresql://me:${CRM_PASSWORD}@h/d", "postgresql://me:${CRM_PASSWORD}@h/d"),
        ("postgresql://me@h/d", "postgresql://me@h/d"),
        ("sqlite:///crm.db", "sqlite:///crm.db"),
        ("exports/leads.csv", "exports/leads.csv"),
    ],
)
def test_a_password_is_not_written_into_crm_toml(url: str, written: str) -> None:
    assert without_password(url) == written


def test_passwords_and_tokens_are_not_shown(tmp_path: Path) -> None:
    url = make_url("snowflake://me:s3cret@account/db?token=t0ken&warehouse=wh")
    assert mask_password(url) == "snowflake://me:***@account/db?warehouse=wh"
    with pytest.raises(OutsideError) as error:
        list_tables(database_url("postgresql://me:s3cret@127.0.0.1:1/db?connect_timeout=2", tmp_path))
    assert "s3cret" not in str(error.value)


def test_a_block_of_sql_server_has_an_order() -> None:
    assert "ORDER BY (SELECT NULL)" in str(select_block("mssql", "SELECT * FROM lead", 10, 5))
    assert "ORDER" not in str(select_block("snowflake", "SELECT * FROM lead", 10, 5))


def test_init_looks_at_the_named_tables_only(tmp_path: Path) -> None:
    fill_sales(create_engine(f"sqlite:///{tmp_path / 'crm.db'}"))
    proposal = propose(["sqlite:///crm.db"], tmp_path, table_names=["customers", "orders"])
    assert 'table = "customers"' in proposal.text
    assert "letters" not in proposal.text
    assert (proposal.summary.leads, proposal.summary.won, proposal.summary.lost) == (300, 75, 150)
    with pytest.raises(SettingsError, match="--table names tables of a database"):
        propose(["leads.csv"], tmp_path, table_names=["customers"])


def fill_sales(engine: Engine) -> None:
    """300 customers with an order each, of which 75 are won and 150 lost, and a table of letters."""
    customers = [
        {"id": f"C-{n:06d}", "trade": ("retail", "media")[n % 2], "at": f"2026-0{n % 9 + 1}-03 10:00"}
        for n in range(300)
    ]
    stages = ("Closed Won", "Closed Lost", "Closed Lost", "Negotiation")
    orders = [
        {"id": f"D-{n:06d}", "lead": f"C-{n:06d}", "stage": stages[n % 4], "at": f"2026-0{n % 9 + 1}-20"}
        for n in range(300)
    ]
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE customers (customer_id TEXT, trade TEXT, created_at TEXT)"))
        connection.execute(
            text("CREATE TABLE orders (order_id TEXT, customer_id TEXT, stage TEXT, closed_at TEXT)")
        )
        connection.execute(text("CREATE TABLE letters (letter TEXT)"))
        connection.execute(text("INSERT INTO customers VALUES (:id, :trade, :at)"), customers)
        connection.execute(text("INSERT INTO orders VALUES (:id, :lead, :stage, :at)"), orders)
        connection.execute(text("INSERT INTO letters VALUES ('a')"))


@pytest.mark.postgresql
def test_postgresql_is_read_by_server_side_cursors_and_in_samples(server: Server, tmp_path: Path) -> None:
    url = server.new()
    engine = create_engine(database_url(url, tmp_path))
    with engine.begin() as connection:
        connection.execute(
            text(f"CREATE TABLE lead AS SELECT n AS size FROM generate_series(0, {LONG - 1}) n")
        )
    engine.dispose()
    kinds = set[str]()

    def note_cursor(_: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if "size" in statement or "lead" in statement:
            kinds.add(f"{type(cursor).__name__}: {statement[:6]}")

    event.listen(Engine, "before_cursor_execute", note_cursor)
    try:
        full = read_rows(Source(source=url, table="lead"), tmp_path)
        sample = read_rows(Source(source=url, table="lead"), tmp_path, None, 2**26)
    finally:
        event.remove(Engine, "before_cursor_execute", note_cursor)
    assert any("Server" in kind for kind in kinds), kinds
    assert full.table["size"].to_pylist() == list(range(LONG))
    assert (sample.read, sample.table.num_rows, sample.is_sample) == (LONG, SAMPLE, True)
