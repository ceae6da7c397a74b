"""Processes that are killed at random under acknowledged writes: nothing is lost, everything comes back."""

from __future__ import annotations

import http.client
import json
import signal
from pathlib import Path

import pytest

from benchmarks.soak.kills import kill_at_random
from benchmarks.support.load import wait_for
from benchmarks.support.served import start_service
from tests.helpers.small_crm import CARD, small_crm

pytestmark = pytest.mark.slow
LEADS, ACTIVITIES = 2_000, 40


@pytest.fixture(scope="module")
def crm_toml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("killed")
    (folder / "scorecard.toml").write_text(CARD, encoding="utf-8")
    return small_crm(folder)


def test_five_random_kills_lose_nothing_that_was_acknowledged(crm_toml: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    figures = {figure.name: figure for figure in kill_at_random(crm_toml, url, url, tmp_path, 5, "SQLite")}
    for name in ("records lost", "records doubled", "scores called stored, missing", "scores doubled"):
        assert figures[f"SQLite: {name}"].value == 0, name
    assert figures["SQLite: records acknowledged"].value > 50
    assert figures["SQLite: scores called stored"].value > 15


def test_a_stop_under_load_answers_every_request_or_says_when_to_come_again(crm_toml: Path) -> None:
    """Batches that are in flight when the stop comes are answered, or 503 with Retry-After: none with 500."""
    visits = [{"type": "visit", "at": "2026-01-05T09:00:00Z"}] * ACTIVITIES
    leads = [{"lead_id": f"L{n}", "attributes": {}, "activities": visits} for n in range(LEADS)]
    body = json.dumps({"leads": leads})
    with start_service(crm_toml, environ={"HOTLEAD_RATE_LIMIT": "0"}) as service:
        senders = [http.client.HTTPConnection("127.0.0.1", service.port, timeout=60) for _ in range(3)]
        for sender in senders:
            sender.request("POST", "/v1/score/batch", body, {"Content-Type": "application/json"})
        service.process.send_signal(signal.SIGTERM)
        answers = [sender.getresponse() for sender in senders]
        wait_for(lambda: service.process.poll() is not None, 30)
    for answer in answers:
        assert answer.status == 200 or (answer.status == 503 and answer.headers["Retry-After"]), answer.status
