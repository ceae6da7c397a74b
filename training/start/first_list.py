"""The way from a crm.toml to the first list of calls, by the functions of the single commands."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from features.crm.audit import Audit
from features.crm.load import Loaded, load
from features.crm.propose.summary import ExportSummary
from features.errors import DataError, SettingsError
from features.messages import Message
from features.moments import open_leads
from features.settings import CrmSettings, load_settings
from scoring.scorecard.load import SCORECARD_FILE, find_card
from scoring.scorecard.scorecard import Scorecard
from training.compare import Comparison, compare, save_comparison
from training.fitting.dataset import build_dataset
from training.lists.batch import ListRequest, Progress
from training.lists.score_crm import ScoredList, score_crm
from training.progress import StepReporter
from training.registry.mlflow_store import CHALLENGER, CHAMPION, RegisteredModel, find_model
from training.registry.promotion import PromotionResult, promote
from training.scorecard.starter import starter_card, write_starter_card
from training.scorecard.suggest import Suggestion
from training.scorecard.toml import MAX_ROWS, OLDEST, suggest_scorecard
from training.train import train_and_register


@dataclass(frozen=True, kw_only=True)
class StartRequest:
    """What to make a first list from: `settings_file` is the crm.toml, `request` the list to write.

    `renews_card`: a scorecard.toml is learnt anew; the present one is kept beside it with the ending .old.
    """

    settings_file: Path
    out: Path
    request: ListRequest
    seed: int = 0
    renews_card: bool = False

    @property
    def card_file(self) -> Path:
        return self.settings_file.with_name(SCORECARD_FILE)


@dataclass(frozen=True, kw_only=True)
class FirstList:
    """What was read, learnt and decided on the way to the list.

    `suggestion` is the learnt scorecard if this run wrote it, `is_starter` says that the card is still the
    one for too few wins. `problem` is why there is no model (None: there is one), `comparison` None without
    a model or rules, `promotion` None without a model or if it is the champion already, `scored_list` None
    if no lead is open.
    """

    request: StartRequest
    settings: CrmSettings
    loaded: Loaded
    audit: Audit
    card: Scorecard
    suggestion: Suggestion | None
    is_starter: bool
    problem: DataError | None
    registered_model: RegisteredModel | None
    comparison: Comparison | None
    promotion: PromotionResult | None
    scored_list: ScoredList | None

    @cached_property
    def summary(self) -> ExportSummary:
        return ExportSummary.from_loaded(self.loaded)

    @property
    def is_refused(self) -> bool:
        """Whether the gate refused the model."""
        return self.promotion is not None and not self.promotion.promoted

    def to_dict(self) -> dict[str, Any]:
        """What was read, learnt and decided, as JSON."""
        summary, model = self.summary, self.registered_model
        return {
            "leads": summary.leads,
            "won": summary.won,
            "lost": summary.lost,
            "open": summary.still_open,
            "left_out": list(self.audit.left_out),
            "scorecard": self.card.version if self.card.rows else None,
            "scorecard_written": self.suggestion is not None or self.is_starter,
            "model": model and model.model.version,
            "no_model": None if self.problem is None else str(self.problem),
            "promoted": None if self.promotion is None else self.promotion.promoted,
            "list": self.scored_list and {"to": self.request.request.to, **self.scored_list.to_dict()},
        }


def make_first_list(request: StartRequest, report_step: StepReporter, progress: Progress) -> FirstList:
    """Check the data, learn a scorecard if there is none, train, compare, ask the gate, and score.

    What an earlier run did on the same data is used again. Too few closed deals for a model are no error:
    the rules then decide. Raises DataError or SettingsError where a person has to decide.
    """
    settings = load_settings(request.settings_file)
    report_step(Message("reading the CRM"))
    loaded = load(settings, request.out / "rejects.csv", lang=request.request.lang)
    audit = Audit.from_loaded(loaded)
    suggestion = _suggest_card(request, settings, report_step)
    model, problem = _find_or_train(request, loaded, audit, report_step)
    if model is None and not request.card_file.exists():
        write_starter_card(settings.table, request.card_file, request.request.lang)
    card = find_card(settings.folder, settings.table)
    if problem is not None and not card.rows:
        raise problem
    comparison = _compare(request, settings, card, model, report_step)
    promotion = _promote(request, card, model, report_step)
    aliases = _deciders(request, card, promotion, problem)
    scored_list = _score(request, loaded, aliases, report_step, progress)
    return FirstList(
        request=request,
        settings=settings,
        loaded=loaded,
        audit=audit,
        card=card,
        suggestion=suggestion,
        is_starter=_is_starter(settings),
        problem=problem,
        registered_model=model,
        comparison=comparison,
        promotion=promotion,
        scored_list=scored_list,
    )


def _suggest_card(
    request: StartRequest, settings: CrmSettings, report_step: StepReporter
) -> Suggestion | None:
    """Learn a scorecard.toml if there is none, or still the one for too few wins.

    Returns None if there is one, or the deals do not suffice.
    """
    path, former = request.card_file, request.card_file.with_name(f"{SCORECARD_FILE}.old")
    has_card = path.exists()
    if has_card:
        if not request.renews_card and not _is_starter(settings):
            return None
        os.replace(path, former)
    options = request.seed, report_step, request.request.lang
    try:
        return suggest_scorecard(settings, request.out, path, OLDEST, MAX_ROWS, *options)
    except DataError:
        return None
    finally:
        if has_card and not path.exists():
            os.replace(former, path)


def _is_starter(settings: CrmSettings) -> bool:
    """Whether the scorecard.toml is the one for too few wins, as it was written."""
    return find_card(settings.folder, settings.table) == starter_card(settings.table)


def _find_or_train(
    request: StartRequest, loaded: Loaded, audit: Audit, report_step: StepReporter
) -> tuple[RegisteredModel | None, DataError | None]:
    """The registered model of these data and this scorecard, else a new one; or why there can be none."""
    try:
        present = _find_present_model(request, loaded, audit)
        if present is not None:
            report_step(
                Message(
                    "model {version} was trained on these data: it is used again",
                    version=present.model.version,
                )
            )
            return present, None
        train_and_register(
            request.settings_file, request.out, report_step, request.request.lang, request.seed
        )
    except DataError as problem:
        return None, problem
    return find_model(request.out, (CHALLENGER,)), None


def _find_present_model(request: StartRequest, loaded: Loaded, audit: Audit) -> RegisteredModel | None:
    """The newest model if it was trained on these data with this scorecard and seed."""
    try:
        registered_model = find_model(request.out, (CHALLENGER, CHAMPION))
    except (SettingsError, DataError):  # there is none, or it is damaged
        return None
    settings, about = loaded.settings, registered_model.model.about
    card = find_card(settings.folder, settings.table)
    if registered_model.model.card.version != card.version or about.get("seed") != request.seed:
        return None
    data = build_dataset(loaded, audit.left_out, lambda _: None)
    return registered_model if about.get("data") == data.digest else None


def _deciders(
    request: StartRequest, card: Scorecard, promotion: PromotionResult | None, problem: DataError | None
) -> Sequence[str]:
    """The models that may decide on the list: a refused one only where there are no rules."""
    is_refused = promotion is not None and not promotion.promoted
    if problem is None and not (is_refused and card.rows):
        return (CHAMPION, CHALLENGER)
    try:
        return (find_model(request.out, (CHAMPION,)).alias,)
    except (SettingsError, DataError):  # there is no champion, or it is damaged
        return ()


def _compare(
    request: StartRequest,
    settings: CrmSettings,
    card: Scorecard,
    model: RegisteredModel | None,
    report_step: StepReporter,
) -> Comparison | None:
    if model is None or not card.rows:
        return None
    report_step(Message("comparing model and rules"))
    comparison = compare(settings, request.out)
    save_comparison(comparison, request.out)
    return comparison


def _promote(
    request: StartRequest, card: Scorecard, model: RegisteredModel | None, report_step: StepReporter
) -> PromotionResult | None:
    if model is None or model.alias == CHAMPION:
        return None
    report_step(Message("checking the gate"))
    return promote(request.out, card, None, None)


def _score(
    request: StartRequest,
    loaded: Loaded,
    aliases: Sequence[str],
    report_step: StepReporter,
    progress: Progress,
) -> ScoredList | None:
    """The list of the open leads, which a refused model does not decide on if there are rules."""
    if not len(open_leads(loaded.crm, loaded.crm.snapshot)):
        return None
    settings, out, to = loaded.settings, request.out, request.request
    return score_crm(settings, out, to, None, report_step, progress, aliases=aliases)
