"""A lead with very many activities: the same answers as for any other, from a thread of its own."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from features.clock import iso
from serving.leads import lead_facts
from serving.predictions import predictor
from serving.predictions.large_leads import LargeLeads
from serving.review.lead import load
from serving.store.activities import blocks, events, packing
from serving.web.problems import Problem
from tests.helpers.service.review_site import Reviewer, review_app
from tests.helpers.service.service_app import App
from tests.helpers.service.stores import wait_until

NOW = 1_790_000_000_000
DAY = 86_400_000


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[App, Reviewer]]:
    """A service with a lead with 151 activities, one of a clock ahead of ours, and its colleague."""
    with review_app(tmp_path_factory.mktemp("large"), lambda: NOW) as (app, reviewer):
        of_leads = [
            {
                "lead_id": lead_id,
                "updated_at": iso(NOW - 90 * DAY),
                "created_at": iso(NOW - 90 * DAY),
                "account_id": "acme",
                "attributes": {"channel": "referral", "employees": 12},
            }
            for lead_id in ("BIG", "COLLEAGUE")
        ]
        assert app.post("/v1/leads", of_leads, role="crm").status_code == 201
        kinds = ("visit", "quote", "mail_sent", "visit", "mail", "visit")
        activities: list[dict[str, Any]] = [
            {"id": f"a{i}", "lead_id": "BIG", "type": kinds[i % 6], "at": iso(NOW - i * DAY // 2), "value": i}
            for i in range(100)
        ]
        activities += [
            {"id": f"b{i}", "lead_id": "BIG", "type": "visit", "at": iso(NOW - 3 * DAY + i // 9 * 1000)}
            for i in range(50)
        ]
        activities.append({"id": "c", "lead_id": "BIG", "type": "visit", "at": iso(NOW + 60_000)})
        assert app.post("/v1/activities", activities, role="crm").status_code == 201
        yield app, reviewer


def make_large(monkeypatch: pytest.MonkeyPatch, app: App) -> None:
    """Let a lead be large from 4 activities on, and pack it."""
    for module in (events, lead_facts, predictor, load):
        monkeypatch.setattr(module, "MANY_EVENTS", 3)
    for packed in (blocks, packing, events):
        monkeypatch.setattr(packed, "BLOCK_ROWS", 20)
    app.components.store.leads(["BIG"])
    wait_until(lambda: count_blocks(app) == 7, "seven blocks are made")


def count_blocks(app: App) -> int:
    statement = "SELECT count(*) FROM activity_blocks"
    return int(app.components.store.read(lambda c: c.exec_driver_sql(statement).scalar_one()))


def read_answers(app: App, reviewer: Reviewer) -> dict[str, Any]:
    """What all doors say of the leads."""
    answers: dict[str, Any] = {}
    for lead_id in ("BIG", "COLLEAGUE"):
        for query in ("explain=all", f"explain=all&as_of={iso(NOW - 4 * DAY)}"):
            answer = app.post(f"/v1/score?{query}", {"lead_id": lead_id})
            answers[f"{lead_id} {query}"] = (answer.status_code, _without_request(answer.json()))
            batch = app.post(f"/v1/score/batch?{query}", {"leads": [{"lead_id": lead_id}]})
            answers[f"batch {lead_id} {query}"] = _without_request(batch.json()["results"][0]["answer"])
        page = reviewer.page(f"/review/leads/{lead_id}?w.visits_7d=3").text
        answers[f"page {lead_id}"] = re.findall('class="tag .*?</span>|id="why".*id="scores"', page, re.S)
    return answers


def _without_request(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name != "request_id"}


def test_all_doors_say_the_same_of_a_large_lead(
    site: tuple[App, Reviewer], monkeypatch: pytest.MonkeyPatch
) -> None:
    app, reviewer = site
    expected = read_answers(app, reviewer)
    make_large(monkeypatch, app)
    answers = read_answers(app, reviewer)
    for place, answer in answers.items():
        assert answer == expected[place], place
    (_, shown) = answers["page BIG"]
    assert "The newest 60 of 153 events." in shown
    assert "too fast for a person" in shown


def test_a_large_lead_is_scored_in_a_thread_of_its_own(
    site: tuple[App, Reviewer], monkeypatch: pytest.MonkeyPatch
) -> None:
    app, _ = site
    make_large(monkeypatch, app)
    threads = set[str]()
    score = app.components.predictor._score

    def watch(*arguments: Any) -> Any:
        threads.add(threading.current_thread().name)
        return score(*arguments)

    monkeypatch.setattr(app.components.predictor, "_score", watch)
    for lead_id in ("BIG", "COLLEAGUE"):
        assert app.post("/v1/score", {"lead_id": lead_id}).status_code == 200
    assert {name.rpartition("_")[0] for name in threads} == {"large-leads"}


def test_one_large_lead_comes_after_another_and_not_too_many_wait() -> None:
    running = 0

    def work() -> int:
        nonlocal running
        running += 1
        peak = running
        threading.Event().wait(0.01)
        running -= 1
        return peak

    async def run() -> list[int | BaseException]:
        large_leads = LargeLeads(max_waiting=3)
        return await asyncio.gather(*(large_leads.run(work) for _ in range(5)), return_exceptions=True)

    results = asyncio.run(run())
    assert results[:3] == [1, 1, 1]
    for refused in results[3:]:
        assert isinstance(refused, Problem)
        assert (refused.status, "Retry-After" in refused.headers) == (503, True)
