"""What each path of the API answers to valid requests, over the real store."""

from __future__ import annotations

from typing import Any

import pytest

from features.clock import iso
from tests.helpers.service.api_requests import (
    HOUR,
    NOW,
    Clock,
    iso_ago,
    paths,
    read_problem,
    score,
    send,
    visits,
)
from tests.helpers.service.service_app import App


def test_a_lead_is_scored_from_its_body_with_all_that_it_rests_on(app: App) -> None:
    answer = app.post(
        "/v1/score",
        {
            "lead_id": "L1",
            "created_at": iso_ago(20),
            "attributes": {"channel": "referral", "employees": "1,200", "favourite_colour": "red"},
            "activities": visits(1, 2),
        },
        headers={"X-Request-ID": "r-1"},
    )
    assert answer.status_code == 200
    body = answer.json()
    assert (body["lead_id"], body["stage"], body["decided_by"]) == ("L1", "warm", "rules")
    assert (body["fallback"], body["model"]) == ("no_model", None)
    rules = body["rules"]
    assert (rules["points"], rules["fit"], rules["intent"]) == (40, 30, 10)
    assert [r["text"] for r in rules["reasons"]] == [
        "Came by referral",
        "100 or more employees",
        "Some interest",
    ]
    assert body["ignored_attributes"] == ["favourite_colour"]
    assert body["unknown"] == ["budget", "authority", "need", "timing"]
    assert body["action"]["text"] == "Nurture."
    assert body["stored"] == "stored"
    assert body["request_id"] == answer.headers["x-request-id"] == "r-1"
    assert (body["as_of"], body["scored_at"]) == (iso(NOW), iso(NOW))


def test_nothing_of_a_body_is_stored_but_the_score(app: App) -> None:
    score(app, attributes={"channel": "referral"}, activities=visits(1))
    read_problem(app.post("/v1/score", {"lead_id": "L1"}), 404)
    assert len(app.get("/v1/scores?lead_id=L1").json()["scores"]) == 1


def test_a_lead_is_scored_by_its_id_from_what_was_sent_before(app: App) -> None:
    attributes = {"channel": "referral", "employees": 500}
    receipt = send(
        app,
        "leads",
        lead_id="L1",
        updated_at=iso_ago(9),
        created_at=iso_ago(10),
        attributes={**attributes, "hobby": "go"},
    )
    assert receipt["ignored_attributes"] == ["hobby"]
    for days in (1, 2, 3):
        send(app, "activities", lead_id="L1", type="visit", at=iso_ago(days))
    by_id = score(app)
    from_body = score(app, created_at=iso_ago(10), attributes=attributes, activities=visits(1, 2, 3))
    assert by_id.pop("request_id") != from_body.pop("request_id")
    assert by_id == from_body
    assert by_id["rules"]["points"] == 40


def test_what_nobody_asked_for_is_not_stored(app: App) -> None:
    """Names and addresses have no place here; without them the same content is the same."""
    lead: dict[str, Any] = {"id": "K1", "lead_id": "L1", "updated_at": iso_ago(9)}
    send(app, "leads", **lead, attributes={"channel": "web", "e_mail": "SECRETMARKER"})
    app.components.store.close()
    for file in app.settings.out.rglob("*"):
        assert not file.is_file() or b"SECRETMARKER" not in file.read_bytes(), file


def test_who_was_named_not_hot_leaves_the_call_list_at_once(app: App) -> None:
    for lead in ("L1", "L2"):
        score(app, lead, activities=[{"type": "quote", "at": iso_ago(hours=1)}])
    assert {lead["lead_id"] for lead in app.get("/v1/hot").json()["leads"]} == {"L1", "L2"}
    send(app, "handovers", lead_id="L1", step="sent_back", reason="a student", by="S", at=iso_ago())
    assert [lead["lead_id"] for lead in app.get("/v1/hot?limit=1").json()["leads"]] == ["L2"]


def test_an_activity_alone_makes_a_lead_known(app: App) -> None:
    send(app, "activities", lead_id="L1", type="quote", at=iso_ago(hours=1), value=5000)
    body = score(app)
    assert (body["stage"], body["decided_by"]) == ("hot", "trigger")
    assert [t["code"] for t in body["rules"]["triggers"]] == ["quote"]


