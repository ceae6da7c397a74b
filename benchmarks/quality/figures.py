"""From scores to figures with intervals: losses, paired differences, calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.measuring import PART, SetScores
from features.columns import Bools, Floats
from scoring.model.evidence import MODEL
from scoring.model.evidence import POINTS as CARD
from scoring.model.model import sigmoid
from scoring.statistics.metrics import (
    Estimate,
    Measure,
    Ranked,
    calibration_error,
    group_draws,
    log_losses,
    rank_leads,
    roc_auc,
    with_interval,
)
from training.fitting.baselines import BASELINES
from training.fitting.parts.trees import find_shift

BARS = {
    "x_education": 0.385,
    "uci_bank": 0.572,
    "ibm_sales_win_loss": 0.438,
    "olist_funnel": 0.1555,
    "pti_opphistory": 0.55,
    "salvirt_b2b": 0.531,
}
"""The log loss that each example set must reach."""

MAX_TO_BEST, MAX_CALIBRATION_ERROR = 0.003, 0.03
DRAWS = 200


@dataclass(frozen=True, kw_only=True)
class SetFigures:
    """The figures of one set.

    `losses` are by predictor; `to_best` is the loss of the model less that of the `best_part`, paired.
    `levelled_error` is the calibration `error` of the same scores shifted to the judged win rate,
    `chance_error` that of a perfectly calibrated model with the same predictions;
    `change` the judged win rate less that of the newest older examples (None: no order in time).
    """

    name: str
    scores: SetScores
    losses: dict[str, float]
    loss: Estimate
    best_part: str
    to_best: Estimate
    auc: Estimate
    predicted: float
    error: float
    levelled_error: float
    chance_error: Estimate
    change: Estimate | None

    @property
    def parts(self) -> dict[str, float]:
        return {n.removeprefix(PART): loss for n, loss in self.losses.items() if n.startswith(PART)}

    @property
    def card(self) -> float | None:
        return self.losses.get(CARD)

    @property
    def simple(self) -> dict[str, float]:
        """The losses of the scorecard and the baselines."""
        return {name: loss for name, loss in self.losses.items() if name in (CARD, *BASELINES)}

    @property
    def is_still(self) -> bool:
        """Whether the win rate holds still: no change beyond chance, or no order in time."""
        return self.change is None or self.change.low <= 0 <= self.change.high

    @property
    def is_calibrated(self) -> bool:
        """Whether the calibration error is within its limit, or within what chance alone makes."""
        return self.error <= max(MAX_CALIBRATION_ERROR, self.chance_error.high)

    @property
    def misses(self) -> list[str]:
        """The bars that are missed, in words."""
        bar, missed = BARS.get(self.name), []
        if bar is not None and self.loss.value > bar:
            missed.append(f"log loss {self.loss.value:.4f} above {bar:g}")
        if self.to_best.value > MAX_TO_BEST:
            missed.append(f"{self.to_best.value:.4f} worse than {self.best_part} alone")
        if self.is_still and not self.is_calibrated:
            missed.append(f"calibration error {self.error:.3f} above {MAX_CALIBRATION_ERROR:g}")
        return missed


def build_figures(name: str, scores: SetScores) -> SetFigures:
    """All figures of one set."""
    losses = {predictor: mean_losses(scores, predictor) for predictor in scores.runs[0]}
    best = min((n for n in losses if n.startswith(PART)), key=lambda n: losses[n].mean())
    probabilities = [sigmoid(run[MODEL]) for run in scores.runs]
    return SetFigures(
        name=name,
        scores=scores,
        losses={predictor: float(loss.mean()) for predictor, loss in losses.items()},
        loss=estimate_mean(losses[MODEL], scores.group),
        best_part=best.removeprefix(PART),
        to_best=estimate_mean(losses[MODEL] - losses[best], scores.group),
        auc=estimate_runs(roc_auc, scores, probabilities),
        predicted=float(np.mean(probabilities)),
        error=mean_calibration_error(scores.won, probabilities),
        levelled_error=mean_calibration_error(scores.won, _shift_to_win_rate(scores)),
        chance_error=simulate_calibration_error(probabilities, scores.lead),
        change=find_change(scores),
    )


def mean_losses(scores: SetScores, predictor: str) -> Floats:
    """(rows,) the log loss of each judged example, in the mean of all seeds."""
    return np.asarray(np.mean([log_losses(scores.won, run[predictor]) for run in scores.runs], axis=0))


def estimate_mean(values: Floats, group: NDArray[np.integer]) -> Estimate:
    """The mean with its interval; whole groups are drawn."""
    drawn = [float(w @ values / w.sum()) for w in group_draws(group, DRAWS, 0)]
    return with_interval(float(values.mean()), drawn)


def estimate_runs(metric: Measure, scores: SetScores, probabilities: Sequence[Floats]) -> Estimate:
    """A metric in the mean of all seeds, with its interval."""
    orders = [np.argsort(-p, kind="stable") for p in probabilities]
    ranked = [_rank(scores.won, p) for p in probabilities]
    drawn = [
        float(np.mean([metric(r.weighted(w[order])) for r, order in zip(ranked, orders, strict=True)]))
        for w in group_draws(scores.group, DRAWS, 0)
    ]
    return with_interval(float(np.mean([metric(r) for r in ranked])), drawn)


def mean_calibration_error(won: Bools, probabilities: Sequence[Floats]) -> float:
    """The calibration error in the mean of all seeds.

    It has no bootstrap interval: drawing deals anew adds to the noise that it holds already.
    """
    return float(np.mean([calibration_error(_rank(won, p)) for p in probabilities]))


def simulate_calibration_error(probabilities: Sequence[Floats], lead: NDArray[np.integer]) -> Estimate:
    """The calibration error where every probability is right: its mean and 95 % range.

    A lead at several ages has one draw: what wins at a low probability wins at a higher one too.
    """
    rng, place = np.random.default_rng(0), np.unique(lead, return_inverse=True)[1]
    errors = []
    for _ in range(DRAWS):
        lot = rng.random(int(place.max()) + 1)[place]
        errors.append(np.mean([calibration_error(_rank(lot < p, p)) for p in probabilities]))
    return with_interval(float(np.mean(errors)), np.array(errors))


def find_change(scores: SetScores) -> Estimate | None:
    """The judged win rate less that of the newest older examples, with its 95 % interval (normal)."""
    if scores.newest_fold is None:
        return None
    change = scores.judged.rate - scores.newest_fold.rate
    width = 1.96 * float(np.hypot(scores.judged.error, scores.newest_fold.error))
    return Estimate(change, change - width, change + width)


def _shift_to_win_rate(scores: SetScores) -> list[Floats]:
    """The model's probabilities of each seed, shifted in log-odds to the judged win rate."""
    rate = float(scores.won.mean())
    return [sigmoid(run[MODEL] + find_shift(run[MODEL], rate)) for run in scores.runs]


def _rank(won: Bools, probability: Floats) -> Ranked:
    return rank_leads(won, probability, np.zeros(len(won)))
