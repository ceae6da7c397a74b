"""Thresholds where the model gives few different probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.model.evidence import Evidence
from scoring.scorecard.rating import rate
from scoring.scorecard.scorecard import COLD, HOT, WARM
from tests.scoring.model.test_thresholds import (
    POLICIES,
    card,
    evidence,
    in_its_own_time,
    model_chances,
    scale_of,
)

GROUPS = st.lists(
    st.tuples(st.integers(1, 99), st.integers(1, 40), st.integers(0, 10)),
    min_size=1,
    max_size=6,
    unique_by=lambda group: group[0],
)
"""Leads that the model cannot tell apart: their probability in percent, their number, points of each."""


def grouped(groups: list[tuple[int, int, int]]) -> Evidence:
    """Leads in a few groups, of each group as many won as its probability says."""
    rows = [
        (percent / 100, place < percent * count / 100, points)
        for percent, count, points in sorted(groups)
        for place in range(count)
    ]
    probabilities, won, points = zip(*rows, strict=True)
    return evidence(probabilities, won=won, points=points)


@in_its_own_time
@given(st.sampled_from(POLICIES), GROUPS, st.floats(0, 50))
def test_no_threshold_lies_within_equal_probabilities(
    policy: dict[str, Any], groups: list[tuple[int, int, int]], a_week: float
) -> None:
    """Nor so near to one that rounding would divide them; they rise, and so do the stages."""
    sample = grouped(groups)
    scale = scale_of(sample, card(**policy), new_leads_per_week=a_week)
    values = np.unique(model_chances(sample))
    stages = scale.stage(values)
    assert (np.diff(stages) >= 0).all()
    assert scale.stage(values + 1e-9).tolist() == stages.tolist()
    assert scale.stage(values[1:] - 1e-9).tolist() == stages[1:].tolist()


@in_its_own_time
@given(st.sampled_from(POLICIES), GROUPS, st.floats(0, 50))
def test_a_warmer_stage_is_won_no_less_often(
    policy: dict[str, Any], groups: list[tuple[int, int, int]], a_week: float
) -> None:
    sample = grouped(groups)
    scale = scale_of(sample, card(**policy), new_leads_per_week=a_week)
    stage, chances = scale.stage(model_chances(sample)), model_chances(sample)
    for lower in (COLD, WARM):
        if (stage == lower).any() and (stage > lower).any():
            assert chances[stage > lower].min() > chances[stage == lower].max()
            assert sample.won[stage > lower].mean() >= sample.won[stage == lower].mean() - 1 / min(
                count for _, count, _ in groups
            )


@in_its_own_time
@given(st.sampled_from(POLICIES[:2]), GROUPS)
def test_the_likeliest_of_few_groups_are_never_cold(
    policy: dict[str, Any], groups: list[tuple[int, int, int]]
) -> None:
    """Never 76 % and cold: where some leads are to be warm, and the likeliest are not most of them."""
    sample, scorecard = grouped(groups), card(**policy)
    scale = scale_of(sample, scorecard)
    chances = model_chances(sample)
    likeliest = chances == chances.max()
    is_wanted = (rate(scorecard, sample.features).stage >= WARM).any() or policy
    if is_wanted and round(0.3 * len(sample)) and likeliest.mean() <= 0.5:
        assert (scale.stage(chances[likeliest]) >= WARM).all()


@in_its_own_time
@given(GROUPS)
def test_a_group_that_is_won_often_enough_is_in_the_list(groups: list[tuple[int, int, int]]) -> None:
    """Never 76 % and cold beside 70 % won, by the policy of win rates."""
    sample = grouped(groups)
    chances = model_chances(sample)
    scale = scale_of(sample, card(policy="min_win_rate", warm=0.3, hot=0.7))
    for minimum, stage in ((0.3, WARM), (0.7, HOT)):
        for threshold in np.unique(chances):
            if sample.won[chances >= threshold].mean() >= minimum:
                assert (scale.stage(chances[chances >= threshold]) >= stage).all()


@pytest.mark.parametrize("hot", [1, 3, 10])
def test_one_lead_above_all_others_is_not_cold(hot: int) -> None:
    sample = evidence([0.2] * 99 + [0.9], points=[9] * hot + [5] * 12 + [0] * (88 - hot))
    assert scale_of(sample, card()).stage(np.array([0.2, 0.9])).tolist() == [COLD, HOT]
