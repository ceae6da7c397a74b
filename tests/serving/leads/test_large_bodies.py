"""Bodies that are made to cost much are refused with little work, and valid ones are read as they were."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from features.clock import iso
from serving.leads import batch, bodies, large_bodies
from serving.leads.field_types import ParseContext
from serving.leads.large_bodies import DIRECT_BYTES, MAX_FIELDS, PART, load_large, parse_large_lead
from serving.leads.lead_facts import parse_lead
from serving.leads.to_records import parse_records
from serving.web import field_errors
from serving.web.field_errors import MAX_ERRORS, FieldError, InvalidFields, NotJson
from tests.serving.leads.test_lead_facts import SCHEMA

NOW = 1_790_000_000_000
PAST = iso(NOW - 10_000)
RIGHT = {"type": "visit", "at": PAST, "value": 1}
CONTEXT = ParseContext(SCHEMA, NOW)


def refusal(parse: Callable[[], object]) -> InvalidFields:
    with pytest.raises(InvalidFields) as caught:
        parse()
    assert 0 < len(caught.value.errors) <= MAX_ERRORS
    return caught.value


def lead_with(items: list[Any], **fields: Any) -> bytes:
    return orjson.dumps({"lead_id": "a", "activities": items, **fields})


@pytest.fixture
def described(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of errors of each validation that was described."""
    counts: list[int] = []
    describe = field_errors.describe_errors

    def count(error: ValidationError, *arguments: Any) -> InvalidFields:
        counts.append(error.error_count())
        return describe(error, *arguments)

    monkeypatch.setattr(large_bodies, "describe_errors", count)
    return counts


@pytest.mark.parametrize("item", [b"0", b"{}", b"[]", b'""', b"[[]]", b'{"":0}'])
def test_bodies_of_tiny_values_are_refused_before_they_are_parsed(
    item: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orjson, "loads", None)
    items = b"[" + b",".join([item] * 20_000) + b"]"
    for parse in (
        lambda: parse_records("handovers", items, SCHEMA, NOW),
        lambda: parse_lead(b'{"lead_id":"a","activities":' + items + b"}", SCHEMA, NOW),
        lambda: batch.parse_batch(b'{"leads":' + items + b"}", SCHEMA, NOW),
    ):
        (error,) = refusal(parse).errors
        assert (error.path, error.allowed) == ("body", "fewer values; lists of at most 10,000 items")


def test_a_lead_of_very_many_keys_is_refused_before_it_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    body = orjson.dumps({f"key-{i}": "some text" for i in range(large_bodies.MAX_VALUES + 2)})
    monkeypatch.setattr(orjson, "loads", None)
    refusal(lambda: parse_lead(body, SCHEMA, NOW))


def test_signs_inside_of_texts_are_no_values() -> None:
    text = ',[{\\",,\\\\' * 400
    body = json.dumps({"lead_id": "a", "updated_at": PAST, "attributes": {"a": text, "b": ",[" * 2000}})
    assert body.count(",") > len(body) / 6
    (record,) = parse_records("leads", body.encode(), SCHEMA, NOW)
    assert record.attributes["a"] == text  # type: ignore[attr-defined]


def test_the_search_for_errors_ends_after_fifty(described: list[int]) -> None:
    body = lead_with([RIGHT] * 60 + [{"wrong": "x" * 20}] * 5_000)
    error = refusal(lambda: parse_lead(body, SCHEMA, NOW))
    assert error.errors[0].path == "body.activities[60].type"
    assert len(error.errors) == MAX_ERRORS
    assert sum(described) <= 2 * 3 * PART
    assert error.omitted == sum(described) - MAX_ERRORS


def test_errors_in_all_parts_of_a_large_lead_come_at_once() -> None:
    items = [RIGHT] * 3 * PART
    items[PART + 1], items[2 * PART] = {"type": "visit", "at": "soon"}, {**RIGHT, "colour": "red"}
    error = refusal(lambda: parse_lead(lead_with(items, colour="red", created_at="x"), SCHEMA, NOW))
    assert {one.path for one in error.errors} == {
        "body.colour",
        "body.created_at",
        f"body.activities[{PART + 1}].at",
        f"body.activities[{2 * PART}].colour",
    }
    assert error.omitted == 0


def test_records_in_a_large_list_keep_their_places() -> None:
    record = {"lead_id": "a", "step": "accepted", "at": PAST}
    invalid = {**record, "step": "maybe"}
    body = orjson.dumps([*[record] * 300, invalid, *[record] * 300, invalid])
    error = refusal(lambda: parse_records("handovers", body, SCHEMA, NOW))
    assert [one.path for one in error.errors] == ["body[300].step", "body[601].step"]
    assert len(parse_records("handovers", orjson.dumps([record] * 202), SCHEMA, NOW)) == 202


