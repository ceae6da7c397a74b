"""Which leads nothing has happened to for long: no activity, no deal, no step of sales."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Select, func, select, union, union_all
from sqlalchemy.engine import Connection

from features.clock import days_to_ms
from serving.store.records import KINDS
from serving.store.tables import RECORDS, current_scores


@dataclass(frozen=True)
class InactiveLeads:
    """Inactive leads, the longest inactive first, no more than were asked for, and the number of all."""

    lead_ids: list[str]
    total: int


def find_inactive_leads(connection: Connection, days: int, now: int, limit: int) -> InactiveLeads:
    """The leads to which nothing has happened for so many days before `now` (ms UTC).

    A lead's creation and a planned next action count as events, a change of its attributes does not. The
    days end at the newest stored event, if that is earlier: a clock that jumped ahead, or a service that
    received nothing for long, makes no lead inactive.
    """
    events = _last_events().subquery()
    newest = connection.scalar(select(func.max(events.c.last)).where(events.c.last <= now))
    if newest is None:
        return InactiveLeads([], 0)
    last = func.max(events.c.last)
    inactive = (
        select(events.c.lead_id)
        .group_by(events.c.lead_id)
        .having(last < newest - days_to_ms(days))
        .order_by(last, events.c.lead_id)
    )
    total = connection.scalar(select(func.count()).select_from(inactive.subquery()))
    return InactiveLeads(list(connection.scalars(inactive.limit(limit))), total or 0)


def _last_events() -> Select[tuple[str, int]]:
    """Lead and time (ms UTC) of the last event of each kind."""
    leads, steps, scores = RECORDS["leads"].c, RECORDS["handovers"].c, current_scores.c
    created = func.min(func.coalesce(leads.created_at, leads.at)).label("last")
    planned = func.max(steps.due_at).label("last")
    recorded = union(*(select(RECORDS[kind].c.lead_id) for kind in KINDS)).subquery()
    queries = [
        select(leads.lead_id, created).group_by(leads.lead_id),
        select(steps.lead_id, planned).where(steps.due_at.is_not(None)).group_by(steps.lead_id),
        # A lead that was scored from requests alone: since it is in its stage.
        select(scores.lead_id, scores.stage_since.label("last")).where(
            scores.lead_id.not_in(select(recorded.c.lead_id))
        ),
    ]
    for kind in KINDS:
        if kind != "leads":
            c = RECORDS[kind].c
            queries.append(select(c.lead_id, func.max(c.at).label("last")).group_by(c.lead_id))
    rows = union_all(*queries).subquery()
    return select(rows.c.lead_id, rows.c.last)
