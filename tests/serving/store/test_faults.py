"""Faults at the API: the store locked, gone or full, the clock moved. Scores go on."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from benchmarks.support.load import wait_for
from features.clock import MS_PER_DAY, iso, now_ms
from tests.helpers.service.service_app import App, small_app

HOUR = 3_600_000


def a_lead(moment_ms: int, lead_id: str = "A") -> dict[str, Any]:
    activities = [{"type": "visit", "at": iso(moment_ms)}] * 4
    return {"lead_id": lead_id, "attributes": {"channel": "referral"}, "activities": activities}


def an_activity(moment_ms: int, name: str = "1") -> dict[str, Any]:
    return {"id": name, "lead_id": "A", "type": "visit", "at": iso(moment_ms)}


@contextmanager
def locked(app: App) -> Iterator[None]:
    """Somebody holds the whole database."""
    path = app.settings.out / "store.db"
    with sqlite3.connect(path, isolation_level=None) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        yield
        connection.execute("ROLLBACK")
    connection.close()


def stored(app: App, table: str) -> int:
    with sqlite3.connect(app.settings.out / "store.db") as connection:
        count: int = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    connection.close()
    return count


def test_a_locked_store_holds_up_no_score_and_refuses_writes(tmp_path: Path) -> None:
    moment_ms = now_ms() - HOUR
    with small_app(tmp_path) as app:
        with locked(app):
            scores = [app.post("/v1/score", a_lead(moment_ms, f"L{i}")) for i in range(3)]
            assert [s.status_code for s in scores] == [200, 200, 200]
            assert {s.json()["stored"] for s in scores} == {"queued"}
            refused = app.post("/v1/activities", an_activity(moment_ms))
            assert refused.status_code == 503
            assert int(refused.headers["Retry-After"]) >= 1
            assert "Try again later" in refused.json()["detail"]
            assert "hotlead_store_away 1.0" in _metrics(app)
        wait_for(lambda: stored(app, "predictions") == 3)
        assert stored(app, "activities") == 0
        wait_for(lambda: app.post("/v1/activities", an_activity(moment_ms)).status_code == 201)
        assert app.post("/v1/score", a_lead(moment_ms)).json()["stored"] == "stored"


def _metrics(app: App) -> str:
    app.components.refresh()
    return app.get("/metrics").text


def test_a_lead_by_its_id_needs_the_store_and_an_override_does_not(tmp_path: Path) -> None:
    moment_ms = now_ms() - HOUR
    with small_app(tmp_path) as app:
        app.post("/v1/activities", an_activity(moment_ms))
        override = {
            "lead_id": "A",
            "verdict": "hot",
            "reason": "met at the fair",
            "by": "Sato",
            "at": iso(moment_ms),
        }
        assert app.post("/v1/overrides", override).status_code == 201
        with locked(app):
            app.post("/v1/activities", an_activity(moment_ms, "2"))
            by_id = app.post("/v1/score", {"lead_id": "A"})
            assert by_id.status_code in (200, 503)
            answer = app.post("/v1/score", a_lead(moment_ms)).json()
        assert answer["decided_by"] == "person"
        assert answer["person"]["by"] == "Sato"


@pytest.mark.parametrize("damage", ["folder", "garbage"])
def test_a_store_that_cannot_be_opened_leaves_scores(tmp_path: Path, damage: str) -> None:
    out = tmp_path / "out"
    out.mkdir()
    if damage == "folder":
        (out / "store.db").mkdir()
    else:
        (out / "store.db").write_bytes(b"this is no database " * 500)
    with small_app(tmp_path) as app:
        response = app.post("/v1/score", a_lead(now_ms() - HOUR))
        assert response.status_code == 200
        assert response.json()["stored"] == "queued"
        assert app.post("/v1/activities", an_activity(now_ms() - HOUR)).status_code == 503
        assert app.get("/v1/hot").status_code == 503
        assert app.get("/v1/model").status_code == 200


def test_a_full_disk_leaves_scores_and_refuses_writes_until_there_is_room(
    small_disk: Path, tmp_path: Path
) -> None:
    moment_ms = now_ms() - HOUR
    filler = small_disk / "filler"
    url = f"sqlite:///{small_disk / 'store.db'}"
    with small_app(tmp_path, HOTLEAD_STORE_URL=url) as app:
        _fill(filler)
        answers = [app.post("/v1/score", a_lead(moment_ms, f"L{i}")).json() for i in range(5)]
        assert {answer["rules"]["points"] for answer in answers} == {50}
        statuses = [app.post("/v1/activities", an_activity(moment_ms, str(i))).status_code for i in range(40)]
        assert 503 in statuses
        assert {*statuses} <= {201, 503}
        filler.unlink()
        wait_for(lambda: app.post("/v1/activities", an_activity(moment_ms, "after")).status_code == 201)
        assert app.post("/v1/score", a_lead(moment_ms)).json()["stored"] in ("stored", "queued")


def _fill(path: Path) -> None:
    """Write until the disk is full."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 1024)


def test_a_clock_that_moves_back_and_forth_harms_nothing(tmp_path: Path) -> None:
    now = [1_790_000_000_000]
    with small_app(tmp_path, clock=lambda: now[0]) as app:
        visits = [an_activity(now[0] - HOUR, f"visit {i}") for i in range(2)]
        assert app.post("/v1/activities", visits).status_code == 201
        first = app.post("/v1/score", {"lead_id": "A"}).json()
        now[0] -= 30 * MS_PER_DAY  # a wrong clock: what came before lies in its future
        back = app.post("/v1/score", {"lead_id": "A"})
        assert back.status_code == 200
        early = app.post("/v1/activities", an_activity(now[0] + MS_PER_DAY, "2"))
        assert early.status_code == 422
        assert "a time that has come" in early.json()["errors"][0]["allowed"]
        now[0] += 30 * MS_PER_DAY + 1000
        restored = app.post("/v1/score", {"lead_id": "A"}).json()
        assert restored["rules"] == first["rules"]
        now[0] += 400 * MS_PER_DAY
        cooled = app.post("/v1/score", {"lead_id": "A"}).json()
        assert cooled["rules"]["points"] <= first["rules"]["points"]
        history = app.get("/v1/scores?lead_id=A").json()["scores"]
        assert len(history) == 4
        assert [row["as_of"] for row in history] == sorted((row["as_of"] for row in history), reverse=True)


def test_a_sender_whose_clock_is_ahead_is_heard_at_once(tmp_path: Path) -> None:
    now = now_ms()
    quote = {"lead_id": "B", "type": "quote", "at": iso(now + 60_000)}
    with small_app(tmp_path, clock=lambda: now) as app:
        assert app.post("/v1/activities", quote).status_code == 201
        assert app.post("/v1/score", {"lead_id": "B"}).json()["stage"] == "hot"
        body = {"lead_id": "C", "activities": [{"type": "quote", "at": iso(now + 60_000)}]}
        assert app.post("/v1/score", body).json()["stage"] == "hot"
        batch = app.post("/v1/score/batch", {"leads": [body]}).json()
        assert batch["results"][0]["answer"]["stage"] == "hot"
