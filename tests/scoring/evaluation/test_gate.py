"""The gate: each demand refuses for its own reason, and a good model passes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from features.clock import iso
from features.columns import Floats, encode_texts
from features.moments import MIN_WINS
from scoring.evaluation.gate import Check, ModelCandidate, all_passed, champion_scores, run_gate
from scoring.model.evidence import MODEL, POINTS, Evidence
from scoring.model.model import sigmoid
from scoring.scorecard.load import blank_card
from scoring.scorecard.rating import rate
from scoring.scorecard.scorecard import HOT, Scorecard
from scoring.statistics.metrics import log_losses
from tests.helpers.builders import DAY
from tests.helpers.evidence_builder import START, card, evidence, flags, model_of, table_of
from training.fitting.parts.points import fit_points

ROWS = 3_000
CARD = card({"quote": 20, "visit": 10})
FIRST = ["enough_deals", "audit", "scorecard"]
AGAINST_RULES = [*FIRST, "base_rate", "rules_log_loss", "rules_win_rate", "calibration"]
AGAINST_CHAMPION = [*AGAINST_RULES, "champion_log_loss", "champion_win_rate"]


def log_odds(share: Floats | float) -> Floats:
    return np.asarray(np.log(share) - np.log1p(-np.asarray(share)))


def draw_evidence(seed: int = 0, rows: int = ROWS) -> tuple[Evidence, Floats]:
    """Deals and the log-odds that they were drawn from, which the model of the evidence says."""
    rng = np.random.default_rng(seed)
    true = -1.5 + 1.3 * rng.normal(size=rows)
    won = rng.random(rows) < sigmoid(true)
    quote, visit = true + 2 * rng.normal(size=rows) > 0, rng.random(rows) < 0.5
    rates = np.where(quote, won[quote].mean(), won[~quote].mean())
    scores = {MODEL: true, POINTS: log_odds(rates), "baseline_rate": np.full(rows, log_odds(won.mean()))}
    features = flags(quote=quote.astype(int), visit=visit.astype(int))  # type: ignore[arg-type]
    return evidence(won, features, scores=scores, moment=START + DAY // 24 * np.arange(rows)), true


EVIDENCE, TRUE = draw_evidence()


def make_candidate(
    scores: Floats | None = None, on: Evidence = EVIDENCE, trained: Scorecard = CARD, **about: Any
) -> ModelCandidate:
    """A model that says `scores` of the evidence, trained with a card."""
    model_scores = on.scores[MODEL] if scores is None else scores
    scored_evidence = replace(on, scores={**on.scores, MODEL: model_scores})
    return ModelCandidate(model_of(on.features, trained, **about), scored_evidence)


def failed_names(checks: list[Check]) -> set[str]:
    assert all_passed(checks) is all(check.passed for check in checks)
    return {check.name for check in checks if not check.passed}


def find_check(checks: list[Check], name: str) -> Check:
    return next(c for c in checks if c.name == name)


# -- who passes ------------------------------------------------------------------------------------


def test_a_good_model_passes_every_demand_against_the_rules() -> None:
    checks = run_gate(make_candidate(), CARD, None)
    assert [c.name for c in checks] == AGAINST_RULES
    assert failed_names(checks) == set()
    assert find_check(checks, "rules_win_rate").figures["volume"] == EVIDENCE.features["quote"].sum()  # type: ignore[union-attr]


def test_a_good_model_passes_against_a_champion_that_is_as_good() -> None:
    checks = run_gate(make_candidate(), CARD, make_candidate())
    assert [c.name for c in checks] == AGAINST_CHAMPION
    assert failed_names(checks) == set()
    loss = find_check(checks, "champion_log_loss")
    assert loss.gain is not None
    assert (loss.gain.value, loss.figures["rows"]) == (0.0, ROWS)


def test_gains_are_counted() -> None:
    gain = find_check(run_gate(make_candidate(), CARD, None), "base_rate").gain
    won = EVIDENCE.won
    by_hand = log_losses(won, EVIDENCE.scores["baseline_rate"]) - log_losses(won, TRUE)
    assert gain is not None
    assert gain.value == pytest.approx(by_hand.mean())
    assert gain.low < gain.value < gain.high


# -- who does not ----------------------------------------------------------------------------------


def test_a_model_of_shuffled_outcomes_learnt_nothing() -> None:
    shuffled = np.random.default_rng(1).permutation(TRUE)
    refused = failed_names(run_gate(make_candidate(shuffled), CARD, None))
    assert {"base_rate", "rules_log_loss", "rules_win_rate"} <= refused
    assert not refused & set(FIRST)


@pytest.mark.parametrize("seed", range(5))
def test_chance_alone_does_not_pass(seed: int) -> None:
    """A model that says the win rate and noise."""
    noise = log_odds(EVIDENCE.won.mean()) + 0.05 * np.random.default_rng(50 + seed).normal(size=ROWS)
    assert {"base_rate", "rules_log_loss"} <= failed_names(run_gate(make_candidate(noise), CARD, None))


def test_a_model_that_says_what_the_rules_say_is_not_better_than_they() -> None:
    """It calls the same leads, and is refused by its log loss."""
    refused = failed_names(run_gate(make_candidate(EVIDENCE.scores[POINTS]), CARD, None))
    assert refused == {"rules_log_loss"}


# -- the model that is the scorecard -----------------------------------------------------------------


def make_scorecard_candidate(**about: Any) -> ModelCandidate:
    """The card with calibrated probabilities: the learnt parts have no weight."""
    rating = rate(CARD, EVIDENCE.features)
    part = fit_points(rating, tuple(EVIDENCE.features), EVIDENCE.won)
    scores = part.log_odds(rating)
    judged = replace(EVIDENCE, scores={**EVIDENCE.scores, MODEL: scores, POINTS: scores})
    model = model_of(EVIDENCE.features, CARD, **about)
    return ModelCandidate(
        replace(model, points=part, weights={"points": 1.0, "linear": 0.0, "trees": 0.0}), judged
    )


def test_the_calibrated_scorecard_passes_by_audit_and_calibration() -> None:
    candidate = make_scorecard_candidate()
    checks = run_gate(candidate, CARD, None)
    assert [c.name for c in checks] == [*FIRST, "base_rate", "rules_log_loss", "calibration"]
    assert failed_names(checks) == set()
    assert find_check(checks, "rules_log_loss").figures == {"is_scorecard": True}
    leak = {"code": "one_outcome", "severity": "leak", "column": "visit", "used": True}
    assert failed_names(run_gate(make_scorecard_candidate(findings=[leak]), CARD, None)) == {"audit"}
    assert failed_names(run_gate(candidate, card({"quote": 20, "visit": 15}), None)) == {"scorecard"}


def test_the_calibrated_scorecard_may_not_be_worse_than_the_champion() -> None:
    checks = run_gate(make_scorecard_candidate(), CARD, make_candidate())
    assert failed_names(checks) == {"champion_log_loss", "champion_win_rate"}


def test_a_model_with_learnt_parts_that_calls_the_same_leads_passes_by_its_log_loss() -> None:
    """Its probabilities are better, and at the volume of the rules no call differs."""
    is_hot = rate(CARD, EVIDENCE.features).stage == HOT
    scores = np.where(is_hot, np.maximum(TRUE, -1.2), np.minimum(TRUE, -1.3))
    checks = run_gate(make_candidate(scores), CARD, None)
    win_rate = find_check(checks, "rules_win_rate")
    assert win_rate.gain is not None
    assert (win_rate.gain.low, win_rate.gain.value, win_rate.gain.high) == (0, 0, 0)
    assert win_rate.passed
    assert find_check(checks, "rules_log_loss").passed


# -- without a scorecard -------------------------------------------------------------------------------


def test_a_model_without_a_scorecard_has_the_win_rate_to_beat() -> None:
    scores = {name: s for name, s in EVIDENCE.scores.items() if name != POINTS}
    without_card = make_candidate(on=replace(EVIDENCE, scores=scores), trained=blank_card())
    checks = run_gate(without_card, blank_card(), None)
    assert [c.name for c in checks] == [*FIRST, "base_rate", "calibration"]
    assert failed_names(checks) == set()
    constant = make_candidate(scores["baseline_rate"], without_card.evidence, blank_card())
    assert "base_rate" in failed_names(run_gate(constant, blank_card(), None))


def make_leaking_candidate(
    severity: str = "leak", is_used: bool = True, known_kind: str = "at_creation"
) -> ModelCandidate:
    finding = {"code": "one_outcome", "severity": severity, "column": "visit", "used": is_used}
    base_candidate = make_candidate(findings=[finding])
    return ModelCandidate(
        replace(base_candidate.model, table=table_of(EVIDENCE.features, known_kind)), base_candidate.evidence
    )


def test_a_leak_that_was_insisted_on_is_named() -> None:
    checks = run_gate(make_leaking_candidate(), CARD, None)
    assert failed_names(checks) == {"audit"}
    assert find_check(checks, "audit").figures == {"columns": "visit"}


def test_a_leak_that_the_model_does_not_use_refuses_nobody() -> None:
    assert failed_names(run_gate(make_leaking_candidate("suspect"), CARD, None)) == set()
    assert failed_names(run_gate(make_leaking_candidate(is_used=False), CARD, None)) == set()
    assert (
        failed_names(run_gate(make_leaking_candidate(known_kind="history"), CARD, None)) == set()
    )  # as it was at the moment
    leaky = make_leaking_candidate()
    without = replace(leaky.model, table=leaky.model.table.without({"visit"}))
    assert failed_names(run_gate(replace(leaky, model=without), CARD, None)) == set()


@pytest.mark.parametrize("shift", [1.5, -1.5])
def test_probabilities_that_do_not_hold_are_refused(shift: float) -> None:
    checks = run_gate(make_candidate(TRUE + shift), CARD, None)
    assert "calibration" in failed_names(checks)
    assert "rules_win_rate" not in failed_names(checks)  # it ranks as well as before
    gain = find_check(checks, "calibration").gain
    assert gain is not None
    assert gain.value > find_check(checks, "calibration").figures["bar"]


@pytest.mark.parametrize("won", [0, 5, 19])
def test_too_few_won_leads_judge_nobody_and_it_says_how_many_are_missing(won: int) -> None:
    few = replace(EVIDENCE, won=np.arange(ROWS) < won)
    checks = run_gate(make_candidate(on=few), CARD, make_candidate())
    assert [c.name for c in checks] == FIRST
    assert failed_names(checks) == {"enough_deals"}
    assert find_check(checks, "enough_deals").figures == {
        "won": won,
        "others": ROWS - won,
        "missing": MIN_WINS - won,
        "least": MIN_WINS,
    }


def test_twenty_won_leads_are_enough_and_moments_of_one_lead_are_one() -> None:
    enough = replace(EVIDENCE, won=np.arange(ROWS) < MIN_WINS)
    assert "enough_deals" not in failed_names(run_gate(make_candidate(on=enough), CARD, None))
    one = replace(enough, lead=np.array(["a"] * 19 + [f"b{i}" for i in range(ROWS - 19)], object))
    few = find_check(run_gate(make_candidate(on=one), CARD, None), "enough_deals")
    assert (few.passed, few.figures["won"], few.figures["missing"]) == (False, 2, 18)


def test_too_few_other_leads_judge_nobody_either() -> None:
    checks = run_gate(make_candidate(on=replace(EVIDENCE, won=np.arange(ROWS) >= 7)), CARD, None)
    assert find_check(checks, "enough_deals").figures["missing"] == 13


def test_too_few_older_deals_measure_nothing_and_it_says_how_many_are_missing() -> None:
    few = make_candidate(measured_from_won_leads=5, measured_from_leads=8)
    checks = run_gate(few, CARD, make_candidate())
    assert failed_names(checks) == {"enough_older_deals"}
    assert find_check(checks, "enough_older_deals").figures == {
        "won": 5,
        "others": 3,
        "missing": 32,
        "least": MIN_WINS,
    }
    assert "base_rate" not in {c.name for c in checks}
    enough = make_candidate(measured_from_won_leads=20, measured_from_leads=40)
    assert failed_names(run_gate(enough, CARD, None)) == set()


# -- the scorecard of the day ----------------------------------------------------------------------


def test_points_that_changed_since_the_training_ask_for_another() -> None:
    checks = run_gate(make_candidate(), card({"quote": 20, "visit": 15}), None)
    assert failed_names(checks) == {"scorecard"}
    figures = find_check(checks, "scorecard").figures
    assert figures["present"] != figures["trained"] == CARD.version


def test_words_and_actions_that_changed_do_not() -> None:
    plain = CARD.to_dict()
    plain["intent"]["rows"]["quote"]["because"] = {"en": "Wants a price", "ja": "見積希望"}
    plain["stages"]["hot"]["hours"] = 1
    worded = Scorecard.model_validate(plain)
    assert worded.version != CARD.version
    assert failed_names(run_gate(make_candidate(), worded, None)) == set()


def test_without_a_scorecard_there_is_nothing_to_beat() -> None:
    checks = run_gate(make_candidate(), blank_card(), None)
    assert "scorecard" in failed_names(checks)
    assert find_check(checks, "scorecard").figures == {"no_card": True}


def test_a_model_that_was_trained_before_there_was_a_scorecard_is_refused() -> None:
    scores = {name: s for name, s in EVIDENCE.scores.items() if name != POINTS}
    before = make_candidate(on=replace(EVIDENCE, scores=scores), trained=blank_card())
    checks = run_gate(before, CARD, None)
    assert failed_names(checks) == {"scorecard"}
    assert "rules_log_loss" not in [c.name for c in checks]


# -- against the champion --------------------------------------------------------------------------


def test_a_model_with_a_much_higher_log_loss_than_the_champion_is_refused() -> None:
    flat = TRUE.mean() + 0.6 * (TRUE - TRUE.mean())
    checks = run_gate(make_candidate(flat), CARD, make_candidate())
    assert "champion_log_loss" in failed_names(checks)
    assert find_check(checks, "champion_win_rate").passed  # the order is the same
    assert all_passed(run_gate(make_candidate(), CARD, make_candidate(flat)))


def test_a_model_that_finds_fewer_deals_than_the_champion_is_refused() -> None:
    blunt = np.minimum(TRUE, np.quantile(TRUE, 0.6))  # tells the best apart no more
    assert "champion_win_rate" in failed_names(run_gate(make_candidate(blunt), CARD, make_candidate()))


def test_a_model_that_is_worse_within_the_margin_passes() -> None:
    """Its log loss is higher by about 0.002, which the margin lets through."""
    close_log_odds = TRUE.mean() + 0.85 * (TRUE - TRUE.mean())
    checks = run_gate(make_candidate(close_log_odds), CARD, make_candidate())
    loss = find_check(checks, "champion_log_loss")
    assert loss.gain is not None
    assert loss.gain.value < 0
    assert failed_names(checks) == set()


# -- the champion's scores -------------------------------------------------------------------------


def test_rows_that_the_champion_was_judged_on_take_its_judged_scores() -> None:
    """Of the same lead another moment is not the same row."""
    half = np.arange(ROWS) % 2 == 0
    judged_evidence = EVIDENCE.take(half)
    moved = replace(
        judged_evidence, moment=np.where(np.arange(len(judged_evidence)) < 10, 1, judged_evidence.moment)
    )
    champion = make_candidate(TRUE[half] - 7, on=moved)
    scores = champion_scores(make_candidate(), champion)
    np.testing.assert_array_equal(scores[half][10:], TRUE[half][10:] - 7)
    assert np.isnan(scores[half][:10]).all()
    assert np.isnan(scores[~half]).all()


def score_with_newer_champion(
    trained_through: str | None, weight: float = 0.5, **changed: Any
) -> tuple[Floats, ModelCandidate]:
    """The champion's scores of the evidence, of which it was judged on nothing."""
    elsewhere = replace(EVIDENCE, lead=np.array([f"X{i}" for i in range(ROWS)], object))
    model = model_of(EVIDENCE.features, CARD, weight, trained_through=trained_through)
    champion = ModelCandidate(model, elsewhere)
    return champion_scores(make_candidate(on=replace(EVIDENCE, **changed)), champion), champion