def test_an_id_that_nothing_was_sent_of_is_not_found(app: App) -> None:
    problem_body = read_problem(app.post("/v1/score", {"lead_id": "nobody"}), 404)
    assert "/v1/leads" in problem_body["detail"]
    assert "This lead" in read_problem(app.get("/v1/scores?lead_id=nobody"), 404)["detail"]


def test_a_lead_cools_without_new_activity(app: App, clock: Clock) -> None:
    send(app, "leads", lead_id="L1", updated_at=iso_ago(1), attributes={"channel": "referral"})
    send(app, "activities", lead_id="L1", type="visit", at=iso_ago(1))
    for hours in (1, 2, 3, 4):
        send(app, "activities", lead_id="L1", type="visit", at=iso_ago(hours=hours))
    scores = []
    for _ in range(6):
        scores.append(score(app)["score"])
        clock.forward(days=3)
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] < scores[0]


def test_what_came_in_this_very_moment_counts(app: App) -> None:
    send(app, "activities", lead_id="L1", type="quote", at=iso_ago())
    assert score(app)["stage"] == "hot"
    assert score(app, "L2", activities=[{"type": "quote", "at": iso_ago()}])["stage"] == "hot"


def test_a_clock_that_is_a_little_ahead_is_forgiven(app: App) -> None:
    soon, later = iso(NOW + 4 * 60_000), iso(NOW + 6 * 60_000)
    assert score(app, activities=[{"type": "quote", "at": soon}])["stage"] == "hot"
    answer = app.post(
        "/v1/score",
        {
            "lead_id": "L1",
            "created_at": soon,
            "activities": [{"type": "quote", "at": soon}, {"type": "quote", "at": later}],
        },
    )
    assert paths(read_problem(answer, 422)) == ["body.activities[1].at"]
    assert paths(
        read_problem(app.post("/v1/activities", {"lead_id": "L1", "type": "quote", "at": later}), 422)
    ) == ["body.at"]


def test_what_colleagues_do_counts_for_the_account_only(app: App) -> None:
    body = score(app, "L1", colleagues_activities=visits(1, 2, 3, 4, 5))
    assert [r["code"] for r in body["rules"]["reasons"]] == ["account"]
    for i in range(5):
        send(app, "activities", lead_id="L3", type="visit", at=iso_ago(1 + i))
    for lead in ("L2", "L3"):
        send(app, "leads", lead_id=lead, updated_at=iso_ago(6), account_id="A")
    assert [r["code"] for r in score(app, "L2")["rules"]["reasons"]] == ["account"]


def test_the_history_of_attributes_can_be_told_in_the_body(app: App) -> None:
    changes = [
        {"column": "budget", "value": "planned", "at": iso_ago(9)},
        {"column": "budget", "value": "approved", "at": iso_ago(3)},
        {"column": "hobby", "value": "go", "at": iso_ago(3)},
    ]
    now, before = score(app, changes=changes), score(app, ask=f"?as_of={iso_ago(4)}", changes=changes)
    assert (now["rules"]["points"], before["rules"]["points"]) == (20, 0)


def test_a_replay_sees_what_was_known_then_and_leaves_present_scores_alone(app: App) -> None:
    send(app, "leads", lead_id="L1", updated_at=iso_ago(9), attributes={"channel": "ads"})
    send(app, "leads", lead_id="L1", updated_at=iso_ago(3), attributes={"channel": "referral"})
    send(app, "activities", lead_id="L1", type="quote", at=iso_ago(40))
    hot_then = score(app, ask=f"?as_of={iso_ago(39)}")
    assert (hot_then["stage"], hot_then["rules"]["points"]) == ("hot", 0)
    assert hot_then["as_of"] == iso_ago(39)
    assert app.get("/v1/hot").json()["leads"] == []
    assert score(app, ask=f"?as_of={iso_ago(5)}")["rules"]["points"] == 0
    assert score(app, ask=f"?as_of={iso_ago(2)}")["rules"]["points"] == 20
    rows = app.get("/v1/scores?lead_id=L1").json()
    assert [row["replay"] for row in rows["scores"]] == [True] * 3
    assert rows["trend"] is None


