"""The gate: each demand refuses for its own reason, and a good model passes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from features.clock import iso
from features.columns import Floats
from features.moments import MIN_WINS
from scoring.evaluation.gate import Candidate, Check, champion_scores, gate, passed
from scoring.model.evidence import MODEL, POINTS, Evidence
from scoring.model.model import sigmoid
from scoring.scorecard.load import blank_card
from scoring.scorecard.scorecard import Scorecard
from scoring.statistics.metrics import log_losses
from tests.helpers.builders import DAY
from tests.helpers.evidence_builder import START, card, evidence, flags, model_of, table_of

ROWS = 3_000
CARD = card({"quote": 20, "visit": 10})
FIRST = ["enough_deals", "audit", "scorecard"]
AGAINST_RULES = [*FIRST, "base_rate", "rules_log_loss", "rules_win_rate", "calibration"]
AGAINST_CHAMPION = [*AGAINST_RULES, "champion_log_loss", "champion_win_rate"]


def log_odds(share: Floats | float) -> Floats:
    return np.asarray(np.log(share) - np.log1p(-np.asarray(share)))


def judged(seed: int = 0, rows: int = ROWS) -> tuple[Evidence, Floats]:
    """Deals and the log-odds that they were drawn from, which the model of the evidence says."""
    rng = np.random.default_rng(seed)
    true = -1.5 + 1.3 * rng.normal(size=rows)
    won = rng.random(rows) < sigmoid(true)
    quote, visit = true + 2 * rng.normal(size=rows) > 0, rng.random(rows) < 0.5
    rates = np.where(quote, won[quote].mean(), won[~quote].mean())
    scores = {
        MODEL: true,
        POINTS: log_odds(rates),
        "baseline_rate": np.full(rows, log_odds(won.mean())),
    }
    features = flags(quote=quote.astype(int), visit=visit.astype(int))  # type: ignore[arg-type]
    return evidence(won, features, scores=scores, moment=START + DAY // 24 * np.arange(rows)), true


EVIDENCE, TRUE = judged()


def candidate(
    scores: Floats | None = None, on: Evidence = EVIDENCE, trained: Scorecard = CARD, **about: Any
) -> Candidate:
    """A model that says `scores` of the evidence, trained with a card."""
    told = on.scores[MODEL] if scores is None else scores
    made = replace(on, scores={**on.scores, MODEL: told})
    return Candidate(model_of(on.features, trained, **about), made)


def failed(checks: list[Check]) -> set[str]:
    assert passed(checks) is all(check.passed for check in checks)
    return {check.name for check in checks if not check.passed}


def check(checks: list[Check], name: str) -> Check:
    return next(c for c in checks if c.name == name)


# -- who passes ------------------------------------------------------------------------------------


def test_a_good_model_passes_every_demand_against_the_rules() -> None:
    checks = gate(candidate(), CARD, None)
    assert [c.name for c in checks] == AGAINST_RULES
    assert failed(checks) == set()
    assert check(checks, "rules_win_rate").figures["volume"] == EVIDENCE.features["quote"].sum()  # type: ignore[union-attr]


def test_a_good_model_passes_against_a_champion_that_is_as_good() -> None:
    checks = gate(candidate(), CARD, candidate())
    assert [c.name for c in checks] == AGAINST_CHAMPION
    assert failed(checks) == set()
    loss = check(checks, "champion_log_loss")
    assert loss.gain is not None
    assert (loss.gain.value, loss.figures["rows"]) == (0.0, ROWS)


def test_gains_are_counted() -> None:
    told = check(gate(candidate(), CARD, None), "base_rate").gain
    won = EVIDENCE.won
    by_hand = log_losses(won, EVIDENCE.scores["baseline_rate"]) - log_losses(won, TRUE)
    assert told is not None
    assert told.value == pytest.approx(by_hand.mean())
    assert told.low < told.value < told.high


# -- who does not ----------------------------------------------------------------------------------


def test_a_model_of_shuffled_outcomes_learnt_nothing() -> None:
    shuffled = np.random.default_rng(1).permutation(TRUE)
    refused = failed(gate(candidate(shuffled), CARD, None))
    assert {"base_rate", "rules_log_loss", "rules_win_rate"} <= refused
    assert not refused & set(FIRST)


@pytest.mark.parametrize("seed", range(5))
def test_chance_alone_does_not_pass(seed: int) -> None:
    """A model that says the win rate and noise."""
    noise = log_odds(EVIDENCE.won.mean()) + 0.05 * np.random.default_rng(50 + seed).normal(size=ROWS)
    assert {"base_rate", "rules_log_loss"} <= failed(gate(candidate(noise), CARD, None))


def test_a_model_that_says_what_the_rules_say_is_not_better_than_they() -> None:
    refused = failed(gate(candidate(EVIDENCE.scores[POINTS]), CARD, None))
    assert refused == {"rules_log_loss", "rules_win_rate"}


def leaking(severity: str = "leak", used: bool = True, known: str = "at_creation") -> Candidate:
    finding = {"code": "one_outcome", "severity": severity, "column": "visit", "used": used}
    made = candidate(findings=[finding])
    return Candidate(replace(made.model, table=table_of(EVIDENCE.features, known)), made.evidence)


def test_a_leak_that_was_insisted_on_is_named() -> None:
    checks = gate(leaking(), CARD, None)
    assert failed(checks) == {"audit"}
    assert check(checks, "audit").figures == {"columns": "visit"}


def test_a_leak_that_the_model_does_not_use_refuses_nobody() -> None:
    assert failed(gate(leaking("suspect"), CARD, None)) == set()
    assert failed(gate(leaking(used=False), CARD, None)) == set()
    assert failed(gate(leaking(known="history"), CARD, None)) == set()  # as it was at the moment
    made = leaking()
    without = replace(made.model, table=made.model.table.without({"visit"}))
    assert failed(gate(replace(made, model=without), CARD, None)) == set()


@pytest.mark.parametrize("shift", [1.5, -1.5])
def test_probabilities_that_do_not_hold_are_refused(shift: float) -> None:
    checks = gate(candidate(TRUE + shift), CARD, None)
    assert "calibration" in failed(checks)
    assert "rules_win_rate" not in failed(checks)  # it ranks as well as before
    told = check(checks, "calibration").gain
    assert told is not None
    assert told.value > check(checks, "calibration").figures["bar"]


@pytest.mark.parametrize("won", [0, 5, 19])
def test_too_few_won_leads_judge_nobody_and_it_says_how_many_are_missing(won: int) -> None:
    few = replace(EVIDENCE, won=np.arange(ROWS) < won)
    checks = gate(candidate(on=few), CARD, candidate())
    assert [c.name for c in checks] == FIRST
    assert failed(checks) == {"enough_deals"}
    assert check(checks, "enough_deals").figures == {
        "won": won,
        "others": ROWS - won,
        "missing": MIN_WINS - won,
        "least": MIN_WINS,
    }


def test_twenty_won_leads_are_enough_and_moments_of_one_lead_are_one() -> None:
    enough = replace(EVIDENCE, won=np.arange(ROWS) < MIN_WINS)
    assert "enough_deals" not in failed(gate(candidate(on=enough), CARD, None))
    one = replace(enough, lead=np.array(["a"] * 19 + [f"b{i}" for i in range(ROWS - 19)], object))
    few = check(gate(candidate(on=one), CARD, None), "enough_deals")
    assert (few.passed, few.figures["won"], few.figures["missing"]) == (False, 2, 18)


def test_too_few_other_leads_judge_nobody_either() -> None:
    checks = gate(candidate(on=replace(EVIDENCE, won=np.arange(ROWS) >= 7)), CARD, None)
    assert check(checks, "enough_deals").figures["missing"] == 13


# -- the scorecard of the day ----------------------------------------------------------------------


def test_points_that_changed_since_the_training_ask_for_another() -> None:
    checks = gate(candidate(), card({"quote": 20, "visit": 15}), None)
    assert failed(checks) == {"scorecard"}
    told = check(checks, "scorecard").figures
    assert told["present"] != told["trained"] == CARD.version


def test_words_and_actions_that_changed_do_not() -> None:
    plain = CARD.plain()
    plain["intent"]["rows"]["quote"]["because"] = {"en": "Wants a price", "ja": "見積希望"}
    plain["stages"]["hot"]["hours"] = 1
    worded = Scorecard.model_validate(plain)
    assert worded.version != CARD.version
    assert failed(gate(candidate(), worded, None)) == set()


def test_without_a_scorecard_there_is_nothing_to_beat() -> None:
    checks = gate(candidate(), blank_card(), None)
    assert "scorecard" in failed(checks)
    assert check(checks, "scorecard").figures == {"no_card": True}


def test_a_model_that_was_trained_before_there_was_a_scorecard_is_refused() -> None:
    scores = {name: s for name, s in EVIDENCE.scores.items() if name != POINTS}
    before = candidate(on=replace(EVIDENCE, scores=scores), trained=blank_card())
    checks = gate(before, CARD, None)
    assert failed(checks) == {"scorecard"}
    assert "rules_log_loss" not in [c.name for c in checks]


# -- against the champion --------------------------------------------------------------------------


def test_a_model_with_a_much_higher_log_loss_than_the_champion_is_refused() -> None:
    flat = TRUE.mean() + 0.6 * (TRUE - TRUE.mean())
    checks = gate(candidate(flat), CARD, candidate())
    assert "champion_log_loss" in failed(checks)
    assert check(checks, "champion_win_rate").passed  # the order is the same
    assert passed(gate(candidate(), CARD, candidate(flat)))


def test_a_model_that_finds_fewer_deals_than_the_champion_is_refused() -> None:
    blunt = np.minimum(TRUE, np.quantile(TRUE, 0.6))  # tells the best apart no more
    assert "champion_win_rate" in failed(gate(candidate(blunt), CARD, candidate()))


def test_a_model_that_is_worse_within_the_margin_passes() -> None:
    """Its log loss is higher by about 0.002, which the margin lets through."""
    near = TRUE.mean() + 0.85 * (TRUE - TRUE.mean())
    checks = gate(candidate(near), CARD, candidate())
    loss = check(checks, "champion_log_loss")
    assert loss.gain is not None
    assert loss.gain.value < 0
    assert failed(checks) == set()


# -- the champion's scores -------------------------------------------------------------------------


def test_rows_that_the_champion_was_judged_on_take_its_judged_scores() -> None:
    """Of the same lead another moment is not the same row."""
    half = np.arange(ROWS) % 2 == 0
    known = EVIDENCE.take(half)
    moved = replace(known, moment=np.where(np.arange(len(known)) < 10, 1, known.moment))
    champion = candidate(TRUE[half] - 7, on=moved)
    told = champion_scores(candidate(), champion)
    np.testing.assert_array_equal(told[half][10:], TRUE[half][10:] - 7)
    assert np.isnan(told[half][:10]).all()
    assert np.isnan(told[~half]).all()


def newer(trained_through: str | None, weight: float = 0.5, **changed: Any) -> tuple[Floats, Candidate]:
    """The champion's scores of the evidence, of which it was judged on nothing."""
    elsewhere = replace(EVIDENCE, lead=np.array([f"X{i}" for i in range(ROWS)], object))
    model = model_of(EVIDENCE.features, CARD, weight, trained_through=trained_through)
    champion = Candidate(model, elsewhere)
    return champion_scores(candidate(on=replace(EVIDENCE, **changed)), champion), champion


