from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.columns import Bools, Floats
from scoring.model.model import sigmoid
from training.fitting.blending import ValidationFold, blend, blend_log_odds, calibrate, log_loss


def drawn(seed: int, slope: float = 1.0, rows: int = 400) -> tuple[Bools, Floats]:
    """Outcomes, and log-odds whose distance from their mean is `slope` times as large in truth."""
    rng = np.random.default_rng(seed)
    log_odds = rng.normal(-1, 1.5, rows)
    return rng.random(rows) < sigmoid(-1 + slope * (log_odds + 1)), log_odds


def stretch(seed: int, linear: float, trees: float, rows: int = 400) -> ValidationFold:
    """Parts that see the truth through so much noise."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(-1, 1.5, rows)
    won = rng.random(rows) < sigmoid(truth)
    noise = rng.normal(0, 1, (2, rows))
    return ValidationFold(won, truth + linear * noise[0], truth + trees * noise[1])


ANY = st.lists(st.tuples(st.integers(0, 10**6), st.floats(-8, 8), st.floats(-8, 8)), min_size=1, max_size=5)


@given(ANY)
def test_weights_lie_between_0_and_1_and_add_up_to_1(fold_parameters: list[tuple[int, float, float]]) -> None:
    weights = blend([stretch(seed, a, b, rows=30) for seed, a, b in fold_parameters])
    assert sum(weights.values()) == pytest.approx(1)
    assert all(0 <= weight <= 1 for weight in weights.values())


@given(ANY)
def test_slope_is_never_0_or_below(fold_parameters: list[tuple[int, float, float]]) -> None:
    """Even where scores mean the opposite of what they say."""
    calibration = calibrate([drawn(seed, slope, rows=30) for seed, slope, _ in fold_parameters])
    assert 0 < calibration.slope < 5
    assert np.isfinite(calibration.intercept)


def test_the_better_part_gets_the_weight() -> None:
    weights = blend([stretch(seed, linear=3, trees=0.1) for seed in range(4)])
    assert weights["trees"] > 0.8
    weights = blend([stretch(seed, linear=0.1, trees=3) for seed in range(4)])
    assert weights["linear"] > 0.8


def least_loss(stretches: list[ValidationFold]) -> float:
    """The weight of the trees that fits best on all stretches together."""

    def loss(trees: float) -> float:
        weights = {"linear": 1 - trees, "trees": trees}
        return float(np.mean([log_loss(fold.won, blend_log_odds(fold, weights)) for fold in stretches]))

    return float(min(np.linspace(0, 1, 201), key=loss))


def test_stretches_that_disagree_are_drawn_to_equal_weights() -> None:
    agreed = [stretch(seed, linear=1.5, trees=0.5, rows=4_000) for seed in range(4)]
    torn = [*agreed[:3], stretch(3, linear=0.1, trees=3.0, rows=4_000)]
    assert blend(agreed)["trees"] == pytest.approx(least_loss(agreed), abs=0.02)
    assert abs(blend(torn)["trees"] - 0.5) < 0.8 * abs(least_loss(torn) - 0.5)


def test_a_single_stretch_assumes_nothing() -> None:
    assert blend([stretch(0, linear=3, trees=0.1)]) == {"points": 0.0, "linear": 0.5, "trees": 0.5}
    assert calibrate([drawn(0, slope=0.3)]).slope == 1


@pytest.mark.parametrize("slope", [0.5, 1.0, 2.0])
def test_calibration_finds_the_slope_that_stretches_agree_on(slope: float) -> None:
    calibration = calibrate([drawn(seed, slope, rows=4_000) for seed in range(4)])
    assert calibration.slope == pytest.approx(slope, rel=0.1)


def test_stretches_that_disagree_are_drawn_to_slope_1() -> None:
    torn = calibrate([drawn(seed, slope) for seed, slope in enumerate([0.3, 2.5, 0.3, 2.0])])
    agreed = calibrate([drawn(seed, 0.3) for seed in range(4)])
    assert abs(torn.slope - 1) < 0.5 * abs(agreed.slope - 1)


def test_calibration_turns_about_the_mean_score() -> None:
    stretches = [drawn(seed, slope=0.5) for seed in range(4)]
    calibration, mean = calibrate(stretches), np.mean([log_odds for _, log_odds in stretches])
    assert calibration.slope != 1
    assert calibration.intercept + calibration.slope * mean == pytest.approx(mean)


def test_log_loss_of_log_odds_is_that_of_probabilities() -> None:
    won, log_odds = drawn(0)
    p = sigmoid(log_odds)
    assert log_loss(won, log_odds) == pytest.approx(-np.log(np.where(won, p, 1 - p)).mean())
    assert log_loss(np.array([True]), np.array([-1e4])) == pytest.approx(1e4)


def test_blended_is_the_weighted_sum() -> None:
    fold = stretch(0, 1, 1)
    np.testing.assert_allclose(
        blend_log_odds(fold, {"linear": 0.25, "trees": 0.75}), 0.25 * fold.linear + 0.75 * fold.trees
    )
