from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest

from features.errors import OutsideError, SettingsError
from tests.conftest import Demo
from tests.helpers.small_crm import listing, run, small_crm, start
from training.registry.mlflow_store import MODEL_NAME, find_model
from training.train import publish


def test_champion_is_preferred_to_the_challenger(
    tmp_path: Path, demo: Demo, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = f"sqlite:///{tmp_path / 'own.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.chdir(tmp_path)
    first = publish(demo.job.record, tmp_path)
    second = publish(demo.job.record, tmp_path)
    assert (find_model(tmp_path).alias, find_model(tmp_path).version) == ("challenger", second.version)
    mlflow.MlflowClient(uri, uri).set_registered_model_alias(MODEL_NAME, "champion", first.version)
    registered_model = find_model(tmp_path)
    assert (registered_model.alias, registered_model.version) == ("champion", first.version)
    assert registered_model.model.version == demo.model.version


def test_without_a_model_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"No model is registered.*hotlead train"):
        find_model(tmp_path / "out")
    assert listing(tmp_path) == set()


def test_data_digest_changes_with_a_single_value(demo: Demo) -> None:
    data = demo.trained.data
    before = demo.trained.data.digest
    column = data.columns["employees"]
    original, column[0] = column[0], 12_345.0  # type: ignore[index]
    try:
        assert demo.trained.data.digest != before
    finally:
        column[0] = original  # type: ignore[index]
    assert demo.trained.data.digest == before


def test_unreachable_server_is_named_soon_and_before_the_work(tmp_path: Path) -> None:
    crm_toml = small_crm(tmp_path)
    before, began = listing(tmp_path), time.monotonic()
    result = run("train", crm_toml, env={"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"})
    assert result.returncode == 5
    assert time.monotonic() - began < 60
    assert "Traceback" not in result.stderr
    [sentence] = [s for s in result.stderr.splitlines() if s.startswith("hotlead:")]
    assert "http://127.0.0.1:9" in sentence
    assert "MLFLOW_TRACKING_URI" in sentence
    assert listing(tmp_path) == before


def test_passwords_of_the_server_are_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:geheim@127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(OutsideError) as error:
        find_model(tmp_path)
    assert "geheim" not in str(error.value)


@pytest.mark.slow
def test_first_run_of_several_processes_at_once_is_safe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crm_toml, count = small_crm(tmp_path), 3
    began = [start(["train", crm_toml, "--seed", seed, "--json"]) for seed in range(count)]
    ended = [process.communicate(timeout=180) for process in began]
    assert [p.returncode for p in began] == [0] * count, [err for _, err in ended]
    uri = f"sqlite:///{tmp_path / 'hotlead-out' / 'mlflow.db'}"
    versions = mlflow.MlflowClient(uri, uri).search_model_versions(f"name = '{MODEL_NAME}'")
    assert sorted(int(v.version) for v in versions) == [1, 2, 3]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    for version in versions:
        folder = mlflow.artifacts.download_artifacts(f"models:/{MODEL_NAME}/{version.version}")
        [model] = Path(folder).rglob("model.json")
        assert f'"version": "{version.tags["hotlead.version"]}"' in model.read_text("utf-8")


@pytest.fixture
def mlflow_server(tmp_path: Path) -> Iterator[str]:
    """A real MLflow server with its own artifacts."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    uri = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "mlflow",
            "server",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--workers",
            "1",
            "--backend-store-uri",
            f"sqlite:///{tmp_path}/server.db",
            "--artifacts-destination",
            str(tmp_path / "artifacts"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{uri}/health", timeout=1).close()
                break
            except OSError:
                time.sleep(0.2)
        yield uri
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.slow
def test_any_server_holds_the_model(
    demo: Demo, mlflow_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server)
    registration = publish(demo.job.record, tmp_path / "out")
    assert registration.tracking_uri == mlflow_server
    registered_model = find_model(tmp_path / "out")
    assert (registered_model.alias, registered_model.model.version) == ("challenger", demo.model.version)
