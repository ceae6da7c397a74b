"""All that is wrong with a body is told at once: its form, its numbers, and times that have not come."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.clock import iso
from serving.leads import bodies
from serving.leads.partial_parse import salvage, salvaged
from tests.helpers.service_app import App, small_app

NOW = 1_790_000_000_000
PAST, FUTURE = iso(NOW - 10_000), iso(NOW + 86_400_000)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    with small_app(tmp_path_factory.mktemp("app"), lambda: NOW) as service_app:
        yield service_app


def post_invalid(app: App, path: str, body: Any) -> list[str]:
    answer = app.post(path, body)
    assert answer.status_code == 422, answer.text
    problem_body = answer.json()
    assert problem_body["more_errors"] == 0
    return [error["path"] for error in problem_body["errors"]]


BAD_LEAD = {
    "lead_id": "",
    "colour": "red",
    "created_at": FUTURE,
    "attributes": {"employees": "many", "channel": ["x"], "months": 3},
    "activities": [
        {"type": "visit", "at": PAST},
        {"type": "visit", "at": FUTURE, "value": "lots"},
        {"type": "", "at": FUTURE},
        {"at": "soon"},
        7,
    ],
    "changes": [{"column": "employees", "value": "few", "at": FUTURE}, {"column": "months", "value": "x"}],
}
IN_LEAD = [
    "lead_id",
    "attributes.channel",
    "activities[1].value",
    "activities[2].type",
    "activities[3].type",
    "activities[3].at",
    "activities[4]",
    "changes[1].at",
    "colour",
    "created_at",
    "attributes.employees",
    "activities[1].at",
    "activities[2].at",
    "changes[0].at",
    "changes[0].value",
    "changes[1].value",
]


def test_one_lead(app: App) -> None:
    assert sorted(post_invalid(app, "/v1/score", BAD_LEAD)) == sorted(f"body.{p}" for p in IN_LEAD)


def test_a_lead_of_a_batch(app: App) -> None:
    answer = app.post("/v1/score/batch", {"leads": [{"lead_id": "A", "attributes": {}}, BAD_LEAD]})
    good, bad = answer.json()["results"]
    assert good["status"] == 200
    paths = [error["path"] for error in bad["problem"]["errors"]]
    assert sorted(paths) == sorted(f"body.leads[1].{p}" for p in IN_LEAD)


def test_a_list_of_records(app: App) -> None:
    records = [
        {
            "lead_id": "A",
            "updated_at": FUTURE,
            "created_at": FUTURE,
            "attributes": {"employees": "x"},
        },
        {"lead_id": 7, "updated_at": PAST, "attributes": {"months": "y", "channel": "ads"}},
    ]
    assert sorted(post_invalid(app, "/v1/leads", records)) == [
        "body[0].attributes.employees",
        "body[0].created_at",
        "body[0].updated_at",
        "body[1].attributes.months",
        "body[1].lead_id",
    ]


def test_a_hearing(app: App) -> None:
    handover = {
        "lead_id": "A",
        "step": "hearing",
        "at": FUTURE,
        "by": 1,
        "hearing": {"timing": "soon", "need": 2},
    }
    assert sorted(post_invalid(app, "/v1/handovers", handover)) == [
        "body.at",
        "body.by",
        "body.hearing.need",
        "body.hearing.timing",
    ]


def test_what_is_no_json_is_a_400(app: App) -> None:
    assert app.post("/v1/score", b'{"lead_id": ').status_code == 400
    assert salvaged(bodies.Lead, b'{"lead_id": ') == []


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)
FIELDS = sorted(
    {f for model in bodies.RECORD_MODELS.values() for f in model.model_fields} | {*bodies.Lead.model_fields}
)


@given(st.dictionaries(st.sampled_from(FIELDS), json_values) | json_values)
def test_whatever_is_sent_something_is_read(body: Any) -> None:
    for model in (bodies.Lead, *bodies.RECORD_MODELS.values()):
        assert {*model.model_fields} <= {*vars(salvage(model, json.loads(json.dumps(body))))}


def test_a_body_that_is_well_is_read_as_it_is() -> None:
    body = {
        "lead_id": "A",
        "activities": [{"type": "visit", "at": PAST, "value": "1,200"}],
        "attributes": {"employees": 7},
        "changes": [{"column": "c", "value": True, "at": PAST}],
    }
    assert (
        salvage(bodies.Lead, body).model_dump()
        == bodies.Lead.model_validate_json(json.dumps(body)).model_dump()
    )
