"""The time to win is measured on newer winners only, with intervals."""

from __future__ import annotations

import json

import numpy as np

from features.columns import Floats
from tests.training.fitting.time_to_win.winners import draw_winners, with_days
from training.fitting.dataset import Dataset
from training.fitting.splits import split_newest
from training.fitting.time_to_win.measuring import TimeEvaluation, evaluate_time_to_win


def evaluate(data: Dataset) -> TimeEvaluation:
    result = evaluate_time_to_win(data, 0)
    assert result is not None
    return result


def test_figures_hold_on_newer_winners_and_gain_by_the_signal() -> None:
    result = evaluate(draw_winners(1, 2_000, 1.0))
    assert result.figures is not None
    assert result.has_weights
    for name, share in (("within_median", 0.5), ("within_p80", 0.8)):
        assert result.figures[name].low <= share <= result.figures[name].high
    assert result.figures["gain"].low > 0
    assert result.figures["error"].low > 0
    json.dumps(result.to_dict(), allow_nan=False)


def test_newer_winners_who_take_longer_are_found_out() -> None:
    data = draw_winners(2, 2_000, 0.5)
    split = split_newest(data.examples, 0)
    days: Floats = data.examples.days_to_win.copy()
    days[split.test] *= 3
    figures = evaluate(with_days(data, days)).figures
    assert figures is not None
    assert figures["within_median"].high < 0.4
    assert figures["within_p80"].high < 0.7


def test_with_few_winners_on_a_side_nothing_is_measured() -> None:
    few_newer = evaluate(draw_winners(3, 500, 0.5, lost=90))
    assert few_newer.figures is None
    assert few_newer.leads < 20 <= few_newer.learnt_from
    assert few_newer.to_dict()["figures"] is None


def test_without_dates_there_is_nothing_to_measure() -> None:
    data = draw_winners(3, 300, 0.5)
    undated = with_days(data, np.full(len(data), np.nan))
    assert evaluate_time_to_win(undated, 0) is None
