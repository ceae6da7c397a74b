"""The queries of the KPIs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import TypeAlias

import orjson
from sqlalchemy import Case, Row, Select, bindparam, case, func, select
from sqlalchemy.engine import Connection

from scoring.scorecard.scorecard import STAGES
from serving.review.kpis.definitions import ClosedDeal, KpiFacts, SalesHandling
from serving.store import queries as store_queries
from serving.store.queries import is_newest
from serving.store.tables import RECORDS, current_scores, predictions

_StepTimes: TypeAlias = tuple[str, int | None, int | None, int | None, int | None, int | None]
_steps, _outcomes, _opened = RECORDS["handovers"], RECORDS["outcomes"], RECORDS["opportunities"]


def read_facts(connection: Connection) -> KpiFacts:
    hot = _read_pairs(connection, _select_first_hot())
    closed = {
        row.lead_id: ClosedDeal(row.outcome == "won", row.at, row.amount)
        for row in connection.execute(_select_closed())
    }
    opened = _first_opportunities(hot, connection.execute(_select_opportunities()))
    handled = {row.lead_id: _to_handling(row) for row in connection.execute(_select_first_steps())}
    return KpiFacts(hot, handled, opened, closed)


def read_deadlines(connection: Connection, hot: Mapping[str, int]) -> dict[str, int]:
    """The deadlines (ms UTC) that some leads had when they turned hot; only those that had one."""
    by_lead: dict[str, int] = {}
    for chunk in store_queries.in_chunks([*hot]):
        for lead, as_of, deadline in connection.execute(_select_deadlines(), {"ids": chunk}):
            if as_of == hot[lead]:
                by_lead[lead] = deadline
    return by_lead


def read_attributes(
    connection: Connection, lead_ids: Sequence[str], columns: Iterable[str]
) -> dict[str, dict[str, str]]:
    """The last known values of some columns of some leads."""
    wanted, by_lead = set(columns), dict[str, dict[str, str]]()
    statement = store_queries.newest_rows(RECORDS["leads"])
    for chunk in store_queries.in_chunks(lead_ids):
        for row in connection.execute(statement, {"ids": chunk}):
            values = orjson.loads(row.attributes) if row.attributes else {}
            lead_values = by_lead.setdefault(row.lead_id, {})
            lead_values.update({c: str(v) for c, v in values.items() if c in wanted and v is not None})
    return by_lead


def count_stages(connection: Connection) -> Mapping[str, int]:
    """How many open leads are in each stage."""
    counts = Counter(_read_pairs(connection, _select_stage_counts()))
    counts.subtract(_read_pairs(connection, _select_stage_counts(closed=True)))
    return {stage: counts[stage] for stage in reversed(STAGES)}


def count_sent_back(connection: Connection, start: int, end: int) -> list[tuple[str, str, int]]:
    """Why leads were sent back in a period, by the definition that they were scored by: definition,
    reason and how many; the most first."""
    rows = connection.execute(_select_sent_back(), {"start": start, "end": end})
    counts = Counter((version or "", reason or "") for version, reason in rows)
    return sorted(((v, r, n) for (v, r), n in counts.items()), key=lambda row: (-row[2], row))


def _first_opportunities(hot: Mapping[str, int], rows: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Each lead's first opportunity after it turned hot, else its first; `rows` by time."""
    first_opened: dict[str, int] = {}
    for lead, opened_at in rows:
        if lead not in first_opened or (lead in hot and first_opened[lead] < hot[lead] <= opened_at):
            first_opened[lead] = opened_at
    return first_opened


def _read_pairs(connection: Connection, statement: Select[str, int]) -> dict[str, int]:
    return {str(key): int(value) for key, value in connection.execute(statement)}


def _to_handling(row: Row[*_StepTimes]) -> SalesHandling:
    judged = [time_ms for time_ms in (row.accepted, row.sent_back) if time_ms is not None]
    accepted = None if not judged else row.accepted is not None and row.accepted == max(judged)
    handed = row.handed if row.judged is None else min(row.judged, row.handed or row.judged)
    return SalesHandling(handed, row.contacted, accepted)


@cache
def _select_stage_counts(closed: bool = False) -> Select[str, int]:
    """Counts of all leads, or of those whose deal is closed: these are few, and quickly taken away."""
    c = current_scores.c
    counts = select(c.stage, func.count()).group_by(c.stage)
    return counts.where(c.lead_id.in_(store_queries.closed_leads())) if closed else counts


@cache
def _select_first_hot() -> Select[str, int]:
    p = predictions.c
    return select(p.lead_id, func.min(p.as_of)).where(p.stage == "hot", ~p.replay).group_by(p.lead_id)


@cache
def _select_first_steps() -> Select[*_StepTimes]:
    """By lead when it was handed over, first contacted and first judged, and the last of each judgement."""
    c = _steps.c

    def step_time(step: str) -> Case[int | None]:
        return case((c.step == step, c.at))

    statement = select(
        c.lead_id,
        func.min(step_time("handed_over")).label("handed"),
        func.min(step_time("first_contact")).label("contacted"),
        func.min(case((c.step.in_(("accepted", "sent_back")), c.at))).label("judged"),
        func.max(step_time("accepted")).label("accepted"),
        func.max(step_time("sent_back")).label("sent_back"),
    )
    counted = c.step.in_(("handed_over", "first_contact", "accepted", "sent_back"))
    return statement.where(counted, is_newest(_steps)).group_by(c.lead_id)


@cache
def _select_deadlines() -> Select[str, int, int]:
    p = predictions.c
    is_requested = store_queries.is_among_ids(p.lead_id)
    conditions = (p.stage == "hot", ~p.replay, p.deadline.isnot(None))
    return select(p.lead_id, p.as_of, p.deadline).where(is_requested, *conditions).order_by(p.seq.desc())


@cache
def _select_opportunities() -> Select[str, int]:
    c = _opened.c
    return select(c.lead_id, c.at).where(is_newest(_opened)).order_by(c.at)


@cache
def _select_closed() -> Select[str, str, int, float | None]:
    c = _outcomes.c
    statement = select(c.lead_id, c.outcome, c.at, c.amount)
    return statement.where(c.outcome.in_(("won", "lost")), is_newest(_outcomes)).order_by(c.at, c.seq)


@cache
def _select_sent_back() -> Select[str | None, str | None]:
    c, p = _steps.c, predictions.c
    before = select(p.card_version).where(p.lead_id == c.lead_id, p.as_of <= c.at, ~p.replay)
    newest = before.order_by(p.as_of.desc(), p.seq.desc()).limit(1)
    version = newest.correlate(_steps).scalar_subquery()
    period = (c.at >= bindparam("start")) & (c.at < bindparam("end"))
    return select(version, c.reason).where(c.step == "sent_back", period, is_newest(_steps))
