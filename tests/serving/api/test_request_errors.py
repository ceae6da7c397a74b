"""Requests that are not valid: every error at once, with its place, and the right status."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from features.clock import iso, to_ms
from serving.store.records import KINDS
from serving.web import permissions as access
from serving.web.api_keys import Role
from tests.helpers.service.api_requests import HOUR, NOW, iso_ago, paths, read_problem, score
from tests.helpers.service.service_app import App, small_app

POSTS = ["/v1/score", "/v1/score/batch", *(f"/v1/{kind}" for kind in KINDS)]


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
        app.post("/v1/score?lang=fr&explain=some&colour=red", {"lead_id": "L1", "attributes": {}}), 422
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
        "changes[0].value",
        "changes[0].at",
        "colleagues_activities[0].at",
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
        "body[0].created_at",
        "body[0].attributes.employees",
        "body[0].attributes.months",
        "body[1].updated_at",
        "body[1].created_at",
        "body[1].attributes.employees",
        "body[1].attributes.months",
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


@pytest.mark.parametrize("path", sorted(access.OPEN_PATHS - {access.ROOT}))
def test_health_checks_refuse_other_methods(app: App, path: str) -> None:
    for method in ("POST", "TRACE"):
        answer = app.request(method, path, role=None)
        read_problem(answer, 405)
        assert answer.headers["allow"] == "GET, HEAD, OPTIONS"


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

    with small_app(tmp_path) as app:
        scored_at = datetime.fromisoformat(score(app, attributes={})["scored_at"])
        assert abs(to_ms(datetime.now(UTC)) - to_ms(scored_at)) < 60_000
