"""`hotlead compare` and `hotlead rules replay`: model against rules, and a new scorecard on closed deals."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from features.errors import SettingsError
from features.kinds import Language
from features.messages import Message
from features.settings import CrmSettings
from scoring.evaluation.comparison import ModelVsRules
from scoring.evaluation.replay import CardReplay
from scoring.model.pseudonyms import Pseudonyms, key_file
from scoring.model.thresholds import find_evaluated_thresholds
from scoring.pages.comparison import comparison_page
from scoring.pages.page import Page, Text
from scoring.scorecard.load import card_in_use, find_card, load_card
from scoring.scorecard.scorecard import Scorecard
from training.progress import StepReporter
from training.registry.mlflow_store import CHALLENGER, CHAMPION, RegisteredModel, find_model, log_pages
from training.reports.html_files import render_pages, write_pages
from training.reports.model_report import describe_quality


@dataclass(frozen=True)
class Comparison:
    """A comparison of a registered model with the rules."""

    result: ModelVsRules
    registered_model: RegisteredModel
    name: str

    def page(self, lang: Language) -> Page:
        model = self.registered_model.model
        page = comparison_page(self.result, model.table, self.name, model.version, lang)
        if model.about.get("measurable", True):
            return page
        return replace(page, blocks=(Text(describe_quality(model.about, {}, lang), "warning"), *page.blocks))

    def to_dict(self, lang: Language) -> dict[str, Any]:
        model = self.registered_model.model
        about = {
            "model": model.version,
            "version": self.registered_model.version,
            "alias": self.registered_model.alias,
            "scorecard": self.result.card.version,
            "measurable": model.about.get("measurable", True),
        }
        return about | self.result.to_dict(model.table, lang)


def compare(settings: CrmSettings, out: Path) -> Comparison:
    """Compare the challenger, else the champion, with the scorecard on the deals of its evaluation.

    Raises SettingsError if there is no model or no scorecard.
    """
    card = card_in_use(settings.folder, settings.table)
    registered_model = find_model(out, (CHALLENGER, CHAMPION))
    check_features_unchanged(settings, card, registered_model)
    evidence = registered_model.evidence
    evidence.check_not_empty()
    scale = find_evaluated_thresholds(card, evidence, registered_model.model.about)
    result = ModelVsRules.from_evidence(evidence, card, scale)
    return Comparison(result, registered_model, settings.name)


def save_comparison(comparison: Comparison, out: Path) -> dict[Language, Path]:
    """Write the pages in both languages to `out`, and log them to the MLflow run of the model."""
    pages = render_pages(comparison.page)
    log_pages(out, comparison.registered_model.run_id, "comparison", pages, comparison.to_dict("en"))
    return write_pages(out, "comparison", pages)


def check_features_unchanged(
    settings: CrmSettings, card: Scorecard, registered_model: RegisteredModel
) -> None:
    """Raise SettingsError if a feature of the card has changed since the model was trained.

    The evidence of the model holds the old values.
    """
    current_features, trained_features = settings.table.rows, registered_model.model.table.rows
    changed = sorted(
        n for n in card.features if n in trained_features and current_features.get(n) != trained_features[n]
    )
    if changed:
        raise SettingsError(
            "crm.toml now means something else by {names} than when model "
            "{version} was trained, so its deals cannot tell. Run `hotlead train` "
            "first.",
            names=[*changed],
            version=registered_model.model.version,
        )


def replay(
    new: Path, settings: CrmSettings, out: Path, report_step: StepReporter, lang: Language = "en"
) -> CardReplay:
    """Replay a new card against the present one, on the evidence of the model.

    Without a model, all closed deals of the CRM are used; rejects.csv then has its reasons in `lang`.
    """
    present, card = find_card(settings.folder, settings.table), load_card(new, settings.table)
    try:
        registered_model = find_model(out, (CHALLENGER, CHAMPION))
    except SettingsError:
        # slow imports, needed only without a model
        from training.fitting.dataset import load_dataset
        from training.fitting.holdout import build_unscored_evidence

        report_step(Message("no model yet: replaying on all closed deals of the CRM"))
        data, loaded = load_dataset(settings, out, report_step, lang)
        evidence = build_unscored_evidence(
            data, loaded.crm, dict(settings.segments), Pseudonyms.load(key_file(out))
        )
        return CardReplay(evidence, present, card)
    for one in (present, card):
        check_features_unchanged(settings, one, registered_model)
    report_step(
        Message(
            "replaying on the newest closed deals, which model {version} was judged on",
            version=registered_model.model.version,
        )
    )
    return CardReplay(registered_model.evidence, present, card)
