"""`hotlead forget`: a lead leaves the store, the queue on disk and all evidence; figures stay."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow.parquet as pq
import pytest

from features.errors import DataError, OutsideError, SettingsError
from features.settings import load_settings
from scoring.evaluation.erase_leads import erase_leads
from scoring.model import bundle
from scoring.model.bundle import POINTER, current_name, load_bundle, origin_of, rewrite_evidence
from scoring.model.evidence import Evidence
from scoring.model.model import EVIDENCE_FILE
from scoring.model.pseudonyms import Pseudonyms
from scoring.scorecard.load import find_card
from serving.jobs.forget_lead import ForgetResult, forget
from serving.store.disk_queue import DiskQueue
from serving.store.records import Prediction
from serving.store.store import Store
from tests.helpers.service.live_service import free_port, served, settings_of
from tests.helpers.service.store_faults import stopped_maintenance
from tests.helpers.service.stores import Server, server
from tests.helpers.service.trained_crm import TrainedCrm, traces
from tests.helpers.small_crm import CARD, command, run, small_crm
from training.compare import compare, save_comparison
from training.registry.follower import sync_once
from training.registry.promotion import promote
from training.train import train_and_register

__all__ = ["server"]  # a fixture

TIMESTAMP = "2025-12-01T00:00:00Z"


@pytest.fixture(scope="module")
def trained_crm(tmp_path_factory: pytest.TempPathFactory) -> TrainedCrm:
    """Each test forgets another lead."""
    folder = tmp_path_factory.mktemp("forget")
    crm_toml = small_crm(folder, leads=600)
    (folder / "scorecard.toml").write_text(CARD, encoding="utf-8")
    settings, out = load_settings(crm_toml), folder / "hotlead-out"
    train_and_register(crm_toml, out, lambda _: None, "en", 0)
    save_comparison(compare(settings, out), out)
    promote(out, find_card(folder, settings.table), "for a test", "tester")
    sync_once(out, out / "bundles")
    names, ids = set(Evidence.load(out / "model" / EVIDENCE_FILE).lead), (f"L{n:04d}" for n in range(600))
    crm = TrainedCrm(crm_toml, [])
    crm.lead_ids.extend(lead_id for lead_id in ids if crm.pseudonym(lead_id) in names)
    return crm


@pytest.fixture
def place(trained_crm: TrainedCrm) -> Iterator[TrainedCrm]:
    yield trained_crm
    shutil.rmtree(trained_crm.out / "spool", ignore_errors=True)


@pytest.fixture
def lead(trained_crm: TrainedCrm) -> str:
    return trained_crm.lead_ids.pop()


@pytest.fixture
def copy(trained_crm: TrainedCrm, tmp_path: Path) -> TrainedCrm:
    """A copy to be damaged, without MLflow's store."""
    folder = tmp_path / "copy"
    ignored = shutil.ignore_patterns("mlflow.db*", "mlartifacts", "store.*", "session.key")
    shutil.copytree(trained_crm.crm_toml.parent, folder, ignore=ignored)
    return TrainedCrm(folder / "crm.toml", trained_crm.lead_ids)


def send(url: str, lead_id: str) -> None:
    """All that a CRM tells of a lead, and its score."""
    bodies: Mapping[str, Mapping[str, Any]] = {
        "leads": {"updated_at": TIMESTAMP, "attributes": {"channel": "referral"}},
        "activities": {"type": "visit", "at": TIMESTAMP},
        "outcomes": {"outcome": "won", "closed_at": TIMESTAMP},
        "opportunities": {"opened_at": TIMESTAMP},
        "handovers": {"step": "handed_over", "at": TIMESTAMP},
        "overrides": {"verdict": "hot", "reason": "r", "by": "b", "at": TIMESTAMP},
        "verdicts": {"right_side": "both", "reason": "r", "by": "b", "at": TIMESTAMP},
        "score": {},
    }
    with httpx.Client(base_url=url, trust_env=False) as client:
        for kind, body in bodies.items():
            answer = client.post(f"/v1/{kind}", json={"lead_id": lead_id, **body})
            assert answer.status_code < 300, answer.text