def test_leads_that_were_created_after_its_examples_are_scored_by_the_champion() -> None:
    """Its last example lay at the moment of row 99; from row 100 on it saw none of the leads."""
    told, champion = newer(iso(int(EVIDENCE.moment[99])))
    assert np.isnan(told[:100]).all()
    by_itself = champion.model.log_odds(champion.model.encode(EVIDENCE.features))
    assert len(set(by_itself)) > 1
    np.testing.assert_array_equal(told[100:], by_itself[100:])


def test_a_new_moment_of_a_lead_that_it_may_have_seen_is_not_scored() -> None:
    """Row 150 is of a lead that was 3 days old: it was there before the champion's last example."""
    landmark = np.where(np.arange(ROWS) == 150, 3, 0).astype(np.float32)
    told, _ = newer(iso(int(EVIDENCE.moment[99])), landmark=landmark)
    assert np.isnan(told[150])
    assert not np.isnan(told[149])
    assert not np.isnan(told[151])


@pytest.mark.parametrize("changed", [{"dated": False}, {}])
def test_without_dates_nobody_knows_what_the_champion_saw(changed: dict[str, Any]) -> None:
    through = iso(int(EVIDENCE.moment[99])) if changed else None
    assert np.isnan(newer(through, **changed)[0]).all()


