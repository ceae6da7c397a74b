"""The time to win: its quantiles follow from the hazards, alone or among many."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.columns import Floats
from scoring.model.linear import LinearPart
from scoring.model.time_to_win import QUANTILES, TimeToWin
from training.fitting.parts.line import learn_scaling

LOG_ODDS = st.floats(-30, 30)


@st.composite
def some_times(draw: st.DrawFn) -> TimeToWin:
    """Bins of any widths with any hazards; weights of two columns."""
    widths = draw(st.lists(st.floats(0.001, 100), min_size=1, max_size=12))
    hazards = draw(st.lists(LOG_ODDS, min_size=len(widths) - 1, max_size=len(widths) - 1))
    matrix = np.random.default_rng(0).normal(size=(50, 2))
    weights = np.array(draw(st.lists(st.floats(-3, 3), min_size=2, max_size=2)))
    linear = LinearPart(learn_scaling(matrix), 0.0, weights, np.empty(0))
    return TimeToWin(np.cumsum([0.0, *widths]), np.array(hazards), draw(st.sampled_from([linear, None])))


@pytest.fixture
def half() -> TimeToWin:
    """Half of the leads that are left are won in each bin, all others in the last."""
    return TimeToWin(np.array([0.0, 10.0, 20.0, 40.0]), np.zeros(2), None)


def matrix(rows: int) -> Floats:
    values = np.random.default_rng(1).normal(size=(rows, 2))
    values[0, 0] = np.nan
    return values


def test_the_share_won_by_each_edge_is_the_product_of_the_hazards(half: TimeToWin) -> None:
    np.testing.assert_allclose(half.won_by(np.zeros(1)), [[0, 0.5, 0.75, 1]])
    np.testing.assert_allclose(half.won_by(np.array([np.log(3)])), [[0, 0.75, 0.9375, 1]])


def test_quantiles_lie_where_the_share_is_reached_within_its_bin(half: TimeToWin) -> None:
    """80 % are won a fifth of the way from 75 % to all."""
    np.testing.assert_allclose(half.quantiles(np.zeros((2, 5))), [[10, 24], [10, 24]])


@given(some_times(), st.integers(1, 6))
def test_quantiles_are_ordered_and_within_the_bins(times: TimeToWin, rows: int) -> None:
    days = times.quantiles(matrix(rows))
    assert days.shape == (rows, 2)
    assert (days[:, 0] <= days[:, 1]).all()
    assert (days > 0).all()
    assert (days <= times.edges[-1]).all()


@given(some_times(), LOG_ODDS)
def test_the_share_that_is_won_by_a_quantile_is_its_own(times: TimeToWin, log_odds: float) -> None:
    shares = times.won_by(np.array([log_odds]))
    days = times._interpolate(shares)[0]
    np.testing.assert_allclose(np.interp(days, times.edges, shares[0]), QUANTILES, atol=1e-6)


@given(some_times(), LOG_ODDS, st.floats(0, 5))
def test_a_higher_hazard_never_takes_longer(times: TimeToWin, log_odds: float, more: float) -> None:
    slow, fast = times._interpolate(times.won_by(np.array([log_odds, log_odds + more])))
    assert (fast <= slow + 1e-9).all()


@given(some_times())
def test_a_lead_alone_has_the_days_that_it_has_among_many(times: TimeToWin) -> None:
    leads = matrix(7)
    single = np.concatenate([times.quantiles(leads[i : i + 1]) for i in range(7)])
    np.testing.assert_allclose(single, times.quantiles(leads), rtol=1e-12)


def test_values_of_any_size_have_days(half: TimeToWin) -> None:
    extreme = np.array([-1e300, -800.0, 800.0, 1e300])
    days = half._interpolate(half.won_by(extreme))
    np.testing.assert_allclose(days, [[30, 36], [30, 36], [5, 8], [5, 8]])


def test_days_belong_to_the_bin_that_ends_with_them(half: TimeToWin) -> None:
    bins = half.find_bins(np.array([0.1, 10, 10.1, 20, 40, 99]))
    assert bins.tolist() == [0, 0, 1, 1, 2, 2]


@given(some_times())
def test_what_is_stored_gives_the_same_days(times: TimeToWin) -> None:
    stored = TimeToWin.from_dict(json.loads(json.dumps(times.to_dict())))
    np.testing.assert_array_equal(stored.quantiles(matrix(5)), times.quantiles(matrix(5)))


def test_bins_that_do_not_fit_their_hazards_are_no_model(half: TimeToWin) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        TimeToWin.from_dict({**half.to_dict(), "baseline": [0.0]})
