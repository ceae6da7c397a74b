"""What was served, judged by hand-made outcomes; drift that is there is found, and none that is not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from features.clock import MS_PER_DAY, NEVER
from features.columns import encode_texts
from scoring.evaluation.monitoring import Advice, Performance, ServedPredictions, advise, measure_performance
from scoring.statistics.drift import MAJOR_SHIFT, Shift, measure_shifts, population_stability
from scoring.to_json import to_jsonable
from tests.cli.test_commands import run
from tests.helpers.small_crm import CARD, small_crm

DAY = MS_PER_DAY
CARDS = np.full(10_000, "c", dtype=object)
NO_RULES_CHANCE = np.full(10_000, np.nan)


def shifts(**indexes: float) -> dict[str, Shift]:
    """Features with an index that no chance explains."""
    return {name: Shift(index, 0.01) for name, index in indexes.items()}


def served_at(
    moments: np.ndarray, chance: np.ndarray, points: np.ndarray, won_at: np.ndarray, closed_at: np.ndarray
) -> ServedPredictions:
    """Answers of one card; the rules call the upper fifth hot."""
    return ServedPredictions(
        version="v",
        as_of=moments,
        probability=chance,
        points=points,
        rules_hot=points > np.quantile(points, 0.8),
        won_at=won_at,
        closed_at=closed_at,
        card=CARDS[: len(moments)],
        rules_chance=NO_RULES_CHANCE[: len(moments)],
    )


def make_served(count: int, chance: np.ndarray, won: np.ndarray, points: np.ndarray) -> ServedPredictions:
    """Answers of a year ago, all of which can be judged."""
    moments = np.full(count, 1_000 * DAY)
    closed = moments + 5 * DAY
    return served_at(moments, chance, points, np.where(won, closed, NEVER), closed)


@pytest.mark.parametrize("share", [0.3, 0.6, 1.0])
def test_a_rise_of_a_mostly_zero_count_is_a_shift(share: float) -> None:
    rng = np.random.default_rng(5)
    before, now = ((rng.random(4_000) < part).astype(float) for part in (0.05, share))
    assert population_stability(before, before[::-1].copy()) == 0
    assert population_stability(before, now) > MAJOR_SHIFT
    assert population_stability(np.zeros(500), np.full(500, 50.0)) > MAJOR_SHIFT


def test_only_what_can_be_judged_counts() -> None:
    moments = np.array([0, 0, 0, 0, 0, 50]) * DAY
    won = np.array([10, 95, NEVER // DAY, NEVER // DAY, NEVER // DAY, NEVER // DAY]) * DAY
    won[won > 10**6 * DAY] = NEVER
    closed = np.where(won < NEVER, won, np.array([0, 0, 20, 10**9, NEVER // DAY, NEVER // DAY]) * DAY)
    served = served_at(moments, np.zeros(6), np.zeros(6), won, closed)
    can, was_won = served.label_outcomes(90, 100 * DAY)
    assert can.tolist() == [True] * 5 + [False]  # the last is open for 50 days only
    assert was_won.tolist() == [True, False, False, False, False, False]  # 95 days are too late


def test_nothing_of_the_future_is_seen() -> None:
    close = np.array([10 * DAY])
    served = served_at(np.array([0]), np.array([0.5]), np.zeros(1), close, close)
    can, won = served.label_outcomes(90, 5 * DAY)
    assert (can.tolist(), won.tolist()) == ([False], [False])


def measure_world(bias: float = 0.0, seed: int = 3) -> Performance:
    rng = np.random.default_rng(seed)
    chance = rng.uniform(0.02, 0.6, 4_000)
    won = rng.random(4_000) < np.clip(chance + bias, 0, 1)
    return measure_performance(make_served(4_000, chance, won, rng.permutation(chance)), 90, 2_000 * DAY)


def test_a_true_model_is_fine_and_better_than_idle_rules() -> None:
    result = measure_world()
    assert result.calibration is not None
    assert result.calibration.value < 0.03
    figures = to_jsonable(result)
    assert figures["told"] == figures["mean_predicted"] == result.mean_predicted  # the former keys stay
    assert figures["came"] == figures["observed"]
    assert result.differences is not None
    assert result.differences["win_rate"].better == "new"
    assert advise([result], "v", shifts(channel=0.01)) == "fine"


@pytest.mark.parametrize(("shift", "expected"), [(0.01, "the_world_moved"), (MAJOR_SHIFT, "retrain")])
def test_a_moved_world_differs_from_shifted_features(shift: float, expected: Advice) -> None:
    assert advise([measure_world(bias=0.2)], "v", shifts(channel=shift)) == expected


@pytest.mark.parametrize(("off", "low", "high"), [(0.0, 0.0, 0.03), (0.2, 0.15, 0.25)])
def test_calibrated_rules_are_measured_next_to_the_model(off: float, low: float, high: float) -> None:
    rng = np.random.default_rng(3)
    chance = rng.uniform(0.05, 0.5, 4_000)
    served = make_served(4_000, chance, rng.random(4_000) < chance, chance)
    assert measure_performance(served, 90, 2_000 * DAY).rules_calibration is None
    rules = np.where(np.arange(4_000) % 2 == 0, chance + off, np.nan)
    calibration = measure_performance(replace(served, rules_chance=rules), 90, 2_000 * DAY).rules_calibration
    assert calibration is not None
    assert low <= calibration.value <= high


def test_few_true_probabilities_give_no_alarm() -> None:
    """Of 200 leads ten bands are off by chance alone; that is no drift."""
    alarms = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        chance = rng.uniform(0.1, 0.6, 200)
        served = make_served(200, chance, rng.random(200) < chance, chance)
        result = measure_performance(served, 90, 2_000 * DAY)
        assert result.calibration is not None
        assert result.calibration.value > 0.05 or not result.is_miscalibrated
        alarms += result.is_miscalibrated
    assert alarms <= 6  # one in twenty is expected


def test_early_closes_alone_are_not_judged() -> None:
    """Who was won in the first days of a horizon that runs still would make every model look too modest."""
    moments, chance = np.full(400, 1_000 * DAY), np.full(400, 0.5)
    won = np.where(np.arange(400) % 2, moments + 5 * DAY, NEVER)
    served = served_at(moments, chance, chance, won, won)
    early, late = (measure_performance(served, 90, moments[0] + days * DAY) for days in (89, 90))
    assert (early.judged, early.won, early.waiting) == (0, 0, 400)
    assert (late.judged, late.won, late.waiting) == (400, 200, 0)


def test_leads_closed_before_the_answer_do_not_count() -> None:
    moments, none = np.array([100 * DAY, 100 * DAY]), np.zeros(2)
    closed = np.array([99 * DAY, 100 * DAY + 1])
    served = served_at(moments, none, none, closed, closed)
    can, won = served.label_outcomes(90, 500 * DAY)
    assert (can.tolist(), won.tolist()) == ([False, True], [False, True])


def test_a_few_leads_that_differ_are_no_shift() -> None:
    """Of 30 leads the index is above 0.25 nearly always: that alone would be an alarm a week."""
    alarms, above = 0, 0
    for seed in range(50):
        rng = np.random.default_rng(seed)
        before = {f"f{i}": rng.normal(size=2_000) for i in range(10)}
        drift = measure_shifts(before, {name: rng.normal(size=30) for name in before}, 2_000, 30)
        alarms += any(shift.is_shifted for shift in drift.values())
        above += any(shift.index >= MAJOR_SHIFT for shift in drift.values())
    assert above == 50
    assert alarms <= 6


def test_chance_follows_chi_square() -> None:
    rng = np.random.default_rng(4)
    shift = measure_shifts({"f": rng.normal(size=2_000)}, {"f": rng.normal(size=500)}, 2_000, 500)["f"]
    assert shift.chance == pytest.approx(16.92 * (1 / 2_000 + 1 / 500), rel=0.01)  # 9 degrees, 95 %


def test_new_texts_are_a_shift_and_rare_ones_are_grouped() -> None:
    before = encode_texts(["a"] * 960 + [f"rare{i}" for i in range(40)])
    assert population_stability(before, encode_texts(["a"] * 96 + [f"new{i}" for i in range(4)])) < 0.001
    assert population_stability(before, encode_texts(["a"] * 50 + ["new"] * 50)) > MAJOR_SHIFT


def test_a_shifted_feature_is_looked_at() -> None:
    assert advise([measure_world()], "v", shifts(channel=MAJOR_SHIFT, age=0.0)) == "look_at_this_feature"


def test_without_outcomes_too_little_is_known() -> None:
    few = Performance(version="v", card=None, leads=500, waiting=0, judged=100, won=3)
    assert advise([few], "v", shifts(channel=0.0)) == "too_little_known"
    assert advise([], None, {}) == "too_little_known"


def test_the_index_is_that_of_the_formula() -> None:
    before, now = encode_texts(["a"] * 50 + ["b"] * 50), encode_texts(["a"] * 20 + ["b"] * 80)
    expected = (0.2 - 0.5) * np.log(0.2 / 0.5) + (0.8 - 0.5) * np.log(0.8 / 0.5)
    assert population_stability(before, now) == pytest.approx(expected, abs=1e-3)
    assert population_stability(before, before) == 0


def test_numbers_that_moved_or_went_missing_are_found() -> None:
    rng = np.random.default_rng(1)
    before = rng.normal(size=3_000)
    now = {"same": rng.normal(size=800), "moved": rng.normal(1.5, size=800), "gone": np.full(800, np.nan)}
    drift = measure_shifts(dict.fromkeys(now, before), now, 3_000, 800)
    assert not drift["same"].is_shifted
    assert drift["moved"].is_shifted
    assert next(iter(drift)) == "gone"


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_the_command_works_on_an_empty_store(tmp_path: Path, lang: str) -> None:
    crm_toml = small_crm(tmp_path, leads=60)
    (tmp_path / "scorecard.toml").write_text(CARD, encoding="utf-8")
    assert run("monitor", crm_toml).returncode == 5  # there is no store yet
    assert run("import", crm_toml).returncode == 0
    completed = run("monitor", crm_toml, "--lang", lang, "--html", tmp_path / "m.html")
    assert completed.returncode == 0, completed.stderr
    assert {"en": "Not enough data yet", "ja": "まだ判断できません"}[lang] in " ".join(
        completed.stdout.split()
    )
    assert (tmp_path / "m.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_the_command_writes_json(tmp_path: Path) -> None:
    crm_toml = small_crm(tmp_path, leads=120)
    (tmp_path / "scorecard.toml").write_text(CARD, encoding="utf-8")
    assert run("import", crm_toml).returncode == 0
    completed = run("monitor", crm_toml, "--json")
    assert completed.returncode == 0, completed.stderr
    read = json.loads(completed.stdout)
    assert read["advice"] == "too_little_known"
    assert read["newest"]["predictions"]