@pytest.mark.parametrize(
    ("body", "path", "allowed"),
    [
        (
            lead_with([], **{f"k{i}": "long text " * 20 for i in range(MAX_FIELDS)}),
            "body",
            "at most 100 fields",
        ),
        (lead_with([RIGHT] * 10_001), "body.activities", "at most 10,000 items"),
        (lead_with([{f"k{i}": "some text" for i in range(999)}]), "body.activities[0]", "at most 100 fields"),
        (
            lead_with([], attributes={f"k{i}": "some text" for i in range(1_001)}),
            "body.attributes",
            "at most 1,000 items",
        ),
    ],
)
def test_what_is_too_large_is_named(body: bytes, path: str, allowed: str) -> None:
    assert len(body) > DIRECT_BYTES
    (error,) = refusal(lambda: parse_lead(body, SCHEMA, NOW)).errors
    assert (error.path, error.allowed) == (path, allowed)


@pytest.mark.parametrize("body", [b"[" * 10_000, b'{"a":' * 10_000, b'{"a":"' + b"x" * 10_000, b" " * 10_000])
def test_large_bodies_that_are_no_json_are_400(body: bytes) -> None:
    for parse in (
        lambda: parse_records("handovers", body, SCHEMA, NOW),
        lambda: parse_lead(body, SCHEMA, NOW),
        lambda: batch.parse_batch(body, SCHEMA, NOW),
    ):
        with pytest.raises((NotJson, InvalidFields)):
            parse()


@pytest.mark.parametrize("body", [b"[" + b" " * 5_000 + b"]", b"[]"])
def test_a_list_without_records_is_refused(body: bytes) -> None:
    (error,) = refusal(lambda: parse_records("handovers", body, SCHEMA, NOW)).errors
    assert (error.path, error.received, error.allowed) == ("body", "[]", "at least 1 items")


def test_a_batch_describes_few_errors_but_one_of_each_lead(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []
    describe = field_errors.from_pydantic_error

    def count(*arguments: Any) -> FieldError:
        calls.append(arguments)
        return describe(*arguments)

    monkeypatch.setattr(field_errors, "from_pydantic_error", count)
    lead = {"lead_id": "a", **{f"key{i}": "text" for i in range(60)}}
    leads = batch.parse_batch(orjson.dumps({"leads": [lead] * 1_000}), SCHEMA, NOW)
    assert len(leads) == 1_000
    assert all(isinstance(lead, InvalidFields) and lead.errors for lead in leads)  # type: ignore[union-attr]
    assert len(calls) <= batch.MAX_BATCH_ERRORS + 1_000


def test_around_the_leads_of_a_batch_little_is_looked_at() -> None:
    body = orjson.dumps({"leads": [{"wrong": 1}] * 1_000, "colour": "red"})
    (error,) = refusal(lambda: batch.parse_batch(body, SCHEMA, NOW)).errors
    assert error.path == "body.colour"
    body = orjson.dumps({"leads": [{"lead_id": "a"}] * 5_001})
    (error,) = refusal(lambda: batch.parse_batch(body, SCHEMA, NOW)).errors
    assert (error.path, error.allowed) == ("body.leads", "at most 5,000 items")


activities = st.fixed_dictionaries(
    {"type": st.sampled_from(["visit", "mail"]), "at": st.just(PAST)},
    optional={"value": st.none() | st.integers(-9, 9) | st.just("1,200")},
)
leads = st.fixed_dictionaries(
    {
        "lead_id": st.text(
            st.characters(min_codepoint=32, max_codepoint=1_000, exclude_characters="\x7f"), min_size=1
        )
    },
    optional={
        "created_at": st.just(PAST),
        "attributes": st.dictionaries(
            st.from_regex(r"\A[a-z]{1,9}\Z"), st.none() | st.booleans() | st.text("ab,[")
        ),
        "activities": st.lists(activities, max_size=3).map(lambda items: items * (PART + 1)),
        "changes": st.lists(st.fixed_dictionaries({"column": st.just("c"), "at": st.just(PAST)}), max_size=2),
        "amount": st.none() | st.integers(0, 9),
    },
)


@given(leads)
def test_a_valid_lead_is_read_as_pydantic_reads_it(lead: dict[str, Any]) -> None:
    raw = orjson.dumps(lead)
    assert parse_large_lead(raw, CONTEXT) == bodies.Lead.model_validate_json(raw, context=CONTEXT)


scalars = st.none() | st.integers(-9, 9) | st.text()
trees = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))


@given(trees)
def test_any_json_is_loaded_or_refused_as_too_dense(body: Any) -> None:
    raw = json.dumps(body).encode()
    values = count_values(body)
    try:
        assert load_large(raw) == body
    except InvalidFields:
        assert values + 1 > len(raw) // large_bodies.MIN_CONTAINER_BYTES


def count_values(body: Any) -> int:
    """The values of parsed JSON, and the lists and objects once more."""
    if not isinstance(body, list | dict):
        return 1
    inner = body.values() if isinstance(body, dict) else body
    return 2 + sum(map(count_values, inner))
