"""`hotlead forget`: a lead leaves the store, the queue on disk and all evidence; figures stay."""

from __future__ import annotations

import fcntl
import json
import shutil
import sqlite3
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow.parquet as pq
import pytest

from features.errors import DataError, OutsideError, SettingsError
from scoring.evaluation import erase_lead as erasure
from scoring.model import bundle
from scoring.model.bundle import POINTER, load_bundle, origin_of, pointed, rewrite_evidence
from scoring.model.evidence import Evidence, hashed
from scoring.model.model import EVIDENCE_FILE
from serving.jobs.forget_lead import Forgotten, forget
from serving.settings import ServiceSettings
from serving.store.store import Store
from tests.helpers.live_service import free_port, served, settings_of
from tests.helpers.small_crm import CARD, command, run, small_crm
from tests.helpers.stores import Server, server

__all__ = ["server"]  # a fixture

WHEN = "2025-12-01T00:00:00Z"


@dataclass(frozen=True)
class Place:
    """A CRM with a champion and its bundle, and leads that the evidence knows."""

    crm_toml: Path
    known: list[str]

    @property
    def out(self) -> Path:
        return self.settings.out

    @property
    def settings(self) -> ServiceSettings:
        return settings_of(self.crm_toml)

    def forget(self, lead_id: str, **environ: str) -> Forgotten:
        return forget(self.settings, lead_id, [], environ, patience=3.0)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Each test forgets another lead."""
    from features.settings import load_settings
    from scoring.scorecard.load import find_card
    from training.compare import compare, keep_comparison
    from training.registry.follower import step
    from training.registry.promotion import promote
    from training.train import train_and_register

    folder = tmp_path_factory.mktemp("forget")
    crm_toml = small_crm(folder, leads=600)
    (folder / "scorecard.toml").write_text(CARD, encoding="utf-8")
    settings, out = load_settings(crm_toml), folder / "hotlead-out"
    train_and_register(crm_toml, out, lambda _: None, "en", 0)
    keep_comparison(compare(settings, out), out)
    promote(out, find_card(folder, settings.table), "for a test", "tester")
    step(out, out / "bundles")
    names = set(Evidence.load(out / "model" / EVIDENCE_FILE).lead.tolist())
    return Place(crm_toml, [i for i in (f"L{n:04d}" for n in range(600)) if hashed(i) in names])


@pytest.fixture
def place(made: Place) -> Iterator[Place]:
    yield made
    shutil.rmtree(made.out / "spool", ignore_errors=True)


@pytest.fixture
def lead(made: Place) -> str:
    return made.known.pop()


@pytest.fixture
def copy(made: Place, tmp_path: Path) -> Place:
    """A copy to be damaged, without MLflow's store."""
    folder = tmp_path / "copy"
    leave = shutil.ignore_patterns("mlflow.db*", "mlartifacts", "store.db*")
    shutil.copytree(made.crm_toml.parent, folder, ignore=leave)
    return Place(folder / "crm.toml", made.known)


def traces(folder: Path, *names: str) -> list[str]:
    """The files that hold one of the names, as bytes or in a table of leads."""
    found = []
    for path in (p for p in folder.rglob("*") if p.is_file()):
        told = path.read_bytes()
        if path.suffix == ".parquet":
            told += "\n".join(pq.read_table(path)["lead"].to_pylist()).encode()
        if any(name.encode() in told for name in names):
            found.append(str(path.relative_to(folder)))
    return sorted(found)


def send(url: str, lead_id: str) -> None:
    """All that a CRM tells of a lead, and its score."""
    told: Mapping[str, Mapping[str, Any]] = {
        "leads": {"updated_at": WHEN, "attributes": {"channel": "referral"}},
        "activities": {"type": "visit", "at": WHEN},
        "outcomes": {"outcome": "won", "closed_at": WHEN},
        "opportunities": {"opened_at": WHEN},
        "handovers": {"step": "handed_over", "at": WHEN},
        "overrides": {"verdict": "hot", "reason": "r", "by": "b", "at": WHEN},
        "verdicts": {"right_side": "both", "reason": "r", "by": "b", "at": WHEN},
        "score": {},
    }
    with httpx.Client(base_url=url, trust_env=False) as client:
        for kind, body in told.items():
            answer = client.post(f"/v1/{kind}", json={"lead_id": lead_id, **body})
            assert answer.status_code < 300, answer.text