def test_an_offset_may_come_with_its_plus_unencoded(app: App) -> None:
    body = score(app, ask="?as_of=2026-09-20T09:00:00+09:00", attributes={})
    assert body["as_of"] == "2026-09-20T00:00:00Z"


@pytest.mark.parametrize(
    "as_of", [iso(NOW + HOUR), "0001-01-01T00:00:00%2B14:00", "2026-09-20", "1700000000", ""]
)
def test_a_moment_that_cannot_be_is_refused(app: App, as_of: str) -> None:
    for path, body in (("score", {"lead_id": "L1", "attributes": {}}), ("score/batch", {"leads": []})):
        answer = app.post(f"/v1/{path}?as_of={as_of}", body)
        assert paths(read_problem(answer, 422)) == ["query.as_of"]


def make_hot_lead(app: App, lead_id: str) -> None:
    """Make a lead hot, now."""
    moment = iso(app.components.clock() - HOUR)
    score(app, lead_id, activities=[{"type": "quote", "at": moment}])


def test_the_call_list_begins_with_the_first_deadline(app: App, clock: Clock) -> None:
    for i, lead in enumerate(("L3", "L1", "L2")):
        make_hot_lead(app, lead)
        clock.forward(days=0.001 * (i + 1))
    score(app, "cold", attributes={})
    call_list = app.get("/v1/hot").json()
    assert [lead["lead_id"] for lead in call_list["leads"]] == ["L3", "L1", "L2"]
    assert (call_list["count"], call_list["overdue"]) == (3, 0)
    first = call_list["leads"][0]
    assert first["deadline"] == min(lead["deadline"] for lead in call_list["leads"])
    assert (first["owner"], first["action"], first["text"]) == ("inside_sales", "call", "Call.")
    assert first["reasons"] == ["Asked for a quote"]
    assert app.get("/v1/hot?limit=1").json()["leads"] == [first]
    assert app.get("/v1/hot?owner=marketing").json()["leads"] == []
    assert app.get("/v1/hot?owner=inside_sales&lang=ja").json()["leads"][0]["reasons"] == ["見積を依頼"]


def test_who_is_overdue_is_marked_until_the_first_contact(app: App, clock: Clock) -> None:
    make_hot_lead(app, "L1")
    clock.forward(days=5)
    call_list = app.get("/v1/hot").json()
    assert (call_list["overdue"], call_list["leads"][0]["overdue"]) == (1, True)
    send(app, "handovers", lead_id="L1", step="first_contact", at=iso(clock.ms), by="Sato")
    call_list = app.get("/v1/hot").json()
    assert (call_list["overdue"], call_list["leads"][0]["overdue"]) == (0, False)
    assert call_list["leads"][0]["first_contact_at"] == iso(clock.ms)
    assert call_list["leads"][0]["last_step"] == "first_contact"


def test_scoring_a_hot_lead_again_does_not_move_its_deadline(app: App, clock: Clock) -> None:
    make_hot_lead(app, "L1")
    (before,) = app.get("/v1/hot").json()["leads"]
    clock.forward(days=1)
    make_hot_lead(app, "L1")
    (after,) = app.get("/v1/hot").json()["leads"]
    assert (after["deadline"], after["stage_since"]) == (before["deadline"], before["stage_since"])
    assert after["as_of"] > before["as_of"]


@pytest.mark.parametrize("outcome", ["won", "lost"])
def test_a_closed_deal_takes_a_lead_off_the_call_list(app: App, outcome: str) -> None:
    make_hot_lead(app, "L1")
    send(app, "outcomes", lead_id="L1", outcome=outcome, closed_at=iso_ago(), lost_reason="price")
    assert app.get("/v1/hot").json()["leads"] == []


