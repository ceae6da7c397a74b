from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from features.errors import DataError
from training.fitting.baselines import BASELINES, baseline_scores
from training.fitting.holdout import measured, measurement_splits
from training.fitting.recipe import Data, Recipe


def always(recipe: Recipe = Recipe(rounds=5)):  # type: ignore[no-untyped-def]  # noqa: B008
    return lambda _: recipe


def test_what_is_measured_never_saw_the_newest_outcomes(small_data: Data) -> None:
    """Turn the outcomes of the judged rows round: what was told of them stays to the last digit."""
    at = measured(small_data, always(), seed=0)
    won = small_data.won.copy()
    won[at.rows] = ~won[at.rows]
    turned = replace(small_data, examples=replace(small_data.examples, won=won))
    again = measured(turned, always(), seed=0)
    for name, scores in at.scores.items():
        np.testing.assert_array_equal(again.scores[name], scores, err_msg=name)
    assert again.model["roc_auc"].value == pytest.approx(1 - at.model["roc_auc"].value)


def test_recipe_is_chosen_without_the_newest_deals(small_data: Data) -> None:
    seen: list[Data] = []

    def choose(train: Data) -> Recipe:
        seen.append(train)
        return Recipe(rounds=5)

    at = measured(small_data, choose, seed=0)
    assert len(seen) == 1
    newest = small_data.take(at.rows).examples
    assert seen[0].examples.known_at.max() <= newest.moment.min()
    assert not set(seen[0].examples.group) & set(newest.group)


def test_model_and_baselines_are_judged_on_the_same_rows(small_data: Data) -> None:
    at = measured(small_data, always(), seed=0)
    assert set(at.scores) == {"model", "linear", "trees", *BASELINES}
    assert all(len(scores) == len(at.rows) for scores in at.scores.values())
    assert set(at.figures) == {"model", *BASELINES}


def test_without_order_every_example_is_judged_by_a_model_that_never_saw_it(
    small_data: Data,
) -> None:
    unordered = replace(small_data, examples=replace(small_data.examples, ordered=False))
    splits = measurement_splits(unordered, seed=0)
    assert len(splits) == 5
    at = measured(unordered, always(), seed=0)
    np.testing.assert_array_equal(np.sort(at.rows), np.arange(len(small_data)))
    assert len(at.recipes) == 5


def test_base_rate_is_that_of_the_older_deals(small_data: Data) -> None:
    train, test = small_data.take(np.arange(100)), small_data.take(np.arange(100, 120))
    told = baseline_scores(train, test, seed=0)["baseline_rate"]
    np.testing.assert_allclose(1 / (1 + np.exp(-told)), train.won.mean())


@pytest.mark.parametrize("won", [True, False])
def test_older_deals_of_one_outcome_only_are_named(small_data: Data, won: bool) -> None:
    """All wins in the newest fifth: a measurement in time has nothing to learn from."""
    newest = measured(small_data, always(), seed=0).rows.min()
    outcome = np.where(np.arange(len(small_data)) < newest, won, ~small_data.won)
    late = replace(small_data, examples=replace(small_data.examples, won=outcome))
    with pytest.raises(DataError, match=f"no {'lost' if won else 'won'} lead: nothing can be measured"):
        measured(late, always(), seed=0)
