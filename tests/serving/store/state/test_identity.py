"""A store that vanished is never replaced by an empty one, unless a person confirms that."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from features.errors import ConfirmationNeeded
from serving.settings import ServiceSettings
from serving.store.errors import StoreUnavailable
from serving.store.state.known_store import check_store, open_store, store_marker
from serving.store.store import Store
from tests.helpers.service.service_app import small_app
from tests.helpers.service.stores import Server, activity, add_records, wait_until
from tests.helpers.small_crm import run, small_crm


@pytest.fixture
def settings(url: str, tmp_path: Path) -> ServiceSettings:
    """An installation that was never started."""
    return settings_of(tmp_path, url)


def settings_of(folder: Path, url: str) -> ServiceSettings:
    crm = {"HOTLEAD_CRM": str(folder / "crm.toml"), "HOTLEAD_STORE_URL": url}
    return ServiceSettings.from_environment(crm)


@contextmanager
def opened(settings: ServiceSettings, is_new: bool = False) -> Iterator[Store]:
    store = open_store(settings, is_new)
    try:
        yield store
    finally:
        store.close()


def lose(url: str, request: pytest.FixtureRequest) -> None:
    """Take the store away: the file, or all tables of the database."""
    if url.startswith("sqlite"):
        shutil.rmtree(Path(url.removeprefix("sqlite:///")).parent)
    else:
        running: Server = request.getfixturevalue("server")
        name = url.partition("?")[0].rpartition("/")[2]
        running.psql(f"DROP DATABASE {name} WITH (FORCE)")
        running.psql(f"CREATE DATABASE {name}")


def test_a_first_start_and_the_following_ones_need_no_confirmation(settings: ServiceSettings) -> None:
    for outcome in ("stored", "known"):
        with opened(settings) as store:
            assert add_records(store, activity("a")) == [outcome]
    assert not store_marker(settings).path.stat().st_mode & 0o007


def test_a_store_that_vanished_is_made_again_once_it_is_confirmed(
    settings: ServiceSettings, url: str, request: pytest.FixtureRequest
) -> None:
    with opened(settings) as store:
        add_records(store, activity("a"))
    lose(url, request)
    for _ in range(2):
        with pytest.raises(ConfirmationNeeded, match=r"is missing at .*--new-store"):
            open_store(settings)
    with opened(settings, is_new=True) as store:
        assert add_records(store, activity("a")) == ["stored"]
    with opened(settings) as store:
        assert add_records(store, activity("a")) == ["known"]


def test_a_worker_that_starts_without_its_store_makes_none(
    settings: ServiceSettings, url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Such as one that starts again after a crash: 503, until the store is back."""
    with opened(settings) as store:
        add_records(store, activity("a"))
    if url.startswith("sqlite"):
        shutil.copytree(tmp_path / "data", tmp_path / "backup")
    lose(url, request)
    worker = Store.open(url, settings.spool, marker=store_marker(settings))
    try:
        assert worker.is_unavailable
        with pytest.raises(StoreUnavailable):
            worker.read(lambda connection: None)
        if url.startswith("sqlite"):
            assert not (tmp_path / "data").exists()
            shutil.copytree(tmp_path / "backup", tmp_path / "data")
            wait_until(lambda: not worker.is_unavailable, "the store is back")
            assert add_records(worker, activity("a")) == ["known"]
    finally:
        worker.close()


def test_another_store_than_before_is_named(tmp_path: Path) -> None:
    first = settings_of(tmp_path / "one", f"sqlite:///{tmp_path / 'one.db'}")
    second = settings_of(tmp_path / "two", f"sqlite:///{tmp_path / 'two.db'}")
    for settings in (first, second):
        with opened(settings) as store:
            add_records(store, activity("a"))
    mixed = settings_of(tmp_path / "one", f"sqlite:///{tmp_path / 'two.db'}")
    with pytest.raises(ConfirmationNeeded, match="another one is there"):
        check_store(mixed)
    with opened(mixed, is_new=True) as store:
        assert add_records(store, activity("a")) == ["known"]
    check_store(mixed)


def test_a_store_that_a_former_version_made_is_missed_too(tmp_path: Path) -> None:
    """It left no marker, but the key of its sessions."""
    settings = settings_of(tmp_path, f"sqlite:///{tmp_path / 'store.db'}")
    settings.session_key.parent.mkdir()
    settings.session_key.touch()
    with pytest.raises(ConfirmationNeeded):
        open_store(settings)
    with opened(settings, is_new=True):
        check_store(settings)


def test_commands_refuse_in_one_sentence(tmp_path: Path) -> None:
    crm_toml = small_crm(tmp_path)
    settings = ServiceSettings.from_environment({"HOTLEAD_CRM": str(crm_toml)})
    with opened(settings):
        pass
    (settings.out / "store.db").unlink()
    for arguments in (["serve", "--open"], ["monitor"], ["prune"], ["forget", "--yes", "L1"]):
        completed = run(*arguments, crm_toml)
        sentence = completed.stderr.splitlines()[-1]
        assert (completed.returncode, sentence.startswith("hotlead: The store of")) == (7, True), sentence
        assert "--new-store" in sentence
    assert not (settings.out / "store.db").exists()


def test_a_store_that_is_deleted_under_the_service_comes_back_as_it_was(tmp_path: Path) -> None:
    lead = {"id": "a1", "lead_id": "L1", "type": "visit", "at": "2026-01-01T00:00:00Z"}
    with small_app(tmp_path) as app:
        assert app.post("/v1/activities", lead).status_code == 201
        for path in (tmp_path / "out").glob("store.db*"):
            path.rename(tmp_path / path.name)
        assert app.post("/v1/activities", lead).status_code == 503
        assert app.post("/v1/activities", {**lead, "id": "a2"}).status_code == 503
        assert not (tmp_path / "out" / "store.db").exists()
        for path in tmp_path.glob("store.db*"):
            path.rename(tmp_path / "out" / path.name)
        wait_until(lambda: not app.components.store.is_unavailable, "the store is back")
        assert app.post("/v1/activities", lead).status_code == 200
