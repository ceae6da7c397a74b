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
from serving.store.store import Store, StoreAway, database
from serving.store.tables import SCHEMA, metadata
from tests.helpers.stores import Server, activity, opened, server, until, url

__all__ = ["server", "url"]
ROOT = Path(__file__).parents[3]


def described(connection: Connection) -> dict[str, object]:
    """Columns, and indexes with the unique ones behind keys, as the database itself tells them."""
    if connection.dialect.name == "sqlite":
        told = "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE '%alembic%' AND sql > ''"
        indexes = {name: " ".join(sql.split()) for name, sql in connection.execute(text(told))}
    else:
        told = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"
        found = connection.execute(text(told))
        indexes = {name: sql for name, sql in found if not name.startswith("alembic")}
    seen = inspect(connection)
    columns = {
        name: [(c["name"], str(c["type"]), c["nullable"]) for c in seen.get_columns(name)]
        for name in metadata.tables
    }
    return {"indexes": indexes, "columns": columns}


def wanted(url: str, tmp_path: Path, request: pytest.FixtureRequest) -> dict[str, object]:
    """The schema of serving/tables.py, made directly in another database."""
    if url.startswith("sqlite"):
        other = f"sqlite:///{tmp_path / 'other.db'}"
    else:
        running: Server = request.getfixturevalue("server")
        other = running.new()
    engine = create_engine(make_url(other).set(drivername=_driver(other)))
    with engine.begin() as connection:
        metadata.create_all(connection)
        told = described(connection)
    engine.dispose()
    return told


def _driver(url: str) -> str:
    return "sqlite" if url.startswith("sqlite") else "postgresql+psycopg"


def test_migrations_make_the_tables_of_the_code(
    url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    told = database(url)
    migrate(told)
    assert told.read(described) == wanted(url, tmp_path, request)
    told.close()


def test_the_newest_migration_is_the_one_the_code_needs() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_heads() == [SCHEMA]


def test_opening_again_finds_what_was_stored(url: str, tmp_path: Path) -> None:
    for expected in ("stored", "known"):
        with opened(url, tmp_path / "spool") as store:
            assert store.accept([activity("a")]).result() == [expected]


def test_processes_that_start_at_once_migrate_once(url: str, tmp_path: Path) -> None:
    code = (
        "import logging, sys; logging.basicConfig(level=20, stream=sys.stdout)\n"
        "from pathlib import Path; from serving.store.store import Store\n"
        "from serving.store.records import Record\n"
        "store = Store.open(sys.argv[1], Path(sys.argv[2]))\n"
        "body = {'type': 'page'}\n"
        "while store.away: pass\n"
        "print(store.accept([Record('activities', sys.argv[3], 1, 'L1', 1, body)]).result())\n"
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
    told = [process.communicate(timeout=60)[0] for process in started]
    assert [process.returncode for process in started] == [0] * 4, told
    assert all("['stored']" in text for text in told)
    assert sum(text.count("went from none") for text in told) == 1


def test_a_migration_that_fails_leaves_nothing(url: str) -> None:
    told = database(url)
    told.make()
    with pytest.raises(StoreAway), told.migration() as connection:
        half_done(connection)
    assert told.read(lambda at: inspect(at).get_table_names()) == []
    told.close()


def half_done(connection: Connection) -> None:
    connection.execute(text("CREATE TABLE half (x INTEGER)"))
    connection.execute(text("CREATE TABLE half (x INTEGER)"))


def test_tables_of_a_later_version_are_left_alone(
    url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    told = database(url)
    migrate(told)
    with told.migration() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with caplog.at_level(logging.WARNING), opened(url, tmp_path / "spool") as store:
        assert store.away
        with told.migration() as connection:
            connection.execute(text(f"UPDATE alembic_version SET version_num = '{SCHEMA}'"))
        until(lambda: not store.away, "the store is back")
        assert store.accept([activity("a")]).result() == ["stored"]
    assert "9999" in caplog.text
    told.close()


def test_a_database_that_comes_later_is_migrated_then(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.touch()  # a file where the folder should be
    with opened(f"sqlite:///{folder / 'store.db'}", tmp_path / "spool") as store:
        assert store.away
        folder.unlink()
        until(lambda: not store.away, "the store is back")
        assert store.accept([activity("a")]).result() == ["stored"]


def test_starting_with_tables_that_are_there_needs_no_alembic(url: str, tmp_path: Path) -> None:
    Store.open(url, tmp_path / "spool").close()
    code = (
        "import sys; from pathlib import Path; from serving.store.store import Store\n"
        "store = Store.open(sys.argv[1], Path(sys.argv[2])); assert not store.away; store.close()\n"
        "assert 'alembic' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code, url, str(tmp_path / "spool")], check=True, cwd=ROOT)
