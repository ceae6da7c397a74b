"""Requests to the API as its tests make them: a clock that stands, times before it, bodies and problems."""

from __future__ import annotations

from typing import Any

from features.clock import MS_PER_DAY, iso
from serving.web.problems import MEDIA_TYPE
from tests.helpers.service.service_app import App

HOUR = 3_600_000
NOW = 1_790_000_000_000  # 2026-09-21T14:13:20Z, a Monday


class Clock:
    """A clock that stands until somebody moves it."""

    def __init__(self) -> None:
        self.ms = NOW

    def __call__(self) -> int:
        return self.ms

    def forward(self, days: float) -> None:
        self.ms += round(days * MS_PER_DAY)


def iso_ago(days: float = 0.0, hours: float = 0.0) -> str:
    return iso(NOW - round(days * MS_PER_DAY + hours * HOUR))


def visits(*days: float) -> list[dict[str, Any]]:
    return [{"type": "visit", "at": iso_ago(day)} for day in days]


def send(app: App, kind: str, status: int = 201, **body: Any) -> Any:
    """Send something to be remembered."""
    answer = app.post(f"/v1/{kind}", body)
    assert answer.status_code == status, answer.text
    return answer.json()


def score(app: App, lead_id: str = "L1", ask: str = "", **body: Any) -> Any:
    """Score a lead from its body, or (without one) by its id alone."""
    answer = app.post(f"/v1/score{ask}", {"lead_id": lead_id, **body})
    assert answer.status_code == 200, answer.text
    return answer.json()


def read_problem(answer: Any, status: int) -> Any:
    """The problem that an answer tells of."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == MEDIA_TYPE
    body = answer.json()
    assert body["status"] == status
    assert body["request_id"] == answer.headers["x-request-id"]
    return body


def paths(body: Any) -> list[str]:
    """The wrong fields of a problem."""
    return [error["path"] for error in body["errors"]]
