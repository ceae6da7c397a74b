"""The card's view of leads: one by one and many at once say the same, and what wins over what."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.columns import Column, Texts, texts
from features.errors import SettingsError
from scoring.scorecard.load import blank_card
from scoring.scorecard.rating import OneRater, Rating, rate, scale_of
from scoring.scorecard.scorecard import COLD, HOT, WARM, Bands, Group, Scorecard

NUMBERS, WORDS = ("visits", "employees", "since"), ("channel", "budget")
VALUES = ("fair", "web", "紹介", "true", "5")
LEVELS = (-1.0, 0.0, 0.5, 1.0, 3.0, 1e9)
STAGES = blank_card().stages
BECAUSE = {"en": "because", "ja": "理由"}
Lead = Mapping[str, float | str | None]


def card(warm: int = 10, hot: int = 20, **told: Any) -> Scorecard:
    """A card with the stages of the blank one."""
    return Scorecard(stages=STAGES, bands=Bands(warm=warm, hot=hot), **told)


def rule(*when: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"when": list(when), "because": BECAUSE, **more}


def row(points: int, *when: dict[str, Any]) -> dict[str, Any]:
    return rule(*(when or ({"feature": "visits", "at_least": 1},)), points=points)


def group(cap: int | None = None, **points: int) -> dict[str, Any]:
    """Rows that hold where the feature of their own name is 1 or more."""
    rows = {name: row(p, {"feature": name, "at_least": 1}) for name, p in points.items()}
    return {"rows": rows, "cap": cap}


def columns(leads: Sequence[Lead], names: Sequence[str] = (*NUMBERS, *WORDS)) -> dict[str, Column]:
    """The leads as columns; a missing number is nan, a missing text None."""
    return {
        name: texts([lead[name] for lead in leads])  # type: ignore[misc]
        if name in WORDS
        else np.array([math.nan if lead[name] is None else lead[name] for lead in leads], dtype=float)
        for name in names
    }


def flags(**told: float) -> dict[str, Column]:
    return {name: np.array([value], dtype=float) for name, value in told.items()}


def test_leads_of_which_the_same_holds_share_a_pattern() -> None:
    own = card(intent=group(None, visits=30), triggers={"t": rule({"feature": "since", "at_most": 1})})
    told = {"visits": np.array([1.0, 5.0, 1.0, 0.0]), "since": np.array([3.0, 2.0, 0.0, np.nan])}
    first, second, triggered, nothing = rate(own, told).patterns
    assert first == second
    assert len({first, triggered, nothing}) == 3


# -- one and many --------------------------------------------------------------------------------

numbers = st.none() | st.just(math.nan) | st.sampled_from(LEVELS) | st.floats(allow_nan=False)
words = st.none() | st.sampled_from(VALUES) | st.sampled_from(["", "unseen", "Fair"])
leads = st.fixed_dictionaries({**dict.fromkeys(NUMBERS, numbers), **dict.fromkeys(WORDS, words)})


@st.composite
def conditions(draw: st.DrawFn) -> dict[str, Any]:
    if draw(st.booleans()):
        values = draw(st.lists(st.sampled_from(VALUES), min_size=1, max_size=3))
        return {"feature": draw(st.sampled_from(WORDS)), "one_of": values}
    low, high = sorted(draw(st.tuples(st.sampled_from(LEVELS), st.sampled_from(LEVELS))))
    sides = draw(st.sampled_from([("at_least",), ("at_most",), ("at_least", "at_most")]))
    bounds = {side: {"at_least": low, "at_most": high}[side] for side in sides}
    return {"feature": draw(st.sampled_from(NUMBERS)), **bounds}


@st.composite
def rules(draw: st.DrawFn, name: str, least: int = 0) -> dict[str, Any]:
    told = draw(st.lists(st.lists(conditions(), min_size=1, max_size=3), min_size=least, max_size=4))
    return {f"{name}{i}": rule(*when) for i, when in enumerate(told)}


@st.composite
def groups(draw: st.DrawFn, name: str) -> Group:
    rows = draw(rules(name, 1))
    for told in rows.values():
        told["points"] = draw(st.integers(-50, 50).filter(bool))
    cap = draw(st.none() | st.integers(1, 60))
    return Group.model_validate({"cap": cap, "rows": rows})


several = st.lists(leads, min_size=1, max_size=5)
quick = settings(deadline=None, max_examples=50)


@st.composite
def cards(draw: st.DrawFn) -> Scorecard:
    """Any card: with or without each group, caps, points below 0, rules of several conditions."""
    told = {name: draw(st.none() | groups(name)) for name in ("fit", "intent")}
    given = {name: g for name, g in told.items() if g is not None}
    most = sum(g.most for g in given.values())
    if most < 2:
        given, most = {}, 60
    hot = draw(st.integers(2, most))
    rest = {"triggers": draw(rules("t")), "exclusions": draw(rules("x"))}
    return card(draw(st.integers(1, hot - 1)), hot, **given, **rest)


@settings(deadline=None)
@given(cards(), several)
def test_one_lead_and_many_are_rated_alike(own: Scorecard, told: list[Lead]) -> None:
    many, one = rate(own, columns(told)), OneRater(own)
    assert len(many) == len(told)
    for place, lead in enumerate(told):
        single, there = one(lead), many.take(np.array([place]))
        for name in (
            "fired",
            "triggers",
            "exclusions",
            "fit",
            "intent",
            "points",
            "triggered",
            "excluded",
            "stage",
            "score",
            "rank",
        ):
            mine, theirs = getattr(single, name), getattr(there, name)
            np.testing.assert_array_equal(mine, theirs, err_msg=name)
            assert mine.shape == theirs.shape


@quick
@given(cards(), several)
def test_every_rule_holds_where_all_its_conditions_do(own: Scorecard, told: list[Lead]) -> None:
    """Against a plain reading of the card."""

    def holds(condition: Any, value: float | str | None) -> bool:
        if condition.one_of is not None:
            return value in condition.one_of
        if value is None or math.isnan(value):  # type: ignore[arg-type]
            return False
        low, high = condition.at_least, condition.at_most
        return (low is None or value >= low) and (high is None or value <= high)

    at = rate(own, columns(told))
    found = np.hstack([at.fired, at.triggers, at.exclusions])
    for place, (_, _, one) in enumerate(own.rules()):
        expected = [all(holds(c, lead[c.feature]) for c in one.when) for lead in told]
        assert found[:, place].tolist() == expected


@quick
@given(cards(), several)
def test_score_stage_and_rank_agree_and_caps_hold(own: Scorecard, told: list[Lead]) -> None:
    at = rate(own, columns(told))
    for of, points in ((own.fit, at.fit), (own.intent, at.intent)):
        assert points.max() <= (of.most if of else 0)
    assert at.points.max() <= own.most <= scale_of(own).top
    assert at.stage.tolist() == [HOT if s >= 80 else WARM if s >= 40 else COLD for s in at.score]
    order = np.argsort(at.rank, kind="stable")
    assert (np.diff(at.stage[order]) >= 0).all()
    assert (np.diff(at.score[order]) >= 0).all()


@quick
@given(cards(), several, st.data())
def test_some_of_the_leads_are_rated_as_among_all(
    own: Scorecard, told: list[Lead], data: st.DataObject
) -> None:
    kept = data.draw(st.lists(st.integers(0, len(told) - 1), min_size=1))
    some, direct = (
        rate(own, columns(told)).take(np.array(kept)),
        rate(own, columns([told[i] for i in kept])),
    )
    np.testing.assert_array_equal(some.rank, direct.rank)
    np.testing.assert_array_equal(some.fired, direct.fired)


# -- points --------------------------------------------------------------------------------------


def points(own: Scorecard, **told: float) -> tuple[int, int]:
    many = rate(own, flags(**told))
    one = OneRater(own)(told)
    assert (int(one.fit[0]), int(one.intent[0])) == (int(many.fit[0]), int(many.intent[0]))
    return int(many.fit[0]), int(many.intent[0])


def test_each_group_has_its_own_cap() -> None:
    own = card(fit=group(15, a=10, b=10), intent=group(25, c=20, d=20))
    assert points(own, a=1, b=1, c=0, d=0) == (15, 0)
    assert points(own, a=1, b=0, c=1, d=1) == (10, 25)
    assert points(own, a=1, b=1, c=1, d=1) == (15, 25)
    assert own.most == 40


def test_points_below_0_count_before_the_cap_and_may_lead_below_0() -> None:
    own = card(fit=group(15, a=10, b=10, c=-8), intent=group(None, d=20, e=-30))
    assert points(own, a=1, b=1, c=1, d=1, e=1) == (12, -10)
    at = rate(own, flags(a=0, b=0, c=1, d=1, e=1))
    assert (int(at.points[0]), int(at.score[0]), int(at.stage[0])) == (-18, 0, COLD)


def test_without_a_cap_all_points_count() -> None:
    assert points(card(intent=group(None, a=20, b=15)), a=1, b=2) == (0, 35)


def test_a_value_that_no_lead_has_holds_nowhere() -> None:
    own = card(1, 2, intent={"rows": {"r": row(5, {"feature": "channel", "one_of": ["radio"]})}})
    none = Texts(np.array([-1, -1], dtype=np.int32), ())
    assert rate(own, {"channel": none}).points.tolist() == [0, 0]
    assert rate(own, {"channel": texts(["radio", None, "web"])}).points.tolist() == [5, 0, 0]


def test_bounds_belong_to_the_range() -> None:
    told = {"feature": "visits", "at_least": 2, "at_most": 3}
    own = card(1, 2, intent={"rows": {"r": row(5, told)}})
    visits = np.array([np.nextafter(2, 0), 2, 3, np.nextafter(3, 4), np.nan])
    assert rate(own, {"visits": visits}).points.tolist() == [0, 5, 5, 0, 0]


# -- what wins -----------------------------------------------------------------------------------


def one_rule(feature: str) -> dict[str, Any]:
    return {feature: rule({"feature": feature, "at_least": 1})}


BOTH = card(intent=group(None, a=15, b=25), triggers=one_rule("t"), exclusions=one_rule("x"))


@pytest.mark.parametrize(
    ("told", "score", "stage"),
    [
        ({}, 0, COLD),
        ({"a": 1}, 60, WARM),
        ({"b": 1}, 85, HOT),
        ({"t": 1}, 80, HOT),
        ({"t": 1, "a": 1}, 80, HOT),
        ({"t": 1, "a": 1, "b": 1}, 100, HOT),
        ({"x": 1}, 0, COLD),
        ({"x": 1, "t": 1, "a": 1, "b": 1}, 0, COLD),
    ],
)
def test_exclusion_before_trigger_before_points(told: dict[str, float], score: int, stage: int) -> None:
    at = rate(BOTH, flags(**{**dict.fromkeys("abtx", 0.0), **told}))
    assert (int(at.score[0]), int(at.stage[0])) == (score, stage)


def ranked(*told: str) -> list[str]:
    """Leads by rank, the highest first; each is the features that are 1."""
    names = dict.fromkeys("abtx")
    at = rate(BOTH, {n: np.array([float(n in one) for one in told]) for n in names})
    return [told[i] for i in np.argsort(-at.rank, kind="stable")]


def test_rank_goes_by_score_and_ties_by_points() -> None:
    assert ranked("", "a", "t", "ta", "b", "tab", "x", "xb") == [
        "tab",
        "b",
        "ta",
        "t",
        "a",
        "",
        "xb",
        "x",
    ]


def test_a_lead_that_was_never_hot_ranks_below_a_trigger_that_lost_points() -> None:
    own = card(10, 20, intent=group(None, a=19, b=30, c=-1000), triggers=one_rule("t"))
    at = rate(own, {n: np.array([float(n in one) for one in ("a", "tc")]) for n in "abct"})
    assert at.rank[1] > at.rank[0]
    assert at.score.tolist() == [76, 80]


# -- features that are not there -----------------------------------------------------------------


def test_missing_features_are_all_named() -> None:
    own = card(intent=group(None, a=15, b=25), exclusions=one_rule("x"))
    message = r"features that are not there: b, x\. Add them to \[features\]"
    with pytest.raises(SettingsError, match=message):
        rate(own, flags(a=1))
    with pytest.raises(SettingsError, match=message):
        OneRater(own)({"a": 1.0})


def test_the_features_of_prompts_must_be_there_too() -> None:
    prompt = {"since": "s", "answered": "c", "hours": 1, "text": BECAUSE}
    own = card(intent=group(None, a=25), prompts={"inquiry": prompt})
    with pytest.raises(SettingsError, match="not there: c, s"):
        rate(own, flags(a=1))


def test_the_same_name_in_both_groups_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\[fit\.rows\.a\] and \[intent\.rows\.a\] share a name"):
        card(fit=group(None, a=10), intent=group(None, a=20))


def test_no_leads_and_no_rules_are_no_trouble() -> None:
    assert len(rate(BOTH, {n: np.zeros(0) for n in "abtx"})) == 0
    at: Rating = rate(card(), flags(a=1))
    assert (at.fired.shape, at.points.tolist(), at.stage.tolist()) == ((1, 0), [0], [COLD])
    one = OneRater(card())({"a": 1.0})
    assert (one.fired.shape, one.points.tolist(), one.stage.tolist()) == ((1, 0), [0], [COLD])
