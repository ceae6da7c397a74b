"""Monitoring of live scores: the first live score of each version on each lead, and the outcomes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from sqlalchemy.engine import Connection

from features.clock import MS_PER_DAY, NEVER, days_to_ms
from features.columns import Column, encode_texts
from features.errors import HotleadError, OutsideError
from features.settings import CrmSettings
from scoring.decision.scorer import Scorer
from scoring.evaluation.feature_gaps import FeatureGap, find_gaps
from scoring.evaluation.monitoring import (
    THRESHOLDS,
    Advice,
    Performance,
    ServedPredictions,
    advise,
    measure_performances,
)
from scoring.model.bundle import load_bundle
from scoring.model.evidence import Evidence
from scoring.model.model import Model, sigmoid
from scoring.statistics.drift import Shift, measure_shifts
from serving.leads.field_types import AttributeSchema
from serving.leads.lead_facts import facts_from_store
from serving.monitoring import queries as served_queries
from serving.predictions.live_model import ModelWatcher
from serving.settings import ServiceSettings
from serving.store.errors import StoreUnavailable
from serving.store.records import StoredLead
from serving.store.state.known_store import check_store, has_store, open_store
from serving.store.store import Store
from serving.store.tables import RECORDS

DAYS, SAMPLE = 30, 1_000
"""The period in days of counts and drift, and the number of moments whose features are compared."""
RULES = "rules"
_TIE = 1e-6


@dataclass(frozen=True, kw_only=True)
class MonitoringReport:
    """The performance of live scores, the drift of features, the age of the data, and the advice.

    `model` is the version in use (None: the rules alone). `sampled` moments were compared for `shifts`.
    `gaps` are features that are empty, or have values that the model does not know, for the newest leads
    that were scored in the last DAYS days. `decided_by` and `fallbacks` count the live scores of these days.
    `newest` is the newest moment of each table (ms UTC; None: empty).
    """

    advice: Advice
    model: str | None
    performance: Sequence[Performance]
    shifts: Mapping[str, Shift]
    sampled: int
    gaps: Sequence[FeatureGap] = ()
    decided_by: Mapping[str, int]
    fallbacks: Mapping[str, int]
    newest: Mapping[str, int | None]
    trained_through: str | None
    thresholds: Mapping[str, float] = field(default_factory=lambda: THRESHOLDS)
    now: int


class DealClose(NamedTuple):
    """When a lead was first closed, and first won (ms UTC; NEVER)."""

    closed_at: int
    won_at: int


_OPEN = DealClose(NEVER, NEVER)
_ServedScore = tuple[int, float, float, bool, int, int, str, int, bool, bool]
"""A score and the close of its lead, in the order in which `_to_served` reads them."""


def monitor_service(
    settings: ServiceSettings, crm: CrmSettings, now: int, since: int | None = None
) -> MonitoringReport:
    """The report of `hotlead monitor`. Raises OutsideError when there is no store or it is unavailable."""
    check_store(settings)
    if not has_store(settings):
        raise OutsideError(
            "There is no store at {url}. Start the service with `hotlead serve`, or "
            "say with HOTLEAD_STORE_URL or --out where it keeps its store.",
            url=settings.shown_store,
        )
    watch = ModelWatcher(crm, settings.bundles)
    watch.refresh()
    with closing(open_store(settings)) as store:
        try:
            return monitor_store(store, settings, crm, watch.live_model.scorer, now, since)
        except StoreUnavailable as problem:
            raise OutsideError(
                "The store at {url} is away ({problem}). Nothing was judged: run this again when it is back.",
                url=settings.shown_store,
                problem=problem,
            ) from None


def monitor_store(
    store: Store,
    settings: ServiceSettings,
    crm: CrmSettings,
    scorer: Scorer,
    now: int,
    since: int | None = None,
) -> MonitoringReport:
    """The report as of `now` on answers first given from `since` on (ms UTC). Raises StoreUnavailable."""
    model = None if scorer.calibrated_model is None else scorer.calibrated_model.model
    present = None if model is None else model.version
    closed = store.read(lambda connection: _read_closes(connection, now))
    served = store.read(lambda connection: _read_served(connection, closed, now, since or 0, model))
    results = [p for version in served for p in measure_performances(version, crm.target.horizon_days, now)]
    shifts, sampled = _measure_shifts(store, settings, crm, scorer, closed, now)
    gaps = _find_gaps(store, settings, crm, scorer, now)
    decided_by, fallbacks = store.read(lambda connection: _count_decisions(connection, now))
    return MonitoringReport(
        advice=advise(results, present, shifts, bool(gaps)),
        model=present,
        performance=results,
        shifts=shifts,
        sampled=sampled,
        gaps=gaps,
        decided_by=decided_by,
        fallbacks=fallbacks,
        newest=store.read(lambda connection: _read_newest(connection, now)),
        trained_through=None if model is None else model.about.get("trained_through"),
        now=now,
    )


def _read_closes(connection: Connection, now: int) -> dict[str, DealClose]:
    rows = connection.execute(served_queries.first_closes(), {"now": now})
    return {lead: DealClose(closed_at, NEVER if won is None else won) for lead, closed_at, won in rows}


def _read_served(
    connection: Connection, closed: Mapping[str, DealClose], now: int, since: int, model: Model | None
) -> list[ServedPredictions]:
    """The scores by version (the rules alone are one), those with the most leads first."""
    rows: dict[str, dict[str, _ServedScore]] = {}
    answers = connection.execute(served_queries.first_answers(), {"now": now, "since": since})
    for lead, version, as_of, chance, score, points, stage, card, fired, never in answers:
        close, probability = closed.get(lead, _OPEN), np.nan if chance is None else chance
        scored = (as_of, probability, score + _TIE * points, stage == "hot", close.won_at, close.closed_at)
        figures = (*scored, card, points, bool(fired), bool(never))
        rows.setdefault(version or RULES, {}).setdefault(lead, figures)
    versions = [_to_served(version, list(figures.values()), model) for version, figures in rows.items()]
    return sorted(versions, key=lambda item: (-len(item), item.version))


def _to_served(version: str, rows: Sequence[_ServedScore], model: Model | None) -> ServedPredictions:
    as_of, chance, score, hot, won_at, closed_at, card, *rated = zip(*rows, strict=True)
    cards = np.array(card, dtype=object)
    rules = np.full(len(rows), np.nan)
    if model is not None and model.points is not None and model.version == version:
        points, fired, never = (np.array(column) for column in rated)
        rules_chance = sigmoid(model.points.by_points(points, fired, never))
        rules = np.where(cards == model.card.version, rules_chance, np.nan)
    return ServedPredictions(
        version=version,
        as_of=np.array(as_of, dtype=np.int64),
        probability=np.array(chance, dtype=np.float64),
        points=np.array(score, dtype=np.float64),
        rules_hot=np.array(hot, dtype=np.bool_),
        won_at=np.array(won_at, dtype=np.int64),
        closed_at=np.array(closed_at, dtype=np.int64),
        card=cards,
        rules_chance=rules,
    )


def _measure_shifts(
    store: Store,
    settings: ServiceSettings,
    crm: CrmSettings,
    scorer: Scorer,
    closed: Mapping[str, DealClose],
    now: int,
) -> tuple[dict[str, Shift], int]:
    """The drift of features since the evidence, and the number of moments compared.

    The moments have the same lead ages as those of the evidence, and are of leads of the last days that were
    still open."""
    evidence = _load_evidence(settings, scorer)
    moments = [] if evidence is None else _comparable_moments(store, crm, closed, now)
    drawn = np.random.default_rng(0).permutation(len(moments))[:SAMPLE]
    wanted = [moments[i] for i in sorted(drawn.tolist())]
    schema = AttributeSchema.from_settings(crm)
    stored_leads = store.leads([lead_id for lead_id, _ in wanted], now)
    compared = [(lead_id, moment) for lead_id, moment in wanted if lead_id in stored_leads]
    if evidence is None or not compared:
        return {}, 0
    at_creation = {use.column for use in scorer.table.column_uses if use.availability != "history"}
    backdated = [_backdate_first_values(stored_leads[lead_id], at_creation) for lead_id, _ in compared]
    values = [
        scorer.table.compute_one(facts_from_store(lead, schema, now, moment).view(moment))
        for lead, (_, moment) in zip(backdated, compared, strict=True)
    ]
    leads = len(set(evidence.lead.tolist())), len({lead_id for lead_id, _ in compared})
    return measure_shifts(evidence.features, _to_columns(scorer, values), *leads), len(compared)


def _find_gaps(
    store: Store, settings: ServiceSettings, crm: CrmSettings, scorer: Scorer, now: int
) -> list[FeatureGap]:
    """The gaps of the newest leads of the store that were scored in the last days, as of their scores."""
    evidence, calibrated = _load_evidence(settings, scorer), scorer.calibrated_model
    if evidence is None or calibrated is None:
        return []
    params = {"now": now, "since": now - days_to_ms(DAYS), "count": SAMPLE}
    scored = store.read(lambda connection: connection.execute(served_queries.newest_scores(), params).all())
    stored, schema = store.leads([row.lead_id for row in scored]), AttributeSchema.from_settings(crm)
    leads = [(stored[row.lead_id], row.as_of) for row in scored if row.lead_id in stored]
    facts = [(facts_from_store(lead, schema, None, as_of), as_of) for lead, as_of in leads]
    values = [scorer.table.compute_one(lead.view(as_of)) for lead, as_of in facts]
    if not values:
        return []
    ages = np.array([(as_of - lead.created) / MS_PER_DAY for lead, as_of in leads])
    return find_gaps(evidence, calibrated.model, _to_columns(scorer, values), ages)


def _backdate_first_values(stored: StoredLead, columns: Collection[str]) -> StoredLead:
    """The lead with the first value of some columns dated to its creation.

    Training takes them as known then too, though a CRM sends them later."""
    changes, seen_columns = [], set[str]()
    for column, time_ms, value in stored.changes:
        first = column in columns and column not in seen_columns
        seen_columns.add(column)
        changes.append((column, min(time_ms, stored.created - 1) if first else time_ms, value))
    return replace(stored, changes=changes)


def _load_evidence(settings: ServiceSettings, scorer: Scorer) -> Evidence | None:
    """The evidence of the model in use; None without a model, or while it is being replaced."""
    try:
        bundle = None if scorer.calibrated_model is None else load_bundle(settings.bundles)
    except HotleadError:
        return None
    return None if bundle is None else bundle.evidence


def _comparable_moments(
    store: Store, crm: CrmSettings, closed: Mapping[str, DealClose], now: int
) -> list[tuple[str, int]]:
    """Leads with the moments of the last days when they were open and had the age of a landmark."""
    start = now - days_to_ms(DAYS)
    params = {"now": now, "since": start - days_to_ms(max(crm.target.landmarks))}
    new = store.read(lambda connection: connection.execute(served_queries.new_leads(), params).all())
    ages = [days_to_ms(age) for age in crm.target.landmarks]
    return [
        (lead_id, moment)
        for lead_id, created in sorted((lead_id, created) for lead_id, created in new)
        for moment in (created + age for age in ages)
        if start <= moment < min(now, closed.get(lead_id, _OPEN).closed_at)
    ]


def _to_columns(scorer: Scorer, values: Sequence[Sequence[float | str | None]]) -> dict[str, Column]:
    by_name = dict(zip(scorer.table.names, zip(*values, strict=True), strict=True))

    def to_column(name: str) -> Column:
        if name in scorer.table.texts:
            return encode_texts(list(by_name[name]))
        return np.array([np.nan if v is None else v for v in by_name[name]], dtype=np.float64)

    return {name: to_column(name) for name in by_name}


def _count_decisions(connection: Connection, now: int) -> tuple[dict[str, int], dict[str, int]]:
    """The live scores of the last days by the side that decided, and by the cause of a fallback."""
    params = {"since": now - days_to_ms(DAYS), "now": now}
    decided_by, fallbacks = Counter[str](), Counter[str]()
    for decided, cause, count in connection.execute(served_queries.decision_counts(), params):
        decided_by[decided] += count
        if cause:
            fallbacks[cause] += count
    return dict(decided_by), dict(fallbacks)


def _read_newest(connection: Connection, now: int) -> dict[str, int | None]:
    """The newest moment of each table (ms UTC; None: empty)."""
    params = {"now": now}
    newest: dict[str, int | None] = {}
    for name in ("activities", "outcomes", "handovers"):
        newest[name] = connection.scalar(served_queries.newest_moment(RECORDS[name]), params)
    newest["predictions"] = connection.scalar(served_queries.newest_answer(), params)
    return newest
