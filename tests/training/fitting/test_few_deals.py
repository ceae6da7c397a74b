"""With few deals the model is the scorecard, and never worse in the mean; with many it is itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.few_deals import measure_losses
from tests.conftest import Demo
from training.fitting.choosing import choose
from training.fitting.dataset import Dataset
from training.fitting.few_deals import scale_learnt
from training.fitting.recipe import LINEAR, POINTS, RULES_ONLY, Recipe


@pytest.mark.slow
def test_twenty_won_and_twenty_lost_deals_are_never_worse_than_the_card(demo: Demo) -> None:
    result = measure_losses(demo.trained.data, deals=40, draws=50)
    assert result.model.mean() <= result.points.mean()


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


def test_too_short_a_past_leaves_it_to_the_rules(demo: Demo) -> None:
    data = demo.trained.data
    few = data.take(np.flatnonzero(data.won)[:3])
    assert isinstance(few, Dataset)
    assert choose(few, 0).weights == RULES_ONLY
