"""What the newest closed deals say of model and rules: who should be followed, how far, how true."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from features.errors import HotleadError
from features.kinds import Language
from scoring.evaluation.comparison import ModelVsRules
from scoring.model.bundle import load_bundle
from scoring.model.evidence import MODEL, POINTS
from scoring.model.model import sigmoid
from scoring.pages.comparison import comparison_verdict
from scoring.statistics.metrics import Band, Ranked, calibration_bands, calibration_error, rank_leads
from scoring.statistics.rates import Rate
from serving.components import Components


@dataclass(frozen=True)
class JudgedDeals:
    """Both sides on the deals that the model was judged on. `verdict` is the conclusion, by language;
    `stages` the win rates by side and stage, `bands` the calibration by side, `errors` its mean error."""

    model: str
    card: str
    leads: int
    won: int
    first: int
    last: int
    verdict: Mapping[Language, str]
    stages: Mapping[str, Sequence[Rate]]
    bands: Mapping[str, Sequence[Band]]
    errors: Mapping[str, float]


def load_judged_deals(components: Components) -> JudgedDeals | None:
    """The proof of the model and the card in use; None where there is none, or no model is in use."""
    scorer = components.model_watcher.live_model.scorer
    if scorer.calibrated_model is None:
        return None
    try:
        bundle = load_bundle(components.settings.bundles)
    except HotleadError:
        return None
    if bundle is None or not len(bundle.evidence):
        return None
    if bundle.origin.version != scorer.calibrated_model.model.version:  # it is just changing
        return None
    evidence, card = bundle.evidence, scorer.card
    comparison = ModelVsRules.from_evidence(evidence, card, scorer.calibrated_model.scale)
    leads, won = comparison.leads
    sides = {"model": MODEL, "rules": POINTS}
    chances = {s: sigmoid(evidence.scores[n]) for s, n in sides.items() if n in evidence.scores}
    verdict: dict[Language, str] = {
        "en": comparison_verdict(comparison, "en"),
        "ja": comparison_verdict(comparison, "ja"),
    }
    return JudgedDeals(
        bundle.origin.version,
        card.version,
        leads,
        won,
        int(evidence.moment.min()),
        int(evidence.moment.max()),
        verdict,
        {side: comparison.stages[side] for side in sides},
        {side: calibration_bands(evidence.won, p) for side, p in chances.items()},
        {side: calibration_error(_rank(comparison, p)) for side, p in chances.items()},
    )


def _rank(comparison: ModelVsRules, probability: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Ranked:
    return rank_leads(comparison.evidence.won, probability, comparison.evidence.amount)
