"""Errors as the sender sees them: complete, short whatever was sent, and silent in logs."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal

import pytest
from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
)

from serving.api.routes import to_problem
from serving.web import problems
from serving.web.field_errors import FieldError, field_error, format_path, format_value, from_validation_error
from serving.web.problems import Problem, from_status, problem_response


class Activity(BaseModel):
    model_config = ConfigDict(extra="forbid")
    type: str = Field(min_length=1, max_length=10)
    at: AwareDatetime
    value: Annotated[float, Field(allow_inf_nan=False)] | None = None


class Lead(BaseModel):
    model_config = ConfigDict(extra="forbid")
    lead_id: str
    outcome: Literal["won", "lost"] = "won"
    limit: int = Field(default=1, ge=1, le=100)
    replay: bool = False
    activities: list[Activity] = Field(default=[], max_length=3)
    by: str = "x"

    @field_validator("by")
    @classmethod
    def _check_by(cls, value: str) -> str:
        if value == "nobody":
            raise ValueError("the name of somebody")
        return value


def problem_of(body: str, kind: Any = Lead) -> Problem:
    try:
        TypeAdapter(kind).validate_json(body)
    except ValidationError as error:
        return to_problem(from_validation_error(error, model=kind))
    raise AssertionError("nothing was wrong")


def body_of(problem: Problem) -> Any:
    return json.loads(bytes(problem_response(problem, "r-1").body))


def test_every_wrong_field_is_told_with_place_value_and_what_is_allowed() -> None:
    problem = problem_of(
        '{"lead_id": 7, "outcome": "maybe", "limit": 101, "replay": "perhaps", "by": "nobody",'
        '"activities": [{"type": "", "at": "2026-10-01T09:30:00"}, {"at": 3, "value": "x"}, 5]}'
    )
    time = "a time with offset such as 2026-10-01T09:30:00+09:00"
    assert problem.status == 422
    assert list(problem.errors) == [
        FieldError("body.lead_id", "7", "a text"),
        FieldError("body.outcome", '"maybe"', "one of 'won' or 'lost'"),
        FieldError("body.limit", "101", "at most 100"),
        FieldError("body.replay", '"perhaps"', "true or false"),
        FieldError("body.activities[0].type", '""', "a text of at least 1 characters"),
        FieldError("body.activities[0].at", '"2026-10-01T09:30:00"', time),
        FieldError("body.activities[1].type", "nothing", "a value: this field is needed"),
        FieldError("body.activities[1].value", '"x"', "a number"),
        FieldError("body.activities[2]", "5", "an object"),
        FieldError("body.by", '"nobody"', "the name of somebody"),
    ]


def test_an_unknown_field_is_answered_with_the_nearest() -> None:
    problem = problem_of('{"lead_id": "a", "activites": [], "activities": [{"type": "a", "ta": 1}]}')
    by_path = {w.path: w.allowed for w in problem.errors}
    assert by_path["body.activites"] == "no such field; nearest: 'activities'"
    assert by_path["body.activities[0].ta"].startswith("no such field; nearest: 'at'")


@pytest.mark.parametrize("kind", [list[Lead], Lead | list[Lead], Lead | None])
def test_lists_and_unions_have_plain_paths(kind: Any) -> None:
    problem = problem_of('[{"lead_id": 1}]' if kind != Lead | None else '{"lead_id": 1}', kind)
    assert any(w.path in ("body[0].lead_id", "body.lead_id") for w in problem.errors)
    assert not any("list[" in w.path for w in problem.errors)


@pytest.mark.parametrize("body", ["", "{", '{"a": 1', "nul", '{"a": "\x01"}'])
def test_a_body_that_is_not_json_is_a_400(body: str) -> None:
    assert problem_of(body).status == 400


@pytest.mark.parametrize(
    ("body", "allowed"),
    [
        ('{"lead_id": "a", "limit": 1.5}', "a whole number"),
        ('{"lead_id": "a", "limit": 0}', "at least 1"),
        ('{"lead_id": "a", "activities": {}}', "a list"),
        ('{"lead_id": "a", "activities": [1, 1, 1, 1]}', "at most 3 items"),
        ('{"lead_id": "a", "activities": [{"type": "12345678901"}]}', "at most 10 characters"),
        ("[]", "an object"),
        ('{"lead_id": "a", "activities": [{"value": NaN}]}', "a finite number"),
    ],
)
def test_what_is_allowed_is_in_our_words(body: str, allowed: str) -> None:
    assert any(allowed in w.allowed for w in problem_of(body).errors)


def test_ten_thousand_wrong_fields_give_fifty_and_a_count() -> None:
    class Many(BaseModel):
        items: list[int]

    problem = problem_of(json.dumps({"items": ["x" * 1000] * 10_000}), Many)
    answer = problem_response(problem, None)
    body = json.loads(bytes(answer.body))
    assert (len(body["errors"]), body["more_errors"]) == (50, 9_950)
    assert "10,000 fields" in body["detail"]
    assert len(answer.body) < 10_000


def test_errors_of_our_own_are_cut_at_fifty_too() -> None:
    problem = problems.invalid_fields(field_error(f"body[{i}]", i, "less") for i in range(60))
    assert (len(body_of(problem)["errors"]), body_of(problem)["more_errors"]) == (50, 10)


ANY = {
    "long text": "x" * 10_000_000,
    "long list": ["x" * 1000] * 1000,
    "large": 10**5000,
    "long names": {"k" * 1000: "v" * 1000},
    "small": -(10**5000),
    "half a sign": "\ud800" * 100,
    "control": "\x00" * 100,
    "deep": {"a": {"b": {"c": {"d": 1}}}},
    "nan": float("nan"),
    "Japanese": "日本語" * 100,
}


@pytest.mark.parametrize("value", ANY.values(), ids=ANY)
def test_any_value_is_shown_shortly_and_can_be_sent(value: object) -> None:
    assert len(format_value(value)) <= 80
    body = body_of(problems.invalid_fields([field_error("body", value, "something else")]))
    assert body["errors"][0]["got"] == format_value(value)


def test_values_are_spelled_as_json_spells_them() -> None:
    assert [format_value(v) for v in (None, True, 'a"b', 1.5, [None, "x"])] == [
        "null",
        "true",
        '"a\\"b"',
        "1.5",
        '[null, "x"]',
    ]


def test_a_strange_name_in_a_path_is_quoted_and_cut() -> None:
    assert format_path("body", ("a", 3, "予算", "a.b")) == 'body.a[3].予算["a.b"]'
    assert len(format_path("body", ("x" * 100_000,))) < 100


def test_a_problem_says_nothing_of_what_was_sent_where_it_may_be_logged() -> None:
    problem = problem_of('{"lead_id": "a", "outcome": "s3cret", "s3cret-key": "s3cret"}')
    assert "s3cret" not in f"{problem} {problem!r} {problem.args} {problem.detail}"
    assert "s3cret" not in repr([FieldError("body.a", "s3cret", "a text")])


def test_the_answer_has_the_shape_of_rfc_9457() -> None:
    answer = problem_response(problems.too_many_requests(0.2), "r-1")
    assert answer.media_type == "application/problem+json"
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    body = json.loads(bytes(answer.body))
    assert list(body) == ["type", "title", "status", "detail", "request_id"]
    assert (body["status"], body["title"], body["request_id"]) == (429, "Too Many Requests", "r-1")


@pytest.mark.parametrize(
    ("problem", "status", "header"),
    [
        (problems.not_json(), 400, None),
        (problems.bad_request("why"), 400, None),
        (problems.unauthorized(), 401, "WWW-Authenticate"),
        (problems.forbidden("crm"), 403, None),
        (problems.not_found(), 404, None),
        (problems.method_not_allowed("GET, HEAD"), 405, "Allow"),
        (problems.conflict("why", [field_error("body.id", "a", "b")]), 409, None),
        (problems.content_too_large(1024), 413, None),
        (problems.unsupported_media_type(), 415, "Accept"),
        (problems.store_unavailable("why", 2), 503, "Retry-After"),
        (problems.internal_error(), 500, None),
    ],
)
def test_each_case_has_its_status_and_header(problem: Problem, status: int, header: str | None) -> None:
    answer = problem_response(problem, None)
    assert (answer.status_code, body_of(problem)["status"]) == (status, status)
    assert problem.title
    assert problem.detail
    assert header is None or header in answer.headers


@pytest.mark.parametrize("status", [400, 404, 418, 451, 500, 502, 599])
def test_any_status_of_others_has_words(status: int) -> None:
    body = body_of(from_status(status, {"Allow": "GET"}))
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]


def test_a_problem_passes_through_a_context_manager() -> None:
    @contextmanager
    def around() -> Iterator[None]:
        yield

    with pytest.raises(Problem), around():
        raise problems.not_json()
