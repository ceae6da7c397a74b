"""`benchmarks.model_quality`: its measures, figures and page, on a small CRM and on made scores."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.model_quality import EXAMPLES, PAGE, SetResult, choose_constants, report_misses, write_page
from benchmarks.quality.constants import GRID, SplitParts, measure_constants, score_split
from benchmarks.quality.figures import BARS, build_figures, mean_calibration_error, simulate_calibration_error
from benchmarks.quality.measuring import PART, SetScores, SideCounts, measure_set
from benchmarks.quality.page import constants_part, figures_part, insert
from features.columns import Floats
from scoring.model.model import sigmoid
from scoring.statistics.metrics import log_losses
from tests.helpers.small_crm import small_crm
from training.fitting.blending import CONSTANTS
from training.fitting.choosing import weigh
from training.fitting.dataset import Dataset
from training.fitting.fit import fit
from training.fitting.holdout import split_for_evaluation

ROWS = 4_000


def make_scores(level: float = 0.0, newest: float = 0.3, seed: int = 0) -> SetScores:
    """Outcomes by known probabilities; the model knows them but for `level` in log-odds."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(-1, 1, ROWS)
    won = rng.random(ROWS) < sigmoid(truth)
    noisy = truth + rng.normal(0, 1, ROWS)
    run = {"model": truth + level, f"{PART}linear": noisy, f"{PART}small_trees": 2 * noisy}
    run |= dict.fromkeys(("baseline_rate", "baseline_logistic", "baseline_lightgbm"), np.full(ROWS, -1.0))
    rows = np.arange(ROWS, dtype=np.int32)
    side = SideCounts(ROWS, int(won.sum()), float(won.mean()), 0.007)
    return SetScores(
        won=won,
        group=rows,
        lead=rows,
        runs=[run, run],
        older=side,
        judged=side,
        newest_fold=replace(side, rate=newest),
        seconds=12.0,
        gib=0.5,
        explained=0.0004,
    )


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, SetScores]:
    """A small CRM, trained on as the command does."""
    steps: list[object] = []
    measured = measure_set(small_crm(tmp_path_factory.mktemp("crm"), leads=500), [0], steps.append)
    assert steps
    return measured


@pytest.fixture(scope="module")
def parts(measured: tuple[Dataset, SetScores]) -> SplitParts:
    data, _ = measured
    return score_split(data, split_for_evaluation(data, 0)[0], 0)


def test_a_set_is_measured_whole(measured: tuple[Dataset, SetScores]) -> None:
    _, scores = measured
    figures = build_figures("small", scores)
    assert figures.loss.low < figures.loss.value < figures.loss.high < figures.losses["baseline_rate"]
    assert {"linear", "small_trees", "large_trees"} <= set(figures.parts)
    assert figures.best_part in figures.parts
    best = figures.parts[figures.best_part]
    assert figures.to_best.value == pytest.approx(figures.loss.value - best)
    assert scores.judged.examples == len(scores.won) == len(scores.runs[0]["model"])
    assert scores.judged.won_leads <= scores.won.sum()
    assert scores.seconds > 0
    assert scores.gib > 0
    assert 0 < scores.explained < 0.1
    assert "| small | **" in figures_part([figures])


def test_the_blend_of_the_shipped_constants_is_the_model(
    measured: tuple[Dataset, SetScores], parts: SplitParts
) -> None:
    data, _ = measured
    split = split_for_evaluation(data, 0)[0]
    model = fit(data.take(split.train), weigh(parts.folds)[0], seed=0)
    expected = model.log_odds(model.encode(data.take(split.test).columns))
    np.testing.assert_allclose(parts.blend(CONSTANTS), expected, atol=1e-6)


def test_other_constants_make_another_blend(parts: SplitParts) -> None:
    changed = replace(CONSTANTS, equal_prior=3_000.0, slope_pull=3_000.0)
    assert not np.allclose(parts.blend(changed), parts.blend(CONSTANTS), atol=1e-3)


def test_the_losses_of_constants_are_those_of_their_blends(
    measured: tuple[Dataset, SetScores], parts: SplitParts
) -> None:
    data, scores = measured
    losses = measure_constants(data, [0], GRID[:3])
    assert losses.shape == (3, len(scores.won))
    assert losses[0].mean() == pytest.approx(log_losses(scores.won, parts.blend(CONSTANTS)).mean())