def test_no_trace_of_a_lead_remains_while_the_service_runs(place: TrainedCrm, lead: str) -> None:
    """Below the output folder: store, write-ahead log, queue, bundles, artifacts, pages."""
    other_lead = place.lead_ids[0]
    with served(place.crm_toml, HOTLEAD_OPEN="1") as live:
        send(live.url, lead)
        send(live.url, other_lead)
        with stopped_maintenance(live.components.store):
            queue = DiskQueue(place.out / "spool", 2**20)  # as another process would
            assert queue.append([[Prediction(**live.components.store.scores(lead)[0])]]) == [True]
            assert {"store.db-wal", "spool/queue.db-wal"} <= {*traces(place.out, lead)}
            assert len(traces(place.out, place.pseudonym(lead))) >= 3
            completed = run("forget", lead, place.crm_toml, "--yes", "--json")
            assert completed.returncode == 0, completed.stderr
            assert traces(place.out, lead, place.pseudonym(lead)) == []
            queue.close()
        assert httpx.get(f"{live.url}/v1/scores?lead_id={lead}").status_code == 404
        assert httpx.get(f"{live.url}/v1/scores?lead_id={other_lead}").status_code == 200
    read = json.loads(completed.stdout)
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
    assert traces(place.out, place.pseudonym(other_lead)) != []


def test_the_service_continues_with_the_same_model(place: TrainedCrm, lead: str) -> None:
    with served(place.crm_toml, HOTLEAD_OPEN="1") as live:
        before = httpx.get(f"{live.url}/v1/model").json()
        place.forget(lead)
        assert live.components.model_watcher.refresh()
        after = httpx.get(f"{live.url}/v1/model").json()
    for body in (before, after):
        del body["model"]["champion_for_seconds"]
    assert before == after


def test_no_figure_of_the_evidence_changes(place: TrainedCrm, lead: str) -> None:
    path = place.out / "model" / EVIDENCE_FILE
    before, schema = pq.read_table(path), pq.read_schema(path)
    place.forget(lead)
    after = pq.read_table(path)
    assert pq.read_schema(path).equals(schema, check_metadata=True)
    names = [name for name in before.column_names if name != "lead"]
    assert after.select(names).equals(before.select(names))
    old, new = (np.array(t["lead"].to_pylist()) for t in (before, after))
    is_lead = old == place.pseudonym(lead)
    assert is_lead.any()
    assert (old[~is_lead] == new[~is_lead]).all()
    (name,) = set(new[is_lead])
    assert len(name) == len(place.pseudonym(lead))
    assert name not in old


def test_a_lead_has_one_new_name_everywhere(place: TrainedCrm, lead: str) -> None:
    """Champion and challenger are compared on the leads that both know."""
    path = place.out / "model" / EVIDENCE_FILE
    is_lead = Evidence.load(path).lead == place.pseudonym(lead)
    place.forget(lead)
    tables = [Evidence.load(p).lead[is_lead].tolist() for p in place.out.rglob(EVIDENCE_FILE)]
    assert len(tables) == 3
    assert all(table == tables[0] for table in tables)


def test_forgetting_again_finds_nothing_and_changes_nothing(place: TrainedCrm, lead: str) -> None:
    place.forget(lead)
    stamp = (place.out / "bundles" / POINTER).stat().st_mtime_ns
    result = place.forget(lead)
    assert result.store is not None
    assert not any(result.store.rows.values())
    assert (result.evidence.tables, result.evidence.pages, result.evidence.removed) == ({}, [], [])
    assert (place.out / "bundles" / POINTER).stat().st_mtime_ns == stamp
    assert any("does not know the lead" in str(line) for line in result.lines())


