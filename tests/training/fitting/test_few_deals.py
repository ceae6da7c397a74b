"""With few deals the model is the scorecard, and never worse in the mean; with many it is itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.few_deals import MAX_LOSS, MAX_WORST, measure_losses, without_card
from scoring.model.model import sigmoid
from tests.conftest import Demo
from training.fitting.choosing import choose
from training.fitting.dataset import Dataset
from training.fitting.few_deals import scale_learnt, trust_gain
from training.fitting.fit import fit, fit_parts
from training.fitting.parts.trees import SIZES, TreesRecipe
from training.fitting.recipe import LINEAR, POINTS, RULES_ONLY, STATISTICS, Recipe


@pytest.mark.slow
def test_twenty_won_and_twenty_lost_deals_are_never_worse_than_the_card(demo: Demo) -> None:
    result = measure_losses(demo.trained.data, deals=40, draws=50)
    assert result.model.mean() <= result.points.mean()


@pytest.mark.parametrize("won", [0.5, 0.3])
def test_outcomes_dealt_at_random_cost_next_to_nothing(small_data: Dataset, won: float) -> None:
    losses = measure_losses(without_card(small_data), deals=80, draws=4, won=won, is_permuted=True)
    assert losses.excess <= MAX_LOSS
    assert losses.worst <= MAX_WORST


def test_a_signal_is_used_though_deals_are_few(small_data: Dataset) -> None:
    losses = measure_losses(without_card(small_data), deals=120, draws=3)
    assert losses.model.mean() < losses.base.mean() - 0.03


def test_many_deals_give_the_learnt_parts_their_weight(demo: Demo) -> None:
    weights = demo.model.about["recipe"]["weights"]
    assert 1 - weights[POINTS] > 0.3
    assert sum(weights.values()) == pytest.approx(1)


def few_deals(data: Dataset, per_outcome: int, seed: int) -> Dataset:
    rng = np.random.default_rng(seed)
    rows = [rng.choice(np.flatnonzero(data.won == won), per_outcome, replace=False) for won in (True, False)]
    return data.take(np.sort(np.concatenate(rows)))


def test_few_deals_without_a_signal_are_drawn_to_the_base_rate(small_data: Dataset) -> None:
    few = few_deals(small_data, 20, seed=1)
    shuffled = replace(few.examples, won=np.random.default_rng(2).permutation(few.won))
    recipe = choose(replace(few, examples=shuffled), 0)
    assert sum(recipe.weights.values()) < 0.5


def test_what_the_learnt_parts_lose_goes_to_the_card_or_to_the_base_rate() -> None:
    with_card = scale_learnt(Recipe(weights={POINTS: 0.4, LINEAR: 0.6}), trust=0.5, base=-1.0)
    assert with_card.weights == {POINTS: pytest.approx(0.7), LINEAR: 0.3}
    assert with_card.calibration.intercept == 0
    without = scale_learnt(Recipe(weights={POINTS: 0.0, LINEAR: 1.0}), trust=0.3, base=-1.0)
    assert without.weights == {POINTS: 0.0, LINEAR: 0.3}
    assert without.calibration.intercept == pytest.approx(-0.7)


ERRORS = st.floats(0, 20)


@given(ERRORS, ERRORS, st.floats(0.01, 3))
def test_trust_rises_with_the_gain_and_is_a_half_at_its_mark(a: float, b: float, half_proven: float) -> None:
    less, more = sorted((a, b))
    assert 0 <= trust_gain(less, half_proven) <= trust_gain(more, half_proven) <= 1
    assert trust_gain(half_proven, half_proven) == pytest.approx(0.5)
    assert trust_gain(0.0, half_proven) == 0


def test_a_model_is_the_sum_of_its_parts(small_data: Dataset) -> None:
    trees = {name: TreesRecipe(size, 5, 2) for name, size in SIZES.items()}
    weights = {POINTS: 0.0, LINEAR: 0.2, "small_trees": 0.3, "large_trees": 0.1}
    recipe = Recipe(recent_strength=0.3, trees=trees, weights=weights)
    parts = fit_parts(small_data, recipe, 0).log_odds(small_data)
    model = fit(small_data, recipe, 0)
    total = sum(weights[name] * scores for name, scores in parts.items()) + model.calibration.intercept
    np.testing.assert_allclose(model.log_odds(model.encode(small_data.all_columns)), total, atol=1e-9)


def test_statistics_that_lost_their_weight_are_left_out(small_data: Dataset) -> None:
    statistics = TreesRecipe(SIZES["small_trees"], 3, 1)
    recipe = Recipe(statistics=statistics, weights={POINTS: 0.0, LINEAR: 0.0, STATISTICS: 0.0})
    model = fit(small_data, recipe, 0)
    np.testing.assert_allclose(
        sigmoid(model.log_odds(model.encode(small_data.all_columns))), small_data.won.mean()
    )


def test_too_short_a_past_leaves_it_to_the_rules(demo: Demo) -> None:
    data = demo.trained.data
    few = data.take(np.flatnonzero(data.won)[:3])
    assert isinstance(few, Dataset)
    assert choose(few, 0).weights == RULES_ONLY
