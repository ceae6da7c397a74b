"""The time to win is calibrated, uses features as far as they help, and sees no future."""

from __future__ import annotations

import numpy as np
import pytest

from scoring.model.encoding import Encoding
from scoring.model.time_to_win import QUANTILES, TimeToWin
from tests.training.fitting.time_to_win.winners import HORIZON, draw_winners, true_quantiles, with_days
from training.fitting.dataset import Dataset
from training.fitting.splits import split_newest
from training.fitting.time_to_win.fitting import TimeFolds, find_levels, fit_hazard, fit_time_to_win
from training.fitting.time_to_win.winners import Winners


def fit(data: Dataset) -> TimeToWin:
    fitted = fit_time_to_win(data, Encoding.learn(data.columns), 0)
    assert fitted is not None
    return fitted


def winners_of(data: Dataset) -> Winners:
    return Winners.from_dataset(data, Encoding.learn(data.columns))


@pytest.mark.parametrize("seed", range(3))
def test_days_are_calibrated_at_every_age_and_for_slow_and_fast_leads(seed: int) -> None:
    """Each share has a standard error of about 0.02, also because the fitted side is a sample."""
    fitted, fresh = fit(draw_winners(seed, 2_000, 0.8)), winners_of(draw_winners(seed + 100, 3_000, 0.8))
    is_won = fresh.days[:, None] <= fitted.quantiles(fresh.matrix)
    signal = fresh.matrix[:, 0]
    masks = [signal < -0.5, abs(signal) <= 0.5, signal > 0.5]
    masks += [fresh.examples.landmark == age for age in (0, 7, 30)]
    for mask in masks:
        np.testing.assert_allclose(is_won[mask].mean(axis=0), QUANTILES, atol=0.07)
    np.testing.assert_allclose(is_won.mean(axis=0), QUANTILES, atol=0.04)


def test_days_are_near_the_true_ones() -> None:
    fitted = fit(draw_winners(0, 4_000, 0.8))
    signal = np.linspace(-1, 1, 5)
    days = fitted.quantiles(np.column_stack([signal, np.zeros((5, 2))]))
    for place, quantile in enumerate(QUANTILES):
        np.testing.assert_allclose(days[:, place], true_quantiles(signal, 0.8, quantile), rtol=0.15)


@pytest.mark.parametrize("seed", range(4))
def test_features_without_effect_get_hardly_any_weight(seed: int) -> None:
    fitted = fit(draw_winners(seed, 400, 0.0))
    days = fitted.quantiles(winners_of(draw_winners(9, 400, 0.0)).matrix)
    assert days[:, 0].std() < 0.1 * days[:, 0].mean()


def test_few_winners_share_one_time() -> None:
    data = draw_winners(1, 24, 0.8)
    fitted = fit(data)
    assert fitted.linear is None
    assert 2 <= len(fitted.edges) <= 4
    assert fitted.edges[-1] == np.nanmax(data.examples.days_to_win) <= HORIZON


def test_too_few_winners_have_no_time() -> None:
    data = draw_winners(1, 300, 0.8, lost=281)
    assert 10 < data.examples.won_leads < 20
    assert fit_time_to_win(data, Encoding.learn(data.columns), 0) is None


def test_without_dates_there_is_no_time() -> None:
    data = draw_winners(1, 300, 0.8)
    undated = with_days(data, np.full(len(data), np.nan))
    assert fit_time_to_win(undated, Encoding.learn(data.columns), 0) is None


def test_bins_hold_equally_many_winners() -> None:
    winners = winners_of(draw_winners(2, 900, 0.8))
    fitted = fit_hazard(winners, None)
    counts = np.bincount(fitted.find_bins(winners.days))
    assert len(counts) == 12
    assert counts.max() - counts.min() <= 1
    np.testing.assert_allclose(fitted.won_by(np.zeros(1))[0, 1:], counts.cumsum() / len(winners))


def test_wins_of_the_same_day_are_in_one_bin() -> None:
    data = draw_winners(2, 300, 0.8)
    same = np.where(np.isnan(data.examples.days_to_win), np.nan, 5.0)
    np.testing.assert_array_equal(fit(with_days(data, same)).edges, [0, 5])


def test_levels_follow_later_winners_who_take_longer() -> None:
    """Newer winners take half as long again: the older ones' median is too early for them."""
    data = draw_winners(3, 3_000, 0.0)
    growing = data.examples.days_to_win * np.geomspace(1, 4, len(data))
    levels = [
        find_levels(TimeFolds.split(winners_of(changed), 0), None)
        for changed in (data, with_days(data, growing))
    ]
    np.testing.assert_allclose(levels[0], QUANTILES, atol=0.03)
    assert (levels[1] > levels[0] + 0.03).all()
    assert (np.diff(levels) > 0).all()


def test_what_comes_after_the_older_deals_is_not_seen() -> None:
    data = draw_winners(4, 800, 0.8)
    split = split_newest(data.examples, 0)
    newer = np.setdiff1d(np.arange(len(data)), split.train)
    days = data.examples.days_to_win.copy()
    days[newer] = 1.0
    changed = with_days(data, days)
    assert fit(changed.take(split.train)).to_dict() == fit(data.take(split.train)).to_dict()


def test_the_same_winners_give_the_same_times() -> None:
    assert fit(draw_winners(5, 500, 0.8)).to_dict() == fit(draw_winners(5, 500, 0.8)).to_dict()
