"""What reviewers ask: model against rules, and a new card over closed deals."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from features.errors import SettingsError
from features.kinds import Language
from features.settings import CrmSettings
from scoring.decision.scorer import CalibratedModel
from scoring.evaluation.comparison import ModelVsRules
from scoring.evaluation.replay import CardReplay
from scoring.pages.comparison import comparison_page
from scoring.pages.page import Page
from scoring.scorecard.load import card_in_use, find_card, load_card
from scoring.scorecard.scorecard import Scorecard
from training.registry.mlflow_store import CHALLENGER, CHAMPION, RegisteredModel, find_model, log_pages
from training.reports.html_files import render_pages, write_pages

if TYPE_CHECKING:
    from training.progress import StepReporter


@dataclass(frozen=True)
class Comparison:
    """A finished comparison, and the model that it is about."""

    result: ModelVsRules
    registered_model: RegisteredModel
    name: str

    def page(self, lang: Language) -> Page:
        """The page in one language."""
        model = self.registered_model.model
        return comparison_page(self.result, model.table, self.name, model.version, lang)

    def to_dict(self, lang: Language) -> dict[str, Any]:
        """All figures as JSON can hold them."""
        model = self.registered_model.model
        about = {
            "model": model.version,
            "version": self.registered_model.version,
            "alias": self.registered_model.alias,
            "scorecard": self.result.card.version,
        }
        return about | self.result.to_dict(model.table, lang)


def compare(settings: CrmSettings, out: Path) -> Comparison:
    """The challenger (else the champion) against the scorecard, on the deals that it was judged on.

    Raises SettingsError where there is no model or no scorecard.
    """
    card = card_in_use(settings.folder, settings.table)
    registered_model = find_model(out, (CHALLENGER, CHAMPION))
    check_features_unchanged(settings, card, registered_model)
    judge = CalibratedModel.from_evidence(registered_model.model, registered_model.evidence, card)
    return Comparison(
        ModelVsRules.from_evidence(registered_model.evidence, card, judge.scale),
        registered_model,
        settings.name,
    )


def save_comparison(comparison: Comparison, out: Path) -> dict[Language, Path]:
    """Write the pages in both languages beside the model, and keep them with its MLflow run."""
    pages = render_pages(comparison.page)
    log_pages(out, comparison.registered_model.run_id, "comparison", pages, comparison.to_dict("en"))
    return write_pages(out, "comparison", pages)


def check_features_unchanged(
    settings: CrmSettings, card: Scorecard, registered_model: RegisteredModel
) -> None:
    """Raise SettingsError where a feature of the card means something else than when the model was trained:
    its evidence holds the old values."""
    current_features, trained_features = settings.table.rows, registered_model.model.table.rows
    changed = sorted(
        n for n in card.features if n in trained_features and current_features.get(n) != trained_features[n]
    )
    if changed:
        raise SettingsError(
            f"crm.toml now means something else by {', '.join(changed)} than when model "
            f"{registered_model.model.version} was trained, so its deals cannot tell. Run `hotlead train` "
            "first."
        )


def replay(new: Path, settings: CrmSettings, out: Path, report_step: StepReporter) -> CardReplay:
    """A new card against the present one: over the model's evidence, or over all closed deals where
    there is no model yet."""
    present, card = find_card(settings.folder, settings.table), load_card(new, settings.table)
    try:
        registered_model = find_model(out, (CHALLENGER, CHAMPION))
    except SettingsError:
        from training.fitting.dataset import load_dataset
        from training.fitting.holdout import build_unscored_evidence

        report_step("no model yet: replaying on all closed deals of the CRM")
        data, loaded = load_dataset(settings, out, report_step)
        evidence = build_unscored_evidence(data, loaded.crm, dict(settings.segments))
        return CardReplay(evidence, present, card)
    for one in (present, card):
        check_features_unchanged(settings, one, registered_model)
    report_step(
        f"replaying on the newest closed deals, which model {registered_model.model.version} was judged on"
    )
    return CardReplay(registered_model.evidence, present, card)
