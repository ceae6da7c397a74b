"""An export goes into the store once, and what is scored from it is what the CRM's own list says."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict
from pathlib import Path

import pytest

from features.clock import from_ms, iso, now_ms
from features.crm.extra_columns import read_extra_columns
from features.crm.load import Loaded, load
from features.settings import load_settings
from scoring.decision.build_scorer import build_scorer
from serving.jobs.crm_records import CrmExport, iter_records
from serving.jobs.demo_history import past_moments, score_moments
from serving.settings import ServiceSettings
from serving.store.store import Store
from tests.cli.test_commands import run
from tests.helpers.small_crm import CARD, replace_text, small_crm


@pytest.fixture
def loaded(tmp_path: Path) -> Loaded:
    crm_toml = small_crm(tmp_path, leads=120)
    (tmp_path / "scorecard.toml").write_text(CARD, encoding="utf-8")
    return load(load_settings(crm_toml), tmp_path / "rejects.csv")


def test_every_lead_activity_and_closed_deal_becomes_a_record(loaded: Loaded) -> None:
    export = CrmExport(loaded.crm, **asdict(read_extra_columns(loaded)))
    records = list(iter_records(export, loaded.settings))
    of_kind = {kind: [r for r in records if r.kind == kind] for kind in ("leads", "activities", "outcomes")}
    assert len({r.lead_id for r in of_kind["leads"]}) == len(loaded.crm)
    assert len(of_kind["activities"]) == len(loaded.crm.activities)
    assert len(of_kind["outcomes"]) == int(loaded.crm.outcomes.closed.sum())
    assert len({(r.kind, r.key) for r in records}) == len(records)
    assert all(r.at <= loaded.crm.snapshot for r in records)


def test_an_export_that_is_imported_again_changes_nothing(loaded: Loaded) -> None:
    crm_toml = loaded.settings.folder / "crm.toml"
    first = run("import", crm_toml, "--json")
    assert first.returncode == 0, first.stderr
    report = json.loads(first.stdout)
    is_open = int((~loaded.crm.outcomes.closed).sum())
    assert sum(report["stages"].values()) == is_open
    second_report = json.loads(run("import", crm_toml, "--json").stdout)
    assert all(set(counts) == {"known"} for counts in second_report["records"].values())


@pytest.mark.parametrize("availability", ["at_creation", "today"])
def test_a_lead_is_scored_from_the_store_as_from_the_crm(loaded: Loaded, availability: str) -> None:
    folder = loaded.settings.folder
    replace_text(folder / "crm.toml", 'known = "at_creation"', f'known = "{availability}"')
    assert run("import", folder / "crm.toml").returncode == 0
    listed = run("score", folder / "crm.toml", "--to", folder / "list.csv", "--as-of", iso(now_ms()))
    assert listed.returncode == 0, listed.stderr
    with (folder / "list.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    settings = ServiceSettings.from_environment({"HOTLEAD_CRM": str(folder / "crm.toml")})
    store = Store.open(settings.store_url, settings.spool)
    try:
        scores = {row["lead_id"]: store.scores(row["lead_id"])[0] for row in rows[:20]}
        listed_points = {row["lead_id"]: row["points"] for row in rows[:20]}
        assert {lead: str(score["points"]) for lead, score in scores.items()} == listed_points
        assert len(set(listed_points.values())) > 1
    finally:
        store.close()


def test_a_burst_is_stored_and_counts_neither_in_the_list_nor_in_the_store(loaded: Loaded) -> None:
    folder, open_leads = loaded.settings.folder, [*loaded.crm.lead_ids[~loaded.crm.outcomes.closed]]
    assert run("import", folder / "crm.toml").returncode == 0
    before = read_list(folder)
    with (folder / "activities.csv").open("a", encoding="utf-8") as file:
        for lead_id in open_leads[:4]:
            start = loaded.crm.snapshot - 86_400_000
            moments = (from_ms(start + 70 * i).isoformat() for i in range(12))
            file.writelines(f"{lead_id},visit,{moment}\n" for moment in moments)
    imported = run("import", folder / "crm.toml")
    assert imported.returncode == 0, imported.stderr
    assert "48 activities of 4 leads look like those of a link scanner" in imported.stdout
    assert "activities: 48 new" in imported.stdout
    assert read_list(folder) == before
    settings = ServiceSettings.from_environment({"HOTLEAD_CRM": str(folder / "crm.toml")})
    store = Store.open(settings.store_url, settings.spool)
    try:
        points = {lead_id: str(store.scores(lead_id)[0]["points"]) for lead_id in open_leads[:4]}
        assert points == {lead_id: before[lead_id] for lead_id in open_leads[:4]}
    finally:
        store.close()


def read_list(folder: Path) -> dict[str, str]:
    """The points of each open lead in the CRM's own list."""
    listed = run("score", folder / "crm.toml", "--to", folder / "list.csv", "--as-of", iso(now_ms()))
    assert listed.returncode == 0, listed.stderr
    with (folder / "list.csv").open(encoding="utf-8") as file:
        return {row["lead_id"]: row["points"] for row in csv.DictReader(file)}


def test_the_past_is_scored_with_what_was_known_then(loaded: Loaded, tmp_path: Path) -> None:

    scorer = build_scorer(loaded.settings, None, "no_model", lambda message: None)
    store = Store.open(f"sqlite:///{tmp_path / 'past.db'}", tmp_path / "spool")
    try:
        moments = past_moments(loaded.crm.snapshot, weeks=6, days=3)
        assert moments == sorted(set(moments))
        hot_since = score_moments(store, loaded.crm, scorer, moments)
        assert set(hot_since.values()) <= set(moments)
        lead_id = next(str(i) for i in loaded.crm.lead_ids if store.scores(str(i)))
        assert {row["as_of"] for row in store.scores(lead_id)} <= set(moments)
        assert not any(row["replay"] for row in store.scores(lead_id))
    finally:
        store.close()
