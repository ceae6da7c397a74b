"""Records that are sent: stored once, corrected by version, and used in the next score."""

from __future__ import annotations

from typing import Any

import pytest

from features.clock import MS_PER_DAY, iso
from tests.helpers.service.api_requests import NOW, Clock, iso_ago, paths, read_problem, score, send
from tests.helpers.service.service_app import CRM_TOML, App

SAMPLE_BODIES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "leads": ({"updated_at": iso_ago(3), "attributes": {"budget": "planned"}}, {"account_id": "A"}),
    "activities": ({"type": "visit", "at": iso_ago(3)}, {"value": 3}),
    "outcomes": ({"outcome": "won", "closed_at": iso_ago(3), "amount": 1e6}, {"outcome": "lost"}),
    "opportunities": ({"opened_at": iso_ago(3), "stage": "proposal"}, {"by": "Sato"}),
    "handovers": ({"step": "sent_back", "at": iso_ago(3), "reason": "a student"}, {"reason": "spam"}),
    "overrides": ({"verdict": "hot", "reason": "met them", "by": "Sato", "at": iso_ago(3)}, {"by": "I"}),
    "verdicts": ({"right_side": "rules", "reason": "a student", "by": "Sato", "at": iso_ago(3)}, {"by": "I"}),
}
"""Of each kind what is sent, and what makes it other content."""


@pytest.mark.parametrize("kind", SAMPLE_BODIES)
def test_what_is_sent_twice_is_taken_once(app: App, kind: str) -> None:
    body, change = SAMPLE_BODIES[kind]
    first = send(app, kind, id="K1", lead_id="L1", **body)
    assert first == {"id": "K1", "version": 1, "lead_id": "L1", "outcome": "stored"}
    assert send(app, kind, 200, id="K1", lead_id="L1", **body)["outcome"] == "already known"
    changed = {"id": "K1", "lead_id": "L1", **body, **change}
    problem_body = read_problem(app.post(f"/v1/{kind}", changed), 409)
    assert paths(problem_body) == ["body.id"]
    assert "higher version" in problem_body["detail"]
    corrected = send(app, kind, version=2, **changed)
    assert (corrected["version"], corrected["outcome"]) == (2, "stored")


@pytest.mark.parametrize("kind", SAMPLE_BODIES)
def test_what_comes_without_an_id_is_known_by_lead_type_and_time(app: App, kind: str) -> None:
    body, _ = SAMPLE_BODIES[kind]
    first = send(app, kind, lead_id="L1", **body)
    assert first["id"].startswith("h-")
    assert send(app, kind, 200, lead_id="L1", **body)["id"] == first["id"]
    assert send(app, kind, lead_id="L2", **body)["id"] != first["id"]


@pytest.mark.parametrize("kind", SAMPLE_BODIES)
def test_a_list_is_answered_in_its_order(app: App, kind: str) -> None:
    body, _ = SAMPLE_BODIES[kind]
    many = [{"id": f"K{i}", "lead_id": f"L{i}", **body} for i in range(3)]
    send(app, kind, **many[1])
    answer = app.post(f"/v1/{kind}", many)
    assert answer.status_code == 201
    results = answer.json()["results"]
    assert [(t["id"], t["outcome"]) for t in results] == [
        ("K0", "stored"),
        ("K1", "already known"),
        ("K2", "stored"),
    ]
    assert app.post(f"/v1/{kind}", many).status_code == 200
    invalid_records = [{"id": "K9", "lead_id": "L9", **body}, {"id": "K8", **body}, "x"]
    assert paths(read_problem(app.post(f"/v1/{kind}", invalid_records), 422)) == [
        "body[1].lead_id",
        "body[2]",
    ]
    read_problem(app.post("/v1/score", {"lead_id": "L9"}), 404)


@pytest.mark.parametrize("kind", SAMPLE_BODIES)
def test_a_list_of_too_many_is_refused(app: App, kind: str) -> None:
    many = [{"id": str(i), "lead_id": "L1", **SAMPLE_BODIES[kind][0]} for i in range(10_001)]
    problem_body = read_problem(app.post(f"/v1/{kind}", many), 422)
    assert problem_body["errors"][0]["allowed"] == "at most 10,000 items"
    assert app.post(f"/v1/{kind}", many[:10_000]).status_code == 201


