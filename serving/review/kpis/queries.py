"""What the figures that steer are read from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import orjson
from sqlalchemy import Select, bindparam, case, func, select
from sqlalchemy.engine import Connection

from scoring.scorecard.scorecard import STAGES
from serving.review.kpis.definitions import Closed, Facts, Handled
from serving.store import queries as store_queries
from serving.store.queries import is_newest
from serving.store.tables import RECORDS, current_scores, predictions

LEADS_AT_ONCE = 1_000
_steps, _outcomes, _opened = RECORDS["handovers"], RECORDS["outcomes"], RECORDS["opportunities"]


def facts(connection: Connection) -> Facts:
    """All that the figures are counted from."""
    hot = _pairs(connection, _first_hot())
    closed = {
        row.lead_id: Closed(row.outcome == "won", row.at, row.amount) for row in connection.execute(_closed())
    }
    opened = _opened_since(hot, connection.execute(_opened_rows()))
    handled = {row.lead_id: _handled(row) for row in connection.execute(_first_steps())}
    return Facts(hot, handled, opened, closed)


def deadlines(connection: Connection, hot: Mapping[str, int]) -> dict[str, int]:
    """The deadlines (ms UTC) that some leads had when they turned hot; only those that had one."""
    told: dict[str, int] = {}
    for part in _parts([*hot]):
        for lead, as_of, deadline in connection.execute(_deadlines(), {"asked": part}):
            if as_of == hot[lead]:
                told[lead] = deadline
    return told


def attributes(
    connection: Connection, lead_ids: Sequence[str], columns: Iterable[str]
) -> dict[str, dict[str, str]]:
    """The last known values of some columns of some leads."""
    wanted, told = set(columns), dict[str, dict[str, str]]()
    statement = store_queries.newest(RECORDS["leads"])
    for part in _parts(lead_ids):
        for row in connection.execute(statement, {"asked": part}):
            known = orjson.loads(row.attributes) if row.attributes else {}
            own = told.setdefault(row.lead_id, {})
            own.update({c: str(v) for c, v in known.items() if c in wanted and v is not None})
    return told


def stages_now(connection: Connection) -> Mapping[str, int]:
    """How many open leads are in each stage."""
    told = Counter(dict(_counts(connection, _by_stage())))
    told.subtract(dict(_counts(connection, _by_stage(closed=True))))
    return {stage: told[stage] for stage in reversed(STAGES)}


def sent_back(connection: Connection, start: int, end: int) -> list[tuple[str, str, int]]:
    """Why leads were sent back in a period, by the definition that they were scored by: definition,
    reason and how many; the most first."""
    rows = connection.execute(_sent_back(), {"start": start, "end": end})
    counts: dict[tuple[str, str], int] = {}
    for version, reason in rows:
        key = (version or "", reason or "")
        counts[key] = counts.get(key, 0) + 1
    return sorted(((v, r, n) for (v, r), n in counts.items()), key=lambda each: (-each[2], each))


def _counts(connection: Connection, statement: Select[Any]) -> Iterator[tuple[str, int]]:
    return ((str(stage), int(count)) for stage, count in connection.execute(statement))


def _parts(lead_ids: Sequence[str]) -> Iterator[list[str]]:
    starts = range(0, len(lead_ids), LEADS_AT_ONCE)
    return (list(lead_ids[start : start + LEADS_AT_ONCE]) for start in starts)


def _opened_since(hot: Mapping[str, int], rows: Iterable[Any]) -> dict[str, int]:
    """Each lead's first opportunity after it turned hot, else its first; `rows` by time."""
    told: dict[str, int] = {}
    for lead, at in rows:
        if lead not in told or (lead in hot and told[lead] < hot[lead] <= at):
            told[lead] = at
    return told


def _pairs(connection: Connection, statement: Select[Any]) -> dict[str, int]:
    return {str(lead): int(at) for lead, at in connection.execute(statement)}


def _handled(row: Any) -> Handled:
    judged = [at for at in (row.accepted, row.sent_back) if at is not None]
    accepted = None if not judged else row.accepted is not None and row.accepted == max(judged)
    handed = row.handed if row.judged is None else min(row.judged, row.handed or row.judged)
    return Handled(handed, row.contacted, accepted)


@cache
def _by_stage(closed: bool = False) -> Select[Any]:
    """Counts of all leads, or of those whose deal is closed: these are few, and quickly taken away."""
    c = current_scores.c
    counts = select(c.stage, func.count()).group_by(c.stage)
    return counts.where(c.lead_id.in_(store_queries.closed_leads())) if closed else counts


@cache
def _first_hot() -> Select[Any]:
    p = predictions.c
    return select(p.lead_id, func.min(p.as_of)).where(p.stage == "hot", ~p.replay).group_by(p.lead_id)


@cache
def _first_steps() -> Select[Any]:
    """By lead when it was handed over, first contacted and first judged, and the last of each judgement."""
    c = _steps.c

    def at(step: str) -> Any:
        return case((c.step == step, c.at))

    return (
        select(
            c.lead_id,
            func.min(at("handed_over")).label("handed"),
            func.min(at("first_contact")).label("contacted"),
            func.min(case((c.step.in_(("accepted", "sent_back")), c.at))).label("judged"),
            func.max(at("accepted")).label("accepted"),
            func.max(at("sent_back")).label("sent_back"),
        )
        .where(c.step.in_(("handed_over", "first_contact", "accepted", "sent_back")), is_newest(_steps))
        .group_by(c.lead_id)
    )


@cache
def _deadlines() -> Select[Any]:
    p = predictions.c
    asked = p.lead_id.in_(bindparam("asked", expanding=True))
    told = (p.stage == "hot", ~p.replay, p.deadline.isnot(None))
    return select(p.lead_id, p.as_of, p.deadline).where(asked, *told).order_by(p.seq.desc())


@cache
def _opened_rows() -> Select[Any]:
    c = _opened.c
    return select(c.lead_id, c.at).where(is_newest(_opened)).order_by(c.at)


@cache
def _closed() -> Select[Any]:
    c = _outcomes.c
    found = select(c.lead_id, c.outcome, c.at, c.amount)
    return found.where(c.outcome.in_(("won", "lost")), is_newest(_outcomes)).order_by(c.at, c.seq)


@cache
def _sent_back() -> Select[Any]:
    c, p = _steps.c, predictions.c
    version = (
        select(p.card_version)
        .where(p.lead_id == c.lead_id, p.as_of <= c.at, ~p.replay)
        .order_by(p.as_of.desc(), p.seq.desc())
        .limit(1)
        .correlate(_steps)
        .scalar_subquery()
    )
    period = (c.at >= bindparam("start")) & (c.at < bindparam("end"))
    return select(version, c.reason).where(c.step == "sent_back", period, is_newest(_steps))
