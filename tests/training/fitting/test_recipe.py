from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from features.columns import Texts
from scoring.model.model import sigmoid
from training.fitting import choosing
from training.fitting.blending import log_loss
from training.fitting.choosing import best_linear, choose
from training.fitting.dataset import Dataset
from training.fitting.fit import fit
from training.fitting.folds import folds_of
from training.fitting.parts.line import fit_linear, recency_weights
from training.fitting.parts.trees import SIZES, Curve, TreesRecipe, TreesStart, best_rounds
from training.fitting.recipe import LINEAR, POINTS, Recipe


def curve(loss: list[float]) -> Curve:
    return Curve(None, None, np.array(loss), TreesStart(0.5, 0.0))


def recipe_of(data: Dataset, **weights: float) -> Recipe:
    trees = {name: TreesRecipe(boosting, 5, 2) for name, boosting in SIZES.items()}
    return Recipe(trees=trees, weights={POINTS: 0.0, LINEAR: 0.0, **dict.fromkeys(SIZES, 0.0), **weights})


def test_rounds_are_those_with_the_least_mean_loss() -> None:
    assert best_rounds([curve([0.5, 0.3, 0.4]), curve([0.5, 0.6, 0.1])]) == (3, 0.25)


def test_a_curve_that_stopped_early_goes_on_as_it_ended() -> None:
    assert best_rounds([curve([0.5, 0.4]), curve([0.5, 0.4, 0.3, 0.2])]) == (4, pytest.approx(0.3))


def test_the_budget_of_trees_bounds_the_seeds() -> None:
    small = SIZES["small_trees"]
    assert [TreesRecipe.within_budget(small, rounds).seeds for rounds in (10, 150, 300)] == [4, 2, 1]


def test_merged_parts_are_the_weighted_sum_of_each_alone(small_data: Dataset) -> None:
    """One linear part and one set of trees hold what line, small and large trees give with their weights."""
    models = [
        fit(small_data, recipe_of(small_data, **{name: 1.0}), seed=0)
        for name in (LINEAR, "small_trees", "large_trees")
    ]
    blended = fit(small_data, recipe_of(small_data, linear=0.2, small_trees=0.5, large_trees=0.3), seed=0)
    leads = blended.encode(small_data.columns)
    expected = sum(w * m.log_odds(leads) for w, m in zip((0.2, 0.5, 0.3), models, strict=True))
    difference = blended.log_odds(leads) - expected
    np.testing.assert_allclose(difference, difference[0], atol=1e-9)  # the level alone may differ


def test_same_data_and_seed_make_the_same_model(small_data: Dataset) -> None:
    versions = [fit(small_data, choose(small_data, seed), seed).version for seed in (0, 0, 1)]
    assert versions[0] == versions[1]
    assert versions[0] != versions[2]


def test_chosen_strength_is_best_on_later_deals(small_data: Dataset) -> None:
    folds = folds_of(small_data, seed=0)
    strength, parts = best_linear(folds, seed=0)

    def loss(c: float) -> float:
        lines = [fit_linear(fold.design, fold.train_won, c, 0) for fold in folds]
        return float(
            np.mean([log_loss(f.test_won, p.log_odds(f.test)) for f, p in zip(folds, lines, strict=True)])
        )

    assert loss(strength) <= min(map(loss, choosing.STRENGTHS)) + 0.01
    assert len(parts) == len(folds)


def test_newer_deals_weigh_more_and_the_mean_weight_is_1() -> None:
    weights = recency_weights(1_000)
    assert weights.mean() == pytest.approx(1)
    assert weights[-1] / weights[499] == pytest.approx(2, rel=0.01)
    assert (np.diff(weights) > 0).all()


def test_learns_what_the_data_hold(small_data: Dataset) -> None:
    recipe = choose(small_data, seed=0)
    model = fit(small_data, recipe, seed=0)
    rate = small_data.won.mean()
    simple = np.full(len(small_data), np.log(rate / (1 - rate)))
    log_odds = model.log_odds(model.encode(small_data.columns))
    assert log_loss(small_data.won, log_odds) < 0.9 * log_loss(small_data.won, simple)
    assert recipe.calibration.slope > 0


def with_outcomes(data: Dataset, rate: float, rows: int) -> Dataset:
    """Rows of the data, so many of which are won by chance: the columns say nothing."""
    rng = np.random.default_rng([int(rate * 1000), rows])
    taken = data.take(np.sort(rng.choice(len(data), min(rows, len(data)), replace=False)))
    won = np.zeros(len(taken), dtype=np.bool_)
    won[rng.choice(len(taken), max(round(rate * len(taken)), 2), replace=False)] = True
    return replace(taken, examples=replace(taken.examples, won=won))


@pytest.mark.parametrize("rows", [150, 10_000])
@pytest.mark.parametrize("rate", [0.001, 0.01, 0.1, 0.5, 0.9])
def test_the_mean_probability_is_the_win_rate_where_columns_say_nothing(
    small_data: Dataset, rate: float, rows: int
) -> None:
    data = with_outcomes(small_data, rate, rows)
    recipe = choose(data, seed=0)
    model = fit(data, recipe, seed=0)
    mean = float(sigmoid(model.log_odds(model.encode(data.columns))).mean())
    recent = float(np.average(data.won, weights=recency_weights(len(data))))
    low, high = sorted((float(data.won.mean()), recent))
    assert low - 1e-9 <= mean <= high + 1e-9


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


def test_recipe_can_be_written_down(small_data: Dataset) -> None:
    values: dict[str, Any] = recipe_of(small_data, linear=1.0).to_dict()
    assert values["weights"] == {"points": 0.0, "linear": 1.0, "small_trees": 0.0, "large_trees": 0.0}
    assert values["trees"]["small_trees"]["boosting"]["num_leaves"] == 7
