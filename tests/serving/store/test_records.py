"""Records: what is the same content, and what no database could hold."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.store.records import COLUMNS, KINDS, InvalidRecord, Record
from tests.helpers.service.stores import MOMENT_MS, activity, record


def test_same_content_has_the_same_digest_however_it_is_written() -> None:
    original = record("leads", "l", attributes={"a": 1, "b": "x"}, account=None)
    rewritten = record("leads", "other key", version=2, attributes={"b": "x", "a": 1})
    assert original.digest == rewritten.digest
    assert activity("a", value=3).digest == activity("a", value=3.0).digest
    assert activity("a", value=math.nan).digest == activity("a").digest


@pytest.mark.parametrize(
    "changed_record",
    [
        activity("a", MOMENT_MS + 1, value=3),
        activity("a", value=4),
        activity("a"),
        activity("a", value=3, lead_id="L2"),
        activity("a", value=3, type="mail"),
    ],
)
def test_other_content_has_another_digest(changed_record: Record) -> None:
    assert activity("a", value=3).digest != changed_record.digest


def test_a_lead_without_an_amount_has_the_digest_of_before_there_were_amounts() -> None:
    """So that what is sent again is the same content."""
    lead = record("leads", "l", 1_000, attributes={"a": 1}, account="A")
    assert lead.digest == "6f2911f6d688fdc23e070af28a780e513aedeab1f449e1780500c1604d0ca2a0"
    assert record("leads", "l", 1_000, attributes={"a": 1}, account="A", amount=0).digest != lead.digest


def test_an_emptied_attribute_is_not_one_that_was_not_sent() -> None:
    emptied = record("leads", "l", attributes={"a": None})
    assert emptied.digest != record("leads", "l", attributes={}).digest


@pytest.mark.parametrize(
    ("invalid_record", "named"),
    [
        (activity("a", type="x\0y"), "activities.type"),
        (activity("a", type="\ud800"), "activities.type"),
        (activity("a", type=7), "activities.type"),
        (activity("a", value=10**400), "activities.value"),
        (activity("a", value="seven"), "activities.value"),
        (activity("a", value=-math.inf), "activities.value"),
        (activity("a", colour="red"), "colour"),
        (activity("a\0"), "key"),
        (activity("a", 2**63), "at"),
        (activity("a", version=2**63), "version"),
        (activity("a", lead_id="\0"), "lead_id"),
        (record("leads", "l", attributes={"a": 2**70}), "leads.attributes"),
        (record("leads", "l", created_at=True), "leads.created_at"),
    ],
)
def test_what_no_database_could_hold_is_refused_by_name(invalid_record: Record, named: str) -> None:
    with pytest.raises(InvalidRecord, match=named):
        invalid_record.row()


def test_refusing_does_not_quote_the_value() -> None:
    with pytest.raises(InvalidRecord) as excinfo:
        activity("a", type="Taro Yamada\0").row()
    assert "Yamada" not in str(excinfo.value)


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_has_the_columns_of_its_kind_and_null_for_what_is_absent(kind: str) -> None:
    row = Record(kind, "k", 1, "L1", MOMENT_MS).row()  # type: ignore[arg-type]
    assert row[:4] == ("k", 1, "L1", MOMENT_MS)
    assert row[5:] == (None,) * len(COLUMNS[kind])  # type: ignore[index]


@given(st.text(), st.integers(), st.one_of(st.none(), st.floats(), st.integers()))
def test_whatever_is_not_refused_can_be_stored(kind: str, moment_ms: int, value: float | None) -> None:
    try:
        row = activity("a", moment_ms, type=kind, value=value).row()
    except InvalidRecord:
        return
    assert "\0" not in kind
    assert kind.encode().decode() == kind
    assert abs(moment_ms) <= 2**63
    assert row[6] is None or math.isclose(float(row[6]), float(value or 0))
