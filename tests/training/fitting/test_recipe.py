from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from training.fitting.parts import Boosting, Curve, PartScores, fit_linear

from features.columns import Texts
from training.fitting import recipe as recipes
from training.fitting.blending import log_loss
from training.fitting.dataset import Dataset
from training.fitting.recipe import Recipe, best_linear, best_rounds, choose, fit, folds_of


def curve(loss: list[float]) -> Curve:
    nothing = np.zeros((0, 1))
    return Curve(None, np.array(loss), PartScores(nothing, nothing[:, 0] > 0, nothing[:, 0]), 0.5)


def test_rounds_are_those_with_the_least_mean_loss() -> None:
    assert best_rounds([curve([0.5, 0.3, 0.4]), curve([0.5, 0.6, 0.1])]) == (3, 0.25)


def test_a_curve_that_stopped_early_goes_on_as_it_ended() -> None:
    assert best_rounds([curve([0.5, 0.4]), curve([0.5, 0.4, 0.3, 0.2])]) == (4, pytest.approx(0.3))


def test_parts_count_what_the_blend_means() -> None:
    """The trees start from a share of the line: that share of their weight is the line's."""
    weights = {"points": 0.1, "linear": 0.3, "trees": 0.6}
    part_weights = Recipe(weights=weights, boosting=Boosting(lean=0.5)).part_weights
    assert part_weights == {"points": 0.1, "linear": pytest.approx(0.6), "trees": 0.6}


def test_fitted_model_is_the_blend_of_line_and_trees_on_top_of_it(small_data: Dataset) -> None:
    recipe = Recipe(rounds=5, weights={"points": 0.0, "linear": 0.3, "trees": 0.7})
    model = fit(small_data, recipe, seed=0)
    matrix = model.encoding.matrix(small_data.columns)
    line = model.linear.log_odds(matrix)
    trees = recipe.boosting.lean * line + model.trees.log_odds(matrix)
    log_odds = model.log_odds(model.encode(small_data.columns))
    np.testing.assert_allclose(log_odds, 0.3 * line + 0.7 * trees, atol=1e-12)


def test_same_data_and_seed_make_the_same_model(small_data: Dataset) -> None:
    versions = [fit(small_data, choose(small_data, seed), seed).version for seed in (0, 0, 1)]
    assert versions[0] == versions[1]
    assert versions[0] != versions[2]


def test_chosen_strength_is_best_on_later_deals(small_data: Dataset) -> None:
    folds = folds_of(small_data, seed=0)
    strength, folded = best_linear(folds, seed=0)

    def loss(part_scores: list[tuple[PartScores, PartScores]]) -> float:
        return float(np.mean([log_loss(test.won, test.line) for _, test in part_scores]))

    others = [
        [fold.score_linear(fit_linear(fold.design, fold.train_won, c, 0)) for fold in folds]
        for c in recipes.STRENGTHS
    ]
    assert loss(folded) == min(map(loss, others))
    assert strength in recipes.STRENGTHS


def test_learns_what_the_data_hold(small_data: Dataset) -> None:
    recipe = choose(small_data, seed=0)
    model = fit(small_data, recipe, seed=0)
    rate = small_data.won.mean()
    simple = np.full(len(small_data), np.log(rate / (1 - rate)))
    log_odds = model.log_odds(model.encode(small_data.columns))
    assert log_loss(small_data.won, log_odds) < 0.9 * log_loss(small_data.won, simple)
    assert recipe.calibration.slope > 0


def test_thinning_keeps_the_order_and_is_the_same_for_the_same_seed(small_data: Dataset) -> None:
    thinned = small_data.sampled(100, seed=3)
    assert len(thinned) == 100
    assert (np.diff(thinned.examples.moment) >= 0).all()
    np.testing.assert_array_equal(thinned.examples.lead, small_data.sampled(100, 3).examples.lead)
    assert small_data.sampled(10**6, seed=3) is small_data


def test_taking_rows_keeps_features_and_outcomes_together(small_data: Dataset) -> None:
    rows = np.array([5, 3, 100])
    taken = small_data.take(rows)
    np.testing.assert_array_equal(taken.won, small_data.won[rows])
    channel, full_channel = taken.columns["channel"], small_data.columns["channel"]
    assert isinstance(channel, Texts)
    assert isinstance(full_channel, Texts)
    assert channel.to_list() == [full_channel.to_list()[row] for row in rows]


def known_late(data: Dataset) -> Dataset:
    """No outcome is known before the last moment: nothing can be learnt in time."""
    late = np.full(len(data), data.examples.moment.max() + 1)
    return replace(data, examples=replace(data.examples, known_at=late))


def test_a_history_too_short_for_time_is_folded_at_random(small_data: Dataset) -> None:
    folds = folds_of(known_late(small_data), seed=0)
    assert len(folds) > 1
    assert sum(len(fold.test_won) for fold in folds) == len(small_data)


def test_without_folds_the_recipe_assumes_nothing(small_data: Dataset) -> None:
    one_group = replace(small_data.examples, group=np.zeros(len(small_data), np.int32), ordered=False)
    assert choose(replace(small_data, examples=one_group), seed=0) == Recipe()


@pytest.mark.parametrize("won", [True, False])
def test_folds_with_one_outcome_only_are_left_out(small_data: Dataset, won: bool) -> None:
    same = replace(small_data.examples, won=np.full(len(small_data), won))
    assert folds_of(replace(small_data, examples=same), seed=0) == []


def test_recipe_can_be_written_down() -> None:
    values: dict[str, Any] = Recipe().to_dict()
    assert values["weights"] == {"points": 0.0, "linear": 0.5, "trees": 0.5}
    assert values["boosting"]["num_leaves"] == 7
