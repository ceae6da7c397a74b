from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from features.errors import DataError
from training.fitting.baselines import BASELINES, baseline_scores
from training.fitting.dataset import Dataset
from training.fitting.holdout import evaluate, is_measurable, split_for_evaluation
from training.fitting.recipe import Recipe


def always(recipe: Recipe = Recipe()):  # type: ignore[no-untyped-def]  # noqa: B008
    return lambda _: recipe


def test_what_is_measured_never_saw_the_newest_outcomes(small_data: Dataset) -> None:
    """Turn the outcomes of the judged rows round: what was told of them stays to the last digit."""
    evaluation = evaluate(small_data, always(), seed=0)
    won = small_data.won.copy()
    won[evaluation.rows] = ~won[evaluation.rows]
    turned = replace(small_data, examples=replace(small_data.examples, won=won))
    turned_evaluation = evaluate(turned, always(), seed=0)
    for name, scores in evaluation.scores.items():
        np.testing.assert_array_equal(turned_evaluation.scores[name], scores, err_msg=name)
    assert turned_evaluation.model["roc_auc"].value == pytest.approx(1 - evaluation.model["roc_auc"].value)


def test_recipe_is_chosen_without_the_newest_deals(small_data: Dataset) -> None:
    datasets: list[Dataset] = []

    def choose(train: Dataset) -> Recipe:
        datasets.append(train)
        return Recipe()

    evaluation = evaluate(small_data, choose, seed=0)
    assert len(datasets) == 1
    newest = small_data.take(evaluation.rows).examples
    assert datasets[0].examples.known_at.max() <= newest.moment.min()
    assert not set(datasets[0].examples.group) & set(newest.group)


def test_model_and_baselines_are_judged_on_the_same_rows(small_data: Dataset) -> None:
    evaluation = evaluate(small_data, always(), seed=0)
    assert set(evaluation.scores) == {"model", "linear", "trees", *BASELINES}
    assert all(len(scores) == len(evaluation.rows) for scores in evaluation.scores.values())
    assert set(evaluation.figures) == {"model", *BASELINES}


def test_without_order_every_example_is_judged_by_a_model_that_never_saw_it(small_data: Dataset) -> None:
    unordered = replace(small_data, examples=replace(small_data.examples, ordered=False))
    splits = split_for_evaluation(unordered, seed=0)
    assert len(splits) == 5
    evaluation = evaluate(unordered, always(), seed=0)
    np.testing.assert_array_equal(np.sort(evaluation.rows), np.arange(len(small_data)))
    assert len(evaluation.recipes) == 5


def test_base_rate_is_that_of_the_older_deals(small_data: Dataset) -> None:
    train, test = small_data.take(np.arange(100)), small_data.take(np.arange(100, 120))
    log_odds = baseline_scores(train, test, seed=0)["baseline_rate"]
    np.testing.assert_allclose(1 / (1 + np.exp(-log_odds)), train.won.mean())


@pytest.mark.parametrize("won", [True, False])
def test_older_deals_of_one_outcome_leave_nothing_measurable(small_data: Dataset, won: bool) -> None:
    """All wins in the newest fifth: a measurement in time has nothing to learn from, but a model has."""
    newest = evaluate(small_data, always(), seed=0).rows.min()
    outcome = np.where(np.arange(len(small_data)) < newest, won, ~small_data.won)
    late = replace(small_data, examples=replace(small_data.examples, won=outcome))
    evaluation = evaluate(late, always(), seed=0)
    assert not is_measurable(late, evaluation)
    assert late.won[evaluation.train].all() == won
    assert set(evaluation.rows) <= set(range(newest, len(late)))
    assert len(evaluation.rows) == len(evaluation.scores["model"]) > 0
    assert evaluation.model["log_loss"].value > 0


@pytest.mark.parametrize("won", [True, False])
def test_deals_of_one_outcome_only_are_named(small_data: Dataset, won: bool) -> None:
    outcome = np.full(len(small_data), won)
    alike = replace(small_data, examples=replace(small_data.examples, won=outcome))
    with pytest.raises(DataError, match=f"no {'lost' if won else 'won'} lead: nothing can be measured"):
        evaluate(alike, always(), seed=0)
