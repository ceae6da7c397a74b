"""An export goes into the store once, and what is scored from it is what the CRM's own list says."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from features.clock import from_ms, iso, now_ms
from features.crm.extra_columns import read_extra_columns
from features.crm.load import Loaded, load
from features.settings import load_settings
from scoring.decision.build_scorer import build_scorer
from serving.jobs.crm_records import CrmExport, iter_records
from serving.jobs.demo_history import past_moments, score_moments
from serving.jobs.import_crm import import_crm
from serving.jobs.store_export import store_export
from serving.settings import ServiceSettings
from serving.store.store import Store
from tests.cli.test_commands import run
from tests.helpers.service.served_builder import make_company
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


def test_an_export_does_not_bring_an_erased_lead_back(loaded: Loaded) -> None:
    crm_toml = loaded.settings.folder / "crm.toml"
    erased = str(loaded.crm.lead_ids[0])
    run("import", crm_toml)
    assert run("forget", erased, crm_toml, "--yes").returncode == 0
    completed = run("import", crm_toml)
    assert "of erased leads were not stored" in completed.stdout, completed.stderr
    counts = json.loads(run("import", crm_toml, "--json").stdout)["records"]
    assert counts["leads"]["suppressed"] >= 1
    assert json.loads(run("forget", erased, crm_toml, "--yes", "--json").stdout)["erased_before"] == 1
    assert "1 of 1 leads were erased" in run("forget", "--lift", erased, crm_toml).stdout
    assert "of erased leads were not stored" not in run("import", crm_toml).stdout


def test_an_export_that_corrects_an_earlier_one_is_stored_as_the_newest_version(loaded: Loaded) -> None:
    crm_toml = loaded.settings.folder / "crm.toml"
    run("import", crm_toml)
    deals = crm_toml.with_name("deals.csv")
    original = deals.read_text("utf-8")
    for text, corrected in ((original.replace(",lost,", ",won,", 1), 1), (original, 1), (original, 0)):
        deals.write_text(text, encoding="utf-8")
        report = json.loads(run("import", crm_toml, "--json").stdout)
        assert report["records"]["outcomes"].get("corrected", 0) == corrected
        assert report["records"]["leads"].keys() == {"known"}


def test_the_amounts_of_open_leads_are_stored_corrected_and_emptied(loaded: Loaded, tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path / 'amounts.db'}", tmp_path / "spool")
    counts, stored = [], []
    try:
        for amount in (5.0, 5.0, 6.0, None, None):
            amounts = np.full(len(loaded.crm), np.nan)
            amounts[-1] = np.nan if amount is None else amount
            crm = replace(loaded.crm, open_amount=amounts, snapshot=loaded.crm.snapshot + len(counts))
            export = CrmExport(crm, **asdict(read_extra_columns(loaded)))
            counts.append(store_export(store, export, loaded.settings)["leads"]["corrected"])
            lead = store.lead("L0119")
            assert lead is not None
            stored.append(lead.amount)
    finally:
        store.close()
    assert stored == [5, 5, 6, None, None]
    assert counts == [0, 0, 1, 1, 0]


def test_open_leads_that_an_export_no_longer_holds_are_named(loaded: Loaded) -> None:
    crm_toml = loaded.settings.folder / "crm.toml"
    run("import", crm_toml)
    leads = crm_toml.with_name("leads.csv")
    lines = leads.read_text("utf-8").splitlines()
    leads.write_text("\n".join(lines[:-7]), encoding="utf-8")
    replace_text(crm_toml, 'name = "small"', 'name = "small"\nmax_reject_share = 1.0')
    report = json.loads(run("import", crm_toml, "--json").stdout)
    assert report["absent"] == [f"L{i:04d}" for i in range(113, 120)]
    printed = run("import", crm_toml).stdout
    assert "7 open leads of earlier imports are not in this export (L0113, L0114" in printed
    assert "30 days after its newest score" in printed


def test_what_the_model_knows_otherwise_is_said_before_any_score_changes(tmp_path: Path) -> None:
    company = make_company(tmp_path)
    leads = tmp_path / "leads.csv"
    leads.write_text(leads.read_text("utf-8").replace("referral", "").replace("ads", ""), encoding="utf-8")
    export = CrmExport(
        (loaded := load(company.crm, tmp_path / "rejects.csv")).crm, **asdict(read_extra_columns(loaded))
    )
    steps: list[str] = []
    result = import_crm(company.settings, company.crm, export, lambda step: steps.append(str(step)))
    assert [gap.feature for gap in result.gaps] == ["channel"]
    assert "column still called 'channel'" in steps[0]
    assert str(steps[1]).startswith("storing")


def test_an_invalid_scorecard_stops_an_import_as_it_stops_a_list(loaded: Loaded) -> None:
    crm_toml = loaded.settings.folder / "crm.toml"
    replace_text(crm_toml.with_name("scorecard.toml"), '"channel"', '"chanel"')
    for arguments in (("import", crm_toml), ("score", crm_toml, "--to", "scores.csv")):
        completed = run(*arguments)
        assert completed.returncode == 3
        assert "'chanel' is no feature" in completed.stderr


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
