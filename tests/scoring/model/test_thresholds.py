"""The model's thresholds: each policy gives what it promises on the evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.columns import Floats
from features.errors import SettingsError
from scoring.decision.decision import ModelSide
from scoring.model.evidence import MODEL, SERVED, Evidence
from scoring.model.model import sigmoid
from scoring.model.thresholds import UNREACHABLE, find_thresholds, highest_of_new_leads, is_new_in_period
from scoring.scorecard.load import blank_card
from scoring.scorecard.rating import rate
from scoring.scorecard.scale import Scale
from scoring.scorecard.scorecard import COLD, HOT, WARM, Bands, Policy, Scorecard
from tests.helpers.builders import DAY, NOON

STAGES = blank_card().stages
in_its_own_time = settings(deadline=None)


def evidence(
    chances: Sequence[float],
    won: Sequence[bool] | None = None,
    points: Sequence[float] | None = None,
    leads: Sequence[str] | None = None,
    day: Sequence[float] | None = None,
    age: Sequence[float] | None = None,
) -> Evidence:
    """Deals that the model gave these probabilities. `points` is a feature, `day` the moment."""
    n = len(chances)
    p = np.array(chances, dtype=np.float64)
    days = np.zeros(n) if day is None else np.array(day, dtype=np.float64)
    return Evidence(
        lead=np.array([f"L{i}" for i in range(n)] if leads is None else leads, dtype=object),
        group=np.arange(n, dtype=np.int32),
        moment=NOON + (days * DAY).astype(np.int64),
        landmark=np.array([0.0] * n if age is None else age, dtype=np.float32),
        won=np.zeros(n, dtype=np.bool_) if won is None else np.array(won, dtype=np.bool_),
        amount=np.full(n, np.nan),
        scores={MODEL: np.log(p / (1 - p))},
        features={"points": np.zeros(n) if points is None else np.array(points, dtype=np.float64)},
        segments={},
    )


def card(bands: tuple[float, float] = (3, 8), **policy: Any) -> Scorecard:
    """Warm from the first number of `points` on, hot from the second on."""

    def row(minimum: float, gives: int) -> dict[str, Any]:
        return {
            "when": [{"feature": "points", "at_least": minimum}],
            "points": gives,
            "because": {"en": "because", "ja": "理由"},
        }

    rows = {"warm": row(bands[0], 10), "hot": row(bands[1], 20)}
    return Scorecard(
        stages=STAGES, bands=Bands(warm=10, hot=30), intent={"rows": rows}, thresholds=Policy(**policy)
    )


def scale_of(sample: Evidence, scorecard: Scorecard, **about: Any) -> Scale:
    return find_thresholds(scorecard.thresholds, sample, rate(scorecard, sample.features), about)


def model_chances(sample: Evidence) -> Floats:
    return sigmoid(sample.scores[MODEL])


def count_hot_and_warm(sample: Evidence, scale: Scale) -> tuple[int, int]:
    """How many are hot, and how many warm or hot."""
    stage = scale.stage(model_chances(sample))
    return int((stage == HOT).sum()), int((stage >= WARM).sum())


SPREAD = [i / 1000 for i in range(1, 101)]
"""A hundred different probabilities, rising."""
SHUFFLED = [SPREAD[i] for i in np.random.default_rng(0).permutation(100)]


# -- as many as the rules ------------------------------------------------------------------------


@in_its_own_time
@given(st.lists(st.integers(0, 10), min_size=100, max_size=100))
def test_as_many_are_hot_and_warm_as_by_the_rules(points: list[int]) -> None:
    sample, scorecard = evidence(SHUFFLED, points=points), card()
    by_rules = rate(scorecard, sample.features).stage
    expected = int((by_rules == HOT).sum()), int((by_rules >= WARM).sum())
    assert count_hot_and_warm(sample, scale_of(sample, scorecard)) == expected


def test_the_thresholds_lie_just_below_the_least_likely_of_each_list() -> None:
    sample = evidence(SPREAD, points=[9] * 10 + [5] * 20 + [0] * 70)
    scale = scale_of(sample, card())
    assert scale.hot == pytest.approx(0.0905)
    assert scale.warm == pytest.approx(0.0705)
    assert scale.top == 1.0


def test_when_the_card_changes_the_thresholds_follow() -> None:
    sample = evidence(SHUFFLED, points=[i % 10 for i in range(100)])
    counts_by_hot = {hot: count_hot_and_warm(sample, scale_of(sample, card((2, hot)))) for hot in (9, 7, 5)}
    assert counts_by_hot == {9: (10, 80), 7: (30, 80), 5: (50, 80)}
    assert count_hot_and_warm(sample, scale_of(sample, card((5, 8)))) == (20, 50)


def test_leads_that_the_model_holds_for_alike_are_treated_alike() -> None:
    sample = evidence([0.1] * 50 + [0.4] * 50, points=[9] * 20 + [5] * 45 + [0] * 35)
    assert count_hot_and_warm(sample, scale_of(sample, card())) == (50, 50)


def test_where_the_model_tells_nobody_apart_nobody_is_hot() -> None:
    sample = evidence([0.2] * 100, points=[9] * 10 + [5] * 20 + [0] * 70)
    assert count_hot_and_warm(sample, scale_of(sample, card())) == (0, 0)


def test_thresholds_are_those_of_the_model_in_use() -> None:
    """The evaluated model gave the likely group 0.7785; the one in use gives 0.7612."""
    sample = evidence([0.1] * 80 + [0.7785] * 20, points=[9] * 20 + [0] * 80)
    served = np.log(np.array([0.1] * 80 + [0.7612] * 20) / np.array([0.9] * 80 + [0.2388] * 20))
    scale = scale_of(replace(sample, scores={**sample.scores, SERVED: served}), card())
    assert scale.stage(np.array([0.7612, 0.1])).tolist() == [HOT, COLD]
    assert 0.4 < scale.hot < 0.5


def test_where_the_rules_call_nobody_hot_the_model_calls_nobody() -> None:
    sample = evidence(SPREAD, points=[5] * 30 + [0] * 70)
    scale = scale_of(sample, card())
    assert scale.hot == UNREACHABLE
    assert count_hot_and_warm(sample, scale) == (0, 30)
    side = ModelSide.from_probability(np.array([0.5, 0.999999]), scale)
    assert side.stage.tolist() == [WARM, WARM]
    assert side.score.max() == 79


def test_where_the_rules_call_nobody_warm_all_are_cold() -> None:
    sample = evidence(SPREAD)
    scale = scale_of(sample, card())
    assert (scale.warm, scale.hot) == (UNREACHABLE, UNREACHABLE)
    assert set(scale.stage(model_chances(sample)).tolist()) == {COLD}


def test_where_the_rules_call_all_hot_the_model_calls_all() -> None:
    sample = evidence(SPREAD, points=[9] * 100)
    scale = scale_of(sample, card())
    assert scale.warm == scale.hot == model_chances(sample).min()
    assert count_hot_and_warm(sample, scale) == (100, 100)


# -- shares --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("warm", "hot", "expected"),
    [(0.3, 0.1, (10, 30)), (1.0, 0.5, (50, 100)), (0.124, 0.004, (0, 12)), (0.126, 0.006, (1, 13))],
)
def test_so_large_a_share_is_hot_and_warm(warm: float, hot: float, expected: tuple[int, int]) -> None:
    sample, scorecard = evidence(SHUFFLED), card(policy="top_share", warm=warm, hot=hot)
    assert count_hot_and_warm(sample, scale_of(sample, scorecard)) == expected


# -- win rates -----------------------------------------------------------------------------------


def longest_list(sample: Evidence, rate_: float) -> int:
    """By trying every threshold: the longest list of which at least this share was won."""
    p = model_chances(sample)
    lists = [p >= threshold for threshold in np.unique(p)]
    return max((int(ours.sum()) for ours in lists if sample.won[ours].mean() >= rate_), default=0)


@in_its_own_time
@given(
    st.lists(
        st.tuples(st.sampled_from([0.1, 0.2, 0.3, 0.5, 0.8]) | st.floats(0.01, 0.99), st.booleans()),
        min_size=1,
        max_size=40,
    ),
    st.sampled_from([0.1, 0.25, 0.5]),
    st.sampled_from([0.6, 0.75, 1.0]),
)
def test_the_longest_lists_with_the_win_rate(
    deals: list[tuple[float, bool]], warm: float, hot: float
) -> None:
    sample = evidence([p for p, _ in deals], won=[won for _, won in deals])
    scorecard = card(policy="min_win_rate", warm=warm, hot=hot)
    scale = scale_of(sample, scorecard)
    assert count_hot_and_warm(sample, scale) == (longest_list(sample, hot), longest_list(sample, warm))
    for threshold, minimum in ((scale.hot, hot), (scale.warm, warm)):
        ours = model_chances(sample) >= threshold
        assert not ours.any() or sample.won[ours].mean() >= minimum


def test_equal_probabilities_do_not_hide_losses() -> None:
    """The first of the list were won; those that the model cannot tell from them were not."""
    sample = evidence([0.9] + [0.4] * 10, won=[True, True] + [False] * 9)
    scale = scale_of(sample, card(policy="min_win_rate", warm=0.1, hot=0.9))
    assert count_hot_and_warm(sample, scale) == (1, 11)


def test_a_win_rate_that_no_list_reaches_makes_nobody_hot() -> None:
    sample = evidence(SPREAD, won=[i % 2 == 0 for i in range(100)])
    scale = scale_of(sample, card(policy="min_win_rate", warm=0.3, hot=0.9))
    assert scale.hot == UNREACHABLE
    assert count_hot_and_warm(sample, scale) == (0, 100)


def test_too_few_wins_show_no_win_rate_so_the_volume_of_the_rules_counts() -> None:
    sample = evidence(SPREAD, won=[False] * 98 + [True] * 2, points=[9] * 10 + [5] * 20 + [0] * 70)
    by_rate = card(policy="min_win_rate", warm=0.3, hot=0.9)
    rating = rate(by_rate, sample.features)
    scale = find_thresholds(by_rate.thresholds, sample, rating, {"measured_won_leads": 2})
    assert count_hot_and_warm(sample, scale) == (10, 30)


@pytest.mark.parametrize("about", [{"measured_won_leads": 2}, {"measurable": False}])
def test_without_rules_too_few_wins_leave_the_win_rate_that_the_model_predicts(about: dict[str, Any]) -> None:
    """A card without rows has no volume; without this nobody would ever be warm."""
    sample = evidence([0.1] * 60 + [0.4] * 30 + [0.8] * 10, won=[False] * 98 + [True] * 2)
    scale = scale_of(sample, card(policy="min_win_rate", warm=0.5, hot=0.8), **about)
    assert count_hot_and_warm(sample, scale) == (10, 40)  # the forty are won with a mean chance of 0.5
    too_much = card(policy="min_win_rate", warm=0.9, hot=0.95)
    assert count_hot_and_warm(sample, scale_of(sample, too_much, **about)) == (0, 0)


# -- calls a week --------------------------------------------------------------------------------


def weekly_evidence(leads: int = 40, old: int = 0) -> Evidence:
    """New leads, each seen on the days 0, 3 and 7 of its life; later in the list, likelier. And very
    likely ones that are a month old when the evidence begins."""
    rows = [
        (f"L{i}", i / 2 + age, age, 0.001 + i / 100 + 0.004 * (age == 3))
        for i in range(leads)
        for age in (0, 3, 7)
    ]
    rows += [(f"old{i}", 0, 30, 0.99) for i in range(old)]
    names, days, ages, probabilities = zip(*rows, strict=True)
    return evidence(probabilities, leads=names, day=days, age=ages)


def count_leads_reaching(sample: Evidence, threshold: float) -> int:
    """How many leads reach a threshold at some moment."""
    return len(set(sample.lead[model_chances(sample) >= threshold].tolist()))


@pytest.mark.parametrize(
    ("warm", "hot", "a_week", "expected"),
    [
        (5, 2, 20, (4, 10)),  # a tenth and a quarter of 40 leads
        (10, 5, 20, (10, 20)),
        (50, 20, 20, (40, 40)),  # more calls than leads: all
        (5, 0.1, 20, (0, 10)),
    ],
)
def test_so_many_leads_turn_hot_in_a_week(
    warm: float, hot: float, a_week: float, expected: tuple[int, int]
) -> None:
    sample, scorecard = weekly_evidence(), card(policy="calls_per_week", warm=warm, hot=hot)
    scale = scale_of(sample, scorecard, new_leads_per_week=a_week)
    assert (count_leads_reaching(sample, scale.hot), count_leads_reaching(sample, scale.warm)) == expected


def test_leads_older_than_the_evidence_do_not_count() -> None:
    """They turned hot before it, perhaps."""
    scorecard = card(policy="calls_per_week", warm=10, hot=5)
    new, new_and_old = weekly_evidence(), weekly_evidence(old=20)
    assert scale_of(new_and_old, scorecard, new_leads_per_week=20) == scale_of(
        new, scorecard, new_leads_per_week=20
    )
    assert int(is_new_in_period(new_and_old).sum()) == len(new) == len(new_and_old) - 20


def test_the_highest_value_of_each_new_lead() -> None:
    sample = evidence(
        [0.1, 0.3, 0.2, 0.15, 0.9],
        leads=["b", "a", "b", "b", "old"],
        day=[0, 1, 2, 3, 0],
        age=[0, 1, 2, 3, 5],
    )
    np.testing.assert_allclose(highest_of_new_leads(sample, model_chances(sample)), [0.3, 0.2])


def test_where_no_lead_is_new_nobody_is_hot() -> None:
    sample = evidence([0.2, 0.4], age=[5, 5])
    scorecard = card(policy="calls_per_week", warm=10, hot=5)
    assert scale_of(sample, scorecard, new_leads_per_week=20) == Scale(UNREACHABLE, UNREACHABLE, 1.0)


@pytest.mark.parametrize("about", [{}, {"new_leads_per_week": None}])
def test_calls_a_week_need_dates(about: dict[str, None]) -> None:
    scorecard = card(policy="calls_per_week", warm=10, hot=5)
    with pytest.raises(SettingsError, match=r"calls_per_week needs leads and closes with dates"):
        scale_of(weekly_evidence(), scorecard, **about)


# -- all of them ---------------------------------------------------------------------------------

POLICIES = [
    {},
    {"policy": "top_share", "warm": 0.3, "hot": 0.1},
    {"policy": "min_win_rate", "warm": 0.2, "hot": 0.6},
    {"policy": "calls_per_week", "warm": 9, "hot": 3},
]


@in_its_own_time
@given(st.sampled_from(POLICIES), st.data())
def test_thresholds_rise_and_are_probabilities(policy: dict[str, Any], data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 30))

    def many(one: st.SearchStrategy[Any]) -> list[Any]:
        return data.draw(st.lists(one, min_size=n, max_size=n))

    sample = evidence(
        many(st.floats(1e-6, 1 - 1e-6)),
        many(st.booleans()),
        many(st.integers(0, 10)),
        day=many(st.integers(0, 30)),
        age=many(st.sampled_from([0, 3, 30])),
    )
    scale = scale_of(sample, card(**policy), new_leads_per_week=data.draw(st.floats(0, 50)))
    assert 0 < scale.warm <= scale.hot <= scale.top == 1.0
