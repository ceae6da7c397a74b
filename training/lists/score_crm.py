"""Scoring a CRM: the scorecard of the day, the model that an alias names, and what to do without one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import pyarrow.compute as pc

from features.clock import iso, now_ms
from features.crm.load import Loaded, load
from features.crm.table_settings import Source
from features.errors import DataError, OutsideError, SettingsError
from features.messages import Message
from features.moments import MIN_WINS
from features.settings import CrmSettings
from scoring.decision.build_scorer import build_scorer
from scoring.decision.overrides import Override, read_overrides, select_in_force
from scoring.decision.score import Score
from scoring.decision.scorer import Fallback, Scorer
from training.lists.batch import ListRequest, Progress, ScoredLeads, score_list
from training.progress import StepReporter
from training.registry.mlflow_store import CHALLENGER, CHAMPION, RegisteredModel, find_model

AnySource = TypeVar("AnySource", bound=Source)


@dataclass(frozen=True)
class ScoredList:
    """A scored list and what it was made from.

    `registered_model` is None if the rules alone decided; `first` are the scores of the first leads of
    the list; `as_of` is ms UTC.
    """

    scored: ScoredLeads
    first: list[Score]
    loaded: Loaded
    scorer: Scorer
    registered_model: RegisteredModel | None
    as_of: int

    def to_dict(self) -> dict[str, Any]:
        """What was scored, as of when and by which model and scorecard, as JSON."""
        model = self.registered_model
        return {
            "rows": self.scored.table.num_rows,
            "model": model and model.model.version,
            "alias": model and model.alias,
            "scorecard": self.scorer.card.version,
            "fallback": self.fallback,
            "as_of": iso(self.as_of),
        }

    @property
    def fallback(self) -> str | None:
        """Why the rules decided on all or some leads; None if the model scored every lead."""
        causes = self.scored.table["fallback"].unique().to_pylist()
        return next((cause for cause in causes if cause is not None), None)


def score_crm(
    settings: CrmSettings,
    out: Path,
    request: ListRequest,
    as_of: int | None,
    report_step: StepReporter,
    progress: Progress,
    overrides: Path | None = None,
    aliases: Sequence[str] = (CHAMPION, CHALLENGER),
) -> ScoredList:
    """Score the open leads of a CRM by the scorecard and the champion, else the challenger.

    `aliases` are the models that may decide, the first that there is (empty: none may); without a model the
    rules decide.
    `as_of` is ms UTC, by default the moment of the export. Raises SettingsError if
    `as_of` is in the future or there is neither a model nor a scorecard.
    """
    if as_of is not None and as_of > now_ms() and settings.as_of is None:
        raise SettingsError("--as-of lies in the future; a list can be scored as of now at the latest.")
    parsed_overrides = [] if overrides is None else read_overrides(overrides, settings.zone)
    report_step(Message("looking up the model"))
    registered_model, fallback = _find_model(out, aliases, report_step)
    scorer = _build_scorer(settings, registered_model, fallback, report_step)
    registered_model = registered_model if scorer.calibrated_model else None
    if registered_model is not None and registered_model.alias != CHAMPION:
        report_step(
            Message(
                "there is no champion yet: this is the challenger, which has not passed the gate (`hotlead "
                "promote`)"
            )
        )
    report_step(Message("reading the CRM"))
    loaded = load(settings, out / "rejects.csv", lang=request.lang)
    if registered_model is None and aliases:
        report_step(_describe_missing_wins(loaded))
    moment_ms = loaded.crm.snapshot if as_of is None else as_of
    _report_unknown_leads(parsed_overrides, loaded, report_step)
    request = replace(request, as_of=moment_ms, overrides=select_in_force(parsed_overrides, moment_ms))
    scored = score_list(loaded.crm, scorer, settings.role_columns, request, progress)
    _report_model_errors(scored, report_step)
    first = scored.first.scores(request.lang, now_ms(), "top")
    return ScoredList(scored, first, loaded, scorer, registered_model, moment_ms)


def _report_model_errors(scored: ScoredLeads, report_step: StepReporter) -> None:
    failed = int(pc.sum(pc.equal(scored.table["fallback"].cast("string"), "model_error")).as_py() or 0)
    if failed:
        report_step(
            Message(
                "the model failed on {failed:,} leads: the rules decide on these (fallback model_error)",
                failed=failed,
            )
        )


def _report_unknown_leads(overrides: list[Override], loaded: Loaded, report_step: StepReporter) -> None:
    unknown_leads = {o.lead_id for o in overrides} - set(loaded.crm.lead_ids.tolist())
    if unknown_leads:
        report_step(
            Message(
                "{count} overrides name leads that the CRM does not have; they are passed over",
                count=len(unknown_leads),
            )
        )


def _find_model(
    out: Path, aliases: Sequence[str], report_step: StepReporter
) -> tuple[RegisteredModel | None, Fallback | None]:
    """The model to use, or the reason for the fallback to the rules, which is also reported."""
    if not aliases:
        return None, "no_model"
    try:
        registered_model = find_model(out, aliases)
        registered_model.evidence.check_not_empty()
    except (SettingsError, OutsideError) as problem:
        report_step(Message("no model, so the rules decide: {problem}", problem=problem))
        return None, "no_model"
    except DataError as problem:
        report_step(Message("the model is damaged, so the rules decide: {problem}", problem=problem))
        return None, "bundle_damaged"
    return registered_model, None


def _build_scorer(
    settings: CrmSettings,
    registered_model: RegisteredModel | None,
    fallback: Fallback | None,
    report_step: StepReporter,
) -> Scorer:
    scorer = build_scorer(settings, registered_model, fallback, report_step)
    if scorer.calibrated_model is None and not scorer.card.rows:
        raise SettingsError(
            "There is neither a model that can be used nor a scorecard. Run `hotlead train`, or write a "
            'scorecard.toml beside crm.toml (one line will do: profile = "b2b_saas"). Cause: '
            "{fallback}.",
            fallback=scorer.fallback,
        )
    return scorer


def _describe_missing_wins(loaded: Loaded) -> Message:
    won = int(loaded.crm.outcomes.won.sum())
    if won >= MIN_WINS:
        return Message("{won:,} leads are won: run `hotlead train`", won=won)
    return Message(
        "{won} leads are won; a model needs {needed}: {more} more are missing",
        won=won,
        needed=MIN_WINS,
        more=MIN_WINS - won,
    )


def with_files(settings: CrmSettings, leads: str | None, activities: str | None) -> CrmSettings:
    """The settings, with leads or activities read from other files with the same columns.

    All leads of a file count as open; their deals are not read. Activities and changes of
    other leads are rejected, however many there are.
    """
    changed: dict[str, Any] = {}
    if leads is not None:
        changed |= {"leads": _with_source(settings.leads, leads), "deals": None}
        changed |= {"max_reject_share": 1.0}
    if activities is not None:
        if not settings.activities:
            raise SettingsError("--activities: crm.toml has no [activities] that says how to read it.")
        if len(settings.activities) > 1:
            raise SettingsError(
                "--activities: crm.toml has several [[activities]], so one file cannot take their place. "
                "Replace the files that crm.toml names, and run again without this option."
            )
        changed |= {"activities": (_with_source(settings.activities[0], activities),)}
    return settings.model_copy(update=changed)


def _with_source(table: AnySource, place: str) -> AnySource:
    update = {"source": str(Path(place).resolve()), "table": None, "query": None}
    return table.model_copy(update=update)