def test_leads_that_were_created_after_its_examples_are_scored_by_the_champion() -> None:
    """Its last example lay at the moment of row 99; from row 100 on it saw none of the leads."""
    scores, champion = score_with_newer_champion(iso(int(EVIDENCE.moment[99])))
    assert np.isnan(scores[:100]).all()
    by_itself = champion.model.log_odds(champion.model.encode(EVIDENCE.features))
    assert len(set(by_itself)) > 1
    np.testing.assert_array_equal(scores[100:], by_itself[100:])


def test_a_new_moment_of_a_lead_that_it_may_have_seen_is_not_scored() -> None:
    """Row 150 is of a lead that was 3 days old: it was there before the champion's last example."""
    landmark = np.where(np.arange(ROWS) == 150, 3, 0).astype(np.float32)
    scores, _ = score_with_newer_champion(iso(int(EVIDENCE.moment[99])), landmark=landmark)
    assert np.isnan(scores[150])
    assert not np.isnan(scores[149])
    assert not np.isnan(scores[151])


@pytest.mark.parametrize("changed", [{"dated": False}, {}])
def test_without_dates_nobody_knows_what_the_champion_saw(changed: dict[str, Any]) -> None:
    through = iso(int(EVIDENCE.moment[99])) if changed else None
    assert np.isnan(score_with_newer_champion(through, **changed)[0]).all()


