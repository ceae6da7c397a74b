"""The gate: the checks that a model must pass before it becomes champion."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, TypeAlias

import numpy as np

from features.clock import MS_PER_DAY, to_ms
from features.columns import Bools, Column, Floats
from features.moments import MIN_WINS, count_missing
from scoring.model.evidence import MODEL, POINTS, Evidence
from scoring.model.model import Model, sigmoid
from scoring.scorecard.rating import rate
from scoring.scorecard.scorecard import HOT, Scorecard
from scoring.statistics.metrics import Estimate, Ranked, calibration_error, estimate, rank_leads
from scoring.statistics.paired_differences import count_calls, differences, log_loss_gain

CheckName: TypeAlias = Literal[
    "enough_deals",
    "audit",
    "scorecard",
    "base_rate",
    "rules_log_loss",
    "rules_win_rate",
    "calibration",
    "champion_log_loss",
    "champion_win_rate",
    "champion_readable",
    "enough_older_deals",
]
LOG_LOSS_MARGIN, WIN_RATE_MARGIN = 0.005, 0.03
"""How far the lower end of a gain's interval may lie below 0."""

CALIBRATION_BAR = 0.05
"""The maximum calibration error (mean of ten bands). If even true probabilities on so few deals, or the
calibrated rules, have a larger error, that is the bar."""

_DRAWS = 200


@dataclass(frozen=True)
class Check:
    """One check. `gain` is how much better the model is; `figures` fill the sentence about it."""

    name: CheckName
    passed: bool
    gain: Estimate | None
    figures: Mapping[str, Any]


@dataclass(frozen=True)
class ModelCandidate:
    """A model with the newest deals that it was evaluated on."""

    model: Model
    evidence: Evidence

    @property
    def is_scorecard(self) -> bool:
        """Whether model and evaluated model are the scorecard with calibrated probabilities."""
        points, scores = self.evidence.scores.get(POINTS), self.evidence.scores[MODEL]
        return self.model.is_scorecard and points is not None and np.allclose(points, scores, atol=1e-9)


def run_gate(new: ModelCandidate, card: Scorecard, champion: ModelCandidate | None) -> list[Check]:
    """Every check of a candidate; it may become champion if all pass.

    `card` is the present scorecard. The first champion has only the scorecard to beat; without one, the
    win rate of all leads.
    """
    enough = [_check_enough_deals(new.evidence), *_check_enough_older_deals(new.model)]
    checks = [*enough, _check_audit(new.model), _check_scorecard(new, card)]
    if not all_passed(enough):
        return checks
    checks += [
        _check_base_rate(new.evidence),
        *_check_against_rules(new, card),
        _check_calibration(new.evidence),
    ]
    return checks if champion is None else [*checks, *_check_against_champion(new, champion)]


def all_passed(checks: list[Check]) -> bool:
    """Whether a candidate may become champion."""
    return all(check.passed for check in checks)


def _check_enough_deals(evidence: Evidence) -> Check:
    won = len(set(evidence.lead[evidence.won].tolist()))
    others = len(set(evidence.lead.tolist())) - won
    return _check_counts("enough_deals", won, others)


def _check_enough_older_deals(model: Model) -> Iterator[Check]:
    """What the evaluated model learnt from; models that do not say it are judged on the rest."""
    won, leads = (model.about.get(f"measured_from_{name}") for name in ("won_leads", "leads"))
    if won is not None and leads is not None:
        yield _check_counts("enough_older_deals", won, leads - won)


def _check_counts(name: CheckName, won: int, others: int) -> Check:
    missing = count_missing(won, others)
    figures = {"won": won, "others": others, "missing": missing, "least": MIN_WINS}
    return Check(name, not missing, None, figures)


def _check_audit(model: Model) -> Check:
    findings = model.about.get("findings", [])
    leaks = [str(f["column"]) for f in findings if f["severity"] == "leak" and f["used"]]
    current_columns = {use.column for use in model.table.column_uses if use.availability != "history"}
    leaks = sorted(set(leaks) & current_columns)
    return Check("audit", not leaks, None, {"columns": ", ".join(leaks)})


def _check_scorecard(new: ModelCandidate, card: Scorecard) -> Check:
    """The present rules must be those that the model was trained with and compared to."""
    if not card.rows:
        return Check("scorecard", not new.model.card.rows, None, {"no_card": True})
    ratings = [rate(c, new.evidence.features) for c in (card, new.model.card)]
    same = bool(np.array_equal(ratings[0].rank, ratings[1].rank))
    figures = {"present": card.version, "trained": new.model.card.version}
    return Check("scorecard", same and POINTS in new.evidence.scores, None, figures)


def _check_base_rate(evidence: Evidence) -> Check:
    """The model must be better than predicting the win rate for each lead."""
    gain = log_loss_gain(evidence.judged, evidence.scores[MODEL], evidence.scores["baseline_rate"])
    return Check("base_rate", gain.low > 0, gain, {})


