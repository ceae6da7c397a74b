"""The card's view of leads: one by one and many at once say the same, and what wins over what."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.columns import Column, Texts, encode_texts, normalize_text
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


def card(warm: int = 10, hot: int = 20, **parts: Any) -> Scorecard:
    """A card with the stages of the blank one."""
    return Scorecard(stages=STAGES, bands=Bands(warm=warm, hot=hot), **parts)


def rule(*criteria: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"when": list(criteria), "because": BECAUSE, **more}


def row(points: int, *criteria: dict[str, Any]) -> dict[str, Any]:
    return rule(*(criteria or ({"feature": "visits", "at_least": 1},)), points=points)


def group(cap: int | None = None, **points: int) -> dict[str, Any]:
    """Rows that hold where the feature of their own name is 1 or more."""
    rows = {name: row(p, {"feature": name, "at_least": 1}) for name, p in points.items()}
    return {"rows": rows, "cap": cap}


def columns(leads: Sequence[Lead], names: Sequence[str] = (*NUMBERS, *WORDS)) -> dict[str, Column]:
    """The leads as columns; a missing number is nan, a missing text None."""
    return {
        name: encode_texts([lead[name] for lead in leads])  # type: ignore[misc]
        if name in WORDS
        else np.array([math.nan if lead[name] is None else lead[name] for lead in leads], dtype=float)
        for name in names
    }


def flags(**values: float) -> dict[str, Column]:
    return {name: np.array([value], dtype=float) for name, value in values.items()}


def test_leads_of_which_the_same_holds_share_a_pattern() -> None:
    scorecard = card(intent=group(None, visits=30), triggers={"t": rule({"feature": "since", "at_most": 1})})
    lead_columns = {"visits": np.array([1.0, 5.0, 1.0, 0.0]), "since": np.array([3.0, 2.0, 0.0, np.nan])}
    first, second, triggered, nothing = rate(scorecard, lead_columns).patterns
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
def rules(draw: st.DrawFn, name: str, minimum: int = 0) -> dict[str, Any]:
    condition_lists = draw(
        st.lists(st.lists(conditions(), min_size=1, max_size=3), min_size=minimum, max_size=4)
    )
    return {f"{name}{i}": rule(*criteria) for i, criteria in enumerate(condition_lists)}


@st.composite
def groups(draw: st.DrawFn, name: str) -> Group:
    rows = draw(rules(name, 1))
    for rule_row in rows.values():
        rule_row["points"] = draw(st.integers(-50, 50).filter(bool))
    cap = draw(st.none() | st.integers(1, 60))
    return Group.model_validate({"cap": cap, "rows": rows})


several = st.lists(leads, min_size=1, max_size=5)
few_examples = settings(deadline=None, max_examples=50)


@st.composite
def cards(draw: st.DrawFn) -> Scorecard:
    """Any card: with or without each group, caps, points below 0, rules of several conditions."""
    drawn_groups = {name: draw(st.none() | groups(name)) for name in ("fit", "intent")}
    present_groups = {name: g for name, g in drawn_groups.items() if g is not None}
    maximum = sum(g.max_points for g in present_groups.values())
    if maximum < 2:
        present_groups, maximum = {}, 60
    hot = draw(st.integers(2, maximum))
    rest = {"triggers": draw(rules("t")), "exclusions": draw(rules("x"))}
    return card(draw(st.integers(1, hot - 1)), hot, **present_groups, **rest)


@settings(deadline=None)
@given(cards(), several)
def test_one_lead_and_many_are_rated_alike(scorecard: Scorecard, lead_rows: list[Lead]) -> None:
    many, one = rate(scorecard, columns(lead_rows)), OneRater(scorecard)
    assert len(many) == len(lead_rows)
    for place, lead in enumerate(lead_rows):
        single, from_many = one(lead), many.take(np.array([place]))
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
            mine, theirs = getattr(single, name), getattr(from_many, name)
            np.testing.assert_array_equal(mine, theirs, err_msg=name)
            assert mine.shape == theirs.shape


@few_examples
@given(cards(), several)
def test_every_rule_holds_where_all_its_conditions_do(scorecard: Scorecard, lead_rows: list[Lead]) -> None:
    """Against a plain reading of the card."""

    def holds(condition: Any, value: float | str | None) -> bool:
        if condition.one_of is not None:
            normal_forms = {normalize_text(text) for text in condition.one_of}
            return isinstance(value, str) and normalize_text(value) in normal_forms
        if value is None or math.isnan(value):  # type: ignore[arg-type]
            return False
        low, high = condition.at_least, condition.at_most
        return (low is None or value >= low) and (high is None or value <= high)

    rating = rate(scorecard, columns(lead_rows))
    fired = np.hstack([rating.fired, rating.triggers, rating.exclusions])
    for place, (_, _, one) in enumerate(scorecard.rules()):
        expected = [all(holds(c, lead[c.feature]) for c in one.when) for lead in lead_rows]
        assert fired[:, place].tolist() == expected


@few_examples
@given(cards(), several)
def test_score_stage_and_rank_agree_and_caps_hold(scorecard: Scorecard, lead_rows: list[Lead]) -> None:
    rating = rate(scorecard, columns(lead_rows))
    for card_group, points in ((scorecard.fit, rating.fit), (scorecard.intent, rating.intent)):
        assert points.max() <= (card_group.max_points if card_group else 0)
    assert rating.points.max() <= scorecard.max_points <= scale_of(scorecard).top
    assert rating.stage.tolist() == [HOT if s >= 80 else WARM if s >= 40 else COLD for s in rating.score]
    order = np.argsort(rating.rank, kind="stable")
    assert (np.diff(rating.stage[order]) >= 0).all()
    assert (np.diff(rating.score[order]) >= 0).all()


@few_examples
@given(cards(), several, st.data())
def test_some_of_the_leads_are_rated_as_among_all(
    scorecard: Scorecard, lead_rows: list[Lead], data: st.DataObject
) -> None:
    indexes = data.draw(st.lists(st.integers(0, len(lead_rows) - 1), min_size=1))
    taken, direct = (
        rate(scorecard, columns(lead_rows)).take(np.array(indexes)),
        rate(scorecard, columns([lead_rows[i] for i in indexes])),
    )
    np.testing.assert_array_equal(taken.rank, direct.rank)
    np.testing.assert_array_equal(taken.fired, direct.fired)


# -- points --------------------------------------------------------------------------------------


def rate_points(scorecard: Scorecard, **values: float) -> tuple[int, int]:
    many = rate(scorecard, flags(**values))
    one = OneRater(scorecard)(values)
    assert (int(one.fit[0]), int(one.intent[0])) == (int(many.fit[0]), int(many.intent[0]))
    return int(many.fit[0]), int(many.intent[0])


def test_each_group_has_its_own_cap() -> None:
    scorecard = card(fit=group(15, a=10, b=10), intent=group(25, c=20, d=20))
    assert rate_points(scorecard, a=1, b=1, c=0, d=0) == (15, 0)
    assert rate_points(scorecard, a=1, b=0, c=1, d=1) == (10, 25)
    assert rate_points(scorecard, a=1, b=1, c=1, d=1) == (15, 25)
    assert scorecard.max_points == 40


def test_points_below_0_count_before_the_cap_and_may_lead_below_0() -> None:
    scorecard = card(fit=group(15, a=10, b=10, c=-8), intent=group(None, d=20, e=-30))
    assert rate_points(scorecard, a=1, b=1, c=1, d=1, e=1) == (12, -10)
    rating = rate(scorecard, flags(a=0, b=0, c=1, d=1, e=1))
    assert (int(rating.points[0]), int(rating.score[0]), int(rating.stage[0])) == (-18, 0, COLD)


def test_without_a_cap_all_points_count() -> None:
    assert rate_points(card(intent=group(None, a=20, b=15)), a=1, b=2) == (0, 35)


def test_a_value_that_no_lead_has_holds_nowhere() -> None:
    scorecard = card(1, 2, intent={"rows": {"r": row(5, {"feature": "channel", "one_of": ["radio"]})}})
    none = Texts(np.array([-1, -1], dtype=np.int32), ())
    assert rate(scorecard, {"channel": none}).points.tolist() == [0, 0]
    assert rate(scorecard, {"channel": encode_texts(["radio", None, "web"])}).points.tolist() == [5, 0, 0]


def test_bounds_belong_to_the_range() -> None:
    condition = {"feature": "visits", "at_least": 2, "at_most": 3}
    scorecard = card(1, 2, intent={"rows": {"r": row(5, condition)}})
    visits = np.array([np.nextafter(2, 0), 2, 3, np.nextafter(3, 4), np.nan])
    assert rate(scorecard, {"visits": visits}).points.tolist() == [0, 5, 5, 0, 0]


# -- what wins -----------------------------------------------------------------------------------


def one_rule(feature: str) -> dict[str, Any]:
    return {feature: rule({"feature": feature, "at_least": 1})}


FULL_CARD = card(intent=group(None, a=15, b=25), triggers=one_rule("t"), exclusions=one_rule("x"))


@pytest.mark.parametrize(
    ("values", "score", "stage"),
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
def test_exclusion_before_trigger_before_points(values: dict[str, float], score: int, stage: int) -> None:
    rating = rate(FULL_CARD, flags(**{**dict.fromkeys("abtx", 0.0), **values}))
    assert (int(rating.score[0]), int(rating.stage[0])) == (score, stage)


def rank_leads(*lead_letters: str) -> list[str]:
    """Leads by rank, the highest first; each is the features that are 1."""
    names = dict.fromkeys("abtx")
    rating = rate(FULL_CARD, {n: np.array([float(n in one) for one in lead_letters]) for n in names})
    return [lead_letters[i] for i in np.argsort(-rating.rank, kind="stable")]


def test_rank_goes_by_score_and_ties_by_points() -> None:
    assert rank_leads("", "a", "t", "ta", "b", "tab", "x", "xb") == [
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
    scorecard = card(10, 20, intent=group(None, a=19, b=30, c=-1000), triggers=one_rule("t"))
    rating = rate(scorecard, {n: np.array([float(n in one) for one in ("a", "tc")]) for n in "abct"})
    assert rating.rank[1] > rating.rank[0]
    assert rating.score.tolist() == [76, 80]


# -- features that are not there -----------------------------------------------------------------


def test_missing_features_are_all_named() -> None:
    scorecard = card(intent=group(None, a=15, b=25), exclusions=one_rule("x"))
    message = r"features that are not there: b, x\. Add them to \[features\]"
    with pytest.raises(SettingsError, match=message):
        rate(scorecard, flags(a=1))
    with pytest.raises(SettingsError, match=message):
        OneRater(scorecard)({"a": 1.0})


def test_the_features_of_prompts_must_be_there_too() -> None:
    prompt = {"since": "s", "answered": "c", "hours": 1, "text": BECAUSE}
    scorecard = card(intent=group(None, a=25), prompts={"inquiry": prompt})
    with pytest.raises(SettingsError, match="not there: c, s"):
        rate(scorecard, flags(a=1))


def test_the_same_name_in_both_groups_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\[fit\.rows\.a\] and \[intent\.rows\.a\] share a name"):
        card(fit=group(None, a=10), intent=group(None, a=20))


def test_no_leads_and_no_rules_are_no_trouble() -> None:
    assert len(rate(FULL_CARD, {n: np.zeros(0) for n in "abtx"})) == 0
    rating: Rating = rate(card(), flags(a=1))
    assert (rating.fired.shape, rating.points.tolist(), rating.stage.tolist()) == ((1, 0), [0], [COLD])
    one = OneRater(card())({"a": 1.0})
    assert (one.fired.shape, one.points.tolist(), one.stage.tolist()) == ((1, 0), [0], [COLD])
