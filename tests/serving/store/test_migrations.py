"""The migrations make the tables that the code knows, once, however many processes start."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.engine import Connection, make_url

from serving.store.migrate import MIGRATIONS, migrate
from serving.store.store import Store, StoreUnavailable, database_from_url
from serving.store.tables import SCHEMA, metadata
from tests.helpers.service.stores import (
    MOMENT_MS,
    Server,
    activity,
    add_records,
    open_store,
    record,
    server,
    url,
    wait_until,
)

__all__ = ["server", "url"]
ROOT = Path(__file__).parents[3]


def described(connection: Connection) -> dict[str, object]:
    """Columns, and indexes with the unique ones behind keys, as the database itself tells them."""
    if connection.dialect.name == "sqlite":
        query = (
            "SELECT name, sql FROM sqlite_master "
            "WHERE name NOT LIKE '%alembic%' AND sql > '' AND type != 'trigger'"
        )
        # A column that is added later stands after the constraints.
        indexes = {
            name: sorted(part.strip(" ()") for part in " ".join(sql.split()).split(","))
            if sql.startswith("CREATE TABLE")
            else " ".join(sql.split())
            for name, sql in connection.execute(text(query))
        }
    else:
        query = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"
        rows = connection.execute(text(query))
        indexes = {name: sql for name, sql in rows if not name.startswith("alembic")}
    inspector = inspect(connection)
    columns = {
        name: [(c["name"], str(c["type"]), c["nullable"]) for c in inspector.get_columns(name)]
        for name in metadata.tables
    }
    return {"indexes": indexes, "columns": columns}


def wanted(url: str, tmp_path: Path, request: pytest.FixtureRequest) -> dict[str, object]:
    """The schema of serving/tables.py, made directly in another database."""
    if url.startswith("sqlite"):
        other_url = f"sqlite:///{tmp_path / 'other.db'}"
    else:
        running: Server = request.getfixturevalue("server")
        other_url = running.new()
    engine = create_engine(make_url(other_url).set(drivername=_driver(other_url)))
    with engine.begin() as connection:
        metadata.create_all(connection)
        schema = described(connection)
    engine.dispose()
    return schema


def _driver(url: str) -> str:
    return "sqlite" if url.startswith("sqlite") else "postgresql+psycopg"


def test_migrations_make_the_tables_of_the_code(
    url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    db = database_from_url(url)
    migrate(db)
    assert db.read(described) == wanted(url, tmp_path, request)
    db.close()


def test_the_newest_migration_is_the_one_the_code_needs() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_heads() == [SCHEMA]


def test_opening_again_finds_what_was_stored(url: str, tmp_path: Path) -> None:
    for expected in ("stored", "known"):
        with open_store(url, tmp_path / "spool") as store:
            assert store.add_records([activity("a")]).result() == [expected]


def test_processes_that_start_at_once_migrate_once(url: str, tmp_path: Path) -> None:
    code = (
        "import logging, sys; logging.basicConfig(level=20, stream=sys.stdout)\n"
        "from pathlib import Path; from serving.store.store import Store\n"
        "from serving.store.records import Record\n"
        "store = Store.open(sys.argv[1], Path(sys.argv[2]))\n"
        "body = {'type': 'page'}\n"
        "while store.is_unavailable: pass\n"
        "print(store.add_records([Record('activities', sys.argv[3], 1, 'L1', 1, body)]).result())\n"
        "store.close()\n"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, url, str(tmp_path / "spool"), str(i)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
        )
        for i in range(4)
    ]
    outputs = [process.communicate(timeout=60)[0] for process in started]
    assert [process.returncode for process in started] == [0] * 4, outputs
    assert all("['stored']" in text for text in outputs)
    assert sum(text.count("went from none") for text in outputs) == 1


def test_leads_that_were_stored_before_amounts_stay_and_are_known(url: str, tmp_path: Path) -> None:
    lead = record("leads", "K1", attributes={"city": "Kyoto"})
    with open_store(url, tmp_path / "spool") as store:
        add_records(store, lead)
    db = database_from_url(url)
    with db.migration() as connection:
        connection.execute(text("DROP INDEX activities_by_arrival"))
        connection.execute(text("DROP TABLE activity_blocks"))
        connection.execute(text("ALTER TABLE leads DROP COLUMN amount"))
        connection.execute(text("DROP TABLE audit_log"))
        connection.execute(text("DROP TABLE store_state"))
        connection.execute(text("DROP TABLE suppressed"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0003'"))
    db.close()
    with open_store(url, tmp_path / "spool") as store:
        assert add_records(store, lead) == ["known"]
        add_records(store, record("leads", "K2", MOMENT_MS + 1, amount=5))
        stored = store.lead("L1")
    assert stored is not None
    assert (stored.amount, [value for _, _, value in stored.changes]) == (5, ["Kyoto"])


def test_a_migration_that_fails_leaves_nothing(url: str) -> None:
    db = database_from_url(url)
    db.create()
    with pytest.raises(StoreUnavailable), db.migration() as connection:
        half_done(connection)
    assert db.read(lambda read_connection: inspect(read_connection).get_table_names()) == []
    db.close()


def half_done(connection: Connection) -> None:
    connection.execute(text("CREATE TABLE half (x INTEGER)"))
    connection.execute(text("CREATE TABLE half (x INTEGER)"))


def test_tables_of_a_later_version_are_left_alone(
    url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    db = database_from_url(url)
    migrate(db)
    with db.migration() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with caplog.at_level(logging.WARNING), open_store(url, tmp_path / "spool") as store:
        assert store.is_unavailable
        with db.migration() as connection:
            connection.execute(text(f"UPDATE alembic_version SET version_num = '{SCHEMA}'"))
        wait_until(lambda: not store.is_unavailable, "the store is back")
        assert store.add_records([activity("a")]).result() == ["stored"]
    assert "9999" in caplog.text
    db.close()


def test_a_database_that_comes_later_is_migrated_then(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.touch()  # a file where the folder should be
    with open_store(f"sqlite:///{folder / 'store.db'}", tmp_path / "spool") as store:
        assert store.is_unavailable
        folder.unlink()
        wait_until(lambda: not store.is_unavailable, "the store is back")
        assert store.add_records([activity("a")]).result() == ["stored"]


def test_starting_with_tables_that_are_there_needs_no_alembic(url: str, tmp_path: Path) -> None:
    Store.open(url, tmp_path / "spool").close()
    code = (
        "import sys; from pathlib import Path; from serving.store.store import Store\n"
        "store = Store.open(sys.argv[1], Path(sys.argv[2])); assert not store.is_unavailable; store.close()\n"
        "assert 'alembic' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code, url, str(tmp_path / "spool")], check=True, cwd=ROOT)