def test_the_report_names_what_was_not_erased(place: TrainedCrm, lead: str) -> None:
    (place.out / "rejects.csv").write_text(f"table,value\ndeals,{lead}\n")
    (place.out / "other.csv").write_text(f"table,value\ndeals,{lead}0\n")
    result = place.forget(lead, MLFLOW_TRACKING_URI="https://me:geheim@mlflow.example/x")
    text = "\n".join(map(str, result.lines()))
    assert "the CRM's own data" in text
    assert "hotlead train" in text
    assert [path.name for path in result.named_in] == ["rejects.csv"]
    assert "still named in" in text
    assert "https://mlflow.example/x" in text
    assert "geheim" not in text
    assert "--also" in text


def test_the_local_store_of_mlflow_is_not_remote(place: TrainedCrm) -> None:
    local_uri = f"sqlite:///{place.out.resolve() / 'mlflow.db'}"
    assert place.forget("nobody", MLFLOW_TRACKING_URI=local_uri).remote is None


def test_another_folder_is_searched_too(place: TrainedCrm, lead: str, tmp_path: Path) -> None:
    shutil.copytree(place.out / "model", tmp_path / "artifacts" / "1" / "model")
    completed = run("forget", lead, place.crm_toml, "--yes", "--also", tmp_path / "artifacts")
    assert completed.returncode == 0, completed.stderr
    assert "artifacts/1/model/evidence.parquet" in completed.stdout
    assert traces(tmp_path / "artifacts", place.pseudonym(lead)) == []
    with pytest.raises(SettingsError, match="no such folder"):
        forget(place.settings, [lead], [tmp_path / "none"], {})


