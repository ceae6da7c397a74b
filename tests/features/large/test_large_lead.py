"""A lead with very many activities has the same values as in plain Python, to the last bit."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from features.large.event_columns import to_columns
from features.large.large_lead import LargeLead
from features.one_lead import Event, OneLead
from tests.features.test_views import LEADS, TABLE, History, histories, times
from tests.helpers.builders import is_same


def events_of(history: History, leads: set[int]) -> list[Event]:
    return [(kind, time_ms, value) for lead, kind, time_ms, value in history.activities if lead in leads]


@settings(max_examples=60, deadline=None)
@given(histories(), st.integers(0, LEADS - 1), times)
def test_both_views_of_one_lead_give_the_same_values(history: History, lead: int, moment: int) -> None:
    mates = {i for i, account in enumerate(history.accounts) if account == history.accounts[lead]}
    attributes = {name: values[lead] for name, values in history.attributes.items()}
    changes = [(column, time_ms, value) for row, column, time_ms, value in history.changes if row == lead]
    of_lead, of_account = events_of(history, {lead}), events_of(history, mates)
    for account in (None, of_account):
        small = OneLead(moment, history.created, attributes, of_lead, changes, account)
        joined = None if account is None else to_columns(account)
        large = LargeLead(moment, history.created, attributes, to_columns(of_lead), changes, joined)
        pairs = zip(TABLE.names, TABLE.compute_one(small), TABLE.compute_one(large), strict=True)
        assert not {name: (a, b) for name, a, b in pairs if not is_same(a, b)}