def test_of_a_list_with_a_conflict_all_others_are_stored(app: App) -> None:
    record: dict[str, Any] = {"id": "K1", "lead_id": "L1", "type": "visit", "at": iso_ago(1)}
    send(app, "activities", **record)
    answer = app.post(
        "/v1/activities",
        [{**record, "value": 4}, {"id": "K2", "lead_id": "L2", "type": "quote", "at": iso_ago(1)}],
    )
    problem_body = read_problem(answer, 409)
    assert paths(problem_body) == ["body[0].id"]
    assert "The other 1 of the list are stored." in problem_body["detail"]
    assert score(app, "L2")["stage"] == "hot"


def test_a_correction_counts_in_the_place_of_what_it_corrects(app: App) -> None:
    send(app, "activities", id="K1", lead_id="L1", type="quote", at=iso_ago(1))
    assert score(app)["stage"] == "hot"
    send(app, "activities", id="K1", version=2, lead_id="L1", type="visit", at=iso_ago(1))
    assert score(app)["stage"] == "cold"


def test_a_later_upsert_changes_only_what_it_tells(app: App) -> None:
    send(
        app,
        "leads",
        lead_id="L1",
        updated_at=iso_ago(9),
        attributes={"channel": "referral", "budget": "approved"},
    )
    send(app, "leads", lead_id="L1", updated_at=iso_ago(3), attributes={"budget": None})
    assert score(app, ask=f"?as_of={iso_ago(4)}")["rules"]["points"] == 40
    now = score(app)
    assert now["rules"]["points"] == 20
    assert "budget" in now["unknown"]


def test_an_upsert_that_comes_late_takes_its_place_in_time(app: App) -> None:
    send(app, "leads", lead_id="L1", updated_at=iso_ago(3), attributes={"channel": "referral"})
    send(app, "leads", lead_id="L1", updated_at=iso_ago(9), attributes={"channel": "ads"})
    assert score(app)["rules"]["points"] == 20


@pytest.mark.parametrize(
    ("value", "is_large"),
    [
        (1200, True),
        ("1,200", True),
        (" 120 ", True),
        ("1.2E+03", True),
        ("１２０", True),
        (99, False),
        ("NA", False),
        ("", False),
        (None, False),
    ],
)
def test_a_number_may_come_as_a_text(app: App, value: Any, is_large: bool) -> None:
    body = score(app, attributes={"employees": value})
    assert [r["code"] for r in body["rules"]["reasons"]] == (["large"] if is_large else [])


@pytest.mark.parametrize("value", ["many", "12 people", True, "1_000", "nan", "inf", "1,20", "1e99"])
def test_what_is_no_number_is_refused_before_it_is_remembered(app: App, value: Any) -> None:
    attributes = {"employees": value, "hobby": value}
    for path, extra_fields in (("score", {}), ("leads", {"updated_at": iso_ago(1)})):
        answer = app.post(f"/v1/{path}", {"lead_id": "L1", "attributes": attributes, **extra_fields})
        assert paths(read_problem(answer, 422)) == ["body.attributes.employees"]


def test_a_remembered_value_that_no_longer_fits_is_ignored_and_named(app: App) -> None:
    send(app, "leads", lead_id="L1", updated_at=iso_ago(1), attributes={"channel": "referral"})
    settings = app.settings
    number = '{ kind = "attribute", column = "channel", values = "number", known = "at_creation" }'
    lines = CRM_TOML.splitlines()
    changed = [f"channel = {number}" if line.startswith("channel  ") else line for line in lines]
    settings.crm.write_text("\n".join(changed), encoding="utf-8")
    (settings.crm.parent / "scorecard.toml").unlink()
    restarted_app = App(settings.crm, settings.out, Clock())
    try:
        body = score(restarted_app)
        assert body["ignored_attributes"] == ["channel"]
    finally:
        restarted_app.close()


