from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from features.columns import Bools, Floats
from scoring.statistics.metrics import MEASURES, Ranked, estimate, estimates_to_dict, measure, rank_leads

NO_AMOUNT = np.full(10_000, np.nan)


def figure(name: str, won: Bools, probability: Floats, amount: Floats | None = None) -> float:
    amount = NO_AMOUNT[: len(won)] if amount is None else amount
    return MEASURES[name](rank_leads(won, probability, amount))


def draw_outcomes(seed: int, rows: int = 400, grid: int | None = None) -> tuple[Bools, Floats]:
    """Outcomes and probabilities; on a coarse `grid` many are equal."""
    rng = np.random.default_rng(seed)
    probability = rng.beta(1, 3, rows)
    if grid:
        probability = np.ceil(probability * grid) / (grid + 1)
    return rng.random(rows) < probability, probability


@pytest.mark.parametrize("grid", [None, 50, 3])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("name", "usual"),
    [
        ("log_loss", log_loss),
        ("brier", brier_score_loss),
        ("roc_auc", roc_auc_score),
        ("average_precision", average_precision_score),
    ],
)
def test_agrees_with_scikit_learn(name: str, usual, seed: int, grid: int | None) -> None:  # type: ignore[no-untyped-def]
    won, probability = draw_outcomes(seed, grid=grid)
    assert figure(name, won, probability) == pytest.approx(usual(won, probability), abs=1e-12)


def test_certain_and_wrong_costs_much_but_not_everything() -> None:
    assert 20 < figure("log_loss", np.array([True, False]), np.array([0.0, 1.0])) < 40


def test_top_of_the_list_by_hand() -> None:
    """20 leads, 4 won: the likeliest, the third, and two of the least likely."""
    won = np.zeros(20, dtype=bool)
    won[[0, 2, 18, 19]] = True
    probability = np.linspace(0.9, 0.1, 20)
    amount = np.where(won, 100.0, 7.0)
    amount[0] = 700.0
    figures = {n: m(rank_leads(won, probability, amount)) for n, m in MEASURES.items()}
    assert figures["win_rate_top_5"] == pytest.approx(1)
    assert figures["win_rate_top_10"] == pytest.approx(1 / 2)
    assert figures["win_rate_top_20"] == pytest.approx(2 / 4)
    assert figures["lift_top_5"] == pytest.approx(1 / (4 / 20))
    assert figures["lift_top_20"] == pytest.approx((2 / 4) / (4 / 20))
    assert figures["won_amount_top_5"] == pytest.approx(700 / 1_000)
    assert figures["won_amount_top_20"] == pytest.approx(800 / 1_000)


def test_a_top_share_may_end_within_a_lead() -> None:
    won = np.array([True, False, False])
    probability = np.array([0.9, 0.5, 0.1])
    assert figure("win_rate_top_10", won, probability) == pytest.approx(1)
    won = np.array([False, True])  # the top 20 % of two leads are 0.4 of the first
    assert figure("win_rate_top_20", won, np.array([0.9, 0.1])) == pytest.approx(0)


def test_calibration_error_by_hand() -> None:
    """Ten bands of two leads each; all are told 0.25, and one of the two is won in two bands."""
    probability = np.full(20, 0.25)
    won = np.zeros(20, dtype=bool)
    won[[0, 2]] = True
    expected = (2 * abs(0.5 - 0.25) + 8 * 0.25) / 10
    assert figure("calibration_error", won, probability) == pytest.approx(expected)


def test_calibration_error_falls_where_probabilities_are_true() -> None:
    won, probability = draw_outcomes(0, 10_000)
    assert figure("calibration_error", won, probability) < 0.03
    assert figure("calibration_error", won, probability**2) > 0.08


def test_figures_without_a_win_cannot_be_told() -> None:
    figures = estimates_to_dict(
        measure(np.zeros(30, bool), np.linspace(0, 1, 30), NO_AMOUNT[:30], np.arange(30))
    )
    for name in ("roc_auc", "average_precision", "lift_top_10", "won_amount_top_10"):
        assert figures[name] == {"value": None, "low": None, "high": None}
    assert figures["win_rate_top_10"]["value"] == 0
    assert "NaN" not in json.dumps(figures)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9), st.integers(0, 3)), min_size=2))
def test_a_weight_of_n_counts_as_n_leads(rows: list[tuple[bool, int, int]]) -> None:
    won, grid, times = (np.array(column) for column in zip(*rows, strict=True))
    if not times.sum():
        return
    probability, amount = (grid + 0.5) / 10, np.arange(len(won), dtype=float)
    weighted = rank_leads(won, probability, amount, times.astype(float))
    repeated = rank_leads(*(np.repeat(a, times) for a in (won, probability, amount)))
    for name, metric in MEASURES.items():
        if name != "calibration_error":  # its bands may end within a lead that stands for several
            assert metric(weighted) == pytest.approx(metric(repeated), nan_ok=True), name


@pytest.mark.parametrize("name", MEASURES)
def test_another_weighting_of_the_same_leads_equals_a_fresh_one(name: str) -> None:
    won, probability = draw_outcomes(1, grid=20)
    ranking = rank_leads(won, probability, np.arange(400.0))
    times = np.random.default_rng(2).integers(0, 4, 400).astype(float)
    fresh = Ranked(ranking.won, ranking.probability, ranking.amount, times)
    MEASURES[name](ranking)  # what is kept from here must not depend on the weights
    assert MEASURES[name](ranking.weighted(times)) == MEASURES[name](fresh)


def test_bootstrap_draws_groups_whole() -> None:
    """Ten copies of each lead in one group tell no more than the leads alone."""
    won, probability = draw_outcomes(3, 60)
    original = measure(won, probability, NO_AMOUNT[:60], np.arange(60))
    copied = measure(*(np.repeat(a, 10) for a in (won, probability, NO_AMOUNT[:60], np.arange(60))))
    split = measure(*(np.repeat(a, 10) for a in (won, probability, NO_AMOUNT[:60])), np.arange(600))
    for name in ("log_loss", "brier", "roc_auc"):
        assert copied[name].low == pytest.approx(original[name].low)
        assert copied[name].high == pytest.approx(original[name].high)
        assert split[name].high - split[name].low < 0.5 * (original[name].high - original[name].low)


def test_one_group_alone_has_no_spread() -> None:
    won, probability = draw_outcomes(4, 50)
    brier = measure(won, probability, NO_AMOUNT[:50], np.zeros(50, int))["brier"]
    assert brier.low == pytest.approx(brier.value)
    assert brier.high == pytest.approx(brier.value)


def test_interval_covers_the_truth_about_as_often_as_promised() -> None:
    """Where the told probabilities are true, the Brier score to expect is the mean of p (1 - p)."""
    rng, covered = np.random.default_rng(5), 0
    for _ in range(60):
        probability = rng.beta(1, 3, 300)
        won = rng.random(300) < probability
        brier = estimate(MEASURES["brier"], won, probability, NO_AMOUNT[:300], np.arange(300), draws=100)
        expected = float(np.mean(probability * (1 - probability)))
        covered += brier.low <= expected <= brier.high
    assert 51 <= covered < 60  # 95 % of 60 are 57; 51 is four standard errors below
