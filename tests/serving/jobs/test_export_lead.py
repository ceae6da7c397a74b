"""`hotlead export-lead`: one document with everything that is known of a lead, and nothing of others."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from features.settings import load_settings
from scoring.model.model import EVIDENCE_FILE
from scoring.model.pseudonyms import Pseudonyms
from serving.jobs.export_lead import export_lead
from serving.store.disk_queue import DiskQueue
from serving.store.records import KINDS
from serving.store.store import Store
from tests.helpers.evidence_builder import evidence
from tests.helpers.service.live_service import settings_of
from tests.helpers.service.stores import MOMENT_MS, activity, add_predictions, add_records, hot, record
from tests.helpers.small_crm import run, small_crm


@pytest.fixture
def crm_toml(tmp_path: Path) -> Path:
    """A store with all kinds of records of L1 and one of L2, and evidence of both."""
    crm_toml = small_crm(tmp_path, leads=2)
    settings = settings_of(crm_toml)
    with closing(Store.open(settings.store_url, settings.spool)) as store:
        others = [record(kind, f"{kind} of L1") for kind in KINDS if kind != "leads"]
        lead = record("leads", "leads of L1", attributes={"industry": "software"})
        add_records(store, lead, *others, activity("visit of L2", lead_id="L2"))
        add_predictions(store, hot(), hot("L2"))
    pseudonyms = Pseudonyms.load(settings.pseudonym_key_file)
    (settings.out / "model").mkdir()
    table = evidence([True, False, True], lead=[pseudonyms.derive(i) for i in ("L1", "L2", "L1")])
    replace(table, key_id=pseudonyms.key_id).save(settings.out / "model" / EVIDENCE_FILE)
    return crm_toml


def export(crm_toml: Path, lead_id: str) -> dict[str, Any]:
    return export_lead(settings_of(crm_toml), load_settings(crm_toml), lead_id, MOMENT_MS)


def test_all_that_is_stored_of_a_lead_is_in_the_document(crm_toml: Path) -> None:
    document = export(crm_toml, "L1")
    assert [row["key"] for kind in KINDS for row in document[kind]] == [f"{kind} of L1" for kind in KINDS]
    assert document["leads"][0]["attributes"] == {"industry": "software"}
    assert document["leads"][0]["at"].endswith("Z")
    (score,) = document["scores"]
    assert (score["stage"], document["current_score"]["stage"]) == ("hot", "hot")
    assert isinstance(score["detail"], dict)
    assert document["is_known"] is True
    (table,) = document["evidence"]
    assert [row["won"] for row in table["rows"]] == [True, True]
    assert "L2" not in json.dumps(document)
    head = {"lead_id", "exported_at", "company", "is_known", "about"}
    assert document.keys() - document["about"].keys() == head


def test_what_waits_on_disk_belongs_to_it(crm_toml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.store.maintenance.StoreMaintenance._every_second", lambda self: None)
    settings = settings_of(crm_toml)
    queue = DiskQueue(settings.spool, 2**20)
    assert queue.append([[hot("waiting")]]) == [True]
    document = export(crm_toml, "waiting")
    queue.close()
    assert (len(document["queued_scores"]), document["scores"], document["is_known"]) == (1, [], True)


def test_of_an_unknown_or_erased_lead_the_document_says_so(crm_toml: Path) -> None:
    assert export(crm_toml, "nobody")["is_known"] is False
    assert run("forget", "L1", crm_toml, "--yes").returncode == 0
    document = export(crm_toml, "L1")
    assert (document["erased"], document["is_known"], document["evidence"]) == (True, False, [])


def test_without_a_store_the_parts_are_empty(tmp_path: Path) -> None:
    crm_toml = small_crm(tmp_path, leads=2)
    assert export(crm_toml, "L1")["is_known"] is False
    assert not (settings_of(crm_toml).out / "store.db").exists()


def test_the_file_is_private_and_in_the_chosen_language(crm_toml: Path, tmp_path: Path) -> None:
    completed = run("export-lead", "L1", crm_toml, "--to", tmp_path / "L1.json", "--lang", "ja")
    assert completed.returncode == 0, completed.stderr
    assert (tmp_path / "L1.json").stat().st_mode & 0o777 == 0o600
    document = json.loads((tmp_path / "L1.json").read_text("utf-8"))
    assert document["about"]["scores"].startswith("保存している")
    printed = json.loads(run("export-lead", "L1", crm_toml).stdout)
    assert printed["scores"] == document["scores"]