def test_nothing_of_a_lead_stays_while_the_service_runs(place: Place, lead: str) -> None:
    """Below the output folder: store, write-ahead log, queue, bundles, artifacts, pages."""
    other = place.known[0]
    with served(place.crm_toml, HOTLEAD_OPEN="1") as live:
        send(live.url, lead)
        send(live.url, other)
        (place.out / "spool").mkdir(exist_ok=True)
        row = live.house.store.scores(lead)[0]
        queued = (place.out / "spool") / "1-dead.spool"
        prediction = {name: row[name] for name in row if name != "seq"}
        held = queued.open("w")
        fcntl.flock(held, fcntl.LOCK_EX)  # another process lives and holds its queue
        held.write(json.dumps({**prediction, "replay": False}) + "\n")
        held.flush()
        assert {"store.db-wal", "spool/1-dead.spool"} <= {*traces(place.out, lead)}
        assert len(traces(place.out, hashed(lead))) >= 3
        told = run("forget", lead, place.crm_toml, "--yes", "--json")
        assert told.returncode == 0, told.stderr
        assert traces(place.out, lead, hashed(lead)) == []
        held.close()
        assert httpx.get(f"{live.url}/v1/scores?lead_id={lead}").status_code == 404
        assert httpx.get(f"{live.url}/v1/scores?lead_id={other}").status_code == 200
    read = json.loads(told.stdout)
    assert read["store"] == {
        "activities": 1,
        "current_scores": 1,
        "handovers": 1,
        "leads": 1,
        "opportunities": 1,
        "outcomes": 1,
        "overrides": 1,
        "predictions": 1,
        "spool": 1,
        "verdicts": 1,
    }
    assert len(read["evidence"]) == 3  # the model folder, its MLflow artifact, its bundle
    assert all(read["evidence"].values())
    assert traces(place.out, hashed(other)) != []


def test_the_service_goes_on_with_the_same_model(place: Place, lead: str) -> None:
    with served(place.crm_toml, HOTLEAD_OPEN="1") as live:
        before = httpx.get(f"{live.url}/v1/model").json()
        place.forget(lead)
        assert live.house.watch.refresh()
        after = httpx.get(f"{live.url}/v1/model").json()
    for told in (before, after):
        del told["model"]["champion_for_seconds"]
    assert before == after


def test_no_figure_of_the_evidence_changes(place: Place, lead: str) -> None:
    path = place.out / "model" / EVIDENCE_FILE
    before, schema = pq.read_table(path), pq.read_schema(path)
    place.forget(lead)
    after = pq.read_table(path)
    assert pq.read_schema(path).equals(schema, check_metadata=True)
    names = [name for name in before.column_names if name != "lead"]
    assert after.select(names).equals(before.select(names))
    old, new = (np.array(t["lead"].to_pylist()) for t in (before, after))
    gone = old == hashed(lead)
    assert gone.any()
    assert (old[~gone] == new[~gone]).all()
    (name,) = set(new[gone])
    assert len(name) == len(hashed(lead))
    assert name not in old


def test_a_lead_has_one_new_name_everywhere(place: Place, lead: str) -> None:
    """Champion and challenger are compared on the leads that both know."""
    path = place.out / "model" / EVIDENCE_FILE
    gone = Evidence.load(path).lead == hashed(lead)
    place.forget(lead)
    tables = [Evidence.load(p).lead[gone].tolist() for p in place.out.rglob(EVIDENCE_FILE)]
    assert len(tables) == 3
    assert all(table == tables[0] for table in tables)


