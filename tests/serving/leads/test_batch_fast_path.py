"""A batch parsed by column has the same leads as one parsed lead by lead."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from features.columns import Texts
from features.crm.values.formats import NumberFormat
from features.settings import CrmSettings, load_settings
from serving.leads.batch import parse_batch
from serving.leads.batch_columns import BatchLeads, from_facts
from serving.leads.batch_fast_path import Unsupported, parse_columns
from serving.leads.field_types import AttributeSchema
from serving.leads.lead_facts import LeadFacts, parse_lead
from serving.web.field_errors import InvalidFields, NotJson
from tests.helpers.service.service_app import CRM_TOML

NOW = 1_790_000_000_000  # 2026-09-21T14:13:20Z

SPELLINGS = (
    "{:%Y-%m-%dT%H:%M:%S}Z",
    "{:%Y-%m-%d %H:%M:%S}+09:00",
    "{:%Y-%m-%dT%H:%M:%S.%f}-03:30",
    "{:%Y-%m-%dT%H:%M:%S}.5Z",
    "2026-09-21T14:13:20Z",
    "2026-09-21T14:15:00Z",
    "2026-09-21T14:13:20.0009Z",
    "1900-01-01T00:00:00Z",
)


def spell_time(number: int) -> str:
    """A time before NOW as one of several senders writes it."""
    back, spelling = divmod(number, len(SPELLINGS))
    return SPELLINGS[spelling].format(datetime(2026, 9, 20) - timedelta(hours=back, microseconds=7))


RIGHT_TIMES = st.integers(0, 5_000).map(spell_time)
TIMES = RIGHT_TIMES | st.sampled_from(
    [
        "2026-09-21T23:59:59+23:59",
        "2026-09-22T14:13:20+24:00",
        "2026-02-30T00:00:00Z",
        "1700000000",
        "",
        "2026-09-01T24:00:00Z",
        "2026-09-01T10:00:60Z",
        "2026-09-01T10:00Z",
        "1899-12-30T00:00:00Z",
        "2026-09-01",
        "2026-09-01T10:00:00",
        "2026-09-01T10:00:00+09:99",
        "2026-09-01t10:00:00z",
    ]
)
RIGHT_NUMBERS = st.floats(-1e15, 1e15) | st.sampled_from(
    [None, 10**15, -3, 0, "NA", " 1,200 ", "1.5e3", "12", "", "-0.5", -0.0, 0.1]
)
RIGHT_VALUES = st.text(max_size=5) | st.sampled_from(
    [None, True, False, 7, 7.0, -0.0, 2.5, 10**15, "7", "true", " referral ", "NA", "日本", "\ufeff", "é"]
)
VALUES: st.SearchStrategy[Any] = RIGHT_VALUES | st.sampled_from(["x" * 4001, [], 10**16, 1e300])
RIGHT_ATTRIBUTES = st.fixed_dictionaries(
    {},
    optional={
        "channel": RIGHT_VALUES,
        "budget": RIGHT_VALUES,
        "employees": RIGHT_NUMBERS,
        "months": RIGHT_NUMBERS,
        "hobby": RIGHT_VALUES,
        "趣味": RIGHT_VALUES,
    },
)
ATTRIBUTES = st.dictionaries(
    st.sampled_from(["channel", "employees", "hobby", "", "a\nb", "x" * 201]), VALUES, max_size=3
)


def leads_of(
    ids: st.SearchStrategy[Any],
    times: st.SearchStrategy[str],
    kinds: st.SearchStrategy[str],
    values: st.SearchStrategy[Any],
    attributes: st.SearchStrategy[dict[str, Any]],
) -> st.SearchStrategy[list[dict[str, Any]]]:
    activity = st.fixed_dictionaries({"type": kinds, "at": times}, optional={"value": values})
    events = st.lists(activity, max_size=4)
    optional_fields = {
        "created_at": st.none() | times,
        "attributes": attributes,
        "activities": events,
        "colleagues_activities": events,
        "changes": st.just([]),
        "amount": st.sampled_from([None, 0, 12.5, 10**15]),
    }
    lead = st.fixed_dictionaries(
        {"lead_id": ids, "attributes": optional_fields.pop("attributes")}, optional=optional_fields
    )
    return st.lists(lead, min_size=1, max_size=4)


KINDS = st.sampled_from(["visit", "quote", "download", "other"])
RIGHT = leads_of(
    st.sampled_from(["L1", "L2", "日本"]),
    RIGHT_TIMES,
    KINDS,
    st.none() | st.floats(-9, 1e15),
    RIGHT_ATTRIBUTES,
)
INVALID_LEADS = leads_of(
    st.sampled_from(["L1", "", "a\x7f", 7]),
    TIMES,
    KINDS | st.sampled_from(["", "a\tb"]),
    st.sampled_from([3, "1", True, 1e16]),
    ATTRIBUTES,
)
ANY = st.one_of(
    RIGHT,
    RIGHT,
    RIGHT,
    INVALID_LEADS,
    st.tuples(RIGHT, INVALID_LEADS).map(lambda pair: [pair[0][0], pair[1][0]]),
    leads_of(st.just("L1"), TIMES, KINDS, st.just(1), ATTRIBUTES),
    leads_of(st.just("L1"), RIGHT_TIMES, KINDS, st.sampled_from([True, "1", 1e16]), st.just({})),
    st.just([{"lead_id": "L1"}]),
)
"""Batches as senders write them, rightly for the most part."""


@pytest.fixture(scope="module")
def crm(tmp_path_factory: pytest.TempPathFactory) -> CrmSettings:
    path: Path = tmp_path_factory.mktemp("crm") / "crm.toml"
    path.write_text(CRM_TOML, encoding="utf-8")
    return load_settings(path)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(leads=ANY, is_live=st.booleans())
def test_by_column_is_as_lead_by_lead(crm: CrmSettings, leads: list[dict[str, Any]], is_live: bool) -> None:
    reading, now = AttributeSchema.from_settings(crm), NOW if is_live else None
    try:
        fast = parse_columns(orjson.loads(json.dumps(leads)), reading, now)
    except Unsupported:
        reject()
    parsed = [parse_lead(json.dumps(lead).encode(), reading, now) for lead in leads]
    facts = [lead for lead in parsed if isinstance(lead, LeadFacts)]
    careful = from_facts(facts, reading)
    assert list(fast.ids) == list(careful.ids)
    assert list(fast.ignored) == list(careful.ignored)
    np.testing.assert_array_equal(fast.created, careful.created)
    np.testing.assert_array_equal(fast.amounts, careful.amounts)
    table = crm.table
    mine, theirs = table.compute_many(fast.view(NOW)), table.compute_many(careful.view(NOW))
    for name in table.names:
        assert format_column(mine[name]) == format_column(theirs[name]), name


@settings(max_examples=150, deadline=None, derandomize=True)
@given(leads=ANY)
def test_valid_batches_are_parsed_by_column(crm: CrmSettings, leads: list[dict[str, Any]]) -> None:
    """But not leads with only their id, two spellings of times, and values of activities sent as text."""
    reading = AttributeSchema.from_settings(crm)
    try:
        parsed = [parse_lead(json.dumps(lead).encode(), reading, NOW) for lead in leads]
    except InvalidFields:
        return
    raw = json.dumps(leads)
    if any(isinstance(lead, str) for lead in parsed) or "T10:00Z" in raw or "t10:" in raw:
        return
    activities = [activity for lead in leads for activity in lead.get("activities") or ()]
    if any(isinstance(activity.get("value"), str) for activity in activities):
        return
    assert len(parse_columns(orjson.loads(raw), reading, NOW)) == len(leads)


@pytest.mark.parametrize(
    "body",
    [
        b'{"leads": []}',
        b'{"leads": [1]}',
        b'{"leads": [null]}',
        b'{"leads": {"lead_id": "a"}}',
        b'{"leads": [{"lead_id": "a"}]}',
        b'{"leads": [{"lead_id": "a", "attributes": []}]}',
        b'{"leads": [{"lead_id": "a", "attributes": {}, "more": 1}]}',
        b'{"leads": [{"attributes": {}}]}',
        b'{"leads": [{"lead_id": "a", "activities": [{"type": "visit"}]}]}',
        b'{"leads": [{"lead_id": "a", "activities": "none"}]}',
        b'{"leads": [{"lead_id": "a", "activities": [{"type": "v", "at": 1790000000}]}]}',
        b'{"leads": [{"lead_id": "a", "activities": null}]}',
        b'{"leads": [{"lead_id": "a", "changes": {}}]}',
        b'{"leads": [{"lead_id": "a", "changes": null}]}',
        b'{"leads": [{"lead_id": "a", "attributes": null}]}',
        b'{"leads": [{"lead_id": "a", "activities": [{"type": "v", "at": "2026-09-02T09:00Z"}]}]}',
    ],
)
def test_other_batches_are_not_supported(crm: CrmSettings, body: bytes) -> None:
    with pytest.raises(Unsupported):
        parse_columns(orjson.loads(body)["leads"], AttributeSchema.from_settings(crm), NOW)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff"])
def test_a_batch_that_is_not_json(crm: CrmSettings, body: bytes) -> None:
    with pytest.raises(NotJson):
        parse_batch(body, AttributeSchema.from_settings(crm), NOW)


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"{}",
        b'{"leads": []}',
        b'{"leads": {"lead_id": "a"}}',
        b'{"leads": [{"lead_id": "a", "attributes": {}}], "more": 1}',
    ],
)
def test_a_batch_that_is_invalid_as_a_whole(crm: CrmSettings, body: bytes) -> None:
    with pytest.raises(InvalidFields):
        parse_batch(body, AttributeSchema.from_settings(crm), NOW)


def test_a_batch_from_parsed_json_is_as_from_json(crm: CrmSettings) -> None:
    leads = [{"lead_id": "a", "attributes": {"employees": 7}}, {"lead_id": "b", "attributes": {}}]
    schema = AttributeSchema.from_settings(crm)
    for batch in (
        parse_batch(leads, schema, NOW),
        parse_batch(json.dumps({"leads": leads}).encode(), schema, NOW),
    ):
        assert isinstance(batch, BatchLeads)
        assert list(batch.ids) == ["a", "b"]


def test_true_is_no_number(crm: CrmSettings) -> None:
    event = {"type": "visit", "at": "2026-09-02T09:00:00Z", "value": True}
    with pytest.raises(Unsupported):
        parse_columns([{"lead_id": "a", "activities": [event]}], AttributeSchema.from_settings(crm), NOW)


def test_a_valid_batch_is_parsed_by_column(crm: CrmSettings) -> None:
    lead = {
        "lead_id": "L1",
        "created_at": "2026-09-01T09:00:00+09:00",
        "attributes": {"channel": "ads", "employees": "1,200", "hobby": "go"},
        "activities": [{"type": "visit", "at": "2026-09-02T09:00:00.5Z", "value": 3}],
    }
    read = parse_columns([lead], AttributeSchema.from_settings(crm), NOW)
    assert read.ignored == [("hobby",)]
    assert read.created.tolist() == [1_788_220_800_000]
    assert read.attributes["employees"].tolist() == [1200.0]  # type: ignore[union-attr]


@pytest.mark.parametrize(("text", "number"), [("1.500名", 1_500.0), ("50人", 50.0), ("1,5", 1.5)])
def test_a_text_is_read_in_the_number_format_of_crm_toml(crm: CrmSettings, text: str, number: float) -> None:
    formats = {"employees": NumberFormat(decimal=",", unit="名")}
    leads = crm.leads.model_copy(update={"number_formats": formats})
    schema = AttributeSchema.from_settings(crm.model_copy(update={"leads": leads}))
    lead = {"lead_id": "L1", "created_at": "2026-09-01T09:00:00Z", "attributes": {"employees": text}}
    assert parse_columns([lead], schema, NOW).attributes["employees"].tolist() == [number]  # type: ignore[union-attr]
    facts = parse_lead(orjson.dumps(lead), schema, NOW)
    assert isinstance(facts, LeadFacts)
    assert facts.attributes["employees"] == number
    with pytest.raises(Unsupported):
        parse_columns([{**lead, "attributes": {"employees": "50-100名"}}], schema, NOW)


def format_column(column: Any) -> list[str]:
    """The values of a column, as texts: not-a-number is equal to itself then."""
    if isinstance(column, Texts):
        return [column.categories[code] if code >= 0 else "-" for code in column.codes]
    return [repr(float(value)) for value in column]
