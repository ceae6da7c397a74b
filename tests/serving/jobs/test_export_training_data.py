"""What the service collected trains a model: point in time, with the same features, by the usual way."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from features.clock import iso, now_ms
from features.crm.extra_columns import read_extra_columns
from features.crm.load import Loaded, load
from features.settings import load_settings
from scoring.model.bundle import load_bundle
from scoring.scorecard.load import find_card
from serving.jobs.crm_records import CrmExport
from serving.jobs.export_training_data import TrainingExport, export_store
from serving.jobs.store_export import store_export
from serving.predictions.live_model import ModelWatcher
from serving.store.records import Record
from serving.store.store import Store
from tests.cli.test_commands import run
from tests.helpers.service.stores import server, store, url
from tests.helpers.small_crm import CARD, replace_text, small_crm
from training.registry.follower import sync_once
from training.registry.promotion import promote

__all__ = ["server", "store", "url"]


@pytest.fixture
def loaded(tmp_path: Path) -> Loaded:
    (tmp_path / "crm").mkdir()
    crm_toml = small_crm(tmp_path / "crm", leads=300)
    crm_toml.with_name("scorecard.toml").write_text(CARD, encoding="utf-8")
    return load(load_settings(crm_toml), tmp_path / "rejects.csv")


def exported(
    store: Store, loaded: Loaded, out: Path, *more: Record, **options: bool
) -> tuple[TrainingExport, Loaded]:
    """What comes back of a CRM that went through the store, read as training reads it."""
    store_export(store, CrmExport(loaded.crm, **asdict(read_extra_columns(loaded))), loaded.settings)
    if more:
        assert set(store.add_records(more).result()) == {"stored"}
    crm_toml = loaded.settings.folder / "crm.toml"
    export = export_store(store, loaded.settings, crm_toml, out, now_ms(), **options)
    return export, load(load_settings(export.crm_toml), out / "rejects.csv")


def test_what_went_in_comes_out(store: Store, loaded: Loaded, tmp_path: Path) -> None:
    export, reloaded = exported(store, loaded, tmp_path)
    before, after = loaded.crm, reloaded.crm
    assert export.leads == len(before) == len(after)
    assert (export.won, export.lost) == (
        before.outcomes.won.sum(),
        (before.outcomes.closed & ~before.outcomes.won).sum(),
    )
    assert len(after.activities) == len(before.activities)
    assert reloaded.settings.table.fingerprint == loaded.settings.table.fingerprint
    assert not reloaded.rejects.rows


@pytest.mark.parametrize("bursts", ["leave_out", "keep"])
def test_a_burst_comes_out_as_the_crm_toml_wants(
    store: Store, loaded: Loaded, tmp_path: Path, bursts: str
) -> None:
    crm_toml = loaded.settings.folder / "crm.toml"
    replace_text(crm_toml, "[activities]", f'[activities]\nbursts = "{bursts}"')
    loaded = load(load_settings(crm_toml), tmp_path / "rejects.csv")
    lead_id, start = str(loaded.crm.lead_ids[0]), int(loaded.crm.created[0])
    clicks = [Record("activities", f"c{i}", 1, lead_id, start + 40 * i, {"type": "click"}) for i in range(9)]
    _, reloaded = exported(store, loaded, tmp_path, *clicks)
    kept_count = len(clicks) if bursts == "keep" else 0
    assert len(reloaded.crm.activities) == len(loaded.crm.activities) + kept_count
    assert len(reloaded.crm.bots) == len(clicks) - kept_count


def test_a_corrected_deal_and_a_later_word_count_as_they_were_told(
    store: Store, loaded: Loaded, tmp_path: Path
) -> None:
    is_open = ~loaded.crm.outcomes.closed
    first, second = map(str, loaded.crm.lead_ids[is_open][:2])
    now = now_ms()
    more = [
        Record("outcomes", "d", 1, first, now - 9_000, {"outcome": "lost"}),
        Record("outcomes", "d", 2, first, now - 8_000, {"outcome": "won", "amount": 5.0}),
        Record("outcomes", "e", 1, second, now + 60_000, {"outcome": "won"}),
        Record("handovers", "s", 1, second, now - 7_000, {"step": "sent_back", "reason": "no budget"}),
    ]
    export, reloaded = exported(store, loaded, tmp_path, *more, sent_back=True)
    place = {str(lead): row for row, lead in enumerate(reloaded.crm.lead_ids)}
    assert reloaded.crm.outcomes.won[place[first]]
    assert not reloaded.crm.outcomes.won[place[second]]  # that it will be won is not known yet
    assert reloaded.crm.outcomes.closed[place[second]]
    assert export.sent_back == 1
    without, same = exported(store, loaded, tmp_path)
    assert without.sent_back == 0
    assert not same.crm.outcomes.closed[place[second]]


def test_every_deal_of_a_lead_comes_out(store: Store, loaded: Loaded, tmp_path: Path) -> None:
    lead = str(loaded.crm.lead_ids[~loaded.crm.outcomes.closed][0])
    now = now_ms()
    won = Record("outcomes", "d1", 1, lead, now - 9_000_000, {"outcome": "won"})
    lost = Record("outcomes", "d2", 1, lead, now - 1_000_000, {"outcome": "lost"})
    before, _ = exported(store, loaded, tmp_path / "before")
    export, reloaded = exported(store, loaded, tmp_path / "after", won, lost)
    place = [str(lead_id) for lead_id in reloaded.crm.lead_ids].index(lead)
    assert reloaded.crm.outcomes.won_at[place] == won.at == reloaded.crm.outcomes.closed_at[place]
    assert (export.won, export.lost) == (before.won + 1, before.lost)


def test_values_read_as_the_service_reads_them(store: Store, loaded: Loaded, tmp_path: Path) -> None:
    lead, now = str(loaded.crm.lead_ids[0]), now_ms()
    body = {"attributes": {"channel": 5.0}}
    export, _ = exported(store, loaded, tmp_path, Record("leads", "n", 1, lead, now - 5_000, body))
    changes = pq.read_table(export.crm_toml.with_name("changes.parquet")).to_pylist()
    values = [row["value"] for row in changes if row["lead_id"] == lead]
    assert "5" in values
    assert "5.0" not in values


def test_the_command_trains_a_model_that_the_service_takes(loaded: Loaded, tmp_path: Path) -> None:
    crm_toml = loaded.settings.folder / "crm.toml"
    assert run("import", crm_toml).returncode == 0
    completed = run("train", crm_toml, "--from-store")
    assert completed.returncode == 0, completed.stderr
    assert "the store holds 300 leads" in completed.stderr
    out = crm_toml.parent / "hotlead-out"
    card = find_card(loaded.settings.folder, loaded.settings.table)
    promote(out, card, "for a test", "tests")
    sync_once(out, tmp_path / "bundles")
    assert load_bundle(tmp_path / "bundles") is not None
    watch = ModelWatcher(loaded.settings, tmp_path / "bundles")
    watch.refresh()
    assert watch.live_model.scorer.calibrated_model is not None
    assert watch.live_model.scorer.fallback is None


def test_a_store_with_too_few_deals_says_how_many_are_missing(loaded: Loaded) -> None:
    crm_toml = loaded.settings.folder / "crm.toml"
    completed = run("train", crm_toml, "--from-store")
    assert completed.returncode == 4, completed.stderr
    assert "the store holds 0 leads, 0 won, 0 lost" in completed.stderr
    assert iso(now_ms())[:10] not in completed.stdout
