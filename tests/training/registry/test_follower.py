"""The follower: deploys the champion, repairs bundles, survives an outage of MLflow, idles cheaply."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from features.clock import now_ms
from features.errors import HotleadError
from scoring.model.bundle import current_name, load_bundle, origin_of
from scoring.model.model import TREES_FILE
from scoring.review_requests import ReviewRequest, read_results, write_request
from tests.helpers.champion_crm import champion_crm, out_of, promote_challenger
from tests.helpers.small_crm import CARD, small_crm
from training.registry.change_detection import read_aliases
from training.registry.follower import Follower, follow, sync_once
from training.registry.mlflow_store import store_uri
from training.registry.promotion import rollback
from training.train import train_and_register


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


def test_the_champion_is_deployed_once(crm_toml: Path, tmp_path: Path) -> None:
    assert "is laid out" in str(sync_once(out_of(crm_toml), tmp_path))
    assert sync_once(out_of(crm_toml), tmp_path) is None
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


def test_a_damaged_bundle_is_repaired(crm_toml: Path, tmp_path: Path) -> None:
    sync_once(out_of(crm_toml), tmp_path)
    (tmp_path / str(current_name(tmp_path)) / TREES_FILE).write_text("broken", encoding="utf-8")
    assert "is laid out" in str(sync_once(out_of(crm_toml), tmp_path))
    assert load_bundle(tmp_path) is not None


def test_a_missing_store_is_an_error_and_the_bundle_stays(crm_toml: Path, tmp_path: Path) -> None:
    sync_once(out_of(crm_toml), tmp_path)
    with pytest.raises(HotleadError, match="No model is registered"):
        sync_once(tmp_path / "elsewhere", tmp_path)
    assert load_bundle(tmp_path) is not None


def test_an_outage_is_reported_once_and_the_champion_is_deployed_after_it(
    crm_toml: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages: list[str] = []
    stop, laid_out = threading.Event(), threading.Event()

    def report_step(message: str) -> None:
        messages.append(str(message))
        if "is laid out" in str(message):
            laid_out.set()
        elif len(messages) == 1:
            monkeypatch.setenv("MLFLOW_TRACKING_URI", "")

    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    thread = threading.Thread(
        target=follow, args=(out_of(crm_toml), tmp_path, stop, report_step), kwargs={"poll_seconds": 0.05}
    )
    thread.start()
    assert laid_out.wait(60)
    stop.set()
    thread.join(30)
    assert "does not answer as it should" in messages[0]
    assert len(messages) == 2


_opened: list[str] = []
sys.addaudithook(lambda name, values: _opened.append(str(values[0])) if name == "sqlite3.connect" else None)


@contextmanager
def counted_connections() -> Iterator[list[str]]:
    """The SQLite files that this process opens inside the block, in whichever way."""
    _opened.clear()
    yield _opened


def settled(crm_toml: Path, bundles: Path, recheck_seconds: float = 60.0) -> Follower:
    """A follower that has nothing left to do."""
    follower = Follower(out_of(crm_toml), bundles, crm_toml, recheck_seconds)
    for _ in range(10):
        if follower.poll() is None:
            return follower
    raise AssertionError("the follower finds something to do at every poll")


def test_an_idle_follower_does_not_query_the_registry(crm_toml: Path, tmp_path: Path) -> None:
    follower = settled(crm_toml, tmp_path)
    with counted_connections() as opened:
        assert [follower.poll() for _ in range(30)] == [None] * 30
    assert opened == []


def test_an_unchanged_registry_is_rechecked_from_time_to_time(crm_toml: Path, tmp_path: Path) -> None:
    follower = settled(crm_toml, tmp_path, recheck_seconds=0.5)
    time.sleep(0.6)
    with counted_connections() as opened:
        assert follower.poll() == ""
        count = len(opened)
        assert follower.poll() is None
    assert 0 < count == len(opened)


def test_every_kind_of_change_makes_it_query_the_registry(crm_toml: Path, tmp_path: Path) -> None:
    def damage() -> None:
        (tmp_path / str(current_name(tmp_path)) / TREES_FILE).write_text("broken", encoding="utf-8")

    def edit_scorecard() -> None:
        card = crm_toml.with_name("scorecard.toml")
        card.write_text(card.read_text(encoding="utf-8") + "\n# edited\n", encoding="utf-8")

    changes: list[Callable[[], object]] = [
        lambda: promote_challenger(crm_toml),
        lambda: rollback(out_of(crm_toml), "back", "tests"),
        damage,
        edit_scorecard,
        lambda: write_request(
            tmp_path, ReviewRequest(action="reject", registered="99", by="tests", note="no such model", at=0)
        ),
    ]
    follower = settled(crm_toml, tmp_path)
    for change in changes:
        change()
        assert follower.poll() is not None
        follower = settled(crm_toml, tmp_path)
    assert [result.ok for result in read_results(tmp_path)] == [False]
    assert load_bundle(tmp_path) is not None


def test_a_server_is_polled_by_its_aliases(crm_toml: Path, tmp_path: Path) -> None:
    uri = store_uri(out_of(crm_toml))
    before = read_aliases(uri)
    assert before == read_aliases(uri)
    promote_challenger(crm_toml)
    assert read_aliases(uri) != before
    rollback(out_of(crm_toml), "back", "tests")
    assert read_aliases(f"sqlite:///{tmp_path / 'empty.db'}") == ()
    assert read_aliases("http://127.0.0.1:9") is None


def test_a_promotion_is_deployed_within_five_seconds(crm_toml: Path, tmp_path: Path) -> None:
    stop = threading.Event()
    messages: list[str] = []
    thread = threading.Thread(
        target=follow, args=(out_of(crm_toml), tmp_path, stop, messages.append, crm_toml)
    )
    thread.start()
    try:
        wait_for_version(tmp_path, "1", 60)
        time.sleep(3)  # until it idles
        promote_challenger(crm_toml)
        wait_for_version(tmp_path, "2", 5)
    finally:
        stop.set()
        thread.join(30)
    assert len(messages) == 2


def wait_for_version(bundles: Path, version: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while (origin := origin_of(bundles)) is None or origin.registered != version:
        assert time.monotonic() < deadline, f"version {version} is not deployed after {seconds} s"
        time.sleep(0.05)


def test_a_request_is_processed_before_there_is_a_champion(tmp_path: Path) -> None:
    crm_toml = small_crm(tmp_path)
    (tmp_path / "scorecard.toml").write_text(CARD, encoding="utf-8")
    out, bundles = out_of(crm_toml), tmp_path / "bundles"
    train_and_register(crm_toml, out, lambda _: None, "en", 0)
    request = ReviewRequest(
        action="promote", registered="1", by="Sato", note="the first one", at=now_ms(), override=True
    )
    write_request(bundles, request)
    follower = Follower(out, bundles, crm_toml)
    follower.poll()
    (result,) = read_results(bundles)
    assert result.ok, result.message
    follower.poll()
    origin = origin_of(bundles)
    assert origin is not None
    assert origin.registered == "1"
