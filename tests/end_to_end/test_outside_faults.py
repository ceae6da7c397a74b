"""Databases that go away and full disks: one clear sentence, exit code 5, no half-written file."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import psycopg
import pytest

from tests.conftest import Demo
from tests.helpers.failing import failure_sentence, run_failing
from tests.helpers.service.stores import Server
from tests.helpers.small_crm import listing, replace_text, small_crm, start


def test_a_missing_sqlite_file_is_named(demo_copy: Path) -> None:
    demo_copy.with_name("crm.db").unlink()
    before = listing(demo_copy.parent)
    code, message = run_failing("check", demo_copy)
    assert code == 3
    assert "crm.db" in message
    assert listing(demo_copy.parent) == before


def test_a_damaged_sqlite_file_is_named(demo_copy: Path) -> None:
    path = demo_copy.with_name("crm.db")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    code, message = run_failing("check", demo_copy, "--out", demo_copy.with_name("none"))
    assert code == 5
    assert "crm.db" in message
    assert not demo_copy.with_name("none").exists()


@pytest.fixture
def postgres_url(server: Server) -> str:
    return server.new()


@pytest.fixture
def postgres_crm(postgres_url: str, tmp_path: Path) -> Path:
    """The small CRM with its leads in a PostgreSQL that takes a second for every twenty of them."""
    crm_toml = small_crm(tmp_path)
    with psycopg.connect(postgres_url) as database:
        database.execute("CREATE TABLE leads (lead_id text, created_at text, channel text, employees int)")
        with database.cursor().copy("COPY leads FROM STDIN (FORMAT csv, HEADER)") as copy:
            copy.write((tmp_path / "leads.csv").read_text())
    replace_text(
        crm_toml,
        'source = "leads.csv"',
        (f'source = "{postgres_url}"\nquery = "SELECT l.*, pg_sleep(0.05) AS slow FROM leads l"'),
    )
    return crm_toml


def test_a_terminated_query_is_named(postgres_crm: Path, postgres_url: str) -> None:
    before = listing(postgres_crm.parent)
    terminated = threading.Event()

    def terminate_query() -> None:
        """End the server's process for the query as soon as it runs."""
        with psycopg.connect(postgres_url, autocommit=True) as database:
            while not terminated.is_set():
                ended = database.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE wait_event = 'PgSleep' AND datname = current_database()"
                ).fetchall()
                if ended:
                    terminated.set()
                time.sleep(0.1)

    terminating = threading.Thread(target=terminate_query)
    terminating.start()
    # In a process of its own: psycopg warns of the cursor that the terminated connection leaves open.
    process = start(["train", postgres_crm])
    try:
        _, stderr = process.communicate(timeout=120)
    finally:
        terminated.set()
        terminating.join()
    assert process.returncode == 5, stderr
    assert "database does not answer" in failure_sentence(stderr)
    assert listing(postgres_crm.parent) == before


def test_a_full_disk_while_scoring_keeps_the_old_list(demo: Demo, tiny_disk: Path) -> None:
    """Reasons for all leads need more than there is room for."""
    to = tiny_disk / "scores.csv"
    to.write_text("the old list")
    code, message = run_failing("score", demo.crm_toml, "--to", to, "--out", demo.out, "--reasons", "all")
    assert code == 5
    assert "scores.csv: cannot be written" in message
    assert "Free some space" in message
    assert to.read_text() == "the old list"
    assert not [path for path in listing(tiny_disk) if path.endswith(".part")]


def test_a_full_disk_while_training_leaves_no_partial_model(tmp_path: Path, tiny_disk: Path) -> None:
    """The model's folder fits, MLflow's store does not."""
    code, sentence = run_failing("train", small_crm(tmp_path), "--out", tiny_disk / "out")
    assert code == 5
    assert str(tiny_disk) in sentence
    assert not [path for path in listing(tiny_disk) if ".part" in path]
    model = tiny_disk / "out" / "model"
    assert not model.exists() or {p.name for p in model.iterdir()} == {
        "model.json",
        "trees.txt",
        "evidence.parquet",
    }


def test_a_folder_that_cannot_be_created_is_named(tmp_path: Path) -> None:
    crm_toml = small_crm(tmp_path)
    (tmp_path / "hotlead-out").write_text("a file is in the way")
    code, message = run_failing("train", crm_toml)
    assert code == 5
    assert "hotlead-out" in message
    assert "Correct this, then run the command again." in message
