from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from features.columns import Floats, Texts
from features.kinds import Attribute
from scoring.model.model import sigmoid
from tests.helpers.suggestion_deals import data_of
from training.fitting.blending import ValidationFold
from training.fitting.dataset import Dataset, Segment
from training.fitting.fit import fit
from training.fitting.parts.segments import Judged, learn_segments, pool
from training.fitting.recipe import LINEAR, POINTS, Recipe

VALUES = ("north", "south", "east", "west")
LINE = Recipe(weights={POINTS: 0.0, LINEAR: 1.0})


def folds_of_levels(
    levels: Floats, seed: int, leads: int = 400, repeats: int = 2
) -> tuple[list[ValidationFold], list[Floats]]:
    """Four folds of leads at several ages, with log-odds that do not see the levels of the values."""
    rng = np.random.default_rng(seed)
    folds, scores = [], []
    for place in range(4):
        code = rng.integers(-1, len(levels), leads).astype(np.int32)
        true = rng.normal(-1.0, 1.0, leads)
        won = rng.random(leads) < expit(true + np.append(levels, 0.0)[code])
        row = np.repeat(np.arange(leads), repeats)
        segments = {"territory": Texts(code[row], VALUES[: len(levels)])}
        group = (place * leads + row).astype(np.int32)
        folds.append(ValidationFold(won=won[row], parts={}, groups=group, segments=segments))
        scores.append(true[row] + rng.normal(0.0, 0.2))  # the level of a fold is no segment's
    return folds, scores


def test_a_segment_at_another_level_gets_a_term() -> None:
    levels = np.array([-1.2, 0.4, 0.4, 0.4])
    for ordered in (True, False):
        terms = learn_segments(*folds_of_levels(levels, 0), ordered)
        offsets = np.array([terms["territory"][value] for value in VALUES])
        np.testing.assert_allclose(offsets - offsets.mean(), levels, atol=0.35)


def test_without_a_difference_hardly_ever_a_term_enters() -> None:
    assert sum(bool(learn_segments(*folds_of_levels(np.zeros(4), seed), True)) for seed in range(40)) <= 1


def test_a_level_that_newer_deals_do_not_have_gets_no_term() -> None:
    folds, scores = folds_of_levels(np.array([-1.5, 0.5, 0.5, 0.5]), 0)
    codes = folds[-1].segments["territory"].codes
    turned = Texts(np.where(codes < 0, codes, 3 - codes), VALUES)
    folds = [*folds[:-1], replace(folds[-1], segments={"territory": turned})]
    assert learn_segments(folds, scores, True) == {}


def test_without_segments_or_with_one_fold_there_is_no_term() -> None:
    folds, scores = folds_of_levels(np.array([-2.0, 1.0]), 0)
    assert learn_segments(folds[:1], scores[:1], True) == {}
    assert learn_segments([replace(fold, segments={}) for fold in folds], scores, True) == {}


def judge(levels: Floats, repeats: int, leads: int = 800) -> Judged:
    return Judged.from_folds(*folds_of_levels(levels, 3, leads, repeats), "territory")


def test_examples_of_one_lead_count_as_one() -> None:
    levels = np.array([-0.5, 0.0, 0.5])
    single, repeated = pool(judge(levels, 1), 3), pool(judge(levels, 5), 3)
    assert repeated.chance == pytest.approx(single.chance, rel=0.5)
    np.testing.assert_allclose(repeated.offsets, single.offsets, atol=0.02)


