"""The points part: exact reasons, and never less likely with more points."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.columns import Column
from scoring.model.points import PointsPart
from scoring.scorecard.rating import rate
from scoring.scorecard.scorecard import Scorecard
from tests.scoring.scorecard.test_rating import NUMBERS, WORDS, card, cards, columns, group, leads, rule

NAMES = (*NUMBERS, *WORDS, "unused")
in_its_own_time = settings(deadline=None, max_examples=50)
weights = st.floats(0, 3)
several = st.lists(leads, min_size=1, max_size=5)


@st.composite
def parts(draw: st.DrawFn) -> PointsPart:
    mean = draw(st.lists(st.floats(-2, 2), min_size=len(NAMES), max_size=len(NAMES)))
    return PointsPart(
        card=draw(cards()),
        features=NAMES,
        intercept=draw(st.floats(-5, 5)),
        per_point=draw(st.floats(0, 0.5)),
        trigger=draw(weights),
        exclusion=draw(weights),
        mean=np.array(mean),
    )


def make_points_part(scorecard: Scorecard, names: str, **parameters: float) -> PointsPart:
    """Weights that are easy to follow; the average lead gets nothing by any feature."""
    parameters = {"intercept": -2.0, "per_point": 0.1, "trigger": 1.5, "exclusion": 4.0, **parameters}
    return PointsPart(card=scorecard, features=tuple(names), **parameters, mean=np.zeros(len(names)))


def flags(*lead_letters: str, names: str) -> dict[str, Column]:
    """Leads that have the features of their letters."""
    return {name: np.array([float(name in lead) for lead in lead_letters]) for name in names}


@in_its_own_time
@given(parts(), several)
def test_contributions_add_up_to_the_log_odds(points_part: PointsPart, lead_rows: list[Any]) -> None:
    rating = rate(points_part.card, columns(lead_rows))
    prior, contributions = points_part.contributions(rating)
    assert contributions.shape == (len(lead_rows), len(NAMES))
    np.testing.assert_allclose(
        prior + contributions.sum(axis=1), points_part.log_odds(rating), rtol=0, atol=1e-9
    )


@in_its_own_time
@given(parts(), several)
def test_what_no_rule_looks_at_adds_nothing(points_part: PointsPart, lead_rows: list[Any]) -> None:
    by_feature = points_part.by_feature(rate(points_part.card, columns(lead_rows)))
    for place, name in enumerate(NAMES):
        if name not in points_part.card.features:
            assert not by_feature[:, place].any()


@in_its_own_time
@given(parts(), several)
def test_more_points_are_never_less_likely(points_part: PointsPart, lead_rows: list[Any]) -> None:
    rating = rate(points_part.card, columns(lead_rows))
    log_odds = points_part.log_odds(rating)
    for triggered in (False, True):
        for excluded in (False, True):
            ours = (rating.triggered == triggered) & (rating.excluded == excluded)
            order = np.argsort(rating.points[ours], kind="stable")
            assert (np.diff(log_odds[ours][order]) >= 0).all()


@in_its_own_time
@given(parts(), several)
def test_written_as_json_and_read_again_it_is_the_same(points_part: PointsPart, lead_rows: list[Any]) -> None:
    plain = json.loads(json.dumps(points_part.to_dict()))
    parsed = PointsPart.from_dict(plain, Scorecard.model_validate(points_part.card.to_dict()), NAMES)
    rating = rate(points_part.card, columns(lead_rows))
    assert parsed.to_dict() == points_part.to_dict()
    np.testing.assert_array_equal(parsed.log_odds(rating), points_part.log_odds(rating))
    np.testing.assert_array_equal(parsed.by_feature(rating), points_part.by_feature(rating))


def test_a_part_of_other_features_is_refused() -> None:
    points_part = make_points_part(card(intent=group(None, a=20)), "ab")
    with pytest.raises(ValueError, match="the points part does not fit the features"):
        PointsPart.from_dict(points_part.to_dict(), points_part.card, ("a", "b", "c"))


# -- by hand -------------------------------------------------------------------------------------


def at_least_one(feature: str) -> dict[str, Any]:
    return {"feature": feature, "at_least": 1}


def test_points_triggers_and_exclusions_have_their_weights() -> None:
    scorecard = card(
        fit=group(None, a=10),
        intent=group(None, b=20),
        triggers={"t": rule(at_least_one("t"))},
        exclusions={"x": rule(at_least_one("x"))},
    )
    rating = rate(scorecard, flags("", "a", "ab", "t", "x", "abtx", names="abtx"))
    expected = [-2, -1, 1, -0.5, -6, -1.5]
    np.testing.assert_allclose(make_points_part(scorecard, "abtx").log_odds(rating), expected)


def test_where_a_cap_cuts_all_rows_are_cut_alike() -> None:
    scorecard = card(fit=group(15, a=10, b=20), intent=group(None, c=20, d=-5))
    rating = rate(scorecard, flags("abcd", "a", names="abcd"))
    np.testing.assert_allclose(
        make_points_part(scorecard, "abcd").by_feature(rating), [[0.5, 1.0, 2.0, -0.5], [1.0, 0, 0, 0]]
    )


def test_points_below_0_are_cut_with_the_others() -> None:
    scorecard = card(1, 15, fit=group(15, a=10, b=20, c=-10))
    np.testing.assert_allclose(
        make_points_part(scorecard, "abc").by_feature(rate(scorecard, flags("abc", names="abc"))),
        [[0.75, 1.5, -0.75]],
    )


def test_points_that_cancel_out_are_still_told_each() -> None:
    scorecard = card(1, 15, fit=group(15, a=10, b=20, c=-30))
    contributions = make_points_part(scorecard, "abc", per_point=0.1).by_feature(
        rate(scorecard, flags("abc", names="abc"))
    )
    np.testing.assert_allclose(contributions, [[1, 2, -3]])


def test_several_triggers_and_exclusions_count_once_and_share_their_weight() -> None:
    scorecard = card(
        intent=group(None, p=20),
        triggers={name: rule(at_least_one(name)) for name in "tuv"},
        exclusions={name: rule(at_least_one(name)) for name in "xy"},
    )
    own_part, rating = (
        make_points_part(scorecard, "ptuvxy"),
        rate(scorecard, flags("tu", "v", "xy", names="ptuvxy")),
    )
    np.testing.assert_allclose(own_part.log_odds(rating), [-0.5, -0.5, -6])
    expected = np.zeros((3, 6))
    expected[0, 1:3], expected[1, 3], expected[2, 4:6] = 0.75, 1.5, -2
    np.testing.assert_allclose(own_part.by_feature(rating), expected)


def test_a_row_of_several_conditions_shares_its_points_between_their_features() -> None:
    """Two conditions on one feature count twice."""
    conditions = [at_least_one("a"), at_least_one("b"), {"feature": "b", "at_most": 5}]
    scorecard = card(intent={"rows": {"r": rule(*conditions, points=30)}})
    np.testing.assert_allclose(
        make_points_part(scorecard, "ab").by_feature(rate(scorecard, flags("ab", "a", names="ab"))),
        [[1, 2], [0, 0]],
    )


def test_reasons_are_told_against_the_average_lead() -> None:
    scorecard = card(intent=group(None, a=20, b=10))
    mean = np.array([0.5, 0.25])
    average = replace(make_points_part(scorecard, "ab"), mean=mean)
    prior, contributions = average.contributions(rate(scorecard, flags("a", names="ab")))
    assert prior == pytest.approx(-1.25)
    np.testing.assert_allclose(contributions, [[1.5, -0.25]])
