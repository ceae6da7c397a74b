"""The points part: exact reasons, and never less likely with more points."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.columns import Column
from scoring.model.points import PointsPart
from scoring.scorecard.rating import rate
from scoring.scorecard.scorecard import Scorecard
from tests.scoring.scorecard.test_rating import (
    NUMBERS,
    WORDS,
    card,
    cards,
    columns,
    group,
    leads,
    rule,
)

NAMES = (*NUMBERS, *WORDS, "unused")
in_its_own_time = settings(deadline=None, max_examples=50)
weights = st.floats(0, 3)
several = st.lists(leads, min_size=1, max_size=5)


@st.composite
def parts(draw: st.DrawFn) -> PointsPart:
    mean = draw(st.lists(st.floats(-2, 2), min_size=len(NAMES), max_size=len(NAMES)))
    return PointsPart(
        draw(cards()),
        NAMES,
        draw(st.floats(-5, 5)),
        draw(st.floats(0, 0.5)),
        draw(weights),
        draw(weights),
        np.array(mean),
    )


def part(own: Scorecard, names: str, **told: float) -> PointsPart:
    """Weights that are easy to follow; the average lead gets nothing by any feature."""
    told = {"intercept": -2.0, "per_point": 0.1, "trigger": 1.5, "exclusion": 4.0, **told}
    return PointsPart(own, tuple(names), **told, mean=np.zeros(len(names)))


def flags(*told: str, names: str) -> dict[str, Column]:
    """Leads that have the features of their letters."""
    return {name: np.array([float(name in lead) for lead in told]) for name in names}


@in_its_own_time
@given(parts(), several)
def test_contributions_add_up_to_the_log_odds(own: PointsPart, told: list[Any]) -> None:
    rating = rate(own.card, columns(told))
    prior, contributions = own.contributions(rating)
    assert contributions.shape == (len(told), len(NAMES))
    np.testing.assert_allclose(prior + contributions.sum(axis=1), own.log_odds(rating), rtol=0, atol=1e-9)


@in_its_own_time
@given(parts(), several)
def test_what_no_rule_looks_at_adds_nothing(own: PointsPart, told: list[Any]) -> None:
    by_feature = own.by_feature(rate(own.card, columns(told)))
    for place, name in enumerate(NAMES):
        if name not in own.card.features:
            assert not by_feature[:, place].any()


@in_its_own_time
@given(parts(), several)
def test_more_points_are_never_less_likely(own: PointsPart, told: list[Any]) -> None:
    rating = rate(own.card, columns(told))
    log_odds = own.log_odds(rating)
    for triggered in (False, True):
        for excluded in (False, True):
            ours = (rating.triggered == triggered) & (rating.excluded == excluded)
            order = np.argsort(rating.points[ours], kind="stable")
            assert (np.diff(log_odds[ours][order]) >= 0).all()


@in_its_own_time
@given(parts(), several)
def test_written_as_json_and_read_again_it_is_the_same(own: PointsPart, told: list[Any]) -> None:
    plain = json.loads(json.dumps(own.plain()))
    again = PointsPart.parse(plain, Scorecard.model_validate(own.card.plain()), NAMES)
    rating = rate(own.card, columns(told))
    assert again.plain() == own.plain()
    np.testing.assert_array_equal(again.log_odds(rating), own.log_odds(rating))
    np.testing.assert_array_equal(again.by_feature(rating), own.by_feature(rating))


def test_a_part_of_other_features_is_refused() -> None:
    own = part(card(intent=group(None, a=20)), "ab")
    with pytest.raises(ValueError, match="the points part does not fit the features"):
        PointsPart.parse(own.plain(), own.card, ("a", "b", "c"))


# -- by hand -------------------------------------------------------------------------------------


def one(feature: str) -> dict[str, Any]:
    return {"feature": feature, "at_least": 1}


def test_points_triggers_and_exclusions_have_their_weights() -> None:
    own = card(
        fit=group(None, a=10),
        intent=group(None, b=20),
        triggers={"t": rule(one("t"))},
        exclusions={"x": rule(one("x"))},
    )
    rating = rate(own, flags("", "a", "ab", "t", "x", "abtx", names="abtx"))
    expected = [-2, -1, 1, -0.5, -6, -1.5]
    np.testing.assert_allclose(part(own, "abtx").log_odds(rating), expected)


def test_where_a_cap_cuts_all_rows_are_cut_alike() -> None:
    own = card(fit=group(15, a=10, b=20), intent=group(None, c=20, d=-5))
    rating = rate(own, flags("abcd", "a", names="abcd"))
    np.testing.assert_allclose(part(own, "abcd").by_feature(rating), [[0.5, 1.0, 2.0, -0.5], [1.0, 0, 0, 0]])


def test_points_below_0_are_cut_with_the_others() -> None:
    own = card(1, 15, fit=group(15, a=10, b=20, c=-10))
    np.testing.assert_allclose(
        part(own, "abc").by_feature(rate(own, flags("abc", names="abc"))), [[0.75, 1.5, -0.75]]
    )


def test_points_that_cancel_out_are_still_told_each() -> None:
    own = card(1, 15, fit=group(15, a=10, b=20, c=-30))
    told = part(own, "abc", per_point=0.1).by_feature(rate(own, flags("abc", names="abc")))
    np.testing.assert_allclose(told, [[1, 2, -3]])


def test_several_triggers_and_exclusions_count_once_and_share_their_weight() -> None:
    own = card(
        intent=group(None, p=20),
        triggers={name: rule(one(name)) for name in "tuv"},
        exclusions={name: rule(one(name)) for name in "xy"},
    )
    own_part, rating = part(own, "ptuvxy"), rate(own, flags("tu", "v", "xy", names="ptuvxy"))
    np.testing.assert_allclose(own_part.log_odds(rating), [-0.5, -0.5, -6])
    expected = np.zeros((3, 6))
    expected[0, 1:3], expected[1, 3], expected[2, 4:6] = 0.75, 1.5, -2
    np.testing.assert_allclose(own_part.by_feature(rating), expected)


def test_a_row_of_several_conditions_shares_its_points_between_their_features() -> None:
    """Two conditions on one feature count twice."""
    when = [one("a"), one("b"), {"feature": "b", "at_most": 5}]
    own = card(intent={"rows": {"r": rule(*when, points=30)}})
    np.testing.assert_allclose(
        part(own, "ab").by_feature(rate(own, flags("ab", "a", names="ab"))), [[1, 2], [0, 0]]
    )


def test_reasons_are_told_against_the_average_lead() -> None:
    own = card(intent=group(None, a=20, b=10))
    mean = np.array([0.5, 0.25])
    average = PointsPart(own, ("a", "b"), -2.0, 0.1, 1.5, 4.0, mean)
    prior, told = average.contributions(rate(own, flags("a", names="ab")))
    assert prior == pytest.approx(-1.25)
    np.testing.assert_allclose(told, [[1.5, -0.25]])
