"""What the newest closed deals say of model and rules: who should be followed, how far, how true."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from features.errors import HotleadError
from features.kinds import Language
from scoring.evaluation.comparison import ModelVsRules
from scoring.model.bundle import load_bundle
from scoring.model.evidence import MODEL, POINTS
from scoring.model.model import sigmoid
from scoring.model.thresholds import find_evaluated_thresholds
from scoring.pages.comparison import comparison_verdict
from scoring.statistics.metrics import Band, calibration_bands, calibration_error, rank_leads
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
    model_version = scorer.calibrated_model.model.version
    if bundle is None or not len(bundle.evidence) or bundle.origin.version != model_version:
        return None  # without deals, or while the model is being replaced
    evidence, card = bundle.evidence, scorer.card
    scale = find_evaluated_thresholds(card, evidence, scorer.calibrated_model.model.about)
    comparison = ModelVsRules.from_evidence(evidence, card, scale)
    leads, won = comparison.leads
    sides = {"model": MODEL, "rules": POINTS}
    chances = {s: sigmoid(evidence.scores[n]) for s, n in sides.items() if n in evidence.scores}
    languages: tuple[Language, ...] = ("en", "ja")
    return JudgedDeals(
        model_version,
        card.version,
        leads,
        won,
        int(evidence.moment.min()),
        int(evidence.moment.max()),
        {lang: comparison_verdict(comparison, lang) for lang in languages},
        {side: comparison.stages[side] for side in sides},
        {side: calibration_bands(evidence.won, p) for side, p in chances.items()},
        {s: calibration_error(rank_leads(evidence.won, p, evidence.amount)) for s, p in chances.items()},
    )
