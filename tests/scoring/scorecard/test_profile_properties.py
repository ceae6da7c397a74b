"""Properties of the shipped profiles for any lead, and for one lead and many."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.kinds import Attribute, activities_of
from features.many_leads import Histories, ManyLeads
from scoring.scorecard.rating import OneRater, Rating, rate
from scoring.scorecard.scorecard import Rule
from tests.helpers.builders import DAY, NOON, make_crm, one_lead
from tests.scoring.scorecard.profile_leads import (
    PROFILES,
    PastActivity,
    card_of,
    conditions,
    rate_lead,
    rows,
    stage,
    table_of,
    triggers,
)

# -- Any lead ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lead:
    activities: list[PastActivity] = field(default_factory=list)
    attributes: dict[str, object] = field(default_factory=dict)

    def rate_by(self, profile: str, *more: PastActivity) -> Rating:
        return rate_lead(profile, *self.activities, *more, **self.attributes)


# The edges of the windows, beside any time.
EDGES = (1, 7, 7.01, 14, 14.01, 30, 30.01, 60, 60.01, 90, 365)
ages = st.sampled_from(EDGES) | st.floats(0.001, 400)
fresh = st.floats(0.001, 6.9)
amounts = st.sampled_from([1.0, 2.0, 77.0, 50_000.0])
any_value = amounts | st.sampled_from([math.nan, 0.0])


def activity_strategy(
    kinds: set[str], ages: st.SearchStrategy[float], values: st.SearchStrategy[float]
) -> st.SearchStrategy[PastActivity]:
    return st.tuples(st.sampled_from(sorted(kinds)), ages, values)


def attribute_strategies(profile: str) -> dict[str, st.SearchStrategy[Any]]:
    """Values for each column: those that the card looks for, another one, and none."""
    strategies: dict[str, st.SearchStrategy[Any]] = {}
    for name, attribute in table_of(profile).attributes.items():
        wanted = sorted({v for c in conditions(profile) if c.feature == name for v in c.one_of or ()})
        numbers = st.sampled_from([0.0, 99.0, 100.0, 120.0])
        strategies[attribute.column] = st.none() | (
            numbers if attribute.values == "number" else st.sampled_from([*wanted, "other"])
        )
    return strategies


def leads(profile: str, ages: st.SearchStrategy[float] = ages) -> st.SearchStrategy[Lead]:
    activities = st.lists(activity_strategy(set(table_of(profile).activities), ages, any_value), max_size=20)
    return st.builds(Lead, activities, st.fixed_dictionaries(attribute_strategies(profile)))


def activity_types_of(profile: str, rules: Mapping[str, Rule]) -> set[str]:
    """The activity types that some rules look at."""
    features = {c.feature for rule in rules.values() for c in rule.when}
    return set().union(*(activities_of(table_of(profile).rows[name]) for name in features))


@pytest.mark.parametrize("profile", PROFILES)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_doing_one_thing_more_never_lowers_points(profile: str, data: st.DataObject) -> None:
    gaining = {name: row for name, row in card_of(profile).rows.items() if row.points > 0}
    lead = data.draw(leads(profile))
    more = data.draw(activity_strategy(activity_types_of(profile, gaining), fresh, amounts))
    assert lead.rate_by(profile, more).points[0] >= lead.rate_by(profile).points[0]


@pytest.mark.parametrize("profile", PROFILES)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_doing_anything_more_ends_no_trigger_unless_it_empties_the_cart(
    profile: str, data: st.DataObject
) -> None:
    lead = data.draw(leads(profile))
    more = data.draw(activity_strategy(set(table_of(profile).activities), ages, amounts))
    assert triggers(lead.rate_by(profile, more)) >= triggers(lead.rate_by(profile))


@pytest.mark.parametrize("profile", PROFILES)
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_an_exclusion_holds_against_anything_else(profile: str, data: st.DataObject) -> None:
    lead = data.draw(leads(profile))
    rule = data.draw(st.sampled_from(list(card_of(profile).exclusions.values())))
    for condition in rule.when:
        feature = table_of(profile).rows[condition.feature]
        assert isinstance(feature, Attribute)
        lead.attributes[feature.column] = data.draw(st.sampled_from(condition.one_of or ()))
    rating = lead.rate_by(profile)
    assert (stage(rating), rating.score[0]) == ("cold", 0)


@pytest.mark.parametrize("profile", PROFILES)
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_what_was_done_long_ago_counts_no_more(profile: str, data: st.DataObject) -> None:
    lead = Lead(data.draw(leads(profile, st.floats(91, 300))).activities)
    rating = lead.rate_by(profile)
    lasting = {"newsletter", "unsubscribed", "silent"} | set(rating.card.fit.rows)  # type: ignore[union-attr]
    assert not triggers(rating)
    assert rows(rating) <= lasting


# -- One lead and many ---------------------------------------------------------------------------


@dataclass(frozen=True)
class ManyHistories:
    """Some leads with their past; times in days before NOON."""

    activities: list[tuple[int, PastActivity]]
    attributes: list[dict[str, object]]
    changes: list[tuple[int, str, float, object]]
    moments: list[float]


LEADS = 3


@st.composite
def crms(draw: st.DrawFn, profile: str) -> ManyHistories:
    strategies, lead_index = attribute_strategies(profile), st.integers(0, LEADS - 1)
    histories = {a.column for a in table_of(profile).attributes.values() if a.known == "history"}
    at_start = {column: v for column, v in strategies.items() if column not in histories}
    change = st.sampled_from(sorted(histories)).flatmap(
        lambda column: st.tuples(lead_index, st.just(column), ages, strategies[column])
    )
    activity = st.tuples(lead_index, activity_strategy(set(table_of(profile).activities), ages, any_value))
    return ManyHistories(
        draw(st.lists(activity, max_size=30)),
        draw(st.lists(st.fixed_dictionaries(at_start), min_size=LEADS, max_size=LEADS)),
        draw(st.lists(change, max_size=10)),
        draw(st.lists(ages | st.just(0.0), min_size=LEADS, max_size=LEADS)),
    )


def both_ratings(profile: str, many: ManyHistories) -> tuple[list[Rating], Rating]:
    """The leads rated one by one and all at once."""
    table, card = table_of(profile), card_of(profile)
    moments = [_before_noon(days) for days in many.moments]
    activities = [(lead_index, d[0], _before_noon(d[1]), d[2]) for lead_index, d in many.activities]  # type: ignore[misc]
    changes = [(lead_index, column, _before_noon(days), v) for lead_index, column, days, v in many.changes]
    columns = {name: [attributes[name] for attributes in many.attributes] for name in many.attributes[0]}
    if "employees" in columns:  # a column without any number would be one of texts
        columns["employees"][0] = 120.0
    crm = make_crm(LEADS, activities, changes, columns)
    views = [
        one_lead(crm, lead, moment_ms, activities, changes, columns) for lead, moment_ms in enumerate(moments)
    ]
    rater = OneRater(card)
    one = [rater(dict(zip(table.names, table.compute_one(view), strict=True))) for view in views]
    all_leads = ManyLeads(Histories(crm), np.arange(LEADS), np.array(moments, dtype=np.int64))
    return one, rate(card, table.compute_many(all_leads))


def _before_noon(days: float) -> int:
    return NOON - round(days * DAY)


@pytest.mark.parametrize("profile", PROFILES)
@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_leads_are_rated_alike_one_by_one_and_all_at_once(profile: str, data: st.DataObject) -> None:
    one, many = both_ratings(profile, data.draw(crms(profile)))
    for name in ("fired", "triggers", "exclusions", "fit", "intent", "stage", "score", "rank"):
        together = np.concatenate([getattr(rating, name) for rating in one])
        assert together.tolist() == getattr(many, name).tolist(), name
