"""The call list page by page: every lead once, its total and owners, those called off left out."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.clock import MS_PER_DAY as DAY
from features.clock import NEVER
from serving.leads.mirrors import OverrideMirror
from serving.predictions.call_list import (
    CURSOR,
    CallListPage,
    _format_cursor,
    _parse_cursor,
    is_overdue,
    read_call_list,
)
from serving.review.overview.queries import count_pending
from serving.store.records import ListCursor
from serving.store.store import Store
from tests.helpers.service.stores import MOMENT_MS, hot, record, server, store, url

OWNERS = ("inside_sales", "field_sales")

__all__ = ["server", "store", "url"]


def fill_hot_leads(store: Store, count: int) -> list[str]:
    """Hot leads of two owners with few deadlines and scores among them; their ids in the list's order."""
    predictions = [
        hot(
            f"L{i:03}",
            MOMENT_MS,
            owner=OWNERS[i % 2],
            score=80 + i % 3,
            deadline=None if i % 4 == 0 else MOMENT_MS + i % 2,
        )
        for i in range(count)
    ]
    store.add_predictions(predictions).result(10)
    ordered = sorted(predictions, key=lambda p: (p.deadline or NEVER, -p.score, p.lead_id))
    return [p.lead_id for p in ordered]


def test_a_lead_leaves_the_list_thirty_days_after_its_newest_score_and_its_deadline(store: Store) -> None:
    """A lead that the CRM no longer has is never scored again; a next action may lie far ahead."""
    fill_hot_leads(store, 6)
    store.add_predictions([hot("L000", MOMENT_MS + DAY)]).result(10)
    store.add_predictions([hot("later", MOMENT_MS - 60 * DAY, deadline=MOMENT_MS + 5 * DAY)]).result(10)
    overrides, end = OverrideMirror(store), MOMENT_MS + 30 * DAY
    for now, expected in ((end - 1, 7), (end, 5), (end + DAY, 1), (end + 5 * DAY, 0)):
        page = read_call_list(store, overrides, None, 10, now, None)
        assert len(page.rows) == sum(page.owners.values()) == expected
        assert store.read(lambda connection, now=now: count_pending(connection, now, [])).hot == expected


def read_all_pages(
    store: Store, overrides: OverrideMirror, owner: str | None, limit: int
) -> tuple[list[str], list[CallListPage]]:
    pages, after = [], None
    while True:
        page = read_call_list(store, overrides, owner, limit, MOMENT_MS + 100, after)
        pages.append(page)
        if (after := page.next) is None:
            return [row.lead_id for page in pages for row in page.rows], pages


@pytest.mark.parametrize("limit", [1, 7, 50, 1000])
def test_all_pages_together_are_the_list(store: Store, limit: int) -> None:
    expected = fill_hot_leads(store, 50)
    lead_ids, pages = read_all_pages(store, OverrideMirror(store), None, limit)
    assert lead_ids == expected
    assert all(len(page.rows) == limit for page in pages[:-1])
    assert all(page.owners == {"field_sales": 25, "inside_sales": 25} for page in pages)
    owner_ids, _ = read_all_pages(store, OverrideMirror(store), "field_sales", limit)
    assert owner_ids == [lead for lead in expected if int(lead[1:]) % 2]


def test_those_called_off_and_closed_are_in_no_page_and_no_count(store: Store) -> None:
    fill_hot_leads(store, 300)
    off = [f"L{i:03}" for i in range(250)]
    verdict: dict[str, Any] = {"verdict": "not_hot", "reason": "x", "by": "Ito"}
    store.add_records([record("overrides", lead, lead_id=lead, **verdict) for lead in off]).result(10)
    store.add_records([record("outcomes", "d", lead_id="L299", outcome="lost")]).result(10)
    overrides = OverrideMirror(store)
    overrides.refresh()
    lead_ids, pages = read_all_pages(store, overrides, None, 20)
    assert sorted(lead_ids) == [f"L{i:03}" for i in range(250, 299)]
    assert sum(pages[0].owners.values()) == 49
    assert [len(page.rows) for page in pages] == [20, 20, 9]


def test_a_lead_that_moves_between_pages_does_not_shift_the_others(store: Store) -> None:
    expected = fill_hot_leads(store, 20)
    first = read_call_list(store, OverrideMirror(store), None, 5, MOMENT_MS, None)
    store.add_predictions([hot(expected[4], MOMENT_MS + 1, score=100, deadline=MOMENT_MS - 9)]).result(10)
    second = read_call_list(store, OverrideMirror(store), None, 5, MOMENT_MS, first.next)
    assert [row.lead_id for row in second.rows] == expected[5:10]


@pytest.mark.parametrize("now", [MOMENT_MS, MOMENT_MS + 1, MOMENT_MS + 2, MOMENT_MS + 50])
def test_the_overview_counts_the_leads_that_are_overdue(store: Store, now: int) -> None:
    lead_ids = fill_hot_leads(store, 20)
    store.add_predictions([hot("F", MOMENT_MS, deadline=MOMENT_MS + 1, action="follow_up")]).result(10)
    contacted = [*lead_ids[:8], "F"]
    store.add_records(
        [record("handovers", lead, lead_id=lead, step="first_contact") for lead in contacted]
    ).result(10)
    rows = store.call_list(None, 100, now)
    overdue = sum(is_overdue(row, now) for row in rows)
    counted = store.read(lambda connection: count_pending(connection, now, ())).overdue
    assert (len(rows), counted) == (21, overdue)


@given(st.from_regex(CURSOR))
def test_whatever_has_the_form_of_a_cursor_is_a_place(cursor: str) -> None:
    place = _parse_cursor(cursor.strip())
    assert 0 <= place.due <= NEVER
    assert "\x00" not in place.lead_id


@given(st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1, max_size=200))
def test_a_cursor_keeps_its_place(lead_id: str) -> None:
    place = ListCursor(NEVER, 88, lead_id)
    assert _parse_cursor(_format_cursor(place)) == place