def test_a_champion_whose_features_are_gone_or_mean_something_else_scores_nobody() -> None:
    champion = score_with_newer_champion(iso(START - DAY))[1]
    assert not np.isnan(champion_scores(make_candidate(), champion)).any()
    new = make_candidate()
    for table in (
        new.model.table.without({"visit"}),
        table_of({**EVIDENCE.features, "visit": EVIDENCE.features["visit"]}, known_kind="history"),
    ):
        challenger = replace(new, model=replace(new.model, table=table))
        assert np.isnan(champion_scores(challenger, champion)).all()


def test_a_champion_with_the_attribute_of_a_segment_scores_by_the_segment() -> None:
    segment = encode_texts(["north" if i % 2 else "south" for i in range(ROWS)])
    with_term = {**EVIDENCE.features, "area": segment}
    model = model_of(with_term, CARD, 0.5, trained_through=iso(START - DAY))
    champion = replace(score_with_newer_champion(None)[1], model=model)
    assert np.isnan(champion_scores(make_candidate(), champion)).all()
    scores = champion_scores(make_candidate(on=replace(EVIDENCE, segments={"area": segment})), champion)
    np.testing.assert_array_equal(scores, model.log_odds(model.encode(with_term)))


def test_too_few_common_deals_do_not_judge_against_the_champion() -> None:
    few = np.flatnonzero(EVIDENCE.won)[:8]
    rows = np.concatenate([few, np.flatnonzero(~EVIDENCE.won)[:100]])
    checks = run_gate(make_candidate(), CARD, make_candidate(TRUE[rows], on=EVIDENCE.take(rows)))
    assert failed_names(checks) == {"champion_log_loss", "champion_win_rate"}
    for name in ("champion_log_loss", "champion_win_rate"):
        figures = find_check(checks, name).figures
        assert (figures["too_few"], figures["missing"], figures["won"]) == (True, 12, 8)


def test_no_common_deals_at_all_are_too_few_as_well() -> None:
    elsewhere = replace(EVIDENCE, lead=np.array([f"X{i}" for i in range(ROWS)], object))
    checks = run_gate(make_candidate(), CARD, make_candidate(on=elsewhere))
    assert find_check(checks, "champion_log_loss").figures["missing"] == 2 * MIN_WINS
