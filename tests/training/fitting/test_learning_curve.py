from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scoring.statistics.metrics import log_losses
from training.fitting.dataset import Dataset
from training.fitting.fit import fit
from training.fitting.holdout import evaluate
from training.fitting.learning_curve import mean_curve, sum_losses
from training.fitting.parts.trees import Boosting, TreesRecipe
from training.fitting.recipe import Recipe

RECIPE = Recipe(
    trees={"trees": TreesRecipe(Boosting(num_leaves=4), 25, 1)},
    weights={"points": 0.0, "linear": 0.5, "trees": 0.5},
)


def test_curve_ends_at_the_measured_log_loss(small_data: Dataset) -> None:
    evaluation = evaluate(small_data, lambda _: RECIPE, seed=0)
    assert list(evaluation.learning_curve) == [0, 10, 20, 25]
    assert evaluation.learning_curve[25] == pytest.approx(evaluation.model["log_loss"].value, abs=1e-12)


def test_a_step_is_the_loss_of_the_model_with_so_many_trees(small_data: Dataset) -> None:
    model = fit(small_data, RECIPE, seed=0)
    leads = model.encode(small_data.columns)
    losses = sum_losses(model, leads, small_data.won)
    without_trees = replace(model, weights={**model.weights, "trees": 0.0})
    expected = log_losses(small_data.won, without_trees.log_odds(leads)).sum()
    assert losses[0] == pytest.approx(expected)
    assert losses[-1] == pytest.approx(log_losses(small_data.won, model.log_odds(leads)).sum())
    assert losses[-1] < losses[1] < losses[0]


def test_trees_without_weight_have_no_curve(small_data: Dataset) -> None:
    recipe = replace(RECIPE, weights={"points": 0.0, "linear": 1.0, "trees": 0.0})
    evaluation = evaluate(small_data, lambda _: recipe, seed=0)
    assert evaluation.learning_curve == {0: pytest.approx(evaluation.model["log_loss"].value)}


def test_a_fold_with_fewer_trees_keeps_its_last_value() -> None:
    curve = mean_curve([np.array([4.0, 2.0]), np.array([6.0, 5.0, 3.0])], trees=15, rows=10)
    assert curve == {0: pytest.approx(1.0), 10: pytest.approx(0.7), 15: pytest.approx(0.5)}
