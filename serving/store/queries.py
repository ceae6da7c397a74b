"""What the store asks when it reads.

Each statement is built once: building one takes longer than running it.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, bindparam, exists, func, null, select

from serving.store.tables import DUE, IS_HOT, RECORDS, current_scores, predictions

Statement = Select[Any]
_leads, _activities = RECORDS["leads"], RECORDS["activities"]
_handovers, _overrides, _outcomes = RECORDS["handovers"], RECORDS["overrides"], RECORDS["outcomes"]


@cache
def rows_of_leads(table: Table) -> Statement:
    """All rows of some leads, by time."""
    c = table.c
    wanted = c.lead_id.in_(bindparam("asked", expanding=True))
    return select(table).where(wanted).order_by(c.at, c.version, c.seq)


@cache
def newest_rows(table: Table) -> Statement:
    """The rows of some leads that count: those with the highest version of their key."""
    return rows_of_leads(table).where(is_newest(table))


@cache
def activities_of_leads() -> Statement:
    """Lead, type, time and value of the activities of some leads."""
    a = _activities.c
    return newest_rows(_activities).with_only_columns(a.lead_id, a.type, a.at, a.value)


@cache
def first_times(table: Table) -> Statement:
    """When a table first tells of each of some leads."""
    first = select(table.c.lead_id, func.min(table.c.at)).group_by(table.c.lead_id)
    return first.where(table.c.lead_id.in_(bindparam("asked", expanding=True)))


@cache
def leads_of_accounts() -> Statement:
    """The rows that count of the leads that were ever told to be of some accounts, by time."""
    c = _leads.c
    named = select(c.lead_id).where(c.account.in_(bindparam("asked", expanding=True)))
    statement = select(_leads).where(c.lead_id.in_(named), is_newest(_leads))
    return statement.order_by(c.at, c.version, c.seq)


@cache
def scores() -> Statement:
    """A lead's predictions, newest moment first."""
    p = predictions.c
    columns = [column for column in predictions.columns if column.name != "seq"]
    of_lead = select(*columns).where(p.lead_id == bindparam("lead_id"))
    return of_lead.order_by(p.as_of.desc(), p.seq.desc()).limit(bindparam("most"))


@cache
def call_list(of_owner: bool, continued: bool = False) -> Statement:
    """Hot leads without a closed deal, by deadline, then score, then id; those `of_owner`, or all; from
    the first on, or `continued` after a place."""
    c = current_scores.c
    statement = select(current_scores).where(is_to_call())
    if of_owner:
        statement = statement.where(c.owner == bindparam("owner"))
    if continued:
        due: Any = bindparam("due")
        score: Any = bindparam("score")
        lead: Any = bindparam("lead_id")
        lower = (c.score < score) | ((c.score == score) & (c.lead_id > lead))
        statement = statement.where(due <= DUE, (due < DUE) | lower)  # the first alone can use the index
    return statement.order_by(DUE, c.score.desc(), c.lead_id).limit(bindparam("most"))


def is_to_call() -> ColumnElement[bool]:
    """Whether a lead is hot, and its deal is not closed."""
    return IS_HOT & ~is_closed(current_scores.c.lead_id)


@cache
def overrides() -> tuple[Statement, Statement]:
    """Lead, verdict, reason, person, time and end: named by hand, and at the hand-over."""
    o, h = _overrides.c, _handovers.c
    by_hand = select(o.lead_id, o.verdict, o.reason, o.by, o.at, o.expires_at)
    handed = select(h.lead_id, h.step, h.reason, h.by, h.at, null())
    judged = h.step.in_(("accepted", "sent_back"))
    return (
        by_hand.where(is_newest(_overrides)).order_by(o.at, o.seq),
        handed.where(judged, is_newest(_handovers)).order_by(h.at, h.seq),
    )


@cache
def override_versions() -> tuple[Statement, Statement]:
    """The newest row and the count of each table that holds verdicts."""
    statements = (
        select(func.coalesce(func.max(table.c.seq), 0), func.count()).select_from(table)
        for table in (_overrides, _handovers)
    )
    return next(statements), next(statements)


@cache
def closed_leads() -> Statement:
    """The leads whose deal is won or lost, by the versions that count."""
    o = _outcomes.c
    return select(o.lead_id).where(o.outcome.in_(("won", "lost")), is_newest(_outcomes))


def is_newest(table: Table) -> ColumnElement[bool]:
    """Whether a row counts: no other has a higher version of its key."""
    later = table.alias("later")
    newer = (later.c.key == table.c.key) & (later.c.version > table.c.version)
    return ~exists().where(newer).correlate(table)


def is_closed(lead_id: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether the deal of a lead is won or lost: quick for few leads; `closed_leads` is for many."""
    o = _outcomes.c
    closed = (o.lead_id == lead_id) & o.outcome.in_(("won", "lost")) & is_newest(_outcomes)
    return exists().where(closed)
