"""What is acknowledged is flushed or committed: a process that is killed loses none of it."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from serving.store.backends.base import Cursor
from serving.store.direct_writer import FEW
from serving.store.store import Store, database_from_url
from tests.helpers.service.store_faults import database_of
from tests.helpers.service.stores import (
    Server,
    activity,
    add_predictions,
    add_records,
    open_store,
    prediction,
    wait_until,
)

ROOT = Path(__file__).parents[3]


def test_commits_survive_what_they_must(url: str) -> None:
    """Records survive a failure of the machine, predictions that of any process: SQLite needs no flush for
    that, PostgreSQL does."""
    db = database_from_url(url)
    db.create()
    query = "PRAGMA synchronous" if url.startswith("sqlite") else "SHOW synchronous_commit"
    expected = {True: 2, False: 1} if url.startswith("sqlite") else {True: "on", False: "on"}
    for durable, wanted in expected.items():
        connection = db.connect(durable)
        assert connection.cursor().execute(query).fetchone()[0] == wanted
        connection.close()
    db.close()


def test_records_are_written_on_the_durable_connection(
    store: Store, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The setting is read by the cursors that insert a record and predictions."""
    query = "PRAGMA synchronous" if url.startswith("sqlite") else "SHOW synchronous_commit"
    database, settings = database_of(store), dict[str, object]()

    def spy(name: str) -> None:
        method = getattr(database, name)

        def with_setting(cursor: Cursor, *arguments: object) -> object:
            row = cursor.execute(query).fetchone()
            settings[name] = row and row[0]
            return method(cursor, *arguments)

        monkeypatch.setattr(database, name, with_setting)

    spy("insert")
    spy("insert_predictions")
    add_records(store, activity("a"))
    add_predictions(store, *[prediction()] * (FEW + 1))
    durable, fast = (2, 1) if url.startswith("sqlite") else ("on", "on")
    assert settings == {"insert": durable, "insert_predictions": fast}


def test_postgresql_flushes_records_even_if_the_server_is_configured_not_to(server: Server) -> None:
    url = server.new()
    server.psql(f"ALTER DATABASE {url.split('/')[-1].split('?')[0]} SET synchronous_commit = off")
    db = database_from_url(url)
    connection = db.connect(durable=True)
    assert connection.execute("SHOW synchronous_commit").fetchone()[0] == "on"
    connection.close()
    db.close()


def test_sqlite_writes_beside_its_readers(tmp_path: Path) -> None:
    with open_store(f"sqlite:///{tmp_path / 's.db'}", tmp_path / "spool") as store:
        add_records(store, activity("a"))
        with sqlite3.connect(tmp_path / "s.db") as reader:
            assert reader.execute("PRAGMA journal_mode").fetchone() == ("wal",)
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM activities").fetchall()
            assert add_records(store, activity("b")) == ["stored"]
        reader.close()


@pytest.mark.parametrize("turn", range(2))
def test_nothing_acknowledged_is_missing_after_a_kill(url: str, tmp_path: Path, turn: int) -> None:
    """Records and predictions of eight threads at once, killed in the middle of it."""
    code = (
        "import sys, threading; sys.path.insert(0, '.'); from pathlib import Path\n"
        "from tests.helpers.service.stores import activity, prediction\n"
        "from serving.store.store import Store\n"
        "store = Store.open(sys.argv[1], Path(sys.argv[2]))\n"
        "def send(name):\n"
        "    for i in range(10**6):\n"
        "        key = f'{name}-{i}'\n"
        "        if name % 2:\n"
        "            pair = [activity(key), activity(key + '+', lead_id='L2')]\n"
        "            outcomes = store.add_records(pair).result()\n"
        "            ok = outcomes == ['stored', 'stored']\n"
        "        else:\n"
        "            ok = store.add_predictions([prediction(key)]).result() == 'stored'\n"
        "        sys.stdout.write(f'{key}\\n' if ok else 'WRONG\\n'); sys.stdout.flush()\n"
        "for name in range(8): threading.Thread(target=send, args=[name]).start()\n"
    )
    started = subprocess.Popen(
        [sys.executable, "-c", code, url, str(tmp_path / "spool")],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    with started as child:
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(600 + 300 * turn)]
        child.kill()
        lines += child.stdout.readlines()
    acknowledged_keys = [line.strip() for line in lines if line.endswith("\n")]
    assert "WRONG" not in acknowledged_keys
    with open_store(url, tmp_path / "spool") as store:
        record_keys = [key for key in acknowledged_keys if int(key.split("-")[0]) % 2]
        futures = [
            store.add_records([activity(key), activity(key + "+", lead_id="L2")]) for key in record_keys
        ]
        assert [future.result() for future in futures] == [["known", "known"]] * len(record_keys)
        scored = [key for key in acknowledged_keys if not int(key.split("-")[0]) % 2]
        assert all(len(store.scores(key)) == 1 for key in scored)
        assert min(len(record_keys), len(scored)) > 20


def test_a_list_of_records_is_never_stored_in_part(url: str, tmp_path: Path) -> None:
    """Killed while lists of 200 are written: each is there whole, or not at all."""
    code = (
        "import sys; sys.path.insert(0, '.'); from pathlib import Path\n"
        "from tests.helpers.service.stores import activity; from serving.store.store import Store\n"
        "store = Store.open(sys.argv[1], Path(sys.argv[2])); print('go', flush=True)\n"
        "for i in range(10**6):\n"
        "    store.add_records([activity(f'{i}-{j}', lead_id=f'L{i}') for j in range(200)])\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, url, str(tmp_path / "spool")],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "go\n"
    with open_store(url, tmp_path / "spool") as store:
        wait_until(lambda: store.lead("L20") is not None, "some lists are there")
        child.kill()
        child.communicate(timeout=30)
        time_out = time.monotonic() + 30
        counted: list[int] = []
        while time.monotonic() < time_out and (lead := store.lead(f"L{len(counted)}")):
            counted.append(len(lead.events))
    assert len(counted) > 20
    assert set(counted) == {200}
