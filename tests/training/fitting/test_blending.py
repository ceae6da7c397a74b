from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.columns import Bools, Floats
from scoring.model.model import Calibration, sigmoid
from training.fitting.blending import (
    ValidationFold,
    calibrate,
    is_gain,
    log_loss,
    weigh_parts,
    weigh_points,
    weigh_statistics,
)


def drawn(seed: int, slope: float = 1.0, rows: int = 400) -> tuple[Bools, Floats]:
    """Outcomes, and log-odds whose distance from their mean is `slope` times as large in truth."""
    rng = np.random.default_rng(seed)
    log_odds = rng.normal(-1, 1.5, rows)
    return rng.random(rows) < sigmoid(-1 + slope * (log_odds + 1)), log_odds


def later_fold(
    seed: int, linear: float, trees: float, rows: int = 400, points: float | None = None
) -> ValidationFold:
    """Parts (and a scorecard) that see the truth through so much noise."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(-1, 1.5, rows)
    won = rng.random(rows) < sigmoid(truth)
    noise = rng.normal(0, 1, (3, rows))
    parts = {"linear": truth + linear * noise[0], "trees": truth + trees * noise[1]}
    card = None if points is None else truth + points * noise[2]
    return ValidationFold(won, parts, np.arange(rows, dtype=np.int32), card)


def calibrated(pairs: list[tuple[Bools, Floats]]) -> Calibration:
    folds = [ValidationFold(won, {}, np.arange(len(won), dtype=np.int32)) for won, _ in pairs]
    return calibrate(folds, [log_odds for _, log_odds in pairs], ordered=True, learnt=1.0)


ANY = st.lists(st.tuples(st.integers(0, 10**6), st.floats(-8, 8), st.floats(-8, 8)), min_size=1, max_size=5)


@given(ANY)
def test_weights_lie_between_0_and_1_and_add_up_to_1(fold_parameters: list[tuple[int, float, float]]) -> None:
    weights = weigh_parts([later_fold(seed, a, b, rows=30) for seed, a, b in fold_parameters], ordered=True)
    assert sum(weights.values()) == pytest.approx(1)
    assert all(0 <= weight <= 1 for weight in weights.values())


@given(ANY)
def test_slope_is_never_0_or_below(fold_parameters: list[tuple[int, float, float]]) -> None:
    """Even where scores mean the opposite of what they say."""
    calibration = calibrated([drawn(seed, slope, rows=30) for seed, slope, _ in fold_parameters])
    assert 0 < calibration.slope < 5
    assert np.isfinite(calibration.intercept)


def test_the_better_part_gets_the_weight() -> None:
    assert weigh_parts([later_fold(s, 3, 0.1) for s in range(4)], ordered=True)["trees"] > 0.7
    assert weigh_parts([later_fold(s, 0.1, 3) for s in range(4)], ordered=True)["linear"] > 0.7


def test_weights_fit_best_on_many_later_deals() -> None:
    folds = [later_fold(seed, linear=1.5, trees=0.5, rows=4_000) for seed in range(4)]

    def loss(trees: float) -> float:
        blended = [fold.blend({"linear": 1 - trees, "trees": trees}) for fold in folds]
        return float(np.mean([log_loss(f.won, b) for f, b in zip(folds, blended, strict=True)]))

    best = float(min(np.linspace(0, 1, 201), key=loss))
    assert weigh_parts(folds, ordered=False)["trees"] == pytest.approx(best, abs=0.02)


def test_newer_folds_count_more_where_deals_have_an_order() -> None:
    changing = [later_fold(0, 0.1, 3, rows=4_000), later_fold(1, 3, 0.1, rows=4_000)]
    in_time, at_random = (weigh_parts(changing, ordered)["trees"] for ordered in (True, False))
    assert in_time > at_random + 0.1


def test_few_deals_pull_to_equal_weights() -> None:
    weights = [weigh_parts([later_fold(0, 3, 0.1, rows)], ordered=True)["trees"] for rows in (20, 4_000)]
    assert weights[0] == pytest.approx(0.5, abs=0.1)
    assert weights[1] > 0.9


@pytest.mark.parametrize("slope", [0.5, 1.0, 2.0])
def test_calibration_finds_the_slope_of_many_deals(slope: float) -> None:
    calibration = calibrated([drawn(seed, slope, rows=40_000) for seed in range(4)])
    assert calibration.slope == pytest.approx(slope, rel=0.1)


def test_few_deals_are_drawn_to_slope_1() -> None:
    few, many = (calibrated([drawn(seed, 0.3, rows) for seed in range(4)]) for rows in (30, 4_000))
    assert abs(few.slope - 1) < 0.7 * abs(many.slope - 1)


EQUAL = {"linear": 0.5, "trees": 0.5}


def test_a_card_with_many_deals_enters_only_with_a_gain_beyond_doubt() -> None:
    knows_more = [later_fold(seed, 1.5, 1.5, rows=4_000, points=0.2) for seed in range(4)]
    knows_nothing = [later_fold(seed, 0.1, 0.1, rows=4_000, points=4.0) for seed in range(4)]
    assert weigh_points(knows_more, EQUAL, ordered=True, is_learnt=True) > 0.5
    assert weigh_points(knows_nothing, EQUAL, ordered=True, is_learnt=False) == 0


def test_a_card_of_people_leads_while_deals_are_few_and_a_learnt_one_does_not() -> None:
    few = [later_fold(seed, 1, 1, rows=30, points=1.0) for seed in range(2)]
    assert weigh_points(few, EQUAL, ordered=True, is_learnt=False) > 0.5
    assert weigh_points(few, EQUAL, ordered=True, is_learnt=True) == 0
    assert weigh_points([], EQUAL, ordered=True, is_learnt=False) == 0


def test_statistics_enter_with_a_gain_whatever_their_level() -> None:
    folds = [later_fold(seed, 1.5, 1.5, rows=4_000) for seed in range(4)]
    rng = np.random.default_rng(5)
    better = [fold.blend(EQUAL) + 5.0 + 2.0 * fold.won for fold in folds]
    noise = [fold.blend(EQUAL) + rng.normal(0, 2, 4_000) for fold in folds]
    share, shift = weigh_statistics(folds, EQUAL, better)
    assert share > 0.2
    assert shift < -3
    assert weigh_statistics(folds, EQUAL, noise)[0] == 0


def test_a_gain_within_its_error_is_none() -> None:
    fold = later_fold(0, 0.5, 0.5, rows=60)
    before, after = [fold.parts["linear"]], [fold.parts["trees"]]
    assert not (is_gain([fold], before, after, True) and is_gain([fold], after, before, True))
    assert is_gain([fold], [np.zeros(60)], [np.where(fold.won, 3.0, -3.0)], True)


def test_log_loss_of_log_odds_is_that_of_probabilities() -> None:
    won, log_odds = drawn(0)
    p = sigmoid(log_odds)
    assert log_loss(won, log_odds) == pytest.approx(-np.log(np.where(won, p, 1 - p)).mean())
    assert log_loss(np.array([True]), np.array([-1e4])) == pytest.approx(1e4)


def test_blended_is_the_weighted_sum() -> None:
    fold = later_fold(0, 1, 1)
    expected = 0.25 * fold.parts["linear"] + 0.75 * fold.parts["trees"]
    np.testing.assert_allclose(fold.blend({"linear": 0.25, "trees": 0.75}), expected)
