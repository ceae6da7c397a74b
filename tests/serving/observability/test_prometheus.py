"""The service's metrics, of one process and of several."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from serving.observability.prometheus import Metrics

ROUTES = ("/v1/score",)
Samples = dict[tuple[str, str], float]


def samples(text: bytes) -> Samples:
    """Values by name and labels, written as a=b,c=d."""
    return {
        (s.name, ",".join(f"{k}={v}" for k, v in sorted(s.labels.items()))): s.value
        for family in text_string_to_metric_families(text.decode())
        for s in family.samples
    }


@pytest.fixture
def metrics(monkeypatch: pytest.MonkeyPatch) -> Metrics:
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    return Metrics(ROUTES, now=lambda: 100_000)


def test_scores_records_and_requests_are_counted(metrics: Metrics) -> None:
    metrics.count_scores("model", "hot")
    metrics.count_scores("model", "hot", count=4)
    metrics.count_scores("rules", "cold", "no_model", 2)
    metrics.count_records("leads", "stored", 3)
    metrics.observe_request("/v1/score", "POST", 200, 0.004)
    values = samples(metrics.render()[0])
    assert values["hotlead_scores_total", "decided_by=model,stage=hot"] == 5
    assert values["hotlead_fallbacks_total", "cause=no_model"] == 2
    assert values["hotlead_records_total", "kind=leads,outcome=stored"] == 3
    assert values["hotlead_requests_total", "method=POST,route=/v1/score,status=200"] == 1
    assert values["hotlead_request_seconds_bucket", "le=0.003,route=/v1/score"] == 0
    assert values["hotlead_request_seconds_bucket", "le=0.005,route=/v1/score"] == 1


def test_unknown_routes_and_methods_make_no_new_series(metrics: Metrics) -> None:
    for i in range(1000):
        metrics.observe_request(f"/v1/leads/{i}", f"METHOD{i}", 404, 0.001)
    values = samples(metrics.render()[0])
    assert values["hotlead_requests_total", "method=other,route=other,status=404"] == 1000
    assert sum(name == "hotlead_requests_total" for name, _ in values) == 1


def test_the_model_in_use_is_one_and_earlier_ones_zero(metrics: Metrics) -> None:
    metrics.set_model("1", trained_at=40_000, bundle_at=90_000)
    metrics.set_model("2", trained_at=70_000, bundle_at=95_000)
    values = samples(metrics.render()[0])
    assert values["hotlead_model_info", "version=1"] == 0
    assert values["hotlead_model_info", "version=2"] == 1
    assert values["hotlead_model_trained_age_seconds", ""] == 30
    assert values["hotlead_bundle_age_seconds", ""] == 5


def test_without_a_model_there_is_no_age(metrics: Metrics) -> None:
    metrics.set_model("1", 1, 1)
    metrics.set_model(None)
    values = samples(metrics.render()[0])
    assert values["hotlead_model_info", "version=1"] == 0
    age = values["hotlead_model_trained_age_seconds", ""]
    assert age != age  # not a number


def test_the_store_is_told(metrics: Metrics) -> None:
    metrics.set_store_state(7, is_unavailable=True)
    values = samples(metrics.render()[0])
    assert (values["hotlead_queue_rows", ""], values["hotlead_store_away", ""]) == (7, 1)


def test_several_apps_in_one_process_do_not_mix(metrics: Metrics) -> None:
    other_metrics = Metrics()
    other_metrics.count_scores("rules", "cold", "no_model")
    assert ("hotlead_fallbacks_total", "cause=no_model") not in samples(metrics.render()[0])


WORKER = """
import sys
from serving.observability.prometheus import Metrics
m = Metrics(["/v1/score"], now=lambda: 100_000)
m.count_scores("model", "hot"); m.observe_request("/v1/score", "POST", 200, 0.004)
m.set_store_state(int(sys.argv[1]), sys.argv[1] == "2"); m.set_model(sys.argv[2], 40_000, 40_000)
print("ready", flush=True)
if sys.stdin.readline():
    print(m.render()[0].decode())
"""


def test_workers_share_their_metrics_and_ended_workers_leave_only_counters(tmp_path: Path) -> None:
    environ = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}

    def worker(rows: str, version: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", WORKER, rows, version],
            env=environ,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        return process

    alive, killed, scraped = worker("2", "1"), worker("40", "1"), worker("1", "2")
    killed.kill()
    killed.communicate()
    values = samples(scraped.communicate("go\n")[0].encode())
    alive.communicate("")
    assert values["hotlead_scores_total", "decided_by=model,stage=hot"] == 3
    assert values["hotlead_request_seconds_count", "route=/v1/score"] == 3
    assert values["hotlead_queue_rows", ""] == 2  # the highest of the two that live
    assert values["hotlead_store_away", ""] == 1
    assert values["hotlead_model_info", "version=1"] == 1
    assert values["hotlead_model_info", "version=2"] == 1
    assert values["hotlead_model_trained_age_seconds", ""] == 60
