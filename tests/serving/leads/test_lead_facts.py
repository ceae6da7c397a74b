"""All errors of a body come at once: its form, its numbers, and times in the future."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.clock import NEVER, iso
from serving.leads import bodies
from serving.leads.field_types import AttributeSchema
from serving.leads.lead_facts import LeadFacts, parse_lead
from serving.leads.to_records import parse_record
from serving.store.records import KINDS
from serving.web.field_errors import FieldError, InvalidFields, NotJson
from tests.helpers.service.service_app import App, small_app

NOW = 1_790_000_000_000
PAST, SOON, FUTURE = iso(NOW - 10_000), iso(NOW + 60_000), iso(NOW + 86_400_000)


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
        {"lead_id": "A", "updated_at": FUTURE, "created_at": FUTURE, "attributes": {"employees": "x"}},
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


SCHEMA = AttributeSchema(
    columns={"channel": "category", "employees": "number", "months": "number"},
    missing=frozenset({"", "NA"}),
    roles={"timing": "months"},
    dated=True,
    types=frozenset({"visit"}),
)
VALID_LEAD = {
    "lead_id": "A",
    "activities": [{"type": "visit", "at": PAST, "value": "1,200"}, {"type": "call", "at": SOON}],
    "attributes": {"employees": "1,000", "channel": "NA", "hobby": "go"},
    "changes": [
        {"column": "months", "value": "3", "at": PAST},
        {"column": "city", "value": True, "at": PAST},
    ],
}


def test_a_body_that_is_not_json() -> None:
    with pytest.raises(NotJson):
        parse_lead(b'{"lead_id": ', SCHEMA, NOW)


@pytest.mark.parametrize("body", [VALID_LEAD, json.dumps(VALID_LEAD).encode()])
def test_a_valid_body_becomes_facts(body: Any) -> None:
    facts = parse_lead(body, SCHEMA, NOW)
    assert isinstance(facts, LeadFacts)
    assert facts.attributes == {"employees": 1000.0, "channel": None}
    assert facts.changes == [("months", NOW - 10_000, 3.0)]
    (visit, call) = facts.events
    assert visit == ("visit", NOW - 10_000, 1200.0)
    assert call[:2] == ("call", NOW)  # a clock ahead of ours
    assert (facts.created, facts.ignored, facts.unknown_types) == (NOW - 10_000, ("hobby", "city"), ("call",))


def test_a_lead_with_only_its_id_is_that_id() -> None:
    assert parse_lead({"lead_id": "A"}, SCHEMA, NOW) == "A"
    assert isinstance(parse_lead({"lead_id": "A", "attributes": {}}, SCHEMA, NOW), LeadFacts)


def test_a_lead_without_times_is_not_dated() -> None:
    facts = parse_lead({"lead_id": "A", "attributes": {}}, SCHEMA, NOW)
    assert isinstance(facts, LeadFacts)
    assert facts.created == NEVER


def test_a_score_as_of_an_earlier_moment_allows_later_times() -> None:
    facts = parse_lead({"lead_id": "A", "created_at": FUTURE}, SCHEMA, None)
    assert isinstance(facts, LeadFacts)
    assert facts.created == NOW + 86_400_000


@pytest.mark.parametrize("attributes", [[], 7, "x", {str(i): 1 for i in range(1_001)}])
def test_attributes_that_are_invalid_as_a_whole_are_one_error(attributes: Any) -> None:
    with pytest.raises(InvalidFields) as raised:
        parse_lead({"lead_id": "A", "attributes": attributes}, SCHEMA, NOW)
    assert "body.attributes" in [error.path for error in raised.value.errors]


def collect_errors(parse: Callable[[], object]) -> Sequence[FieldError] | None:
    """The invalid fields that a parser finds; None if the body is valid."""
    try:
        parse()
    except InvalidFields as error:
        return error.errors
    return None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)
FIELDS = sorted(
    {f for model in bodies.RECORD_MODELS.values() for f in model.model_fields} | {*bodies.Lead.model_fields}
)


@given(st.dictionaries(st.sampled_from(FIELDS), json_values) | json_values)
def test_any_body_is_parsed_or_has_its_errors(body: Any) -> None:
    parsers: list[Callable[[], object]] = [partial(parse_lead, body, SCHEMA, NOW)]
    parsers += [partial(parse_record, kind, body, SCHEMA, NOW) for kind in KINDS]
    for errors in map(collect_errors, parsers):
        assert errors is None or errors
        assert all(one.path.startswith("body") and one.allowed for one in errors or ())
