"""What was served, judged by hand-made outcomes; drift that is there is found, and none that is not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from features.clock import MS_PER_DAY, NEVER
from features.columns import texts
from scoring.evaluation.monitoring import Advice, Performance, Served, advice, performance
from scoring.statistics.drift import MUCH, Shift, population_stability, stability
from tests.cli.test_commands import run

DAY = MS_PER_DAY
CARDS = np.full(10_000, "c", dtype=object)
UNTOLD = np.full(10_000, np.nan)


def shifts(**indexes: float) -> dict[str, Shift]:
    """Features with an index that no chance explains."""
    return {name: Shift(index, 0.01) for name, index in indexes.items()}


def answers(count: int, chance: np.ndarray, won: np.ndarray, points: np.ndarray) -> Served:
    """Answers of a year ago, all of which can be judged."""
    at = np.full(count, 1_000 * DAY)
    closed, hot = at + 5 * DAY, points > np.quantile(points, 0.8)
    won_at, card, rules = np.where(won, closed, NEVER), CARDS[:count], UNTOLD[:count]
    return Served("v", at, chance, points, hot, won_at, closed, card, rules)


@pytest.mark.parametrize("share", [0.3, 0.6, 1.0])
def test_a_count_that_was_mostly_zero_is_seen_to_rise(share: float) -> None:
    rng = np.random.default_rng(5)
    before, now = ((rng.random(4_000) < part).astype(float) for part in (0.05, share))
    assert population_stability(before, before[::-1].copy()) == 0
    assert population_stability(before, now) > MUCH
    assert population_stability(np.zeros(500), np.full(500, 50.0)) > MUCH


def test_only_what_can_be_judged_counts() -> None:
    at = np.array([0, 0, 0, 0, 0, 50]) * DAY
    won = np.array([10, 95, NEVER // DAY, NEVER // DAY, NEVER // DAY, NEVER // DAY]) * DAY
    won[won > 10**6 * DAY] = NEVER
    closed = np.where(won < NEVER, won, np.array([0, 0, 20, 10**9, NEVER // DAY, NEVER // DAY]) * DAY)
    told = Served("v", at, np.zeros(6), np.zeros(6), np.zeros(6, bool), won, closed, CARDS[:6], UNTOLD[:6])
    can, was_won = told.judged(90, 100 * DAY)
    assert can.tolist() == [
        True,
        True,
        True,
        True,
        True,
        False,
    ]  # the last is open for 50 days only
    assert was_won.tolist() == [True, False, False, False, False, False]  # 95 days are too late


def test_nothing_of_the_future_is_seen() -> None:
    told = Served(
        "v",
        np.array([0]),
        np.array([0.5]),
        np.zeros(1),
        np.zeros(1, bool),
        np.array([10 * DAY]),
        np.array([10 * DAY]),
        CARDS[:1],
        UNTOLD[:1],
    )
    can, won = told.judged(90, 5 * DAY)
    assert (can.tolist(), won.tolist()) == ([False], [False])


def world(bias: float = 0.0, seed: int = 3) -> Performance:
    rng = np.random.default_rng(seed)
    chance = rng.uniform(0.02, 0.6, 4_000)
    won = rng.random(4_000) < np.clip(chance + bias, 0, 1)
    return performance(answers(4_000, chance, won, rng.permutation(chance)), 90, 2_000 * DAY)


def test_a_true_model_is_fine_and_better_than_idle_rules() -> None:
    told = world()
    assert told.calibration is not None
    assert told.calibration.value < 0.03
    assert told.differences is not None
    assert told.differences["win_rate"].better == "new"
    assert advice([told], "v", shifts(channel=0.01)) == "fine"


@pytest.mark.parametrize(("shift", "told"), [(0.01, "the_world_moved"), (MUCH, "retrain")])
def test_a_world_that_moved_is_told_from_features_that_did(shift: float, told: Advice) -> None:
    assert advice([world(bias=0.2)], "v", shifts(channel=shift)) == told


@pytest.mark.parametrize(("off", "low", "high"), [(0.0, 0.0, 0.03), (0.2, 0.15, 0.25)])
def test_the_rules_probabilities_are_judged_beside_the_models(off: float, low: float, high: float) -> None:
    rng = np.random.default_rng(3)
    chance = rng.uniform(0.05, 0.5, 4_000)
    made = answers(4_000, chance, rng.random(4_000) < chance, chance)
    assert performance(made, 90, 2_000 * DAY).rules_calibration is None
    rules = np.where(np.arange(4_000) % 2 == 0, chance + off, np.nan)
    told = performance(replace(made, rules_chance=rules), 90, 2_000 * DAY).rules_calibration
    assert told is not None
    assert low <= told.value <= high


def test_few_true_probabilities_give_no_alarm() -> None:
    """Of 200 leads ten bands are off by chance alone; that is no drift."""
    alarms = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        chance = rng.uniform(0.1, 0.6, 200)
        told = answers(200, chance, rng.random(200) < chance, chance)
        found = performance(told, 90, 2_000 * DAY)
        assert found.calibration is not None
        assert found.calibration.value > 0.05 or not found.off
        alarms += found.off
    assert alarms <= 6  # one in twenty is expected


def test_early_closes_alone_are_not_judged() -> None:
    """Who was won in the first days of a horizon that runs still would make every model look too modest."""
    at, chance = np.full(400, 1_000 * DAY), np.full(400, 0.5)
    won = np.where(np.arange(400) % 2, at + 5 * DAY, NEVER)
    told = Served("v", at, chance, chance, chance > 1, won, won, CARDS[:400], UNTOLD[:400])
    early, late = (performance(told, 90, at[0] + days * DAY) for days in (89, 90))
    assert (early.judged, early.won, early.waiting) == (0, 0, 400)
    assert (late.judged, late.won, late.waiting) == (400, 200, 0)


def test_who_was_closed_already_is_no_example() -> None:
    at, none = np.array([100 * DAY, 100 * DAY]), np.zeros(2)
    closed = np.array([99 * DAY, 100 * DAY + 1])
    told = Served("v", at, none, none, none > 0, closed, closed, CARDS[:2], UNTOLD[:2])
    can, won = told.judged(90, 500 * DAY)
    assert (can.tolist(), won.tolist()) == ([False, True], [False, True])


def test_a_few_leads_that_differ_are_no_shift() -> None:
    """Of 30 leads the index is above 0.25 nearly always: that alone would be an alarm a week."""
    alarms, above = 0, 0
    for seed in range(50):
        rng = np.random.default_rng(seed)
        before = {f"f{i}": rng.normal(size=2_000) for i in range(10)}
        told = stability(before, {name: rng.normal(size=30) for name in before}, 2_000, 30)
        alarms += any(shift.much for shift in told.values())
        above += any(shift.index >= MUCH for shift in told.values())
    assert above == 50
    assert alarms <= 6


def test_chance_is_told_by_chi_square() -> None:
    rng = np.random.default_rng(4)
    told = stability({"f": rng.normal(size=2_000)}, {"f": rng.normal(size=500)}, 2_000, 500)["f"]
    assert told.chance == pytest.approx(16.92 * (1 / 2_000 + 1 / 500), rel=0.01)  # 9 degrees, 95 %


def test_new_texts_are_found_and_rare_ones_taken_together() -> None:
    before = texts(["a"] * 960 + [f"rare{i}" for i in range(40)])
    assert population_stability(before, texts(["a"] * 96 + [f"new{i}" for i in range(4)])) < 0.001
    assert population_stability(before, texts(["a"] * 50 + ["new"] * 50)) > MUCH


def test_a_shifted_feature_is_looked_at() -> None:
    assert advice([world()], "v", shifts(channel=MUCH, age=0.0)) == "look_at_this_feature"


def test_without_outcomes_nothing_is_said() -> None:
    few = Performance("v", None, 500, 0, 100, 3)
    assert advice([few], "v", shifts(channel=0.0)) == "too_little_known"
    assert advice([], None, {}) == "too_little_known"


def test_the_index_is_that_of_the_formula() -> None:
    before, now = texts(["a"] * 50 + ["b"] * 50), texts(["a"] * 20 + ["b"] * 80)
    expected = (0.2 - 0.5) * np.log(0.2 / 0.5) + (0.8 - 0.5) * np.log(0.8 / 0.5)
    assert population_stability(before, now) == pytest.approx(expected, abs=1e-3)
    assert population_stability(before, before) == 0


def test_numbers_that_moved_or_went_missing_are_found() -> None:
    rng = np.random.default_rng(1)
    before = rng.normal(size=3_000)
    now = {
        "same": rng.normal(size=800),
        "moved": rng.normal(1.5, size=800),
        "gone": np.full(800, np.nan),
    }
    told = stability(dict.fromkeys(now, before), now, 3_000, 800)
    assert not told["same"].much
    assert told["moved"].much
    assert next(iter(told)) == "gone"


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_the_command_tells_of_an_empty_store(tmp_path: Path, lang: str) -> None:
    from tests.helpers.small_crm import CARD, small_crm

    crm_toml = small_crm(tmp_path, leads=60)
    (tmp_path / "scorecard.toml").write_text(CARD, encoding="utf-8")
    assert run("monitor", crm_toml).returncode == 5  # there is no store yet
    assert run("import", crm_toml).returncode == 0
    told = run("monitor", crm_toml, "--lang", lang, "--html", tmp_path / "m.html")
    assert told.returncode == 0, told.stderr
    assert {"en": "Too little is known yet", "ja": "まだ判断できません"}[lang] in " ".join(
        told.stdout.split()
    )
    assert (tmp_path / "m.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_the_command_tells_machines(tmp_path: Path) -> None:
    from tests.helpers.small_crm import CARD, small_crm

    crm_toml = small_crm(tmp_path, leads=120)
    (tmp_path / "scorecard.toml").write_text(CARD, encoding="utf-8")
    assert run("import", crm_toml).returncode == 0
    told = run("monitor", crm_toml, "--json")
    assert told.returncode == 0, told.stderr
    read = json.loads(told.stdout)
    assert read["advice"] == "too_little_known"
    assert read["newest"]["predictions"]
