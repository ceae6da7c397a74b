"""The follower: lays out the champion, mends what is damaged, and lives through an outage of MLflow."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from features.errors import HotleadError
from scoring.model.bundle import current_name, load_bundle, origin_of
from scoring.model.model import TREES_FILE
from tests.helpers.champion_crm import champion_crm, out_of, promote_challenger
from training.registry.follower import follow, sync_once
from training.registry.promotion import rollback


@pytest.fixture(scope="module")
def crm_toml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return champion_crm(tmp_path_factory.mktemp("champion"))


@pytest.fixture(autouse=True)
def _first_is_champion(crm_toml: Path) -> Iterator[None]:
    yield
    bundle = out_of(crm_toml) / "trial"
    sync_once(out_of(crm_toml), bundle)
    origin = origin_of(bundle)
    if origin is not None and origin.registered == "2":
        rollback(out_of(crm_toml), "after a test", "tests")


def test_the_champion_is_laid_out_once(crm_toml: Path, tmp_path: Path) -> None:
    assert "is laid out" in sync_once(out_of(crm_toml), tmp_path)
    assert sync_once(out_of(crm_toml), tmp_path) == ""
    bundle = load_bundle(tmp_path)
    assert bundle is not None
    assert bundle.origin.registered == "1"
    assert bundle.origin.version == bundle.model.version


def test_a_new_champion_and_a_rollback_are_followed(crm_toml: Path, tmp_path: Path) -> None:
    sync_once(out_of(crm_toml), tmp_path)
    promote_challenger(crm_toml)
    sync_once(out_of(crm_toml), tmp_path)
    second = origin_of(tmp_path)
    assert second is not None
    assert second.registered == "2"
    rollback(out_of(crm_toml), "back", "tests")
    sync_once(out_of(crm_toml), tmp_path)
    first = origin_of(tmp_path)
    assert first is not None
    assert first.registered == "1"
    assert first.since >= second.since


def test_a_damaged_bundle_is_mended(crm_toml: Path, tmp_path: Path) -> None:
    sync_once(out_of(crm_toml), tmp_path)
    (tmp_path / str(current_name(tmp_path)) / TREES_FILE).write_text("broken", encoding="utf-8")
    assert "is laid out" in sync_once(out_of(crm_toml), tmp_path)
    assert load_bundle(tmp_path) is not None


def test_without_a_store_there_is_a_sentence_and_the_bundle_stays(crm_toml: Path, tmp_path: Path) -> None:
    sync_once(out_of(crm_toml), tmp_path)
    with pytest.raises(HotleadError, match="No model is registered"):
        sync_once(tmp_path / "elsewhere", tmp_path)
    assert load_bundle(tmp_path) is not None


def test_an_outage_is_said_once_and_followed_by_what_came_meanwhile(
    crm_toml: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages: list[str] = []
    stop, laid_out = threading.Event(), threading.Event()

    def report_step(message: str) -> None:
        messages.append(message)
        if "is laid out" in message:
            laid_out.set()
        elif len(messages) == 1:
            monkeypatch.setenv("MLFLOW_TRACKING_URI", "")

    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    thread = threading.Thread(
        target=follow, args=(out_of(crm_toml), tmp_path, stop, report_step), kwargs={"every": 0.05}
    )
    thread.start()
    assert laid_out.wait(60)
    stop.set()
    thread.join(30)
    assert "does not answer as it should" in messages[0]
    assert len(messages) == 2
