"""Building a scorer from the present scorecard and a model, with fallbacks if they do not fit."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from features.errors import HotleadError, SettingsError
from features.messages import Message, ReportStep
from features.settings import CrmSettings
from scoring.decision.scorer import CalibratedModel, Fallback, Scorer
from scoring.model.evidence import Evidence
from scoring.model.model import Model
from scoring.scorecard.load import SCORECARD_FILE, find_card
from scoring.scorecard.scorecard import Scorecard


class ModelWithEvidence(Protocol):
    """A model with the evidence that it was evaluated on, from any source."""

    @property
    def model(self) -> Model: ...
    @property
    def evidence(self) -> Evidence: ...


def build_scorer(
    settings: CrmSettings,
    trained: ModelWithEvidence | None,
    fallback: Fallback | None,
    warn: ReportStep,
    last_good: Scorecard | None = None,
) -> Scorer:
    """The scorer of a company: with its model if that fits, otherwise with rules only and the cause.

    `fallback` is the cause if there is no `trained` model. If the present scorecard is invalid or missing,
    the `last_good` one is used, or that of the model. `warn` gets a sentence for everything that is not
    used. Raises HotleadError if the scorecard is invalid and there is no other.
    """
    if trained is not None and (changed := changed_features(settings, trained.model)):
        warn(
            Message(
                "the rules decide, for crm.toml now means something else by {names}: train again",
                names=changed[:5],
            )
        )
        trained, fallback = None, "feature_mismatch"
    fallback_card = last_good if last_good or trained is None else trained.model.card
    card = _current_card(settings, fallback_card, warn)
    if trained is None:
        return Scorer(card, settings.table, None, fallback)
    trained_table = trained.model.table
    table = replace(settings.with_segments(trained_table.names), text_words=trained_table.text_words)
    try:
        return Scorer(card, table, CalibratedModel.from_evidence(trained.model, trained.evidence, card), None)
    except SettingsError as problem:
        warn(
            Message(
                "the model does not go with the present scorecard, so the rules decide: {problem}",
                problem=problem,
            )
        )
        return Scorer(card, settings.table, None, "feature_mismatch")


def changed_features(settings: CrmSettings, model: Model) -> list[str]:
    """The features of a model that crm.toml no longer has, or defines differently."""
    now = settings.with_segments(model.table.names).rows
    return [name for name, feature in model.table if now.get(name) != feature]


def _current_card(settings: CrmSettings, fallback_card: Scorecard | None, warn: ReportStep) -> Scorecard:
    """The present scorecard; if it is invalid or missing, the fallback."""
    try:
        card = find_card(settings.folder, settings.table)
    except HotleadError as problem:
        if fallback_card is None:
            raise
        warn(
            Message(
                "the last good scorecard ({version}) goes on, for the present one does not hold: {problem}",
                version=fallback_card.version,
                problem=problem,
            )
        )
        return fallback_card
    if fallback_card is not None and fallback_card.rows and not card.rows:
        path = settings.folder / SCORECARD_FILE
        warn(Message("{path} is gone: the last good scorecard goes on", path=path))
        return fallback_card
    return card
