from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from features.columns import Texts, encode_texts
from scoring.model.cautions import TrainingRange
from scoring.model.encoding import MAX_VALUES, Encoding
from training.fitting.dataset import Dataset
from training.fitting.fit import fit
from training.fitting.parts.target_statistics import encode_in_time_order, learn_statistics, ordered_statistic
from training.fitting.parts.trees import SIZES, TreesRecipe
from training.fitting.recipe import LINEAR, POINTS, STATISTICS, Recipe


def small(data: Dataset, channels: list[str | None], won: list[bool], moments: list[int]) -> Dataset:
    rows = data.take(np.arange(len(won)))
    examples = replace(
        rows.examples,
        won=np.array(won),
        moment=np.array(moments, dtype=np.int64),
        known_at=np.array(moments, dtype=np.int64) + 5,
    )
    return replace(rows, columns={**rows.columns, "channel": encode_texts(channels)}, examples=examples)


def test_an_example_sees_only_outcomes_known_before_its_moment(small_data: Dataset) -> None:
    data = small(small_data, ["a", "a", "a", "b"], [True, False, True, True], [0, 4, 9, 20])
    column = data.columns["channel"]
    assert isinstance(column, Texts)
    statistic = ordered_statistic(column, data)
    # at 9 only the first outcome is known (at 5): one win of one deal of "a"
    base = (1 + 0.5) / 2
    rate = (1 + 20 * base) / 21
    assert statistic[2] == np.log(rate / (1 - rate))
    assert statistic[0] == statistic[1] == 0  # nothing is known yet: even odds


def test_later_outcomes_change_nothing(small_data: Dataset) -> None:
    encoding = learn_statistics(small_data, Encoding.learn(small_data.columns))
    flipped = small_data.won.copy()
    flipped[-50:] = ~flipped[-50:]
    changed = replace(small_data, examples=replace(small_data.examples, won=flipped))
    until = small_data.examples.known_at[-50:].min()
    rows = small_data.examples.moment <= until
    before, after = (encode_in_time_order(d, encoding)[rows] for d in (small_data, changed))
    np.testing.assert_array_equal(before, after)


def test_a_lead_has_the_statistics_of_its_value_in_both_encodings(small_data: Dataset) -> None:
    encoding = learn_statistics(small_data, Encoding.learn(small_data.columns))
    matrix = encoding.matrix(small_data.columns)
    for row in (0, 7, 33):
        values = [
            c.to_list()[row] if isinstance(c, Texts) else (None if np.isnan(c[row]) else float(c[row]))
            for c in small_data.columns.values()
        ]
        np.testing.assert_array_equal(encoding.row(values)[0], matrix[row])
    assert Encoding.from_dict(encoding.to_dict()).to_dict() == encoding.to_dict()


def test_a_model_with_statistics_is_an_exact_sum_and_knows_its_range(small_data: Dataset) -> None:
    trees = TreesRecipe(SIZES["small_trees"], 10, 1)
    recipe = Recipe(statistics=trees, weights={POINTS: 0.0, LINEAR: 0.4, STATISTICS: 0.6})
    model = fit(small_data, recipe, seed=0)
    leads = model.encode(small_data.columns)
    assert len(model.encoding.statistic_columns)
    np.testing.assert_allclose(model.explain(leads).log_odds, model.log_odds(leads), atol=1e-9)
    assert not TrainingRange.from_model(model).out_of_range(leads.matrix).any()


def test_an_unknown_value_has_the_base_rate(small_data: Dataset) -> None:
    encoding = learn_statistics(small_data, Encoding.learn(small_data.columns))
    level = encoding.levels["channel"]
    assert level is not None
    rate = small_data.won.mean()
    assert level.find_win_log_odds("never seen") == np.log(rate / (1 - rate))


def test_values_without_a_column_of_their_own_have_statistics(small_data: Dataset) -> None:
    values = [f"region {i}" for i in np.arange(len(small_data)) % (MAX_VALUES + 10)]
    data = replace(small_data, columns={"region": encode_texts([*values])})
    level = learn_statistics(data, Encoding.learn(data.columns, min_count=1)).levels["region"]
    assert level is not None
    assert len(level.values) == MAX_VALUES
    won = data.won[[value == level.rare[-1] for value in values]]
    rate = (won.sum() + 20 * data.won.mean()) / (len(won) + 20)
    assert level.find_win_log_odds(level.rare[-1]) == pytest.approx(np.log(rate / (1 - rate)))