def test_the_trend_compares_with_a_week_before(app: App, clock: Clock) -> None:
    assert score(app, attributes={})["score"] == 0
    assert app.get("/v1/scores?lead_id=L1").json()["trend"] is None
    clock.forward(days=3)
    score(app, attributes={"channel": "referral"})
    clock.forward(days=5)
    now = score(app, attributes={"channel": "referral", "employees": 500})["score"]
    history = app.get("/v1/scores?lead_id=L1").json()
    assert history["trend"] == {"direction": "rising", "change": now, "since": iso_ago(), "from": 0}
    assert [row["score"] for row in history["scores"]] == sorted(
        (row["score"] for row in history["scores"]), reverse=True
    )
    newest = app.get("/v1/scores?lead_id=L1&limit=1").json()
    assert newest == {**history, "scores": history["scores"][:1]}
    clock.forward(days=8)
    score(app, attributes={})
    assert app.get("/v1/scores?lead_id=L1").json()["trend"]["direction"] == "falling"


def test_what_was_answered_is_found_again_with_both_sides(app: App) -> None:
    answer = score(app, attributes={"channel": "referral"})
    (row,) = app.get("/v1/scores?lead_id=L1").json()["scores"]
    assert (row["score"], row["stage"], row["points"]) == (answer["score"], answer["stage"], 20)
    assert row["rules_reasons"] == [{"code": "referral", "weight": 20.0}]
    assert row["request_id"] == answer["request_id"]
    assert row["unknown"] == answer["unknown"]


def test_a_forgotten_lead_is_gone(app: App) -> None:
    send(app, "activities", lead_id="L1", type="quote", at=iso_ago(1))
    score(app)
    app.components.store.forget(["L1"])
    read_problem(app.post("/v1/score", {"lead_id": "L1"}), 404)
    read_problem(app.get("/v1/scores?lead_id=L1"), 404)
    assert app.get("/v1/hot").json()["leads"] == []


def test_nothing_brings_a_forgotten_lead_back(app: App) -> None:
    """The sender is told, whichever way it comes."""
    app.components.store.forget(["L1"])
    receipt = send(app, "activities", 200, lead_id="L1", type="quote", at=iso_ago(1))
    assert receipt["outcome"] == "suppressed"
    assert score(app, attributes={"channel": "referral"})["stored"] == "suppressed"
    leads = [{"lead_id": name, "attributes": {"channel": "referral"}} for name in ("L1", "L2")]
    results = app.post("/v1/score/batch", {"leads": leads}).json()["results"]
    assert [result["answer"]["stored"] for result in results] == ["suppressed", "stored"]
    read_problem(app.get("/v1/scores?lead_id=L1"), 404)
    metrics = app.get("/metrics").text
    assert 'hotlead_records_total{kind="activities",outcome="suppressed"} 1.0' in metrics
    assert "hotlead_suppressed_scores_total 2.0" in metrics
    assert app.components.store.lift(["L1"]) == 1
    assert send(app, "activities", lead_id="L1", type="quote", at=iso_ago(1))["outcome"] == "stored"
    assert score(app, attributes={"channel": "referral"})["stored"] == "stored"


def test_texts_come_in_japanese(app: App) -> None:
    answer = score(app, ask="?lang=ja", attributes={"channel": "referral"})
    assert [r["text"] for r in answer["rules"]["reasons"]] == ["紹介で来訪"]
    assert answer["action"]["text"] == "フォローしてください。"


def test_it_is_told_what_scores(app: App) -> None:
    body = app.get("/v1/model").json()
    assert (body["model"], body["fallback"]) == (None, "no_model")
    assert body["scorecard"] == score(app, attributes={})["rules"]["version"]


def test_scores_and_records_are_counted(app: App) -> None:
    score(app, attributes={"channel": "referral"})
    send(app, "activities", lead_id="L1", type="visit", at=iso_ago(1))
    metrics_text = app.get("/metrics", role=None).text
    for line in (
        'hotlead_scores_total{decided_by="rules",stage="warm"} 1.0',
        'hotlead_fallbacks_total{cause="no_model"} 1.0',
        'hotlead_records_total{kind="activities",outcome="stored"} 1.0',
        'hotlead_requests_total{method="POST",route="/v1/score",status="200"} 1.0',
    ):
        assert line in metrics_text
    assert "L1" not in metrics_text
