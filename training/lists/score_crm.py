"""Scoring a CRM: the scorecard of the day, the model that an alias names, and what to do without one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import pyarrow.compute as pc

from features.clock import now_ms
from features.crm.load import Loaded, load
from features.errors import DataError, OutsideError, SettingsError
from features.moments import MIN_WINS
from features.settings import CrmSettings, Source
from scoring.decision.build_scorer import assemble
from scoring.decision.overrides import Override, in_force, read_overrides
from scoring.decision.score import BANT, Score
from scoring.decision.scorer import Fallback, Scorer
from training.fitting.pipeline import Say
from training.lists.batch import Order, Progress, Scored, score_list
from training.registry.mlflow_store import CHAMPION, Found, find_model

AnySource = TypeVar("AnySource", bound=Source)


@dataclass(frozen=True)
class ScoredList:
    """A finished list, with what it was made from. `found` is None where the rules alone decided.

    `first` are the Scores of the first leads of the list.
    """

    scored: Scored
    first: list[Score]
    loaded: Loaded
    scorer: Scorer
    found: Found | None
    as_of: int

    @property
    def fallback(self) -> str | None:
        """Why the rules decided, for all leads or for some; None where the model answered throughout."""
        told = self.scored.table["fallback"].unique().to_pylist()
        return next((cause for cause in told if cause is not None), None)


def score_crm(
    settings: CrmSettings,
    out: Path,
    order: Order,
    as_of: int | None,
    say: Say,
    progress: Progress,
    overrides: Path | None = None,
) -> ScoredList:
    """Score the open leads of a CRM by the scorecard and the champion, else the challenger.

    `as_of` is ms UTC; without it, the moment of the export. Without a model the rules answer.
    """
    if as_of is not None and as_of > now_ms() and settings.as_of is None:
        raise SettingsError("--as-of lies in the future; a list can be scored as of now at the latest.")
    told = [] if overrides is None else read_overrides(overrides, settings.zone)
    say("looking up the model")
    found, fallback = _model(out, settings, say)
    scorer = _scorer(settings, found, fallback, say)
    found = found if scorer.judge else None
    if found is not None and found.alias != CHAMPION:
        say(
            "there is no champion yet: this is the challenger, which has not passed the gate (`hotlead "
            "promote`)"
        )
    say("reading the CRM")
    loaded = load(settings, out / "rejects.csv")
    if found is None:
        say(_missing_wins(loaded))
    at = loaded.crm.snapshot if as_of is None else as_of
    roles = role_columns(loaded)
    _say_strangers(told, loaded, say)
    order = replace(order, as_of=at, overrides=in_force(told, at))
    scored = score_list(loaded.crm, scorer, roles, order, progress)
    _say_errors(scored, say)
    first = scored.first.scores(order.lang, now_ms(), "top")
    return ScoredList(scored, first, loaded, scorer, found, at)


def _say_errors(scored: Scored, say: Say) -> None:
    failed = int(pc.sum(pc.equal(scored.table["fallback"].cast("string"), "model_error")).as_py() or 0)
    if failed:
        say(f"the model failed on {failed:,} leads: the rules decide on these (fallback model_error)")


def _say_strangers(overrides: list[Override], loaded: Loaded, say: Say) -> None:
    strangers = {o.lead_id for o in overrides} - set(loaded.crm.lead_ids.tolist())
    if strangers:
        say(f"{len(strangers)} overrides name leads that the CRM does not have; they are passed over")


def role_columns(loaded: Loaded) -> dict[str, str]:
    """The columns of budget, authority, need and timing that the CRM was read with."""
    crm, roles = loaded.crm, loaded.settings.roles
    told = {role: getattr(roles, role) for role in BANT}
    return {role: c for role, c in told.items() if c in crm.attributes or c in crm.changes}


def _model(out: Path, settings: CrmSettings, say: Say) -> tuple[Found | None, Fallback | None]:
    """The model to use, or why there is none; the reason is said in a sentence."""
    try:
        found = find_model(out)
        found.evidence.check_some()
    except (SettingsError, OutsideError) as problem:
        say(f"no model, so the rules decide: {problem}")
        return None, "no_model"
    except DataError as problem:
        say(f"the model is damaged, so the rules decide: {problem}")
        return None, "bundle_damaged"
    return found, None


def _scorer(settings: CrmSettings, found: Found | None, fallback: Fallback | None, say: Say) -> Scorer:
    scorer = assemble(settings, found, fallback, say)
    if scorer.judge is None and not scorer.card.rows:
        raise SettingsError(
            "There is neither a model that can be used nor a scorecard. Run `hotlead train`, or write a "
            f'scorecard.toml beside crm.toml (one line will do: profile = "b2b_saas"). Cause: '
            f"{scorer.fallback}."
        )
    return scorer


def _missing_wins(loaded: Loaded) -> str:
    won = int(loaded.crm.outcomes.won.sum())
    if won >= MIN_WINS:
        return f"{won:,} leads are won: run `hotlead train`"
    return f"{won} leads are won; a model needs {MIN_WINS}: {MIN_WINS - won} more are missing"


def with_files(settings: CrmSettings, leads: str | None, activities: str | None) -> CrmSettings:
    """The settings with leads or activities read from other files of the same columns.

    Leads of a file are all taken for open: their deals are not looked up. Activities and changes
    of the CRM's other leads are set aside, however many they are.
    """
    changed: dict[str, Any] = {}
    if leads is not None:
        changed |= {"leads": _from_file(settings.leads, leads), "deals": None}
        changed |= {"max_reject_share": 1.0}
    if activities is not None:
        if settings.activities is None:
            raise SettingsError("--activities: crm.toml has no [activities] that says how to read it.")
        changed |= {"activities": _from_file(settings.activities, activities)}
    return settings.model_copy(update=changed)


def _from_file(table: AnySource, place: str) -> AnySource:
    told = {"source": str(Path(place).resolve()), "table": None, "query": None}
    return table.model_copy(update=told)
