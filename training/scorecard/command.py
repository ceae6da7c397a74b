"""`hotlead rules suggest`: learn a scorecard from closed deals and write it for review."""

from __future__ import annotations

from pathlib import Path

from features.errors import SettingsError
from features.files import atomic_file
from features.kinds import Language
from features.settings import CrmSettings
from scoring.scorecard.load import SCORECARD_FILE
from training.fitting.dataset import load_dataset
from training.progress import StepReporter
from training.scorecard.suggest import Suggestion, suggest
from training.scorecard.toml import suggestion_toml


def suggest_scorecard(
    settings: CrmSettings,
    out: Path,
    to: Path,
    oldest: float,
    rows: int,
    seed: int,
    report_step: StepReporter,
    lang: Language,
) -> Suggestion:
    """Learn a scorecard from the closed deals and write it to `to`, ready for review."""
    if to.resolve() == (settings.folder / SCORECARD_FILE).resolve() and to.exists():
        raise SettingsError(
            f"{to}: is the scorecard in use. A suggestion is reviewed before it is used: give another --to."
        )
    data, _ = load_dataset(settings, out, report_step)
    report_step("choosing rows and points on the older deals, judging on the newer")
    suggestion = suggest(data, oldest, rows, seed)
    with atomic_file(to) as part:
        part.write_text(suggestion_toml(suggestion, data.table, lang), encoding="utf-8")
    return suggestion
