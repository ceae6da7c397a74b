"""What is in use: swapped whole, and good through damaged bundles, wrong cards and changed features."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from features.clock import now_ms
from features.settings import CrmSettings, load_settings
from scoring.model.bundle import Origin, current_name, write_bundle
from scoring.model.model import TREES_FILE
from scoring.scorecard import office_hours
from scoring.scorecard.office_hours import compute_deadline
from serving.predictions.live_model import ModelWatcher
from tests.conftest import Demo
from tests.helpers.small_crm import replace_text


@pytest.fixture
def folder(demo: Demo, tmp_path: Path) -> Path:
    """A folder with the demo's crm.toml and scorecard.toml."""
    for name in ("crm.toml", "scorecard.toml"):
        shutil.copy(demo.folder / name, tmp_path / name)
    return tmp_path


@pytest.fixture
def crm(folder: Path) -> CrmSettings:
    return load_settings(folder / "crm.toml")


def lay_out(demo: Demo, folder: Path, registered: str = "1") -> None:
    origin = Origin(demo.model.version, registered, "run", 0)
    write_bundle(folder / "bundles", demo.out / "model", origin)


def test_before_anything_is_there_the_rules_answer(folder: Path, crm: CrmSettings) -> None:
    watch = ModelWatcher(crm, folder / "bundles")
    assert watch.live_model.scorer.fallback == "no_model"
    assert watch.refresh()
    assert watch.live_model.scorer.fallback == "no_model"
    assert watch.live_model.scorer.card.rows
    assert not watch.refresh()


def test_a_bundle_is_taken_into_use_when_it_comes(demo: Demo, folder: Path, crm: CrmSettings) -> None:
    watch = ModelWatcher(crm, folder / "bundles")
    watch.refresh()
    before = watch.live_model
    lay_out(demo, folder)
    assert watch.refresh()
    assert watch.live_model.scorer.fallback is None
    assert watch.live_model.origin is not None
    assert watch.live_model.origin.version == demo.model.version
    assert before.scorer.calibrated_model is None  # who took it before is answered by it to the end


@pytest.mark.parametrize("has_model", [True, False])
def test_the_first_deadline_finds_the_holidays_loaded(
    demo: Demo, folder: Path, crm: CrmSettings, has_model: bool
) -> None:
    """Loading them takes a second on a busy machine."""
    if has_model:
        lay_out(demo, folder)
    office_hours._open_spans.cache_clear()
    watch = ModelWatcher(crm, folder / "bundles")
    watch.refresh()
    before = office_hours._open_spans.cache_info().misses
    compute_deadline(now_ms(), 1.0, watch.live_model.scorer.card.hours)
    assert office_hours._open_spans.cache_info().misses == before == 1


def test_a_damaged_bundle_leaves_the_rules_until_it_is_mended(
    demo: Demo, folder: Path, crm: CrmSettings
) -> None:
    watch = ModelWatcher(crm, folder / "bundles")
    lay_out(demo, folder)
    trees = folder / "bundles" / str(current_name(folder / "bundles")) / TREES_FILE
    trees.write_text("broken", encoding="utf-8")
    watch.refresh()
    assert watch.live_model.scorer.fallback == "bundle_damaged"
    assert watch.live_model.origin is None
    lay_out(demo, folder)
    watch.refresh()
    assert watch.live_model.scorer.fallback is None


def test_other_features_leave_the_rules(demo: Demo, folder: Path) -> None:
    replace_text(
        folder / "crm.toml", 'activity = "price_page", days = 30', 'activity = "price_page", days = 29'
    )
    watch = ModelWatcher(load_settings(folder / "crm.toml"), folder / "bundles")
    lay_out(demo, folder)
    watch.refresh()
    assert watch.live_model.scorer.fallback == "feature_mismatch"


def test_a_new_scorecard_is_taken_and_a_wrong_one_is_not(demo: Demo, folder: Path, crm: CrmSettings) -> None:
    watch, card = ModelWatcher(crm, folder / "bundles"), folder / "scorecard.toml"
    lay_out(demo, folder)
    watch.refresh()
    first = watch.live_model.scorer.card.version
    card.write_text(
        card.read_text(encoding="utf-8") + "\n[intent.rows.inquiry]\npoints = 3\n", encoding="utf-8"
    )
    watch.refresh()
    second = watch.live_model.scorer.card.version
    assert second != first
    card.write_text("this is no card", encoding="utf-8")
    watch.refresh()
    assert watch.live_model.scorer.calibrated_model is not None
    assert watch.live_model.scorer.card.rows


def test_a_wrong_scorecard_without_a_model_leaves_the_last_good_one(folder: Path, crm: CrmSettings) -> None:
    watch, card = ModelWatcher(crm, folder / "bundles"), folder / "scorecard.toml"
    watch.refresh()
    good = watch.live_model.scorer.card.version
    card.write_text("this is no card", encoding="utf-8")
    watch.refresh()
    assert watch.live_model.scorer.card.version == good


def test_what_cannot_even_be_read_leaves_the_rules(
    demo: Demo, folder: Path, crm: CrmSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    watch = ModelWatcher(crm, folder / "bundles")
    lay_out(demo, folder)
    monkeypatch.setattr("serving.predictions.live_model.load_bundle", fail)
    watch.refresh()
    assert watch.live_model.scorer.fallback == "model_error"
    assert watch.live_model.scorer.card.rows


def test_what_was_wrong_and_has_passed_is_tried_again(
    demo: Demo, folder: Path, crm: CrmSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pointer is the same: only time tells that the disk can be read again."""
    watch = ModelWatcher(crm, folder / "bundles")
    lay_out(demo, folder)
    with monkeypatch.context() as patched:
        patched.setattr("serving.predictions.live_model.load_bundle", lambda _: 1 / 0)
        watch.refresh()
        assert watch.live_model.scorer.fallback == "model_error"
    assert not watch.refresh()
    monkeypatch.setattr("serving.predictions.live_model.time.monotonic", lambda: float("1e12"))
    assert watch.refresh()
    assert watch.live_model.scorer.fallback is None