def test_constants_are_chosen_without_the_set_left_out() -> None:
    """The second constants are better on a and b and worse on c: only c gets them."""
    gains = {"a": -0.1, "b": -0.1, "c": 0.15}
    grid = len(GRID)
    results = {}
    for name, gain in gains.items():
        losses = np.full((grid, ROWS), 0.5)
        losses[1] += gain
        losses[2:] += 1
        results[name] = SetResult(make_scores(), losses)
    chosen = {r.name: r for r in choose_constants(results)}
    assert [chosen[name].chosen for name in "abc"] == [GRID[0], GRID[0], GRID[1]]
    assert chosen["c"].difference.value == pytest.approx(0.15)
    table = constants_part(list(chosen.values()))
    assert "| c | 2 | 10 | 1 | 30 | 0.6500 | 0.5000 | +0.1500" in table
    assert "worse than the shipped ones on c and better on no set" in table


def test_the_grid_begins_as_shipped() -> None:
    assert GRID[0] == CONSTANTS
    assert len(set(GRID)) == len(GRID) == 81


def test_a_right_model_misses_no_bar() -> None:
    figures = build_figures("made", make_scores())
    assert figures.misses == []
    assert figures.is_calibrated
    assert figures.predicted == pytest.approx(figures.scores.judged.rate, abs=0.02)
    assert report_misses([figures]) == 0


def test_the_error_of_right_models_is_that_of_chance() -> None:
    """In the mean of many outcomes of the same probabilities."""
    sets = [make_scores(seed=seed) for seed in range(30)]
    errors = [mean_calibration_error(s.won, [sigmoid(s.runs[0]["model"])]) for s in sets]
    expected = simulate_calibration_error([sigmoid(sets[0].runs[0]["model"])], sets[0].lead)
    assert np.mean(errors) == pytest.approx(expected.value, rel=0.15)


def test_a_wrong_level_is_a_miss_where_the_win_rate_holds_still(capsys: pytest.CaptureFixture[str]) -> None:
    steady = build_figures("made", make_scores(level=0.8))
    assert steady.is_still
    assert any("calibration error" in miss for miss in steady.misses)
    assert any("worse than" in miss for miss in steady.misses) == (steady.to_best.value > 0.003)
    assert report_misses([steady]) == 1
    assert "MISS made: " in capsys.readouterr().out
    assert steady.levelled_error < 0.03 < steady.error
    moved = build_figures("made", make_scores(level=0.8, newest=0.1))
    assert not moved.is_still
    assert not any("calibration error" in miss for miss in moved.misses)
    assert "the win rate moves from 10.0% to" in figures_part([moved])


def test_a_bar_of_an_example_is_checked() -> None:
    figures = build_figures("olist_funnel", make_scores())
    assert figures.misses == [f"log loss {figures.loss.value:.4f} above 0.1555"]
    assert "Missed: olist_funnel (log loss" in figures_part([figures])


def test_ages_of_one_lead_have_one_draw() -> None:
    probability: Floats = np.random.default_rng(0).uniform(0.2, 0.4, 2_000)
    separate, together = (
        simulate_calibration_error([probability], np.arange(2_000) // ages) for ages in (1, 20)
    )
    assert together.value > 1.3 * separate.value


def test_parts_of_the_page_are_replaced(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- figures: generated by x -->\nold\n<!-- end -->\nb\n", encoding="utf-8")
    write_page(page, {"figures": "new"})
    assert page.read_text(encoding="utf-8") == "a\n<!-- figures: generated by x -->\nnew\n<!-- end -->\nb\n"
    with pytest.raises(ValueError, match="0 parts"):
        insert("", "figures", "new")


def test_every_example_has_a_bar_and_a_row_in_every_table_of_the_page() -> None:
    assert set(BARS) == set(EXAMPLES)
    text = PAGE.read_text(encoding="utf-8")
    tables = re.findall(r"^\| (?:data set|set left out) \|.*\n(?:\|.*\n)+", text, re.MULTILINE)
    assert len(tables) == 5
    for table in tables:
        rows = [line.split("|")[1].strip() for line in table.splitlines()[2:]]
        assert sorted(rows) == EXAMPLES


def test_figures_know_when_there_is_no_order() -> None:
    figures = build_figures("made", replace(make_scores(), newest_fold=None))
    assert figures.is_still
    assert "| no order |" in figures_part([figures])
