"""An output folder that was moved or copied: its store leads to its own artifacts, not the former ones."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from scoring.model.bundle import load_bundle
from tests.conftest import Demo
from training.registry.follower import sync_once
from training.registry.mlflow_store import CHAMPION, find_model, mlflow_store
from training.registry.promotion import promote, rollback
from training.train import publish

TABLES = ("experiments", "runs", "logged_models", "model_versions")


@pytest.fixture(scope="module")
def original(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output folder with a champion and a challenger; tests move or change copies of it only."""
    out = tmp_path_factory.mktemp("50%_of it") / "hotlead-out"
    for _ in range(2):
        publish(demo.job.record, out)
        if find_model(out).alias != CHAMPION:
            promote(out, demo.model.card, "for a test", "tests")
    return out


@pytest.fixture
def former(original: Path, tmp_path: Path) -> Path:
    """A copy of it that has been used at its place."""
    folder = tmp_path / "former" / "hotlead-out"
    shutil.copytree(original, folder)
    assert find_model(folder).folder.is_relative_to(folder)
    return folder


def stored_locations(out: Path) -> str:
    """All rows of the store that hold locations, as one text."""
    with closing(sqlite3.connect(out / "mlflow.db")) as connection:
        return repr([connection.execute(f"SELECT * FROM {table}").fetchall() for table in TABLES])


def content(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Time and content of every file."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def use(out: Path, demo: Demo, bundles: Path) -> None:
    """All that reads and writes the store: serve, train, promote, roll back."""
    assert "is laid out" in str(sync_once(out, bundles))
    assert load_bundle(bundles) is not None
    publish(demo.job.record, out)
    assert find_model(out, ("challenger",)).folder.is_relative_to(out)
    assert promote(out, demo.model.card, "for a test", "tests").promoted
    assert "is laid out" in str(sync_once(out, bundles))
    rollback(out, "back", "tests")


def test_a_moved_folder_works_and_does_not_make_the_former_one_again(
    former: Path, demo: Demo, tmp_path: Path
) -> None:
    moved = tmp_path / "elsewhere" / "results"
    moved.parent.mkdir()
    former.rename(moved)
    use(moved, demo, tmp_path / "bundles")
    assert not former.exists()
    assert str(former) not in stored_locations(moved)


def test_a_copy_works_and_leaves_the_former_one_as_it_was(former: Path, demo: Demo, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(former, copy)
    before = content(former)
    use(copy, demo, tmp_path / "bundles")
    assert content(former) == before
    assert str(former) not in stored_locations(copy)
    assert find_model(former).folder.is_relative_to(former)


def test_a_run_of_the_former_place_is_continued_at_the_new_one(former: Path, tmp_path: Path) -> None:
    run_id = find_model(former).run_id
    moved = former.rename(tmp_path / "moved")
    with mlflow_store(moved) as (mlflow, _):
        location = str(mlflow.MlflowClient().get_run(run_id).info.artifact_uri)
    assert location.startswith(moved.as_uri())
    assert (moved / "mlartifacts" / run_id / "artifacts").is_dir()


def test_locations_elsewhere_stay(former: Path, tmp_path: Path) -> None:
    bucket = "s3://bucket/models/m-1"
    with closing(sqlite3.connect(former / "mlflow.db")) as connection, connection:
        connection.execute("UPDATE runs SET artifact_uri = ?", (bucket,))
    moved = former.rename(tmp_path / "moved")
    find_model(moved)
    assert bucket in stored_locations(moved)
