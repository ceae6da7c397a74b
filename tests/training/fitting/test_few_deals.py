"""With few deals the model is the scorecard, and never worse in the mean; with many it is itself."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.few_deals import measure_losses
from tests.conftest import Demo
from training.fitting.blending import ValidationFold, blend
from training.fitting.choosing import choose
from training.fitting.dataset import Dataset
from training.fitting.recipe import RULES_ONLY


@pytest.mark.slow
def test_twenty_won_and_twenty_lost_deals_are_never_worse_than_the_card(demo: Demo) -> None:
    result = measure_losses(demo.trained.data, deals=40, draws=50)
    assert result.model.mean() <= result.points.mean()


def test_many_deals_give_the_learnt_parts_their_weight(demo: Demo) -> None:
    weights = demo.model.about["recipe"]["weights"]
    assert weights["linear"] + weights["trees"] > 0.3
    assert sum(weights.values()) == pytest.approx(1)


def test_learnt_parts_that_later_deals_do_not_confirm_get_next_to_no_weight() -> None:
    folds = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        points = rng.normal(-1, 1, 2_000)
        won = rng.random(2_000) < 1 / (1 + np.exp(-points))
        noise = rng.normal(-1, 1, (2, 2_000))
        folds.append(ValidationFold(won, noise[0], noise[1], points))
    weights = blend(folds)
    assert weights["points"] > 0.9


def test_too_short_a_past_leaves_it_to_the_rules(demo: Demo) -> None:
    data = demo.trained.data
    few = data.take(np.flatnonzero(data.won)[:3])
    assert isinstance(few, Dataset)
    assert choose(few, 0).weights == RULES_ONLY
