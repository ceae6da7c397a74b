"""Two real workers: what one of them acknowledged counts in the next answer, whichever worker gives it."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from benchmarks.support.served import start_service
from features.clock import iso, now_ms
from tests.helpers.service.service_app import CARD, CRM_TOML

TIMES = 200


@pytest.mark.slow
def test_an_override_is_in_the_next_answer_of_either_worker(tmp_path: Path) -> None:
    (tmp_path / "crm.toml").write_text(CRM_TOML, encoding="utf-8")
    (tmp_path / "scorecard.toml").write_text(CARD, encoding="utf-8")
    environ = {"HOTLEAD_RATE_LIMIT": "0"}
    outdated = 0
    with start_service(tmp_path / "crm.toml", "--workers", "2", environ=environ) as service:
        for turn in range(TIMES):
            verdict = {"verdict": "hot" if turn % 2 else "not_hot", "reason": "r", "by": "b"}
            override = {"id": f"o{turn}", "lead_id": "L1", "at": iso(now_ms()), **verdict}
            # Each request has a connection of its own, so that either worker may answer it.
            assert httpx.post(f"{service.url}/v1/overrides", json=override, timeout=30).status_code == 201
            for _ in range(2):
                lead = {"lead_id": "L1", "attributes": {}}
                answer = httpx.post(f"{service.url}/v1/score", json=lead, timeout=30).json()
                outdated += (answer["stage"] == "hot") != bool(turn % 2)
        assert len(service.workers) == 2
    assert outdated == 0
