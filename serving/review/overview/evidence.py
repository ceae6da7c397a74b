"""What the newest closed deals say of model and rules: who should be followed, how far, how true."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from features.errors import HotleadError
from features.kinds import Language
from scoring.evaluation.comparison import Compared
from scoring.model.bundle import load_bundle
from scoring.model.evidence import MODEL, POINTS
from scoring.model.model import sigmoid
from scoring.pages.comparison import comparison_verdict
from scoring.statistics.metrics import Band, Ranked, calibration_bands, calibration_error, ranked
from scoring.statistics.rates import Rate
from serving.components import House


@dataclass(frozen=True)
class Proof:
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


def proof_of(house: House) -> Proof | None:
    """The proof of the model and the card in use; None where there is none, or no model is in use."""
    scorer = house.watch.in_use.scorer
    if scorer.judge is None:
        return None
    try:
        bundle = load_bundle(house.settings.bundles)
    except HotleadError:
        return None
    if bundle is None or not len(bundle.evidence):
        return None
    if bundle.origin.version != scorer.judge.model.version:  # it is just changing
        return None
    evidence, card = bundle.evidence, scorer.card
    told = Compared.of(evidence, card, scorer.judge.scale)
    leads, won = told.leads
    sides = {"model": MODEL, "rules": POINTS}
    chances = {s: sigmoid(evidence.scores[n]) for s, n in sides.items() if n in evidence.scores}
    verdict: dict[Language, str] = {
        "en": comparison_verdict(told, "en"),
        "ja": comparison_verdict(told, "ja"),
    }
    return Proof(
        bundle.origin.version,
        card.version,
        leads,
        won,
        int(evidence.moment.min()),
        int(evidence.moment.max()),
        verdict,
        {side: told.stages[side] for side in sides},
        {side: calibration_bands(evidence.won, p) for side, p in chances.items()},
        {side: calibration_error(_ranked(told, p)) for side, p in chances.items()},
    )


def _ranked(told: Compared, probability: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Ranked:
    return ranked(told.evidence.won, probability, told.evidence.amount)
