"""Two rankings of the same judged leads: figures by hand, equal volume, ties, intervals."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score

from features.columns import Bools, Floats
from scoring.model.model import sigmoid
from scoring.statistics.metrics import Estimate
from scoring.statistics.paired_differences import (
    AT_VOLUME,
    MEASURED,
    USUAL_SHARE,
    Difference,
    LabeledLeads,
    count_calls,
    differences,
    log_loss_gain,
)
from tests.helpers.evidence_builder import draw_outcomes

FIGURE = Estimate(0.0, 0.0, 0.0)


def make_judged(won: Bools, amount: Floats | None = None) -> LabeledLeads:
    return LabeledLeads(won, np.full(len(won), np.nan) if amount is None else amount, np.arange(len(won)))


def top(rank: Floats, count: int) -> Bools:
    return np.isin(np.arange(len(rank)), np.argsort(-rank)[:count])


# -- values ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("count", [1, 40, 399])
def test_values_are_counted(seed: int, count: int) -> None:
    won, new, old = draw_outcomes(seed)
    amount = np.random.default_rng(seed).lognormal(size=400)
    results = differences(make_judged(won, amount), new, old, top(old, count), draws=3)
    for rank, side in ((new, "new"), (old, "old")):
        values, called = {n: getattr(d, side).value for n, d in results.items()}, top(rank, count)
        assert values["roc_auc"] == pytest.approx(roc_auc_score(won, rank))
        assert values["average_precision"] == pytest.approx(average_precision_score(won, rank))
        assert values["win_rate"] == pytest.approx(won[called].mean())
        assert values["lift"] == pytest.approx(won[called].mean() / won.mean())
        assert values["won_amount"] == pytest.approx(amount[called & won].sum() / amount[won].sum())


def test_difference_is_new_less_old_and_turns_round_with_the_sides() -> None:
    won, new, old = draw_outcomes(1)
    called = top(old, 50)
    forward = differences(make_judged(won), new, old, called, 40)
    back = differences(make_judged(won), old, new, called, 40)
    assert set(forward) == set(MEASURED)
    for name in ("roc_auc", "average_precision", "win_rate", "lift"):
        d, turned = forward[name], back[name]
        assert d.difference.value == d.new.value - d.old.value
        assert (d.new, d.old) == (turned.old, turned.new)
        assert d.difference.low == pytest.approx(-turned.difference.high)


def test_the_same_ranking_twice_differs_by_nothing_at_all() -> None:
    won, new, _ = draw_outcomes(2)
    results = differences(make_judged(won, np.exp(new)), new, new, top(new, 33))
    assert {d.difference for d in results.values()} == {FIGURE}


def test_scores_count_only_by_their_order() -> None:
    won, new, old = draw_outcomes(3)
    called = top(old, 40)
    a = differences(make_judged(won), new, old, called, 20)
    b = differences(make_judged(won), sigmoid(new), 3 * old - 7, called, 20)
    for name in MEASURED:
        assert a[name].difference.value == pytest.approx(b[name].difference.value, nan_ok=True)


# -- equal volume ----------------------------------------------------------------------------------


def test_both_sides_call_equally_many_in_every_draw() -> None:
    """Where each lead is won and brings 1, the won amount tells how many leads were called."""
    _, new, old = draw_outcomes(4)
    called = np.random.default_rng(4).random(400) < 0.2  # need not be the top of either side
    results = differences(make_judged(np.ones(400, bool), np.ones(400)), new, old, called)
    share = results["won_amount"]
    assert share.new.value == share.old.value == pytest.approx(called.mean())
    assert share.new.low < called.mean() < share.new.high
    assert (share.difference.low, share.difference.high) == pytest.approx((0, 0), abs=1e-12)


def test_where_nobody_is_called_a_tenth_is() -> None:
    won, new, old = draw_outcomes(5)
    results = differences(make_judged(won), new, old, np.zeros(400, bool), 10)
    assert results["win_rate"].new.value == pytest.approx(won[top(new, 40)].mean())
    assert count_calls(np.zeros(400, bool)) == 40 == round(400 * USUAL_SHARE)


def test_where_everybody_is_called_both_sides_call_everybody() -> None:
    won, new, old = draw_outcomes(6)
    results = differences(make_judged(won), new, old, np.ones(400, bool))
    assert results["win_rate"].new.value == results["win_rate"].old.value == pytest.approx(won.mean())
    assert results["win_rate"].difference == FIGURE
    assert results["lift"].new.value == pytest.approx(1)
    assert count_calls(np.ones(400, bool)) == 400


# -- ties ------------------------------------------------------------------------------------------


def test_order_of_rows_does_not_count_where_ranks_are_equal() -> None:
    won, new, old = draw_outcomes(7)
    amount, coarse, called = np.exp(new), np.round(new), old > 0
    shuffled = np.random.default_rng(7).permutation(400)
    a = differences(make_judged(won, amount), coarse, old, called, 0)
    b = differences(
        make_judged(won, amount).take(shuffled), coarse[shuffled], old[shuffled], called[shuffled], 0
    )
    for name in MEASURED:
        assert a[name].new.value == pytest.approx(b[name].new.value), name


def test_of_equal_ranks_each_counts_in_part() -> None:
    """The first lead is called whole, and of the four after it two: half of each."""
    won = np.array([True, True, False, False, False, True])
    amount = np.array([10.0, 8.0, 1.0, 1.0, 1.0, 2.0])
    rank = np.array([3.0, 2.0, 2.0, 2.0, 2.0, 1.0])
    called = np.array([True, True, True, False, False, False])
    results = differences(make_judged(won, amount), rank, np.arange(6.0), called, 0)
    assert results["win_rate"].new.value == pytest.approx((1 + 0.5) / 3)
    assert results["won_amount"].new.value == pytest.approx((10 + 4) / 20)


def test_a_ranking_of_equals_is_worth_the_win_rate() -> None:
    won, _, old = draw_outcomes(8)
    results = differences(make_judged(won), np.zeros(400), old, top(old, 40), 0)
    assert results["win_rate"].new.value == pytest.approx(won.mean())
    assert results["roc_auc"].new.value == pytest.approx(0.5)


# -- better or open --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "better"),
    [
        (0.1, 0.2, "new"),
        (-0.2, -0.1, "old"),
        (-0.1, 0.1, "open"),
        (0.0, 0.1, "open"),
        (-0.1, 0.0, "open"),
        (np.nan, np.nan, "open"),
    ],
)
def test_better_beyond_doubt_or_open(low: float, high: float, better: str) -> None:
    assert Difference(FIGURE, FIGURE, Estimate((low + high) / 2, low, high)).better == better


def test_a_much_better_ranking_is_better_and_a_useless_one_worse() -> None:
    won, true, _ = draw_outcomes(9, 1_000, signal=2)
    useless, also_useless = np.random.default_rng(90).normal(size=(2, 1_000))
    called = top(useless, 200)
    results = differences(make_judged(won), true, useless, called)
    assert {results[name].better for name in ("roc_auc", "win_rate")} == {"new"}
    assert differences(make_judged(won), useless, true, called)["win_rate"].better == "old"
    assert differences(make_judged(won), also_useless, useless, called)["win_rate"].better == "open"


@pytest.mark.parametrize("outcome", [True, False])
def test_where_all_end_alike_nothing_is_claimed(outcome: bool) -> None:
    _, new, old = draw_outcomes(10, 50)
    results = differences(make_judged(np.full(50, outcome)), new, old, top(old, 5))
    assert np.isnan(results["roc_auc"].new.value)
    assert {d.better for d in results.values()} == {"open"}


def test_of_paired_sides_the_difference_is_told_more_sharply_than_each() -> None:
    won, true, _ = draw_outcomes(11, 1_000)
    close_rank = true + 0.1 * np.random.default_rng(11).normal(size=1_000)
    difference = differences(make_judged(won), close_rank, true, top(true, 100))["roc_auc"]
    width = {n: getattr(difference, n).high - getattr(difference, n).low for n in ("new", "difference")}
    assert width["difference"] < 0.3 * width["new"]


# -- the truth -------------------------------------------------------------------------------------


def measure_truth() -> dict[str, float]:
    """What 200,000 leads tell."""
    won, new, old = draw_outcomes(99, 200_000)
    results = differences(make_judged(won), new, old, old > 0, draws=0)
    return {name: d.difference.value for name, d in results.items()}


def test_intervals_cover_the_truth_about_as_often_as_promised() -> None:
    true, names, sets = measure_truth(), ("roc_auc", "win_rate", "lift"), 100
    covered = dict.fromkeys(names, 0)
    for seed in range(sets):
        won, new, old = draw_outcomes(seed)
        results = differences(make_judged(won), new, old, old > 0, draws=100, seed=seed)
        for name in names:
            covered[name] += results[name].difference.low <= true[name] <= results[name].difference.high
    assert all(88 <= count <= 99 for count in covered.values()), covered  # 95 of 100, ± 3 errors


def test_gain_in_log_loss_is_counted_and_covered() -> None:
    rng, covered = np.random.default_rng(12), 0
    won, new, old = draw_outcomes(99, 200_000)
    true = log_loss(won, sigmoid(old)) - log_loss(won, sigmoid(new))
    for _ in range(100):
        rows = rng.integers(0, 200_000, 300)
        gain = log_loss_gain(make_judged(won[rows]), new[rows], old[rows])
        covered += gain.low <= true <= gain.high
    by_hand = log_loss(won[rows], sigmoid(old[rows])) - log_loss(won[rows], sigmoid(new[rows]))
    assert gain.value == pytest.approx(by_hand)
    assert 88 <= covered <= 99


def test_every_figure_at_volume_is_measured() -> None:
    assert set(AT_VOLUME) < set(MEASURED)