def test_what_inside_sales_heard_fills_what_was_unknown(app: App) -> None:
    send(app, "leads", lead_id="L1", updated_at=iso_ago(5), attributes={"channel": "ads"})
    assert score(app)["unknown"] == ["budget", "authority", "need", "timing"]
    heard = {"budget": "approved", "timing": "3"}
    send(app, "handovers", lead_id="L1", step="hearing", at=iso_ago(1), hearing=heard, by="Sato")
    body = score(app)
    assert body["unknown"] == ["authority", "need"]
    assert body["rules"]["points"] == 20
    assert score(app, ask=f"?as_of={iso_ago(2)}")["unknown"] == ["budget", "authority", "need", "timing"]
    answer = app.post(
        "/v1/handovers",
        {"lead_id": "L1", "step": "hearing", "at": iso_ago(1), "hearing": {"timing": "in spring"}},
    )
    assert paths(read_problem(answer, 422)) == ["body.hearing.timing"]


@pytest.mark.parametrize(
    ("step", "needs"), [("sent_back", "reason"), ("hearing", "hearing"), ("next_action", "due_at")]
)
def test_a_step_says_what_it_needs(app: App, step: str, needs: str) -> None:
    body = {"lead_id": "L1", "step": step, "at": iso_ago(1)}
    for empty in ({}, {needs: None}):
        (error,) = read_problem(app.post("/v1/handovers", {**body, **empty}), 422)["errors"]
        assert (error["path"], error["got"]) == (f"body.{needs}", "null")
        assert error["allowed"] == f"a value: the step {step} needs it"


def test_a_persons_word_decides_until_it_expires(app: App, clock: Clock) -> None:
    send(
        app,
        "overrides",
        lead_id="L1",
        verdict="hot",
        reason="met them at a fair",
        by="Sato",
        at=iso_ago(1),
        expires_at=iso(NOW + 2 * MS_PER_DAY),
    )
    body: dict[str, Any] = {"attributes": {"channel": "ads"}}
    answer = score(app, **body)
    assert (answer["stage"], answer["decided_by"]) == ("hot", "person")
    assert answer["person"] == {
        "verdict": "hot",
        "reason": "met them at a fair",
        "by": "Sato",
        "expires": iso(NOW + 2 * MS_PER_DAY),
    }
    assert score(app, ask=f"?as_of={iso_ago(2)}", **body)["decided_by"] == "rules"
    clock.forward(days=2)
    answer = score(app, **body)
    assert (answer["stage"], answer["decided_by"], answer["person"]) == ("cold", "rules", None)


def test_a_later_word_takes_the_place_of_an_earlier_one(app: App) -> None:
    common_fields: dict[str, Any] = {"lead_id": "L1", "reason": "a rival", "by": "Sato"}
    send(app, "overrides", verdict="hot", at=iso_ago(2), **common_fields)
    send(app, "overrides", verdict="not_hot", at=iso_ago(1), **common_fields)
    answer = score(app, activities=[{"type": "quote", "at": iso_ago(1)}])
    assert (answer["stage"], answer["decided_by"]) == ("warm", "person")


def test_a_word_cannot_end_before_it_begins(app: App) -> None:
    answer = app.post(
        "/v1/overrides",
        {
            "lead_id": "L1",
            "verdict": "hot",
            "reason": "x",
            "by": "y",
            "at": iso_ago(1),
            "expires_at": iso_ago(2),
        },
    )
    assert paths(read_problem(answer, 422)) == ["body.expires_at"]


def test_no_word_makes_an_excluded_lead_hot(app: App) -> None:
    send(app, "overrides", lead_id="L1", verdict="hot", reason="x", by="y", at=iso_ago(1))
    answer = score(app, attributes={"channel": "rival"})
    assert (answer["stage"], answer["decided_by"]) == ("cold", "exclusion")


def test_an_accepted_lead_is_handed_over_as_sql_and_one_sent_back_is_not_hot(app: App) -> None:
    quote: dict[str, Any] = {"activities": [{"type": "quote", "at": iso_ago(2)}]}
    assert score(app, **quote)["hand_over"] == "mql"
    send(app, "handovers", lead_id="L1", step="accepted", at=iso_ago(1), by="Tanaka")
    answer = score(app, **quote)
    assert (answer["hand_over"], answer["decided_by"], answer["stage"]) == ("sql", "person", "hot")
    send(app, "handovers", lead_id="L1", step="sent_back", at=iso_ago(hours=1), reason="no budget")
    answer = score(app, **quote)
    assert (answer["hand_over"], answer["stage"]) == (None, "warm")
    assert answer["person"]["verdict"] == "sent_back"
