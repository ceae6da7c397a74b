"""The quick way of reading a batch takes only what the careful way takes, and reads the same."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from features.columns import Texts
from features.settings import CrmSettings, load_settings
from serving.leads import bodies
from serving.leads.batch_columns import from_facts
from serving.leads.batch_fast_path import Unsupported, parse_columns
from serving.leads.lead_facts import AttributeSchema, facts_from_body
from serving.web.problems import Problem
from tests.helpers.service_app import CRM_TOML

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
    [
        None,
        True,
        False,
        7,
        7.0,
        -0.0,
        2.5,
        10**15,
        "7",
        "true",
        " referral ",
        "NA",
        "日本",
        "\ufeff",
        "é",
    ]
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
    st.tuples(RIGHT, INVALID_LEADS).map(lambda both: [both[0][0], both[1][0]]),
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
def test_the_quick_way_reads_as_the_careful_way_does(
    crm: CrmSettings, leads: list[dict[str, Any]], is_live: bool
) -> None:
    reading, now = AttributeSchema.from_settings(crm), NOW if is_live else None
    try:
        quick = parse_columns(json.dumps({"leads": leads}).encode(), reading, now)
    except Unsupported:
        reject()
    facts = [
        facts_from_body(bodies.Lead.model_validate_json(json.dumps(lead)), reading, now) for lead in leads
    ]
    careful = from_facts(facts, reading)
    assert list(quick.ids) == list(careful.ids)
    assert list(quick.ignored) == list(careful.ignored)
    np.testing.assert_array_equal(quick.created, careful.created)
    table = crm.table
    mine, theirs = table.compute_many(quick.view(NOW)), table.compute_many(careful.view(NOW))
    for name in table.names:
        assert format_column(mine[name]) == format_column(theirs[name]), name


@settings(max_examples=150, deadline=None, derandomize=True)
@given(leads=ANY)
def test_the_quick_way_takes_what_is_plainly_right(crm: CrmSettings, leads: list[dict[str, Any]]) -> None:
    """It leaves leads that come with their id alone to the careful way, and two spellings of times."""
    reading = AttributeSchema.from_settings(crm)
    try:
        read = [bodies.Lead.model_validate_json(json.dumps(lead)) for lead in leads]
        for lead in read:
            facts_from_body(lead, reading, NOW)
    except (ValueError, Problem):
        return
    raw = json.dumps({"leads": leads})
    if any(lead.is_id_only for lead in read) or "T10:00Z" in raw or "t10:" in raw:
        return
    assert len(parse_columns(raw.encode(), reading, NOW)) == len(leads)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"leads": []}',
        b'{"leads": [1]}',
        b'{"leads": [null]}',
        b'{"leads": {"lead_id": "a"}}',
        b'{"leads": [{"lead_id": "a"}]}',
        b'{"leads": [{"lead_id": "a", "attributes": []}]}',
        b'{"leads": [{"lead_id": "a", "attributes": {}}], "more": 1}',
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
def test_what_is_not_plainly_right_is_left_to_the_careful_way(crm: CrmSettings, body: bytes) -> None:
    with pytest.raises(Unsupported):
        parse_columns(body, AttributeSchema.from_settings(crm), NOW)


def test_true_is_no_number(crm: CrmSettings) -> None:
    event = {"type": "visit", "at": "2026-09-02T09:00:00Z", "value": True}
    with pytest.raises(Unsupported):
        parse_columns(
            json.dumps({"leads": [{"lead_id": "a", "activities": [event]}]}).encode(),
            AttributeSchema.from_settings(crm),
            NOW,
        )


def test_what_is_plainly_right_goes_the_quick_way(crm: CrmSettings) -> None:
    body = {
        "leads": [
            {
                "lead_id": "L1",
                "created_at": "2026-09-01T09:00:00+09:00",
                "attributes": {"channel": "ads", "employees": "1,200", "hobby": "go"},
                "activities": [{"type": "visit", "at": "2026-09-02T09:00:00.5Z", "value": 3}],
            },
        ]
    }
    read = parse_columns(json.dumps(body).encode(), AttributeSchema.from_settings(crm), NOW)
    assert read.ignored == [("hobby",)]
    assert read.created.tolist() == [1_788_220_800_000]
    assert read.attributes["employees"].tolist() == [1200.0]  # type: ignore[union-attr]


def format_column(column: Any) -> list[str]:
    """The values of a column, as texts: not-a-number is equal to itself then."""
    if isinstance(column, Texts):
        return [column.categories[code] if code >= 0 else "-" for code in column.codes]
    return [repr(float(value)) for value in column]
