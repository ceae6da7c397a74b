"""What reviewers ask: model against rules, and a new card over closed deals."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from features.errors import SettingsError
from features.kinds import Language
from features.settings import CrmSettings
from scoring.decision.scorer import Judge
from scoring.evaluation.comparison import Compared
from scoring.evaluation.replay import Replayed
from scoring.pages.comparison import comparison_page
from scoring.pages.page import Page
from scoring.scorecard.load import card_in_use, find_card, load_card
from scoring.scorecard.scorecard import Scorecard
from training.registry.mlflow_store import CHALLENGER, CHAMPION, Found, find_model, log_pages
from training.reports.html_files import rendered, write_pages

if TYPE_CHECKING:
    from training.fitting.pipeline import Say


@dataclass(frozen=True)
class Comparison:
    """A finished comparison, and the model that it is about."""

    told: Compared
    found: Found
    name: str

    def page(self, lang: Language) -> Page:
        """The page in one language."""
        model = self.found.model
        return comparison_page(self.told, model.table, self.name, model.version, lang)

    def plain(self, lang: Language) -> dict[str, Any]:
        """All figures as JSON can hold them."""
        model = self.found.model
        about = {
            "model": model.version,
            "version": self.found.version,
            "alias": self.found.alias,
            "scorecard": self.told.card.version,
        }
        return about | self.told.plain(model.table, lang)


def compare(settings: CrmSettings, out: Path) -> Comparison:
    """The challenger (else the champion) against the scorecard, on the deals that it was judged on.

    Raises SettingsError where there is no model or no scorecard.
    """
    card = card_in_use(settings.folder, settings.table)
    found = find_model(out, (CHALLENGER, CHAMPION))
    check_same(settings, card, found)
    judge = Judge.of(found.model, found.evidence, card)
    return Comparison(Compared.of(found.evidence, card, judge.scale), found, settings.name)


def keep_comparison(told: Comparison, out: Path) -> dict[Language, Path]:
    """Write the pages in both languages beside the model, and keep them with its MLflow run."""
    pages = rendered(told.page)
    log_pages(out, told.found.run_id, "comparison", pages, told.plain("en"))
    return write_pages(out, "comparison", pages)


def check_same(settings: CrmSettings, card: Scorecard, found: Found) -> None:
    """Raise SettingsError where a feature of the card means something else than when the model was trained:
    its evidence holds the old values."""
    now, then = settings.table.rows, found.model.table.rows
    changed = sorted(n for n in card.features if n in then and now.get(n) != then[n])
    if changed:
        raise SettingsError(
            f"crm.toml now means something else by {', '.join(changed)} than when model "
            f"{found.model.version} was trained, so its deals cannot tell. Run `hotlead train` first."
        )


def replay(new: Path, settings: CrmSettings, out: Path, say: Say) -> Replayed:
    """A new card against the present one: over the model's evidence, or over all closed deals where
    there is no model yet."""
    present, card = find_card(settings.folder, settings.table), load_card(new, settings.table)
    try:
        found = find_model(out, (CHALLENGER, CHAMPION))
    except SettingsError:
        from training.fitting.dataset import closed_data
        from training.fitting.holdout import closed_deals

        say("no model yet: replaying on all closed deals of the CRM")
        data, loaded = closed_data(settings, out, say)
        told = closed_deals(data, loaded.crm, dict(settings.segments))
        return Replayed(told, present, card)
    for one in (present, card):
        check_same(settings, one, found)
    say(f"replaying on the newest closed deals, which model {found.model.version} was judged on")
    return Replayed(found.evidence, present, card)
