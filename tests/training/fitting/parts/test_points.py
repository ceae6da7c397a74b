"""The scorecard as a part of the model: how far its points are believed."""

from __future__ import annotations

import numpy as np
import pytest

from scoring.model.model import sigmoid
from scoring.model.points import PointsPart
from scoring.scorecard.rating import rate
from tests.scoring.evaluation.test_gate import CARD
from training.fitting.parts.points import fit_points

NAMES = ("quote", "visit")


def fit_card(deals: int, effect: float, seed: int, examples: int = 1) -> PointsPart:
    """The part learnt from leads whose log-odds grow by `effect` with a quote, half of it with a visit."""
    rng = np.random.default_rng(seed)
    columns = {name: rng.integers(0, 2, deals).astype(float) for name in NAMES}
    log_odds = effect * (columns["quote"] + columns["visit"] / 2 - 0.75)
    won = rng.random(deals) < sigmoid(log_odds)
    repeated = {name: np.repeat(column, examples) for name, column in columns.items()}
    return fit_points(rate(CARD, repeated), NAMES, np.repeat(won, examples), leads=deals)


def mean_weight(deals: int, effect: float, **options: int) -> float:
    return float(np.mean([fit_card(deals, effect, seed, **options).per_point for seed in range(40)]))


def test_a_card_that_says_nothing_loses_its_weight_with_the_deals() -> None:
    weights = [mean_weight(deals, 0.0) for deals in (40, 200, 2_000)]
    assert weights == sorted(weights, reverse=True)
    assert weights[0] < 0.5 * mean_weight(40, 3.0)
    assert weights[2] < 0.05 * mean_weight(2_000, 3.0)


def test_a_card_that_says_much_is_believed_from_the_start() -> None:
    assert mean_weight(40, 3.0) > 0.7 * mean_weight(2_000, 3.0)


def test_several_examples_of_a_lead_are_no_more_evidence_for_the_card() -> None:
    """They sharpen the weights, not the belief that the card says anything."""
    assert mean_weight(40, 0.0, examples=6) < 2 * mean_weight(40, 0.0)


@pytest.mark.parametrize("effect", [0.0, 2.0])
def test_mean_probability_is_the_win_rate(effect: float) -> None:
    rng = np.random.default_rng(3)
    columns = {name: rng.integers(0, 2, 300).astype(float) for name in NAMES}
    won = rng.random(300) < sigmoid(effect * columns["quote"] - 2)
    rating = rate(CARD, columns)
    probability = sigmoid(fit_points(rating, NAMES, won).log_odds(rating))
    assert probability.mean() == pytest.approx(won.mean(), abs=1e-9)
