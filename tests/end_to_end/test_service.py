"""The running service: real processes, a real MLflow store, real faults."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import bentoml
import httpx
import pytest

from benchmarks.support.load import run_load, wait_for
from benchmarks.support.served import RunningService, free_port, start_process, start_service
from scoring.model.bundle import current_name
from scoring.model.model import TREES_FILE
from tests.helpers.champion_crm import champion_crm, out_of, promote_challenger
from tests.helpers.small_crm import run
from training.registry.promotion import rollback

_START = datetime.now(tz=UTC)
NOW, LATER = _START.isoformat(), (_START + timedelta(seconds=30)).isoformat()


def a_lead(n: int) -> dict[str, Any]:
    return {
        "lead_id": f"lead-{n}",
        "attributes": {"channel": "referral", "employees": 40},
        "activities": [{"type": "visit", "at": NOW}] * 3,
    }


def score(n: int) -> tuple[str, dict[str, Any]]:
    return "/v1/score", a_lead(n)


def activity(n: int) -> tuple[str, dict[str, Any]]:
    return "/v1/activities", {"id": f"act-{n}", "lead_id": f"L{n % 50}", "type": "visit", "at": NOW}


def score_or_activity(n: int) -> tuple[str, dict[str, Any]]:
    return activity(n) if n % 2 else score(n)


def ask(service: RunningService, n: int = 0, as_of: str | None = None) -> dict[str, Any]:
    query = {"as_of": as_of} if as_of else {}
    answer = httpx.post(f"{service.url}/v1/score", params=query, json=a_lead(n), timeout=30)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def model_of(service: RunningService) -> dict[str, Any] | None:
    model: dict[str, Any] | None = httpx.get(f"{service.url}/v1/model", timeout=30).json()["model"]
    return model


def serves_version(service: RunningService, registered: str) -> Callable[[], bool]:
    def holds() -> bool:
        model = model_of(service)
        return model is not None and model["registered_version"] == registered

    return holds


def query_store(crm_toml: Path, sql: str) -> set[str]:
    with sqlite3.connect(out_of(crm_toml) / "store.db") as store:
        return {row[0] for row in store.execute(sql)}


@pytest.fixture(scope="module")
def crm_toml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return champion_crm(tmp_path_factory.mktemp("served"))


@pytest.fixture(scope="module")
def service(crm_toml: Path) -> Iterator[RunningService]:
    """A running service with version 1 as champion."""
    with start_service(crm_toml, environ={"HOTLEAD_RATE_LIMIT": "0"}) as running:
        wait_for(serves_version(running, "1"))
        yield running


@pytest.mark.slow
def test_ten_promotions_and_rollbacks_under_load_fail_no_request(
    service: RunningService, crm_toml: Path
) -> None:
    promotion = ["promote", crm_toml, "--override", "for a test"]
    with run_load(service.url, score) as load_result:
        for turn in range(10):
            result = run(*(["rollback", crm_toml] if turn % 2 else promotion))
            assert result.returncode == 0, result.stderr
            wait_for(serves_version(service, "1" if turn % 2 else "2"))
    assert load_result.failed == 0, (load_result.statuses, load_result.broken)
    assert len(load_result.versions) == 2, load_result.versions
    assert not any(version.startswith("rules") for version in load_result.versions)
    assert load_result.statuses[200] > 200


@pytest.mark.slow
def test_a_worker_killed_under_load_loses_no_acknowledged_record(
    service: RunningService, crm_toml: Path
) -> None:
    with run_load(service.url, score_or_activity, connections=8) as load_result:
        wait_for(lambda: len(load_result.acknowledged) > 100 and len(load_result.lead_ids) > 100)
        (worker,) = service.workers
        worker.kill()
        wait_for(lambda: any(w.pid != worker.pid for w in service.workers), seconds=5)
        killed_at = len(load_result.acknowledged)
        wait_for(lambda: len(load_result.acknowledged) > killed_at + 100)
    assert max(load_result.statuses) < 400, load_result.statuses
    assert {*load_result.acknowledged} <= query_store(crm_toml, "SELECT key FROM activities")
    assert {*load_result.lead_ids} <= query_store(crm_toml, "SELECT lead_id FROM predictions")
    assert {*load_result.lead_ids} <= query_store(crm_toml, "SELECT lead_id FROM current_scores")


@pytest.mark.slow
def test_the_parent_of_the_workers_killed_under_load_leaves_one_generation(crm_toml: Path) -> None:
    with start_service(crm_toml, "--workers", "2", environ={"HOTLEAD_RATE_LIMIT": "0"}) as service:
        with run_load(service.url, activity, connections=8) as load_result:
            wait_for(lambda: len(load_result.acknowledged) > 100)
            (arbiter,) = [p for p in service.find_processes("bentoml") if p not in service.workers]
            former = service.workers
            arbiter.kill()
            wait_for(lambda: not any(worker.is_running() for worker in former))
            killed_at = len(load_result.acknowledged)
            wait_for(lambda: len(load_result.acknowledged) > killed_at + 100, seconds=90)
        assert len(service.workers) == 2
        assert {*load_result.acknowledged} <= query_store(crm_toml, "SELECT key FROM activities")
        below = service.find_processes("")
        assert service.stop() < 10
        assert service.process.returncode == 0
        assert not any(process.is_running() for process in below)


def test_a_killed_follower_is_restarted(service: RunningService, crm_toml: Path) -> None:
    (follower,) = service.find_processes("follow")
    follower.send_signal(signal.SIGKILL)
    assert ask(service)["model"] is not None
    wait_for(lambda: any(p.pid != follower.pid for p in service.find_processes("follow")))
    promote_challenger(crm_toml)
    wait_for(serves_version(service, "2"))
    rollback(out_of(crm_toml), "as it was", "tests")
    wait_for(serves_version(service, "1"))


def test_the_follower_repairs_a_damaged_bundle(service: RunningService, crm_toml: Path) -> None:
    bundles = out_of(crm_toml) / "bundles"
    trees = bundles / str(current_name(bundles)) / TREES_FILE
    trees.write_text("broken", encoding="utf-8")
    wait_for(lambda: trees.read_text(encoding="utf-8") != "broken")
    assert ask(service)["model"] is not None


def test_the_bentoml_client_scores(service: RunningService) -> None:
    with bentoml.SyncHTTPClient(service.url) as client:
        answer = client.score(lead=a_lead(1), lang="ja", as_of=LATER)
        assert answer["lead_id"] == "lead-1"
        assert answer["action"]["text"] == "電話してください。"
        assert answer["model"]["probability"] == ask(service, 1, LATER)["model"]["probability"]
        many = client.score_batch(leads=[a_lead(1), a_lead(2), {"lead_id": 3}])
    assert [result["status"] for result in many["results"]] == [200, 200, 422]


def test_the_workers_speak_http_with_limits(service: RunningService) -> None:
    upgrade = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABk"}
    answer = httpx.post(f"{service.url}/v1/score", json=a_lead(1), headers=upgrade, timeout=30)
    assert (answer.status_code, answer.json()["lead_id"]) == (200, "lead-1")
    too_large = httpx.get(f"{service.url}/livez", headers={"x-long": "x" * 70_000}, timeout=30)
    assert (too_large.status_code, too_large.json()["status"]) == (431, 431)


def test_metrics_and_log_contain_requests_and_no_values(service: RunningService) -> None:
    ask(service)
    invalid_lead = {**a_lead(1), "lead_id": "SECRETMARKER", "activities": [{"type": "SECRETMARKER"}]}
    assert httpx.post(f"{service.url}/v1/score", json=invalid_lead).status_code == 422
    assert httpx.post(f"{service.url}/score", json={"lead": "SECRETMARKER"}).status_code in (400, 422)
    metrics_text = httpx.get(f"{service.url}/metrics").text
    assert "hotlead_scores_total{decided_by=" in metrics_text
    assert 'hotlead_requests_total{method="POST",route="/v1/score",status="422"}' in metrics_text
    log = service.log.read_text(encoding="utf-8")
    assert '"route":"/v1/score"' in log
    assert "SECRETMARKER" not in log + metrics_text
    assert "Traceback" not in log


@pytest.mark.slow
def test_a_start_without_mlflow_and_a_stop_in_time(crm_toml: Path, service: RunningService) -> None:
    """The last bundle is served while MLflow does not answer."""
    unreachable_mlflow = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}
    with start_service(crm_toml, environ=unreachable_mlflow) as second_service:
        assert ask(second_service)["model"] is not None
        assert second_service.stop() < 10


@pytest.mark.slow
def test_without_a_model_the_rules_decide(crm_toml: Path, tmp_path: Path) -> None:
    with start_service(crm_toml, "--out", str(tmp_path / "fresh")) as second_service:
        answer = ask(second_service)
        assert answer["fallback"] == "no_model"
        assert answer["decided_by"] == "rules"
        assert answer["rules"]["points"] == 25


@pytest.mark.slow
def test_a_bento_is_built_and_served(crm_toml: Path, service: RunningService, tmp_path: Path) -> None:
    project = Path(__file__).parents[2]
    bentos = {"BENTOML_HOME": str(tmp_path / "bentos"), "BENTOML_DO_NOT_TRACK": "True"}
    bentoml = [sys.executable, "-m", "bentoml"]
    subprocess.run(
        [*bentoml, "build", str(project)],
        env={**os.environ, **bentos},
        check=True,
        cwd=project,
        capture_output=True,
    )
    port = free_port()
    command = [*bentoml, "serve", "hotlead:latest", "--host", "127.0.0.1", "--port", str(port)]
    environ = {**bentos, "HOTLEAD_CRM": str(crm_toml), "HOTLEAD_OPEN": "1"}
    with start_process(command, tmp_path / "bento.log", port, environ) as bento:
        answer = ask(bento, 3, LATER)
        assert answer["model"] == ask(service, 3, LATER)["model"]
