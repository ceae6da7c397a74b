"""Records are stored once and classified; a store is opened at a URL: on SQLite and PostgreSQL."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from features.errors import SettingsError
from serving.store.errors import InvalidRecord
from serving.store.records import KINDS
from serving.store.store import Store
from tests.helpers.service.store_faults import database_of
from tests.helpers.service.stores import activity, add_records, open_store, record

ROOT = Path(__file__).parents[3]


def test_the_outcome_of_each_record_stands_at_its_place(store: Store) -> None:
    assert add_records(store, activity("a"), activity("b")) == ["stored", "stored"]
    outcomes = add_records(
        store, activity("c"), activity("a"), activity("b", value=9), activity("a", version=2, value=1)
    )
    assert outcomes == ["stored", "known", "conflict", "stored"]


def test_the_same_key_twice_in_one_list(store: Store) -> None:
    outcomes = add_records(store, activity("a"), activity("a"), activity("a", value=1), activity("b"))
    assert outcomes == ["stored", "known", "conflict", "stored"]
    assert add_records(store, activity("a"), activity("a", value=1)) == ["known", "conflict"]


def test_the_same_key_may_occur_in_each_kind(store: Store) -> None:
    outcomes = add_records(store, *(record(kind, "the same") for kind in KINDS))
    assert outcomes == ["stored"] * len(KINDS)


def test_an_empty_list_of_records_is_stored(store: Store) -> None:
    assert add_records(store) == []


def test_many_at_once_are_classified_as_one_after_another(store: Store) -> None:
    """Requests that wait together are one group, in which the same key may come twice."""
    futures = [store.add_records([activity(str(i % 50), value=i % 3)]) for i in range(600)]
    outcomes = [future.result()[0] for future in futures]
    assert outcomes[:50] == ["stored"] * 50
    assert all(outcomes[i] == ("known" if i % 3 == i % 50 % 3 else "conflict") for i in range(50, 600))
    lead = store.lead("L1")
    assert lead is not None
    assert len(lead.events) == 50


def test_two_processes_that_send_the_same_keys(store: Store, url: str, tmp_path: Path) -> None:
    """Every key is stored by one of them, and known to the other."""
    code = (
        "import sys; from pathlib import Path; from serving.store.store import Store, StoreUnavailable\n"
        "from serving.store.records import Record\n"
        "store = Store.open(sys.argv[1], Path(sys.argv[2])); counted = {}\n"
        "sys.stdin.readline()\n"
        "keys = list(range(400)) if sys.argv[3] == '0' else list(range(399, -1, -1))\n"
        "for start in range(0, 400, 20):\n"
        "    rs = [Record('activities', str(k), 1, 'L1', k, {'type': 'x'}) for k in keys[start:start + 20]]\n"
        "    while True:\n"
        "        try: outcomes = store.add_records(rs).result()\n"
        "        except StoreUnavailable: continue\n"
        "        break\n"
        "    for outcome in outcomes: counted[outcome] = counted.get(outcome, 0) + 1\n"
        "print(counted.get('stored', 0), counted.get('known', 0), counted.get('conflict', 0))\n"
        "store.close()\n"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, url, str(tmp_path / "spool"), str(i)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for i in range(2)
    ]
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    counts = [list(map(int, p.communicate(timeout=120)[0].split())) for p in started]
    assert sum(stored for stored, _, _ in counts) == 400, counts
    assert sum(known_count for _, known_count, _ in counts) == 400, counts
    lead = store.lead("L1")
    assert lead is not None
    assert [event[1] for event in lead.events] == list(range(400))


def test_a_record_that_cannot_be_stored_is_refused_whole(store: Store) -> None:
    with pytest.raises(InvalidRecord, match=r"activities\.type"):
        store.add_records([activity("good"), activity("bad", type="x\0y")]).result()
    assert add_records(store, activity("good")) == ["stored"]


@pytest.mark.parametrize(
    "invalid_url",
    [
        "",
        "store.db",
        "sqlite://",
        "sqlite:///:memory:",
        "mysql://u:secret@h/d",
        "sqlite:///a?b=c",
        "postgresql://u:secret@h:port/d",
    ],
)
def test_an_invalid_url_is_reported_without_its_password(invalid_url: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as excinfo:
        Store.open(invalid_url, tmp_path)
    assert "sqlite:///" in str(excinfo.value)
    assert "secret" not in str(excinfo.value)


def test_a_file_is_local_and_a_server_is_not(store: Store, url: str) -> None:
    assert database_of(store).is_local == url.startswith("sqlite")


def test_relative_paths_are_of_the_folder_where_it_was_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with open_store("sqlite:///data/s 100%.db", tmp_path / "spool") as store:
        monkeypatch.chdir("/")
        assert add_records(store, activity("a")) == ["stored"]
    assert (tmp_path / "data" / "s 100%.db").exists()
