"""Fixtures of the whole suite: one demo CRM, trained once a run, and one PostgreSQL server a run."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests.helpers.shared_run import lock, postgresql_folder, run_folder

# Tests run side by side; threads of LightGBM that wait for each other would slow all of them.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
_runtime = Path(tempfile.gettempdir()) / f"runtime-{os.getuid()}"
_runtime.mkdir(mode=0o700, exist_ok=True)
os.environ.setdefault("XDG_RUNTIME_DIR", str(_runtime))
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ.pop("MLFLOW_TRACKING_URI", None)

if TYPE_CHECKING:
    from features.crm.load import Loaded
    from scoring.decision.scorer import Scorer
    from scoring.model.model import Model
    from tests.helpers.service.stores import Server
    from training.fitting.dataset import Dataset
    from training.fitting.result import TrainingResult
    from training.train import TrainingRun

settings.register_profile("hotlead", deadline=None)  # tests assert behaviour, not seconds
settings.load_profile("hotlead")

DEMO_LEADS = 5_000
SLOW_MARKERS = ("postgresql", "browser", "notebook", "real_data")
"""A test with one of these markers is marked as slow too."""
FIXTURE_MARKERS = {"server": "postgresql", "browser": "browser"}
"""The marker of the tests that use a fixture."""


def pytest_configure(config: pytest.Config) -> None:
    """MLflow warns about its own type hints when it is imported."""
    config.addinivalue_line("filterwarnings", "ignore:.*Any type hint is inferred:UserWarning")


@pytest.hookimpl(tryfirst=True)  # before pytest selects by marker
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need PostgreSQL or a browser, and all slow tests; slow files run first."""
    for item in items:
        for fixture in FIXTURE_MARKERS.keys() & set(getattr(item, "fixturenames", ())):
            item.add_marker(FIXTURE_MARKERS[fixture])
        if any(item.get_closest_marker(name) for name in SLOW_MARKERS):
            item.add_marker("slow")
    slow_files = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow_files)


@dataclass(frozen=True)
class Demo:
    """The demo's folder, its output folder, and the finished training."""

    folder: Path
    crm_toml: Path
    out: Path
    job: TrainingRun

    @property
    def trained(self) -> TrainingResult:
        return self.job.record.trained

    @property
    def model(self) -> Model:
        return self.job.record.trained.model


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """A demo CRM, trained and registered by the first worker that needs it. Read-only: see `demo_copy`."""
    folder = run_folder(tmp_path_factory) / "demo"
    training_run = folder.with_suffix(".pickle")
    with lock(folder.with_suffix(".lock")):
        if not training_run.exists():
            training_run.write_bytes(pickle.dumps(_train_demo(folder)))
    job = pickle.loads(training_run.read_bytes())
    return Demo(folder, folder / "crm.toml", folder / "hotlead-out", job)


def _train_demo(folder: Path) -> TrainingRun:
    from demo.run import make_demo  # most tests start without the training libraries
    from training.train import train_and_register  # as above

    crm_toml = make_demo(folder, DEMO_LEADS, seed=7)
    return train_and_register(crm_toml, folder / "hotlead-out", lambda _: None, "en", 0)


@pytest.fixture(scope="session")
def demo_loaded(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    """The demo's CRM, loaded."""
    # Most tests start without pandas and the training libraries.
    from features.crm.load import load
    from features.settings import load_settings

    return load(load_settings(demo.crm_toml), tmp_path_factory.mktemp("rejects") / "rejects.csv")


@pytest.fixture(scope="session")
def demo_scorer(demo: Demo, demo_loaded: Loaded) -> Scorer:
    """The demo's scorecard and model, ready to score."""
    from scoring.decision.scorer import CalibratedModel, Scorer  # most tests start without LightGBM

    judge = CalibratedModel.from_evidence(demo.model, demo.trained.evidence, demo.model.card)
    return Scorer(demo.model.card, demo_loaded.settings.table, judge, None)


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database with nothing but its tables, which take seconds to create: tests copy it."""
    import mlflow  # most tests start without it

    path = run_folder(tmp_path_factory) / "empty-store" / "mlflow.db"
    path.parent.mkdir(exist_ok=True)
    with lock(path.with_suffix(".lock")):
        if not path.exists():
            mlflow.MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def demo_copy(demo: Demo, tmp_path: Path) -> Path:
    """The crm.toml of a copy of the demo's folder, without MLflow's store, which holds absolute paths."""
    copy = tmp_path / "demo"
    shutil.copytree(demo.folder, copy, ignore=shutil.ignore_patterns("mlflow.db*", "mlartifacts"))
    return copy / "crm.toml"


@pytest.fixture(scope="session")
def small_data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """The examples of a small CRM: fast to train on."""
    # Most tests start without pandas and the training libraries.
    from features.crm.load import load
    from features.settings import load_settings
    from tests.helpers.small_crm import small_crm
    from training.fitting.dataset import build_dataset

    folder = tmp_path_factory.mktemp("small")
    settings = load_settings(small_crm(folder, leads=600))
    return build_dataset(load(settings, folder / "rejects.csv"), (), lambda _: None)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """The PostgreSQL server of the test run; `server.new()` is the URL of a new database."""
    from tests.helpers.service.stores import Server  # most tests start without the store

    running = Server(postgresql_folder())
    yield running
    running.close()


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 200 kB."""
    yield from _disk(tmp_path / "tiny", "200k")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB."""
    yield from _disk(tmp_path / "small", "2m")


def _disk(folder: Path, size: str) -> Iterator[Path]:
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("only root can mount a tiny disk here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)
