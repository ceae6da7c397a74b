"""What was really served: the first live answer of each version on each lead, and what became of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy.engine import Connection, make_url

from features.clock import NEVER, days_to_ms
from features.columns import Column, texts
from features.errors import HotleadError, OutsideError
from features.settings import CrmSettings
from scoring.decision.scorer import Scorer
from scoring.evaluation.monitoring import (
    THRESHOLDS,
    Advice,
    Performance,
    Served,
    advice,
    performances,
)
from scoring.model.bundle import load_bundle
from scoring.model.evidence import Evidence
from scoring.model.model import Model, sigmoid
from scoring.statistics.drift import Shift, stability
from serving.leads.lead_facts import Reading, told_before
from serving.monitoring import queries as served_queries
from serving.predictions.live_model import Watch
from serving.settings import ServiceSettings
from serving.store.backends.base import StoreAway
from serving.store.rows import StoredLead
from serving.store.store import Store
from serving.store.tables import RECORDS

DAYS, SAMPLE = 30, 1_000
"""Features are compared at so many moments of the last days."""
RULES = "rules"
_TIE = 1e-6


@dataclass(frozen=True)
class Monitored:
    """How what was served did, what is scored now, how old the data are (ms UTC; None: there are none), and
    the advice.

    `model` is the version in use (None: the rules alone). `sampled` moments were compared for `shifts`.
    `decided_by` and `fallbacks` count the live answers of the last DAYS days.
    """

    advice: Advice
    model: str | None
    performance: Sequence[Performance]
    shifts: Mapping[str, Shift]
    sampled: int
    decided_by: Mapping[str, int]
    fallbacks: Mapping[str, int]
    newest: Mapping[str, int | None]
    trained_through: str | None
    thresholds: Mapping[str, float]
    now: int


class Close(NamedTuple):
    """When a lead was first closed, and first won (ms UTC; NEVER)."""

    closed_at: int
    won_at: int


_OPEN = Close(NEVER, NEVER)


def watched(settings: ServiceSettings, crm: CrmSettings, now: int, since: int | None = None) -> Monitored:
    """What `hotlead monitor` tells. Raises OutsideError where there is no store, or it is away."""
    url = make_url(settings.store_url)
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
        raise OutsideError(
            f"There is no store at {settings.shown_store}. Start the service with `hotlead serve`, or "
            "say with HOTLEAD_STORE_URL or --out where it keeps its store."
        )
    watch = Watch(crm, settings.bundles)
    watch.refresh()
    with closing(Store.open(settings.store_url, settings.spool)) as store:
        try:
            return monitored(store, settings, crm, watch.in_use.scorer, now, since)
        except StoreAway as problem:
            raise OutsideError(
                f"The store at {settings.shown_store} is away ({problem}). Nothing was judged: run this "
                "again when it is back."
            ) from None


def monitored(
    store: Store,
    settings: ServiceSettings,
    crm: CrmSettings,
    scorer: Scorer,
    now: int,
    since: int | None = None,
) -> Monitored:
    """All of it as of now, of answers first given `since` a moment (None: of all). Raises StoreAway."""
    model = None if scorer.judge is None else scorer.judge.model
    closed = store.see(lambda at: _closed(at, now))
    served = store.see(lambda at: _served(at, closed, now, since or 0, model))
    found = [p for each in served for p in performances(each, crm.target.horizon_days, now)]
    shifts, sampled = _shifts(store, settings, crm, scorer, closed, now)
    by, fallbacks = store.see(lambda at: _shares(at, now))
    present = None if model is None else model.version
    return Monitored(
        advice(found, present, shifts),
        present,
        found,
        shifts,
        sampled,
        by,
        fallbacks,
        store.see(lambda at: _newest(at, now)),
        None if model is None else model.about.get("trained_through"),
        THRESHOLDS,
        now,
    )


def _closed(connection: Connection, now: int) -> dict[str, Close]:
    rows = connection.execute(served_queries.closes(), {"now": now})
    return {lead: Close(at, NEVER if won is None else won) for lead, at, won in rows}


def _served(
    connection: Connection, closed: Mapping[str, Close], now: int, since: int, model: Model | None
) -> list[Served]:
    """By version of the model (the rules alone are one too), the most leads first; `model` is in use."""
    rows: dict[str, dict[str, tuple[Any, ...]]] = {}
    asked = {"now": now, "since": since}
    answers = connection.execute(served_queries.first_answers(), asked)
    for lead, version, as_of, chance, score, points, stage, card, fired, never in answers:
        close = closed.get(lead, _OPEN)
        told = (
            as_of,
            np.nan if chance is None else chance,
            score + _TIE * points,
            stage == "hot",
            close.won_at,
            close.closed_at,
            card,
            points,
            bool(fired),
            bool(never),
        )
        rows.setdefault(version or RULES, {}).setdefault(lead, told)
    found = [_columns(version, list(told.values()), model) for version, told in rows.items()]
    return sorted(found, key=lambda each: (-len(each), each.version))


def _columns(version: str, rows: Sequence[tuple[Any, ...]], model: Model | None) -> Served:
    as_of, chance, score, hot, won_at, closed_at, card, *rated = zip(*rows, strict=True)
    cards = np.array(card, dtype=object)
    rules = np.full(len(rows), np.nan)
    if model is not None and model.points is not None and model.version == version:
        points, fired, never = (np.array(each) for each in rated)
        told = sigmoid(model.points.by_points(points, fired, never))
        rules = np.where(cards == model.card.version, told, np.nan)
    return Served(
        version,
        np.array(as_of, dtype=np.int64),
        np.array(chance, dtype=np.float64),
        np.array(score, dtype=np.float64),
        np.array(hot, dtype=np.bool_),
        np.array(won_at, dtype=np.int64),
        np.array(closed_at, dtype=np.int64),
        cards,
        rules,
    )


def _shifts(
    store: Store,
    settings: ServiceSettings,
    crm: CrmSettings,
    scorer: Scorer,
    closed: Mapping[str, Close],
    now: int,
) -> tuple[dict[str, Shift], int]:
    """How features have shifted since the evidence, and at how many moments that was seen: those of the same
    ages as the evidence has, of the leads of the last days that were still open."""
    evidence = _evidence(settings, scorer)
    moments = [] if evidence is None else _moments(store, crm, closed, now)
    drawn = np.random.default_rng(0).permutation(len(moments))[:SAMPLE]
    wanted = [moments[i] for i in sorted(drawn.tolist())]
    how, known = Reading.of(crm), store.leads([lead_id for lead_id, _ in wanted], now)
    there = [(lead_id, moment) for lead_id, moment in wanted if lead_id in known]
    if evidence is None or not there:
        return {}, 0
    told = scorer.table.attributes.values()
    at_creation = {each.column for each in told if each.known != "history"}
    values = [
        scorer.table.one(told_before(_from_creation(known[lead_id], at_creation), how, now).view(moment))
        for lead_id, moment in there
    ]
    leads = len(set(evidence.lead.tolist())), len({lead_id for lead_id, _ in there})
    return stability(evidence.features, _features(scorer, values), *leads), len(there)


def _from_creation(stored: StoredLead, columns: Collection[str]) -> StoredLead:
    """The lead with what was told first of some columns told at its creation: training, too, takes them as
    known then, though a CRM sends them when it has the time."""
    changes, seen = [], set[str]()
    for column, at, value in stored.changes:
        first = column in columns and column not in seen
        seen.add(column)
        changes.append((column, min(at, stored.created - 1) if first else at, value))
    return replace(stored, changes=changes)


def _evidence(settings: ServiceSettings, scorer: Scorer) -> Evidence | None:
    """What the model in use was judged on; None where no model is in use, or it is just changing."""
    try:
        bundle = None if scorer.judge is None else load_bundle(settings.bundles)
    except HotleadError:
        return None
    return None if bundle is None else bundle.evidence


def _moments(store: Store, crm: CrmSettings, closed: Mapping[str, Close], now: int) -> list[tuple[str, int]]:
    """Leads at the moments of the last days when they were open and had the age of a landmark."""
    start = now - days_to_ms(DAYS)
    asked = {"now": now, "since": start - days_to_ms(max(crm.target.landmarks))}
    new = store.see(lambda at: at.execute(served_queries.new_leads(), asked).all())
    ages = [days_to_ms(age) for age in crm.target.landmarks]
    return [
        (lead_id, created + age)
        for lead_id, created in sorted(tuple(row) for row in new)
        for age in ages
        if start <= created + age < min(now, closed.get(lead_id, _OPEN).closed_at)
    ]


def _features(scorer: Scorer, values: Sequence[Sequence[Any]]) -> dict[str, Column]:
    by_name = dict(zip(scorer.table.names, zip(*values, strict=True), strict=True))
    return {
        name: texts(list(told))
        if name in scorer.table.texts
        else np.array([np.nan if v is None else v for v in told], dtype=np.float64)
        for name, told in by_name.items()
    }


def _shares(connection: Connection, now: int) -> tuple[dict[str, int], dict[str, int]]:
    """Of the last days' live answers: how many each decided, and fell back for each cause."""
    asked = {"since": now - days_to_ms(DAYS), "now": now}
    by, fallbacks = Counter[str](), Counter[str]()
    for decided, cause, count in connection.execute(served_queries.decided(), asked):
        by[decided] += count
        if cause:
            fallbacks[cause] += count
    return dict(by), dict(fallbacks)


def _newest(connection: Connection, now: int) -> dict[str, int | None]:
    """The newest moment that each table tells of."""
    asked = {"now": now}
    told: dict[str, int | None] = {}
    for name in ("activities", "outcomes", "handovers"):
        table = RECORDS[name]
        told[name] = connection.scalar(served_queries.newest_moment(table), asked)
    told["predictions"] = connection.scalar(served_queries.newest_answer(), asked)
    return told
