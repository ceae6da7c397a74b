"""What happens at each door that compares times when a clock jumps, is set back, or steps a little."""

from __future__ import annotations

from pathlib import Path

import pytest

from features.clock import CLOCKS_DIFFER_MS, days_to_ms, iso, now_ms
from serving.web import api_keys
from tests.helpers.clock import Clock
from tests.helpers.service.service_app import App, small_app
from tests.helpers.service.stores import MOMENT_MS

HOUR_MS = 3_600_000
LEAD = {"lead_id": "L1", "updated_at": iso(MOMENT_MS), "attributes": {}}


def send_visit(app: App, time: str, key: str = "a1") -> int:
    body = {"id": key, "lead_id": "L1", "type": "visit", "at": time}
    return app.post("/v1/activities", body).status_code


def test_the_clock_of_a_sender_may_be_some_minutes_ahead(tmp_path: Path) -> None:
    with small_app(tmp_path, Clock(MOMENT_MS)) as app:
        assert send_visit(app, iso(MOMENT_MS + CLOCKS_DIFFER_MS - 1_000)) == 201
        assert send_visit(app, iso(MOMENT_MS + CLOCKS_DIFFER_MS + 60_000), "a2") == 422


def test_a_record_that_is_sent_again_is_known_whatever_the_clock(tmp_path: Path) -> None:
    """Also when the clock was set back meanwhile, and the record lies in the future now."""
    clock = Clock(MOMENT_MS)
    with small_app(tmp_path, clock) as app:
        assert send_visit(app, iso(MOMENT_MS)) == 201
        clock.now = MOMENT_MS - CLOCKS_DIFFER_MS
        assert send_visit(app, iso(MOMENT_MS)) == 200
        clock.now = MOMENT_MS + days_to_ms(3 * 365)
        assert send_visit(app, iso(MOMENT_MS)) == 200


@pytest.mark.parametrize("time", ["2016-12-31T23:59:60Z", "2016-12-31T24:00:00Z"])
def test_a_leap_second_is_refused_by_name(tmp_path: Path, time: str) -> None:
    """It is no time of a clock that counts milliseconds."""
    with small_app(tmp_path, Clock(MOMENT_MS)) as app:
        answer = app.post("/v1/activities", {"id": "a1", "lead_id": "L1", "type": "visit", "at": time})
        assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, "body.at")
        assert send_visit(app, "2016-12-31T23:59:59Z") == 201


def test_an_hour_that_occurs_twice_is_told_apart_by_its_offset(tmp_path: Path) -> None:
    with small_app(tmp_path, Clock(MOMENT_MS)) as app:
        assert send_visit(app, "2025-10-26T02:30:00+02:00") == 201
        assert send_visit(app, "2025-10-26T00:30:00Z") == 200
        assert send_visit(app, "2025-10-26T02:30:00+01:00") == 409


def test_a_clock_that_is_set_back_keeps_scores_and_lists(tmp_path: Path) -> None:
    """What was stored a minute ahead counts at once; the newest moment stays the newest."""
    clock = Clock(MOMENT_MS)
    with small_app(tmp_path, clock) as app:
        app.post("/v1/leads", LEAD)
        assert send_visit(app, iso(MOMENT_MS)) == 201
        first = app.post("/v1/score", {"lead_id": "L1"}).json()
        clock.now = MOMENT_MS - 60_000
        second = app.post("/v1/score", {"lead_id": "L1"}).json()
        assert (first["score"], first["rules"]["points"]) == (second["score"], second["rules"]["points"])
        assert app.get("/v1/hot").status_code == 200
        assert len(app.get("/v1/scores?lead_id=L1").json()["scores"]) == 2


def test_a_score_as_of_a_moment_does_not_depend_on_the_clock(tmp_path: Path) -> None:
    clock = Clock(MOMENT_MS)
    as_of = iso(MOMENT_MS - HOUR_MS)
    with small_app(tmp_path, clock) as app:
        app.post("/v1/leads", {**LEAD, "updated_at": iso(MOMENT_MS - 2 * HOUR_MS)})
        answers = []
        for jump in (0, days_to_ms(3 * 365), -HOUR_MS):
            clock.now = MOMENT_MS + jump
            answers.append(app.post(f"/v1/score?as_of={as_of}", {"lead_id": "L1"}).json())
        assert len({answer["score"] for answer in answers}) == 1
        assert {answer["as_of"][:19] for answer in answers} == {as_of[:19]}
        clock.now = MOMENT_MS - 3 * HOUR_MS
        assert app.post(f"/v1/score?as_of={as_of}", {"lead_id": "L1"}).status_code == 422


def test_the_service_deletes_nothing_when_its_clock_jumps(tmp_path: Path) -> None:
    clock = Clock(MOMENT_MS)
    with small_app(tmp_path, clock) as app:
        app.post("/v1/leads", LEAD)
        for day in range(12):
            clock.now = MOMENT_MS + days_to_ms(day)
            app.post("/v1/score", {"lead_id": "L1"})
        for _ in range(3):
            clock.forward(3 * 365)
            app.post("/v1/score", {"lead_id": "L1"})
            app.components._prune()
        assert len(app.get("/v1/scores?lead_id=L1").json()["scores"]) == 15


def test_much_that_is_old_is_told_with_the_command(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock(MOMENT_MS)
    with small_app(tmp_path, clock, HOTLEAD_RETENTION_DAYS="1") as app:
        app.post("/v1/leads", LEAD)
        for day in range(12):
            clock.now = MOMENT_MS + days_to_ms(day)
            app.post("/v1/score", {"lead_id": "L1"})
        for _ in range(2):
            clock.forward(1)
            app.components._prune()
        assert "hotlead prune" in caplog.text
        assert "hotlead_retention_unconfirmed 1.0" in app.get("/metrics").text


def test_keys_outlive_a_clock_that_jumped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a person removes a key: making one while the clock is ahead drops none that seem to have ended."""
    path = tmp_path / "keys.json"
    now = now_ms()
    key, token = api_keys.add(path, "crm", "CRM", now + days_to_ms(90))
    monkeypatch.setattr(api_keys, "now_ms", lambda: now + days_to_ms(3 * 365))
    api_keys.add(path, "reviewer", "made while the clock is ahead")
    monkeypatch.undo()
    assert api_keys.KeyCache(path).find(token) == key


def test_a_secret_that_was_ended_at_once_stays_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when the clock was ahead then, so that the end would lie in the future now."""
    path = tmp_path / "keys.json"
    key, token = api_keys.add(path, "crm", "CRM")
    monkeypatch.setattr(api_keys, "now_ms", lambda: key.created_at + days_to_ms(3 * 365))
    api_keys.rotate(path, key.id, 0)
    monkeypatch.undo()
    assert api_keys.KeyCache(path).find(token) is None
