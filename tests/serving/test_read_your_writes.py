"""What was acknowledged by one worker counts in the next answer of every other one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from features.clock import iso, now_ms
from serving.store.change_signal import SIGNAL_FILE, ChangeSignal
from tests.helpers.service.service_app import App, small_app
from tests.helpers.service.stores import server, url

__all__ = ["server", "url"]
TIMES = 60


@pytest.fixture
def workers(url: str, tmp_path: Path) -> Iterator[tuple[App, App]]:
    """Two workers over one store, neither of which looks for changes by itself."""
    with small_app(tmp_path, HOTLEAD_STORE_URL=url) as first:
        second = App(tmp_path / "crm.toml", tmp_path / "out", HOTLEAD_STORE_URL=url)
        try:
            yield first, second
        finally:
            second.close()


def send(app: App, kind: str, **body: Any) -> None:
    assert app.post(f"/v1/{kind}", body).status_code == 201


def test_an_override_counts_in_the_next_score_of_every_worker(workers: tuple[App, App]) -> None:
    now, person = iso(now_ms()), {"reason": "called", "by": "Anna"}
    outdated = 0
    for turn in range(TIMES):
        writer, reader = workers if turn % 2 else workers[::-1]
        verdict = "hot" if turn % 4 < 2 else "not_hot"
        send(writer, "overrides", id=f"o{turn}", lead_id=f"L{turn % 7}", verdict=verdict, at=now, **person)
        answer = reader.post("/v1/score", {"lead_id": f"L{turn % 7}", "attributes": {}}).json()
        outdated += (answer["decided_by"], answer["stage"] == "hot") != ("person", verdict == "hot")
    assert outdated == 0


def test_steps_outcomes_and_activities_count_in_the_next_answer(workers: tuple[App, App]) -> None:
    now = iso(now_ms() - 1_000)
    for turn in range(20):
        writer, reader = workers if turn % 2 else workers[::-1]
        lead = {"lead_id": f"S{turn}"}
        mirror = reader.components.overrides.sales_status
        send(writer, "activities", type="visit", at=now, **lead)
        assert reader.post("/v1/score", lead).status_code == 200
        send(writer, "handovers", step="first_contact", at=now, **lead)
        reader.post("/v1/score", lead)
        assert mirror.get(f"S{turn}", now_ms()) is not None
        send(writer, "handovers", step="sent_back", reason="no budget", by="Bo", at=now, **lead)
        assert reader.post("/v1/score", lead).json()["decided_by"] == "person"
        send(writer, "outcomes", outcome="lost", closed_at=now, **lead)
        reader.post("/v1/score", lead)
        status = mirror.get(f"S{turn}", now_ms())
        assert status is not None
        assert status.outcome == "lost"


def test_a_correction_that_moves_an_override_counts_at_once(workers: tuple[App, App]) -> None:
    first, second = workers
    verdict = {"id": "o1", "verdict": "hot", "reason": "r", "by": "b", "at": iso(now_ms())}
    send(first, "overrides", lead_id="A", **verdict)
    assert second.post("/v1/score", {"lead_id": "A", "attributes": {}}).json()["decided_by"] == "person"
    send(first, "overrides", lead_id="B", version=2, **verdict)
    deciders = [
        second.post("/v1/score", {"lead_id": lead_id, "attributes": {}}).json()["decided_by"]
        for lead_id in ("A", "B")
    ]
    assert deciders == ["rules", "person"]


def test_a_signal_that_cannot_be_shared_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "spool").touch()  # a file where the folder should be
    signal = ChangeSignal(tmp_path / "spool")
    signal.announce()
    assert signal.value == b""
    (tmp_path / "spool").unlink()
    signal.reopen()
    signal.announce()
    assert signal.value != b""
    signal.close()


def test_a_signal_whose_file_was_deleted_is_shared_again(tmp_path: Path) -> None:
    first, second = ChangeSignal(tmp_path), ChangeSignal(tmp_path)
    (tmp_path / SIGNAL_FILE).unlink()
    for signal in (first, second):
        signal.reopen()
    before = second.value
    first.announce()
    assert second.value != before
    first.close()
    second.close()