def test_a_champion_whose_features_are_gone_or_mean_something_else_scores_nobody() -> None:
    champion = newer(iso(START - DAY))[1]
    assert not np.isnan(champion_scores(candidate(), champion)).any()
    new = candidate()
    for table in (
        new.model.table.without({"visit"}),
        table_of({**EVIDENCE.features, "visit": EVIDENCE.features["visit"]}, known="history"),
    ):
        other = replace(new, model=replace(new.model, table=table))
        assert np.isnan(champion_scores(other, champion)).all()


def test_too_few_common_deals_do_not_judge_against_the_champion() -> None:
    few = np.flatnonzero(EVIDENCE.won)[:8]
    rows = np.concatenate([few, np.flatnonzero(~EVIDENCE.won)[:100]])
    checks = gate(candidate(), CARD, candidate(TRUE[rows], on=EVIDENCE.take(rows)))
    assert failed(checks) == {"champion_log_loss", "champion_win_rate"}
    for name in ("champion_log_loss", "champion_win_rate"):
        figures = check(checks, name).figures
        assert (figures["too_few"], figures["missing"], figures["won"]) == (True, 12, 8)


def test_no_common_deals_at_all_are_too_few_as_well() -> None:
    elsewhere = replace(EVIDENCE, lead=np.array([f"X{i}" for i in range(ROWS)], object))
    checks = gate(candidate(), CARD, candidate(on=elsewhere))
    assert check(checks, "champion_log_loss").figures["missing"] == 2 * MIN_WINS