def test_forgetting_again_finds_nothing_and_changes_nothing(place: Place, lead: str) -> None:
    place.forget(lead)
    stamp = (place.out / "bundles" / POINTER).stat().st_mtime_ns
    told = place.forget(lead)
    assert not any((told.store or {}).values())
    assert (told.evidence.tables, told.evidence.pages, told.evidence.removed) == ({}, [], [])
    assert (place.out / "bundles" / POINTER).stat().st_mtime_ns == stamp
    assert any("does not know the lead" in line for line in told.lines())


def test_what_is_not_touched_is_said(place: Place, lead: str) -> None:
    (place.out / "rejects.csv").write_text(f"table,value\ndeals,{lead}\n")
    (place.out / "other.csv").write_text(f"table,value\ndeals,{lead}0\n")
    told = place.forget(lead, MLFLOW_TRACKING_URI="https://me:geheim@mlflow.example/x")
    text = "\n".join(told.lines())
    assert "the CRM's own data" in text
    assert "hotlead train" in text
    assert [path.name for path in told.named_in] == ["rejects.csv"]
    assert "still named in" in text
    assert "https://mlflow.example/x" in text
    assert "geheim" not in text
    assert "--also" in text


def test_the_local_store_of_mlflow_is_no_other_server(place: Place) -> None:
    own = f"sqlite:///{place.out.resolve() / 'mlflow.db'}"
    assert place.forget("nobody", MLFLOW_TRACKING_URI=own).remote is None


def test_another_folder_is_searched_too(place: Place, lead: str, tmp_path: Path) -> None:
    shutil.copytree(place.out / "model", tmp_path / "artifacts" / "1" / "model")
    told = run("forget", lead, place.crm_toml, "--yes", "--also", tmp_path / "artifacts")
    assert told.returncode == 0, told.stderr
    assert "artifacts/1/model/evidence.parquet" in told.stdout
    assert traces(tmp_path / "artifacts", hashed(lead)) == []
    with pytest.raises(SettingsError, match="no such folder"):
        forget(place.settings, lead, [tmp_path / "none"], {})