def test_a_value_with_few_deals_has_no_offset() -> None:
    judged = judge(np.array([-1.0, 1.0, 0.5]), 1)
    rare = np.flatnonzero(judged.codes == 2)[8:]
    codes = judged.codes.copy()
    codes[rare] = 0
    offsets = pool(replace(judged, codes=codes), 3).offsets
    assert offsets[2] == 0
    assert offsets[0] != 0


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.integers(60, 400), st.floats(0, 1.5))
def test_offsets_lie_between_0_and_the_best_fit(seed: int, leads: int, spread: float) -> None:
    levels = np.random.default_rng(seed).normal(0, spread, 4)
    judged = Judged.from_folds(*folds_of_levels(levels, seed, leads), "territory")
    pooled = pool(judged, 4)
    assert 0 <= pooled.chance <= 1
    for code in np.flatnonzero(pooled.offsets):
        rows = judged.codes == code
        residual = judged.won[rows].sum() - expit(judged.log_odds[rows]).sum()
        remaining = judged.won[rows].sum() - expit(judged.log_odds[rows] + pooled.offsets[code]).sum()
        assert np.sign(residual) == np.sign(pooled.offsets[code])
        assert residual * remaining >= -1e-6  # it does not go beyond what the deals show


def with_territory(data: Dataset) -> Dataset:
    code = np.random.default_rng(5).integers(-1, len(VALUES), len(data)).astype(np.int32)
    return replace(data, segments={"territory": Segment(Attribute(column="area"), Texts(code, VALUES))})


def test_the_term_is_added_to_the_sum_and_is_a_reason() -> None:
    data = with_territory(data_of(600))
    plain = fit(data, LINE, 0)
    model = fit(data, replace(LINE, segments={"territory": {"north": -1.0, "west": 0.5}}), 0)
    assert plain.table.names == data.table.names
    assert model.table.names == (*data.table.names, "territory")
    leads, code = model.encode(data.all_columns), data.segments["territory"].values.codes
    difference = model.log_odds(leads) - plain.log_odds(plain.encode(data.columns))
    expected = np.array([-1.0, 0.0, 0.0, 0.5, 0.0])[code]
    np.testing.assert_allclose(difference - expected, (difference - expected)[0], atol=1e-9)
    assert sigmoid(model.log_odds(leads)).mean() == pytest.approx(data.won.mean(), abs=1e-6)
    reasons = model.explain(leads)
    np.testing.assert_allclose(reasons.log_odds, model.log_odds(leads), atol=1e-9)
    reason = reasons.contributions[:, -1]
    np.testing.assert_allclose(reason, expected - expected.mean(), atol=1e-9)
    np.testing.assert_allclose(
        reasons.contributions[:, :-1], plain.explain(plain.encode(data.columns)).contributions, atol=1e-9
    )


def test_a_new_or_missing_value_adds_nothing() -> None:
    data = with_territory(data_of(600))
    model = fit(data, replace(LINE, segments={"territory": {"north": -1.0}}), 0)
    first = data.take(np.zeros(4, dtype=np.intp)).all_columns
    texts = Texts(np.array([0, 1, 2, -1], dtype=np.int32), ("north", "south", "unheard of"))
    north, south, new, missing = model.log_odds(model.encode({**first, "territory": texts}))
    assert north == pytest.approx(south - 1)
    assert new == pytest.approx(south)
    assert missing == pytest.approx(south)


def test_trees_and_lines_do_not_learn_from_a_column_that_is_for_segments_only() -> None:
    data = with_territory(data_of(600)).with_segments(["territory"])
    telling = Texts(data.won.astype(np.int32), VALUES[:2])
    data = replace(data, columns={**data.columns, "territory": telling})
    model = fit(data, LINE, 0)
    assert not model.explain(model.encode(data.columns)).contributions[:, -1].any()


def test_terms_of_a_calibrated_sum_are_as_learnt() -> None:
    data = with_territory(data_of(600))
    recipe = replace(LINE, weights={POINTS: 0.0, LINEAR: 0.6})
    recipe = replace(recipe, calibration=replace(recipe.calibration, slope=0.8))
    model = fit(data, replace(recipe, segments={"territory": {"north": -1.0}}), 0)
    change = model.log_odds(model.encode(data.all_columns))
    change = change - fit(data, recipe, 0).log_odds(fit(data, recipe, 0).encode(data.columns))
    code = data.segments["territory"].values.codes
    assert change[code == 1][0] - change[code == 0][0] == pytest.approx(1.0)
