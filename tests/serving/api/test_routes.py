"""What each door of the API does with right and wrong input, over the real store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from features.clock import MS_PER_DAY, iso, to_ms
from serving.web import permissions as access
from serving.web.api_keys import Role
from serving.web.problems import MEDIA_TYPE
from tests.helpers.service_app import CRM_TOML, App, small_app

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


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def app(tmp_path: Path, clock: Clock) -> Iterator[App]:
    with small_app(tmp_path, clock) as service_app:
        yield service_app


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


# -- One lead ------------------------------------------------------------------------------------------


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
    from_body = score(
        app,
        created_at=iso_ago(10),
        attributes=attributes,
        activities=visits(1, 2, 3),
    )
    assert by_id.pop("request_id") != from_body.pop("request_id")
    assert by_id == from_body
    assert by_id["rules"]["points"] == 40


def test_what_nobody_asked_for_is_not_stored(app: App) -> None:
    """Names and addresses have no place here; without them the same content is the same."""
    lead = {"id": "K1", "lead_id": "L1", "updated_at": iso_ago(9)}
    send(app, "leads", **lead, attributes={"channel": "web", "e_mail": "SECRETMARKER"})
    app.house.store.close()
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
        read_problem(
            app.post(
                "/v1/activities",
                {
                    "lead_id": "L1",
                    "type": "quote",
                    "at": later,
                },
            ),
            422,
        )
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


# -- As of a moment ------------------------------------------------------------------------------------


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
    for path, body in (
        ("score", {"lead_id": "L1", "attributes": {}}),
        ("score/batch", {"leads": []}),
    ):
        answer = app.post(f"/v1/{path}?as_of={as_of}", body)
        assert paths(read_problem(answer, 422)) == ["query.as_of"]


# -- Batches -------------------------------------------------------------------------------------------


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
        ["body.leads[7]"],
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


# -- What is sent to be remembered ---------------------------------------------------------------------

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
        [
            {**record, "value": 4},
            {"id": "K2", "lead_id": "L2", "type": "quote", "at": iso_ago(1)},
        ],
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
    assert score(app, ask=f"?as_of={iso_ago(2)}")["unknown"] == [
        "budget",
        "authority",
        "need",
        "timing",
    ]
    answer = app.post(
        "/v1/handovers",
        {
            "lead_id": "L1",
            "step": "hearing",
            "at": iso_ago(1),
            "hearing": {"timing": "in spring"},
        },
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


# -- What people say -----------------------------------------------------------------------------------


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


# -- Lists ---------------------------------------------------------------------------------------------


def make_hot_lead(app: App, lead_id: str) -> None:
    """Make a lead hot, now."""
    moment = iso(app.house.predictor.clock() - HOUR)
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
    app.house.store.forget("L1")
    read_problem(app.post("/v1/score", {"lead_id": "L1"}), 404)
    read_problem(app.get("/v1/scores?lead_id=L1"), 404)
    assert app.get("/v1/hot").json()["leads"] == []


# -- Languages, model, metrics -------------------------------------------------------------------------


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


# -- Problems ------------------------------------------------------------------------------------------

POSTS = ["/v1/score", "/v1/score/batch", *(f"/v1/{kind}" for kind in SAMPLE_BODIES)]


@pytest.mark.parametrize("path", POSTS)
def test_what_is_not_json_is_400_and_what_does_not_say_so_is_415(app: App, path: str) -> None:
    for body in (b"", b"{", b"\xff\xfe", "{}".encode("utf-16"), b"\x00"):
        read_problem(app.post(path, body), 400)
    for headers in ({"Content-Type": "text/plain"}, {"Content-Encoding": "gzip"}):
        read_problem(app.post(path, b"{}", headers=headers), 415)
    kind = {"Content-Type": "application/json; charset=utf-8"}
    read_problem(app.post(path, b"{}", headers=kind), 422)


def test_every_wrong_field_is_named_with_what_it_got_and_what_is_allowed(app: App) -> None:
    answer = app.post(
        "/v1/score?lang=fr&explain=some&colour=red",
        {
            "lead_id": "",
            "attributes": {"channel": ["ads"], "employees": 1e16},
            "color": "red",
            "activities": [{"type": "visit", "at": "20260901"}, {"at": iso_ago(1), "value": "three"}],
        },
    )
    problem_body = read_problem(answer, 422)
    problem_body["errors"] = [w for w in problem_body["errors"] if not w["path"].startswith("query.")]
    assert [(w["path"], w["got"]) for w in problem_body["errors"]] == [
        ("body.lead_id", '""'),
        ("body.attributes.channel", '["ads"]'),
        ("body.attributes.employees", "1e+16"),
        ("body.activities[0].at", '"20260901"'),
        ("body.activities[1].type", "nothing"),
        ("body.activities[1].value", '"three"'),
        ("body.color", '"red"'),
    ]
    allowed = [w["allowed"] for w in problem_body["errors"]]
    assert sorted(set(paths(read_problem(answer, 422))) - {w["path"] for w in problem_body["errors"]}) == [
        "query.colour",
        "query.explain",
        "query.lang",
    ]
    assert allowed[1].startswith("a text of at most 4,000 characters")
    assert allowed[3].startswith("a time with offset such as 2026-10-01T09:30:00+09:00")
    problem_body = read_problem(
        app.post(
            "/v1/score?lang=fr&explain=some&colour=red",
            {
                "lead_id": "L1",
                "attributes": {},
            },
        ),
        422,
    )
    assert sorted(paths(problem_body)) == ["query.colour", "query.explain", "query.lang"]


def test_values_that_cannot_be_used_are_all_told_at_once(app: App) -> None:
    later = iso(NOW + HOUR)
    body = {
        "lead_id": "L1",
        "created_at": later,
        "attributes": {"employees": "many", "months": True},
        "activities": [{"type": "visit", "at": iso_ago(1)}, {"type": "visit", "at": later}],
        "colleagues_activities": [{"type": "visit", "at": later}],
        "changes": [{"column": "months", "value": "soon", "at": later}],
    }
    error_paths = [
        "created_at",
        "attributes.employees",
        "attributes.months",
        "activities[1].at",
        "colleagues_activities[0].at",
        "changes[0].at",
        "changes[0].value",
    ]
    assert paths(read_problem(app.post("/v1/score", body), 422)) == [
        f"body.{field_path}" for field_path in error_paths
    ]
    batch = app.post("/v1/score/batch", {"leads": [{"lead_id": "L2", "attributes": {}}, body]}).json()
    assert paths(batch["results"][1]["problem"]) == [
        f"body.leads[1].{field_path}" for field_path in error_paths
    ]
    lead_fields = {key: body[key] for key in ("lead_id", "created_at", "attributes")}
    answer = app.post(
        "/v1/leads", [{**lead_fields, "updated_at": iso_ago(1)}, {**lead_fields, "updated_at": later}]
    )
    assert paths(read_problem(answer, 422)) == [
        "body[0].attributes.employees",
        "body[0].attributes.months",
        "body[0].created_at",
        "body[1].attributes.employees",
        "body[1].attributes.months",
        "body[1].updated_at",
        "body[1].created_at",
    ]


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "owner=", "lang=fr", "x=1"])
def test_a_query_of_the_call_list_is_checked(app: App, query: str) -> None:
    assert paths(read_problem(app.get(f"/v1/hot?{query}"), 422)) == [f"query.{query.partition('=')[0]}"]


def test_whose_scores_are_asked_for_must_be_said(app: App) -> None:
    assert paths(read_problem(app.get("/v1/scores"), 422)) == ["query.lead_id"]


@pytest.mark.parametrize("role", ["crm", "reviewer", "admin"])
def test_each_role_may_what_the_table_says(app: App, role: Role) -> None:
    for (method, path), roles in access.PERMISSIONS.items():
        if path.startswith("/v1/"):
            status = app.request(method, path, role).status_code
            assert (status == 403) == (role not in roles), (method, path, status)
            assert status != 401


def test_without_a_key_nothing_is_told(app: App) -> None:
    for method, path in access.PERMISSIONS:
        if path.startswith("/v1/"):
            answer = app.request(method, path, role=None)
            read_problem(answer, 401)
            assert answer.headers["www-authenticate"].startswith("Bearer")
    read_problem(app.get("/v1/hot", role=None, headers={"X-API-Key": "hl_00000000_x"}), 401)
    token = {"Authorization": f"Bearer {app.tokens['crm']}"}
    assert app.get("/v1/hot", role=None, headers=token).status_code == 200


def test_what_is_not_there_and_other_methods(app: App) -> None:
    read_problem(app.get("/v1/nothing"), 404)
    read_problem(app.post("/v1/score/", {}), 404)
    for method, path, allow in (
        ("GET", "/v1/score", "POST, OPTIONS"),
        ("POST", "/v1/hot", "GET, HEAD, OPTIONS"),
        ("DELETE", "/v1/leads", "POST, OPTIONS"),
    ):
        for role in ("crm", "admin"):
            answer = app.request(method, path, role)
            read_problem(answer, 405)
            allowed_methods = set(answer.headers["allow"].split(", "))
            assert allowed_methods <= set(allow.split(", "))
            assert allowed_methods


def test_a_body_that_is_too_large_is_413(tmp_path: Path) -> None:
    with small_app(tmp_path, HOTLEAD_BODY_LIMIT="2000") as app:
        read_problem(app.post("/v1/score", {"lead_id": "x" * 3000}), 413)


def test_who_asks_too_often_is_429_and_told_to_wait(tmp_path: Path) -> None:
    with small_app(tmp_path, HOTLEAD_RATE_LIMIT="1") as app:
        answers = [app.get("/v1/model") for _ in range(20)]
        refused = [answer for answer in answers if answer.status_code == 429]
        assert answers[0].status_code == 200
        read_problem(refused[0], 429)
        assert int(refused[0].headers["retry-after"]) >= 1
        assert app.get("/v1/model", role="crm").status_code == 200


@contextmanager
def without_store(folder: Path) -> Iterator[App]:
    """A service whose database cannot be reached."""
    (folder / "file").write_text("")
    with small_app(folder, HOTLEAD_STORE_URL=f"sqlite:///{folder}/file/store.db") as app:
        yield app


def test_while_the_store_is_away_scores_go_on_and_writes_wait(tmp_path: Path) -> None:
    with without_store(tmp_path) as app:
        body = score(app, attributes={"channel": "referral"})
        assert (body["stage"], body["stored"]) == ("warm", "queued")
        batch = app.post("/v1/score/batch", {"leads": [{"lead_id": "a", "attributes": {}}] * 2})
        assert [r["answer"]["stored"] for r in batch.json()["results"]] == ["queued"] * 2
        for answer in (
            app.post("/v1/activities", {"lead_id": "L1", "type": "visit", "at": iso_ago(1)}),
            app.post("/v1/score", {"lead_id": "L1"}),
            app.get("/v1/hot"),
            app.get("/v1/scores?lead_id=L1"),
        ):
            read_problem(answer, 503)
            assert int(answer.headers["retry-after"]) >= 1
        mixed = app.post("/v1/score/batch", {"leads": [{"lead_id": "a", "attributes": {}}, {"lead_id": "b"}]})
        assert [r["status"] for r in mixed.json()["results"]] == [200, 503]


def test_now_is_the_time_of_the_machine(tmp_path: Path) -> None:
    from datetime import UTC, datetime

    with small_app(tmp_path) as app:
        scored_at = datetime.fromisoformat(score(app, attributes={})["scored_at"])
        assert abs(to_ms(datetime.now(UTC)) - to_ms(scored_at)) < 60_000
