"""The conclusion of a comparison where the model says what the rules say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from features.kinds import Language
from scoring.decision.scorer import CalibratedModel
from scoring.evaluation.comparison import ModelVsRules
from scoring.model.evidence import MODEL, POINTS
from scoring.pages.comparison import comparison_verdict
from scoring.scorecard.rating import rate
from scoring.texts import translate
from tests.conftest import Demo

LANGS: tuple[Language, ...] = ("en", "ja")


def compare_with(demo: Demo, scores: str | np.ndarray[tuple[int], np.dtype[np.float64]]) -> ModelVsRules:
    """The demo's comparison, with other scores of the model."""
    evidence, card = demo.trained.evidence, demo.trained.data.card
    model_scores = evidence.scores[scores] if isinstance(scores, str) else scores
    changed = replace(evidence, scores={**evidence.scores, MODEL: model_scores})
    scale = CalibratedModel.from_evidence(demo.model, changed, card).scale
    return ModelVsRules.from_evidence(changed, card, scale)


@pytest.mark.parametrize("lang", LANGS)
def test_the_calibrated_scorecard_is_told_from_a_model_of_its_own(demo: Demo, lang: Language) -> None:
    assert not compare_with(demo, MODEL).is_scorecard
    same = compare_with(demo, POINTS)
    assert same.is_scorecard
    assert comparison_verdict(same, lang) == translate("model_is_scorecard", lang)


@pytest.mark.parametrize("lang", LANGS)
def test_a_model_in_the_order_of_the_rules_calls_the_same_leads(demo: Demo, lang: Language) -> None:
    rank = rate(demo.trained.data.card, demo.trained.evidence.features).rank
    scores = (rank - rank.mean()) / (4 * rank.std()) - 1
    same = compare_with(demo, scores)
    assert not same.is_scorecard
    share = f"{same.differences['win_rate'].new.value:.1%}"
    volume = f"{int(same.called.sum()):,}"
    assert comparison_verdict(same, lang) == translate("compare_verdict_same", lang, volume=volume, new=share)
