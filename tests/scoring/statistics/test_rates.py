from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.statistics.rates import Rate, Rates
from scoring.to_json import to_jsonable

SELECTED = np.array([True, False, True, False, True, True])
WON = np.array([True, False, False, False, True, False])


def everyone(count: int) -> np.ndarray:
    return np.ones(count, dtype=bool)


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 5)), min_size=1))
def test_a_rate_is_counted(rows: list[tuple[bool, bool, int]]) -> None:
    won, selected, group = (np.array(result) for result in zip(*rows, strict=True))
    result = Rates(won, group, draws=40).rate(selected)
    inside = [won for won, is_selected, _ in rows if is_selected]
    assert (result.count, result.won) == (len(inside), sum(inside))
    if inside:
        assert result.value == pytest.approx(sum(inside) / len(inside))
        assert 0 <= result.low <= result.high <= 1


def test_rates_of_many_sets_come_from_one_object() -> None:
    rates = Rates(WON, np.arange(6))
    assert rates.rate(SELECTED).won == 2
    assert rates.rate(~SELECTED) == Rate(
        count=2, won=0, value=0.0, low=0.0, high=0.0, lift=0.0, lift_low=0.0, lift_high=0.0
    )
    assert rates.rate(WON).value == rates.rate(WON).low == 1.0


def test_rate_of_nobody_is_not_known() -> None:
    rate = Rates(WON, np.arange(6)).rate(np.zeros(6, dtype=bool))
    assert (rate.count, rate.won) == (0, 0)
    assert np.isnan([rate.value, rate.low, rate.high]).all()
    nobody = {
        "count": 0,
        "won": 0,
        **dict.fromkeys(("value", "low", "high", "lift", "lift_low", "lift_high")),
    }
    assert json.loads(json.dumps(to_jsonable(rate), allow_nan=False)) == nobody


def test_one_group_alone_has_no_spread() -> None:
    rate = Rates(WON, np.zeros(6, dtype=int)).rate(SELECTED)
    assert rate.low == rate.value == rate.high == pytest.approx(0.5)


def test_rows_of_a_group_are_drawn_together() -> None:
    """Ten moments of each lead tell no more than one."""
    rng = np.random.default_rng(0)
    won, group = np.repeat(rng.random(80) < 0.3, 10), np.repeat(np.arange(80), 10)
    single = Rates(won[::10], group[::10]).rate(everyone(80))
    copied = Rates(won, group).rate(everyone(800))
    apart = Rates(won, np.arange(800)).rate(everyone(800))
    assert (copied.low, copied.high) == pytest.approx((single.low, single.high))
    assert apart.high - apart.low < 0.5 * (copied.high - copied.low)


def test_names_of_groups_do_not_count() -> None:
    group = np.array([0, 0, 1, 2, 2, 3])
    assert Rates(WON, group).rate(SELECTED) == Rates(WON, 7 * group + 100).rate(SELECTED)


def test_interval_covers_the_truth_about_as_often_as_promised() -> None:
    """Leads of accounts that are alike: the true rate of a set of them is 0.3."""
    rng, covered, sets = np.random.default_rng(1), 0, 200
    for _ in range(sets):
        group = np.repeat(np.arange(150), rng.integers(1, 5, 150))
        won = rng.random(len(group)) < rng.beta(3, 7, 150)[group]
        rate = Rates(won, group, seed=int(rng.integers(1_000))).rate(rng.random(len(group)) < 0.5)
        covered += rate.low <= 0.3 <= rate.high
    assert 180 <= covered <= 199  # 95 % of 200 are 190, give or take three standard errors


def test_the_same_seed_draws_the_same() -> None:
    won = np.random.default_rng(2).random(60) < 0.4
    rates = [Rates(won, np.arange(60), seed=seed).rate(everyone(60)) for seed in (0, 0, 1)]
    assert rates[0] == rates[1]
    assert rates[0] != rates[2]
