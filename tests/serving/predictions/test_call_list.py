"""The call list page by page: every lead once, its total and owners, those called off left out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.clock import NEVER
from serving.leads.overrides import Said
from serving.predictions.call_list import CURSOR, Calls, _cursor, _place, calls
from serving.store.rows import Place
from serving.store.store import Store
from tests.helpers.stores import AT, hot, record, server, store, url

OWNERS = ("inside_sales", "field_sales")

__all__ = ["server", "store", "url"]


def filled(store: Store, count: int) -> list[str]:
    """Hot leads of two owners with few deadlines and scores among them; their ids in the list's order."""
    told = [
        hot(
            f"L{i:03}", AT, owner=OWNERS[i % 2], score=80 + i % 3, deadline=None if i % 4 == 0 else AT + i % 2
        )
        for i in range(count)
    ]
    store.remember(told).result(10)
    ordered = sorted(told, key=lambda p: (p.deadline or NEVER, -p.score, p.lead_id))
    return [p.lead_id for p in ordered]


def walked(store: Store, said: Said, owner: str | None, limit: int) -> tuple[list[str], list[Calls]]:
    pages, after = [], None
    while True:
        page = calls(store, said, owner, limit, AT + 100, after)
        pages.append(page)
        if (after := page.next) is None:
            return [row.lead_id for page in pages for row in page.rows], pages


@pytest.mark.parametrize("limit", [1, 7, 50, 1000])
def test_all_pages_together_are_the_list(store: Store, limit: int) -> None:
    expected = filled(store, 50)
    found, pages = walked(store, Said(store), None, limit)
    assert found == expected
    assert all(len(page.rows) == limit for page in pages[:-1])
    assert all(page.owners == {"field_sales": 25, "inside_sales": 25} for page in pages)
    own, _ = walked(store, Said(store), "field_sales", limit)
    assert own == [lead for lead in expected if int(lead[1:]) % 2]


def test_those_called_off_and_closed_are_in_no_page_and_no_count(store: Store) -> None:
    filled(store, 300)
    off = [f"L{i:03}" for i in range(250)]
    verdict = {"verdict": "not_hot", "reason": "x", "by": "Ito"}
    store.accept([record("overrides", lead, lead_id=lead, **verdict) for lead in off]).result(10)
    store.accept([record("outcomes", "d", lead_id="L299", outcome="lost")]).result(10)
    said = Said(store)
    said.refresh()
    found, pages = walked(store, said, None, 20)
    assert sorted(found) == [f"L{i:03}" for i in range(250, 299)]
    assert sum(pages[0].owners.values()) == 49
    assert [len(page.rows) for page in pages] == [20, 20, 9]


def test_a_lead_that_moves_between_pages_does_not_shift_the_others(store: Store) -> None:
    expected = filled(store, 20)
    first = calls(store, Said(store), None, 5, AT, None)
    store.remember([hot(expected[4], AT + 1, score=100, deadline=AT - 9)]).result(10)
    second = calls(store, Said(store), None, 5, AT, first.next)
    assert [row.lead_id for row in second.rows] == expected[5:10]


@given(st.from_regex(CURSOR))
def test_whatever_has_the_form_of_a_cursor_is_a_place(cursor: str) -> None:
    place = _place(cursor.strip())
    assert 0 <= place.due <= NEVER
    assert "\x00" not in place.lead_id


@given(
    st.text(
        st.characters(exclude_characters="\x00", exclude_categories=["Cs"]),
        min_size=1,
        max_size=200,
    )
)
def test_a_cursor_keeps_its_place(lead_id: str) -> None:
    place = Place(NEVER, 88, lead_id)
    assert _place(_cursor(place)) == place
