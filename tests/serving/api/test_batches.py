"""Batches of leads: each lead has its answer or its problem, as if it came alone."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers.service.api_requests import iso_ago, paths, read_problem, send, visits
from tests.helpers.service.service_app import App


def test_each_lead_of_a_batch_has_its_answer_or_its_problem_at_its_place(app: App) -> None:
    send(app, "activities", lead_id="known", type="visit", at=iso_ago(1))
    deep: Any = []
    for _ in range(300):
        deep = [deep]
    answer = app.post(
        "/v1/score/batch",
        {
            "leads": [
                {"lead_id": "a", "attributes": {"channel": "referral", "hobby": "go"}},
                {"lead_id": 7},
                {"lead_id": "known"},
                {"lead_id": "nobody"},
                {"lead_id": "b", "attributes": {"employees": "many"}},
                {"lead_id": "c", "activities": [{"type": "visit", "at": "yesterday"}]},
                "no lead",
                {"lead_id": "d", "attributes": {"hobby": deep}},
                {"lead_id": "e", "attributes": {}},
            ]
        },
    )
    assert answer.status_code == 207
    body = answer.json()
    assert [r["status"] for r in body["results"]] == [200, 422, 200, 404, 422, 422, 422, 422, 200]
    assert (body["scored"], body["failed"]) == (3, 6)
    assert [r["answer"] and r["answer"]["lead_id"] for r in body["results"]] == [
        "a",
        None,
        "known",
        None,
        None,
        None,
        None,
        None,
        "e",
    ]
    assert body["results"][0]["answer"]["ignored_attributes"] == ["hobby"]
    error_paths = [paths(body["results"][i]["problem"]) for i in (1, 4, 5, 6, 7)]
    assert error_paths == [
        ["body.leads[1].lead_id"],
        ["body.leads[4].attributes.employees"],
        ["body.leads[5].activities[0].at"],
        ["body.leads[6]"],
        ["body.leads[7].attributes.hobby"],
    ]
    assert "errors" not in body["results"][3]["problem"]


def test_a_batch_of_ids_is_scored_from_what_was_sent(app: App) -> None:
    send(app, "leads", lead_id="a", updated_at=iso_ago(1), attributes={"channel": "referral"})
    send(app, "activities", lead_id="b", type="quote", at=iso_ago(1))
    answer = app.post("/v1/score/batch", {"leads": [{"lead_id": "a"}, {"lead_id": "b"}]})
    assert answer.status_code == 200
    answers = [r["answer"] for r in answer.json()["results"]]
    assert [(t["rules"]["points"], t["stage"]) for t in answers] == [(20, "warm"), (0, "hot")]
    assert app.get("/v1/hot").json()["count"] == 1


@pytest.mark.parametrize("mixed", [False, True])
def test_a_batch_scores_each_lead_as_it_is_scored_alone(app: App, mixed: bool) -> None:
    send(app, "leads", lead_id="L0", updated_at=iso_ago(1), attributes={"budget": "approved"})
    leads = [
        {"lead_id": "L1", "attributes": {"channel": "referral", "employees": " 1,200 "}},
        {"lead_id": "L2", "activities": visits(1, 1, 2, 50), "created_at": iso_ago(60)},
        {"lead_id": "L3", "colleagues_activities": visits(1, 2, 3, 4, 5), "attributes": {}},
        {"lead_id": "L4", "attributes": {"channel": "rival", "employees": "NA", "months": None}},
        {"lead_id": "L5", "activities": [{"type": "quote", "at": iso_ago(1), "value": 1e6}]},
    ]
    leads += [{"lead_id": "L0"}] if mixed else []
    results = app.post("/v1/score/batch?explain=all&lang=ja", {"leads": leads}).json()["results"]
    for lead, result in zip(leads, results, strict=True):
        single = app.post("/v1/score?explain=all&lang=ja", lead).json()
        assert {**single, "request_id": None} == {**result["answer"], "request_id": None}


@pytest.mark.parametrize(
    ("body", "status", "error_paths"),
    [
        (b"{", 400, None),
        (b"[]", 422, ["body"]),
        (b"{}", 422, ["body.leads"]),
        (b'{"leads": []}', 422, ["body.leads"]),
        (b'{"leads": 3}', 422, ["body.leads"]),
        (b'{"leads": [{"lead_id": "a"}], "lang": "ja"}', 422, ["body.lang"]),
    ],
)
def test_a_batch_that_does_not_hold_as_a_whole_is_refused(
    app: App, body: bytes, status: int, error_paths: list[str] | None
) -> None:
    problem_body = read_problem(app.post("/v1/score/batch", body), status)
    assert error_paths is None or paths(problem_body) == error_paths


def test_a_batch_of_too_many_is_refused(app: App) -> None:
    leads = [{"lead_id": str(i)} for i in range(5_001)]
    problem_body = read_problem(app.post("/v1/score/batch", {"leads": leads}), 422)
    assert problem_body["errors"][0]["allowed"] == "at most 5,000 items"