def _check_against_rules(new: ModelCandidate, card: Scorecard) -> Iterator[Check]:
    """Better than the rules, unless there are none or the model is the scorecard: then its order is theirs,
    and nothing but its probabilities is new. A model that calls the same leads in all draws may pass by its
    log loss alone."""
    evidence = new.evidence
    if not card.rows:
        return
    if new.is_scorecard:
        gain = log_loss_gain(evidence.judged, evidence.scores[MODEL], evidence.scores[POINTS])
        yield Check("rules_log_loss", True, gain, {"is_scorecard": True})
        return
    if POINTS in evidence.scores:
        gain = log_loss_gain(evidence.judged, evidence.scores[MODEL], evidence.scores[POINTS])
        passed = gain.value > 0 and gain.low > -LOG_LOSS_MARGIN
        yield Check("rules_log_loss", passed, gain, {"margin": LOG_LOSS_MARGIN})
    rating = rate(card, evidence.features)
    gain = _win_rate_gain(evidence, evidence.scores[MODEL], rating.rank, rating.stage == HOT)
    figures = {"margin": WIN_RATE_MARGIN, "volume": count_calls(rating.stage == HOT)}
    calls_the_same = gain.low == gain.value == gain.high == 0
    passed = calls_the_same or (gain.value > 0 and gain.low > -WIN_RATE_MARGIN)
    yield Check("rules_win_rate", passed, gain, figures)


def _check_calibration(evidence: Evidence) -> Check:
    """If the win rate moves, nothing learnt from the past is calibrated; the calibrated rules, learnt on
    the same deals, then set the bar."""
    judged, probability = evidence.judged, sigmoid(evidence.scores[MODEL])
    error = estimate(calibration_error, judged.won, probability, judged.amount, judged.group, _DRAWS)
    bar = max(CALIBRATION_BAR, calibration_by_chance(rank_leads(judged.won, probability, judged.amount)))
    if POINTS in evidence.scores:
        by_rules = rank_leads(judged.won, sigmoid(evidence.scores[POINTS]), judged.amount)
        bar = max(bar, calibration_error(by_rules))
    return Check("calibration", error.value <= bar, error, {"bar": round(bar, 4)})


def calibration_by_chance(ranking: Ranked) -> float:
    """The 95 % quantile of the calibration error of true probabilities on so few deals."""
    rng = np.random.default_rng(0)

    def error_by_chance() -> float:
        won = (rng.random(len(ranking.won)) < ranking.probability).astype(np.float64)
        return calibration_error(replace(ranking, won=won))

    return float(np.quantile([error_by_chance() for _ in range(_DRAWS)], 0.95))


def _check_against_champion(new: ModelCandidate, champion: ModelCandidate) -> Iterator[Check]:
    """On deals that neither was trained on, the new model must not be worse, within the margins."""
    scores = champion_scores(new, champion)
    has_score = ~np.isnan(scores)
    evidence, old = new.evidence.take(has_score), scores[has_score]
    enough = _check_enough_deals(evidence)
    if not enough.passed:
        for name in ("champion_log_loss", "champion_win_rate"):
            yield Check(name, False, None, {**enough.figures, "too_few": True})
        return
    loss, rows = log_loss_gain(evidence.judged, evidence.scores[MODEL], old), len(evidence)
    figures = {"margin": LOG_LOSS_MARGIN, "rows": rows}
    yield Check("champion_log_loss", loss.low > -LOG_LOSS_MARGIN, loss, figures)
    nobody = np.zeros(len(old), dtype=np.bool_)  # no side sets the volume: the usual share is called
    rates = _win_rate_gain(evidence, evidence.scores[MODEL], old, nobody)
    figures = {"margin": WIN_RATE_MARGIN, "rows": rows}
    yield Check("champion_win_rate", rates.low > -WIN_RATE_MARGIN, rates, figures)


def champion_scores(new: ModelCandidate, champion: ModelCandidate) -> Floats:
    """The champion's log-odds of a candidate's evidence, on rows that it was not trained on; else nan.

    If the champion was evaluated on the same lead and moment, its score then counts. A lead that was
    created after all of the champion's examples is scored by the champion now, if all of its features
    exist with the same meaning. The attribute of a segment that is no feature of the candidate counts.
    """
    log_odds = _scores_in_champion_evidence(new.evidence, champion.evidence)
    fresh = np.isnan(log_odds) & _created_after(new.evidence, champion.model)
    features, part = new.model.table.rows, new.evidence.take(fresh)
    only_segments = part.segments.keys() - features.keys() - part.features.keys()
    if fresh.any() and all(features.get(n) == f or n in only_segments for n, f in champion.model.table):
        columns: Mapping[str, Column] = {**part.segments, **part.features}
        log_odds[fresh] = champion.model.log_odds(champion.model.encode(columns))
    return log_odds


def _scores_in_champion_evidence(evidence: Evidence, champion: Evidence) -> Floats:
    keys = zip(champion.lead.tolist(), champion.moment.tolist(), strict=True)
    score_by_key = dict(zip(keys, champion.scores[MODEL].tolist(), strict=True))
    rows = zip(evidence.lead.tolist(), evidence.moment.tolist(), strict=True)
    return np.array([score_by_key.get(key, np.nan) for key in rows], dtype=np.float64)


def _created_after(evidence: Evidence, model: Model) -> Bools:
    through = model.about.get("trained_through")
    if through is None or not evidence.dated:
        return np.zeros(len(evidence), dtype=np.bool_)
    age = (evidence.landmark.astype(np.float64) * MS_PER_DAY).astype(np.int64)
    last = to_ms(datetime.fromisoformat(through)) + 999  # it is given to the second
    return np.asarray(evidence.moment - age > last)


def _win_rate_gain(evidence: Evidence, new: Floats, old: Floats, called: Bools) -> Estimate:
    return differences(evidence.judged, new, old, called)["win_rate"].difference
