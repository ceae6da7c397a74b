from __future__ import annotations

import json
import threading

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from features.columns import Bools, Floats
from scoring.model.linear import LinearPart
from scoring.model.trees import TreesPart
from training.fitting.parts.line import Design, fit_linear
from training.fitting.parts.trees import Boosting, PartScores, TreesRecipe, fit_trees

RNG = np.random.default_rng(0)
NUMBERS = RNG.normal([0, 50, -3], [1, 20, 0.1], (600, 3))
WON: Bools = NUMBERS[:, 0] + NUMBERS[:, 1] / 20 + RNG.normal(0, 1, 600) > 2.5


def with_gaps() -> Floats:
    """The numbers with gaps in the first column, a one-hot column and one that is always empty."""
    gaps = NUMBERS.copy()
    gaps[::3, 0] = np.nan
    one_hot = (np.arange(600) % 2).astype(float)
    return np.column_stack([gaps, one_hot, np.full(600, np.nan)])


@pytest.fixture(scope="module")
def linear() -> LinearPart:
    return fit_linear(Design.from_matrix(with_gaps()), WON, 1.0, seed=0)


@pytest.fixture(scope="module")
def trees() -> TreesPart:
    train = PartScores(with_gaps(), WON, np.zeros(600))
    return fit_trees(train, TreesRecipe(Boosting(), 20, 2), seed=0).trees


def test_linear_part_is_the_usual_logistic_regression() -> None:
    scaled = StandardScaler().fit_transform(NUMBERS)
    usual = LogisticRegression(C=0.3, tol=1e-8).fit(scaled, WON).decision_function(scaled)
    ours = fit_linear(Design.from_matrix(NUMBERS), WON, 0.3, seed=0).log_odds(NUMBERS)
    np.testing.assert_allclose(ours, usual, atol=5e-3)


@pytest.mark.parametrize("part", ["linear", "trees"])
def test_contributions_add_up_to_the_log_odds(part: str, request: pytest.FixtureRequest) -> None:
    fitted, matrix = request.getfixturevalue(part), with_gaps()
    base, by_column = fitted.contributions(matrix)
    np.testing.assert_allclose(base + by_column.sum(axis=1), fitted.log_odds(matrix), atol=1e-9)


def test_average_lead_has_the_intercept(linear: LinearPart) -> None:
    base, by_column = linear.contributions(with_gaps())
    assert base == linear.intercept
    np.testing.assert_allclose(by_column.mean(axis=0), 0, atol=1e-9)


def test_a_column_that_was_always_empty_says_nothing(linear: LinearPart) -> None:
    row = with_gaps()[:1]
    filled = row.copy()
    filled[0, -1] = 1e6
    assert linear.log_odds(filled) == linear.log_odds(row)


def test_far_outside_what_training_saw_the_line_stops_rising(linear: LinearPart) -> None:
    row = np.repeat(with_gaps()[1:2], 3, axis=0)
    row[:, 1] = [200, 1_000, 1e9]
    close_log_odds, far_log_odds, farther = linear.log_odds(row)
    assert far_log_odds == farther
    assert far_log_odds > close_log_odds or linear.weights[1] == 0


def test_a_number_is_worth_the_same_wherever_it_stands(linear: LinearPart) -> None:
    matrix = with_gaps()
    order = np.random.default_rng(1).permutation(len(matrix))
    np.testing.assert_array_equal(linear.log_odds(matrix)[order], linear.log_odds(matrix[order]))


def test_linear_part_survives_json(linear: LinearPart) -> None:
    read = LinearPart.from_dict(json.loads(json.dumps(linear.to_dict())))
    np.testing.assert_array_equal(read.log_odds(with_gaps()), linear.log_odds(with_gaps()))


def test_trees_survive_as_text_and_in_pieces(trees: TreesPart) -> None:
    matrix = np.tile(with_gaps(), (5, 1))  # enough rows for several threads
    full_log_odds = TreesPart(trees.text).log_odds(matrix)
    pieces = np.concatenate([trees.log_odds(piece) for piece in np.array_split(matrix, 40)])
    np.testing.assert_allclose(full_log_odds, pieces, atol=1e-12)


def test_trees_say_the_same_of_a_row_alone(trees: TreesPart) -> None:
    matrix = with_gaps()[:50]
    base, by_column = trees.contributions(matrix)
    for row, together in zip(matrix, trees.log_odds(matrix), strict=True):
        assert trees.log_odds(row[None, :])[0] == together
    single_rows = [trees.contributions(matrix[row : row + 1]) for row in range(len(matrix))]
    assert {prior for prior, _ in single_rows} == {base}
    np.testing.assert_array_equal(np.vstack([contributions for _, contributions in single_rows]), by_column)


def test_a_row_of_another_width_is_refused(trees: TreesPart) -> None:
    with pytest.raises(ValueError, match="5 columns, not 3"):
        trees.log_odds(with_gaps()[:1, :3])


def test_trees_learn_what_a_line_cannot() -> None:
    corner = (NUMBERS[:, 0] > 0) ^ (NUMBERS[:, 1] > 50)
    line = fit_linear(Design.from_matrix(NUMBERS), corner, 1.0, seed=0).log_odds(NUMBERS)
    train = PartScores(NUMBERS, corner, line)
    tree_log_odds = fit_trees(train, TreesRecipe(Boosting(), 60, 1), 0).trees.log_odds(NUMBERS)
    assert ((line > 0) == corner).mean() < 0.65
    assert ((tree_log_odds > 0) == corner).mean() > 0.95


def test_one_row_at_a_time_is_right_from_many_threads_at_once(trees: TreesPart) -> None:
    """A single request and a batch of one lead may ask at the same moment."""
    matrix = with_gaps()[:400]
    expected = trees.contributions(matrix)[1]
    mismatches: list[int] = []

    def ask() -> None:
        for row in range(len(matrix)):
            contributions = trees.contributions(matrix[row : row + 1])[1][0]
            if not np.array_equal(contributions, expected[row]):
                mismatches.append(row)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert mismatches == []
