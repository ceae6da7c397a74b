"""What the commands do: train and register, score a list, and the demo that does both."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from features.clock import now_ms
from features.columns import missing, take
from features.errors import SettingsError
from features.files import whole_file
from features.kinds import Language
from features.load import Loaded, load
from features.many_leads import Histories, ManyLeads
from features.settings import CrmSettings, Source, load_settings
from scoring.advice import BANT, next_step, still_unknown
from scoring.model import Model
from training.batch import Order, Progress, Scored, score_list
from training.job import Say, Trained, train
from training.registry import Found, Registered, check_server, find_model, register
from training.report import report

AnySource = TypeVar("AnySource", bound=Source)


@dataclass(frozen=True)
class MainJob:
    """A finished training: what was made and where it lies."""

    trained: Trained
    registered: Registered
    report: Path


def train_and_register(
    crm_toml: Path, out: Path, say: Say, lang: Language, seed: int, tune_seconds: float = 0
) -> MainJob:
    """Train on a crm.toml's deals, write the model folder and the report, register the model."""
    settings = load_settings(crm_toml)
    check_server(out)
    trained = train(settings, out, say, seed, tune_seconds)
    say("writing the report and registering the model")
    page, path = report(trained, lang), out / "report.html"
    with whole_file(path) as part:
        part.write_text(page, encoding="utf-8")
    return MainJob(trained, register(trained, crm_toml, out, page, lang), path)


@dataclass(frozen=True)
class ScoredList:
    """A finished list, with what it was made from."""

    scored: Scored
    loaded: Loaded
    found: Found
    as_of: int


def score_crm(
    settings: CrmSettings, out: Path, order: Order, as_of: int | None, say: Say, progress: Progress
) -> ScoredList:
    """Score the open leads of a CRM with the champion, else the challenger.

    `as_of` is ms UTC; without it, the moment of the export.
    """
    say("looking up the model")
    found = find_model(out)
    say("reading the CRM")
    loaded = load(for_model(settings, found.model), out / "rejects.csv")
    at = loaded.crm.snapshot if as_of is None else as_of
    if at > now_ms() and settings.as_of is None:
        raise SettingsError(
            "--as-of lies in the future; a list can be scored as of now at the latest."
        )
    scored = score_list(loaded.crm, found.model, replace(order, as_of=at), progress)
    return ScoredList(scored, loaded, found, at)


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
            raise SettingsError(
                "--activities: crm.toml has no [activities] that says how to read it."
            )
        changed |= {"activities": _from_file(settings.activities, activities)}
    return settings.model_copy(update=changed)


def _from_file(table: AnySource, place: str) -> AnySource:
    told = {"source": str(Path(place).resolve()), "table": None, "query": None}
    return table.model_copy(update=told)


def for_model(settings: CrmSettings, model: Model) -> CrmSettings:
    """The settings with the features that the model was trained on."""
    return settings.model_copy(update={"features": dict(model.table.rows)})


@dataclass(frozen=True)
class Call:
    """One line of a call list."""

    lead_id: str
    probability: float
    raised: list[str]
    lowered: list[str]
    next_step: str


def call_list(told: ScoredList, most: int, lang: Language) -> list[Call]:
    """The likeliest leads of a list, with their reasons in words and what to do next."""
    leads = told.scored.rows[:most]
    known = _known(told, leads)
    contacted = _contacted(told, leads)
    roles = told.loaded.settings.roles.model_dump()
    calls = []
    for row, line in enumerate(told.scored.table.slice(0, len(leads)).to_pylist()):
        unknown = still_unknown(roles, {role: bool(at[row]) for role, at in known.items()})
        step = next_step(unknown, None if contacted is None else bool(contacted[row]), lang)
        reasons = json.loads(line["reasons"] or "[]")
        raised, lowered = (
            [r["text"] for r in reasons if (r["contribution"] > 0) is up] for up in (True, False)
        )
        calls.append(Call(line["lead_id"], line["probability"], raised, lowered, step))
    return calls


def _known(told: ScoredList, leads: np.ndarray) -> Mapping[str, np.ndarray]:
    """Which of budget, authority, need and timing the CRM had an answer for at the moment."""
    crm, roles = told.loaded.crm, told.loaded.settings.roles
    view = ManyLeads(Histories(crm), leads, np.full(len(leads), told.as_of, dtype=np.int64))
    columns = {role: getattr(roles, role) for role in BANT}
    there = {role: c for role, c in columns.items() if c in crm.attributes or c in crm.changes}
    return {role: ~missing(view.text(column)) for role, column in there.items()}


def _contacted(told: ScoredList, leads: np.ndarray) -> np.ndarray | None:
    """Whether each lead had a first contact; None where the CRM does not tell."""
    role = told.loaded.settings.roles.first_contact
    if role is None or role not in told.loaded.leads.column_names:
        return None
    from features.parsing import encoded

    empty = frozenset({"", *told.loaded.settings.missing})
    column = encoded(told.loaded.leads[role].cast("string"), empty)
    return ~missing(take(column, leads))