@pytest.mark.parametrize("answer", ["n\n", ""])
def test_nothing_is_erased_without_confirmation(place: TrainedCrm, answer: str) -> None:
    lead = place.lead_ids[-1]
    completed = subprocess.run(
        command("forget", lead, place.crm_toml),
        input=answer,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert completed.returncode == 130
    assert "Erase all data of lead" in completed.stderr
    assert completed.stdout == ""
    assert len(traces(place.out, place.pseudonym(lead))) >= 3


def test_a_missing_store_is_not_created(copy: TrainedCrm) -> None:
    result = copy.forget("L0001")
    assert result.store is None
    assert not (copy.out / "store.db").exists()
    assert any("there is no store yet" in str(line) for line in result.lines())


def test_a_lost_store_is_an_error(copy: TrainedCrm) -> None:
    """Predictions wait to be put into it."""
    (copy.out / "spool").mkdir()
    (copy.out / "spool" / "1-a.spool").write_text("x\n")
    with pytest.raises(OutsideError, match=r"its file is not there.*run this again"):
        copy.forget("L0001")
    assert not (copy.out / "store.db").exists()


def test_it_retries_while_the_store_is_busy(copy: TrainedCrm, lead: str) -> None:
    Store.open(copy.settings.store_url, copy.settings.spool).close()
    with closing(sqlite3.connect(copy.out / "store.db", isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        results: list[ForgetResult] = []
        asking = threading.Thread(target=lambda: results.append(copy.forget(lead)))
        asking.start()
        time.sleep(1.5)
        connection.execute("COMMIT")
        asking.join(20)
    assert results
    assert results[0].evidence.tables


def test_an_unavailable_database_exits_with_5_and_erases_nothing(copy: TrainedCrm) -> None:
    lead, port = copy.lead_ids[-1], free_port()
    url = f"postgresql://u:geheim@127.0.0.1:{port}/db"
    completed = run("forget", lead, copy.crm_toml, "--yes", env={"HOTLEAD_STORE_URL": url})
    assert completed.returncode == 5
    assert "is away" in completed.stderr
    assert "run this again" in completed.stderr
    assert "Traceback" not in completed.stderr
    assert "geheim" not in completed.stderr
    assert len(traces(copy.out, copy.pseudonym(lead))) >= 2


def test_postgresql_forgets_too(copy: TrainedCrm, server: Server, lead: str) -> None:
    url = server.new()
    settings = settings_of(copy.crm_toml, HOTLEAD_STORE_URL=url)
    with served(copy.crm_toml, HOTLEAD_OPEN="1", HOTLEAD_STORE_URL=url) as live:
        send(live.url, lead)
        result = forget(settings, [lead], [], {})
        assert result.store is not None
        assert {name for name, rows in result.store.rows.items() if rows} == {*result.store.rows} - {"spool"}
        assert live.components.store.lead(lead) is None
        assert live.components.store.scores(lead) == []


# Bundles.


def test_old_bundles_with_the_lead_are_removed(copy: TrainedCrm, lead: str) -> None:
    root = copy.out / "bundles"
    bundle_name = current_name(root)
    shutil.copytree(root / str(bundle_name), root / "0-before")
    shutil.copytree(root / str(bundle_name), root / ".9-x.1234.part")
    result = copy.forget(lead)
    assert traces(root, copy.pseudonym(lead)) == []
    assert {path.name for path in result.evidence.removed} == {"0-before", ".9-x.1234.part"}
    assert {path.name for path in root.iterdir()} == {POINTER, str(current_name(root))}


def test_a_damaged_bundle_is_not_repaired(copy: TrainedCrm, lead: str) -> None:
    root = copy.out / "bundles"
    folder = root / str(current_name(root))
    with (folder / "trees.txt").open("a") as file:
        file.write("x")
    copy.forget(lead)
    assert traces(root, copy.pseudonym(lead)) == []
    with pytest.raises(DataError, match=r"trees\.txt"):
        load_bundle(root)


def test_an_unreadable_table_is_reported_after_the_rest_is_erased(copy: TrainedCrm, lead: str) -> None:
    (copy.out / "model" / EVIDENCE_FILE).write_bytes(b"PAR1 torn")
    with pytest.raises(DataError, match=r"model/evidence\.parquet: cannot be read"):
        copy.forget(lead)
    root = copy.out / "bundles"
    assert load_bundle(root) is not None
    assert copy.pseudonym(lead) not in set(Evidence.load(root / str(current_name(root)) / EVIDENCE_FILE).lead)


def test_readers_never_see_a_partial_bundle(copy: TrainedCrm) -> None:
    """While the bundle is written again and again, a reader that looks all the time finds a whole one."""
    root, faults, looks = copy.out / "bundles", [], list[str | None]()
    is_done = threading.Event()

    def look() -> None:
        while not is_done.is_set():
            try:
                loaded = load_bundle(root)
            except DataError as problem:
                return faults.append(str(problem))
            if origin_of(root) is None:
                faults.append("no bundle")
            looks.append(loaded and loaded.folder.name)

    looking = threading.Thread(target=look)
    looking.start()
    for _ in range(12):
        count = len(looks)
        rewrite_evidence(root, lambda path: path)
        while len(looks) == count and not faults:  # a writer without a pause would starve the reader
            time.sleep(0.001)
    is_done.set()
    looking.join(20)
    assert faults == []
    assert len(set(looks)) > 3


def test_a_newer_bundle_stays_current(copy: TrainedCrm) -> None:
    root = copy.out / "bundles"
    bundle_name = str(current_name(root))
    shutil.copytree(root / bundle_name, root / "2-newer")
    rewrite_evidence(root, lambda path: (root / POINTER).write_text("2-newer"))
    assert current_name(root) == "2-newer"
    assert {path.name for path in root.iterdir()} == {POINTER, "2-newer"}


def test_a_full_disk_keeps_the_pointer(copy: TrainedCrm, lead: str, monkeypatch: pytest.MonkeyPatch) -> None:
    root = copy.out / "bundles"
    bundle_name = current_name(root)

    def full(path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bundle, "_flush", full)
    with pytest.raises(OutsideError, match="No space left"):
        erase_leads([], root, [lead], Pseudonyms.load(copy.settings.pseudonym_key_file))
    assert current_name(root) == bundle_name
    assert load_bundle(root) is not None