@pytest.mark.parametrize("answer", ["n\n", ""])
def test_nothing_is_erased_without_a_yes(place: Place, answer: str) -> None:
    lead = place.known[-1]
    told = subprocess.run(
        command("forget", lead, place.crm_toml),
        input=answer,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert told.returncode == 130
    assert "Erase all that" in told.stderr
    assert told.stdout == ""
    assert len(traces(place.out, hashed(lead))) >= 3


def test_without_a_store_it_is_not_made(copy: Place) -> None:
    told = copy.forget("L0001")
    assert told.store is None
    assert not (copy.out / "store.db").exists()
    assert any("there is no store yet" in line for line in told.lines())


def test_a_lost_store_is_not_taken_for_an_empty_one(copy: Place) -> None:
    """Predictions wait to be put into it."""
    (copy.out / "spool").mkdir()
    (copy.out / "spool" / "1-a.spool").write_text("x\n")
    with pytest.raises(OutsideError, match=r"its file is not there.*run this again"):
        copy.forget("L0001")
    assert not (copy.out / "store.db").exists()


def test_it_waits_for_others_that_write(copy: Place, lead: str) -> None:
    Store.open(copy.settings.store_url, copy.settings.spool).close()
    with closing(sqlite3.connect(copy.out / "store.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        done = threading.Timer(1.5, lambda: None)
        done.start()
        told: list[Forgotten] = []
        asking = threading.Thread(target=lambda: told.append(copy.forget(lead)))
        asking.start()
        done.join()
        other.execute("COMMIT")
        asking.join(20)
    assert told
    assert told[0].evidence.tables


def test_a_database_that_is_away_ends_with_5_and_erases_nothing(copy: Place) -> None:
    lead, port = copy.known[-1], free_port()
    url = f"postgresql://u:geheim@127.0.0.1:{port}/db"
    told = run("forget", lead, copy.crm_toml, "--yes", env={"HOTLEAD_STORE_URL": url})
    assert told.returncode == 5
    assert "is away" in told.stderr
    assert "run this again" in told.stderr
    assert "Traceback" not in told.stderr
    assert "geheim" not in told.stderr
    assert len(traces(copy.out, hashed(lead))) >= 2


def test_postgresql_forgets_too(copy: Place, server: Server, lead: str) -> None:
    url = server.new()
    settings = settings_of(copy.crm_toml, HOTLEAD_STORE_URL=url)
    with served(copy.crm_toml, HOTLEAD_OPEN="1", HOTLEAD_STORE_URL=url) as live:
        send(live.url, lead)
        told = forget(settings, lead, [], {})
        assert told.store is not None
        assert {name for name, rows in told.store.items() if rows} == {*told.store} - {"spool"}
        assert live.house.store.lead(lead) is None
        assert live.house.store.scores(lead) == []


# Bundles.


def test_old_bundles_that_know_the_lead_go(copy: Place, lead: str) -> None:
    root = copy.out / "bundles"
    used = pointed(root)
    shutil.copytree(root / str(used), root / "0-before")
    shutil.copytree(root / str(used), root / ".9-x.1234.part")
    told = copy.forget(lead)
    assert traces(root, hashed(lead)) == []
    assert {path.name for path in told.evidence.removed} == {"0-before", ".9-x.1234.part"}
    assert {path.name for path in root.iterdir()} == {POINTER, str(pointed(root))}


def test_a_damaged_bundle_is_not_made_whole(copy: Place, lead: str) -> None:
    root = copy.out / "bundles"
    folder = root / str(pointed(root))
    with (folder / "trees.txt").open("a") as file:
        file.write("x")
    copy.forget(lead)
    assert traces(root, hashed(lead)) == []
    with pytest.raises(DataError, match=r"trees\.txt"):
        load_bundle(root)


def test_a_table_that_cannot_be_read_is_told_after_all_else_is_erased(copy: Place, lead: str) -> None:
    (copy.out / "model" / EVIDENCE_FILE).write_bytes(b"PAR1 torn")
    with pytest.raises(DataError, match=r"model/evidence\.parquet: cannot be read"):
        copy.forget(lead)
    root = copy.out / "bundles"
    assert load_bundle(root) is not None
    assert hashed(lead) not in set(Evidence.load(root / str(pointed(root)) / EVIDENCE_FILE).lead)


def test_who_serves_never_sees_half_a_bundle(copy: Place) -> None:
    """While the bundle is laid out anew again and again, each look finds a whole one."""
    root, faults, seen = copy.out / "bundles", [], set()
    going = threading.Event()

    def look() -> None:
        while not going.is_set():
            try:
                found = load_bundle(root)
            except DataError as problem:
                faults.append(str(problem))
                return
            seen.add(found and found.folder.name)
            if origin_of(root) is None:
                faults.append("no bundle")

    looking = threading.Thread(target=look)
    looking.start()
    while len(seen) < 6 and not faults:
        rewrite_evidence(root, lambda path: path)
    going.set()
    looking.join(20)
    assert faults == []


def test_a_newer_bundle_laid_out_meanwhile_stays(copy: Place) -> None:
    root = copy.out / "bundles"
    used = str(pointed(root))
    shutil.copytree(root / used, root / "2-newer")
    rewrite_evidence(root, lambda path: (root / POINTER).write_text("2-newer"))
    assert pointed(root) == "2-newer"
    assert {path.name for path in root.iterdir()} == {POINTER, "2-newer"}


def test_the_pointer_stays_where_the_disk_is_full(
    copy: Place, lead: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = copy.out / "bundles"
    used = pointed(root)

    def full(path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bundle, "_flush", full)
    with pytest.raises(OutsideError, match="No space left"):
        erasure.erase_lead([], root, lead)
    assert pointed(root) == used
    assert load_bundle(root) is not None
