"""What the call list's page reads beside the list: warm leads near to hot, and follow-ups that are due."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from sqlalchemy import Select, bindparam, exists, select
from sqlalchemy.engine import Connection

from serving.leads.mirrors import OverrideMirror
from serving.store.queries import ResultRow, Statement, is_closed, is_newest
from serving.store.tables import IS_NEAR, RECORDS, current_scores

CallRows = Sequence[ResultRow]
_steps = RECORDS["handovers"]
_OVERFETCH = 50
"""So many leads more are read, for those named not hot since they were scored."""


def read_nearly_hot(connection: Connection, limit: int, overrides: OverrideMirror, now: int) -> CallRows:
    """Open warm leads, the highest score first, of equal ones the newest; without those whom a person has
    named not hot: they are held below hot, and nobody is to warm them."""
    rows = connection.execute(_select_warm_leads(), {"most": limit + _OVERFETCH}).all()
    verdicts = overrides.get_many([row.lead_id for row in rows], now)
    return [row for row in rows if row.lead_id not in verdicts or verdicts[row.lead_id].hot][:limit]


def read_due_steps(connection: Connection, until: int, limit: int) -> CallRows:
    """Next actions that are due until a moment (ms UTC), the oldest first: lead_id, due_at, by. Those of
    closed leads, and those that a later step took the place of, are left out."""
    return connection.execute(_select_due_steps(), {"until": until, "most": limit}).all()


@cache
def _select_warm_leads() -> Statement:
    c = current_scores.c
    statement = select(current_scores).where(IS_NEAR, ~is_closed(c.lead_id))
    return statement.order_by(c.score.desc(), c.stage_since.desc()).limit(bindparam("most"))


@cache
def _select_due_steps() -> Select[str, int, str | None]:
    c, later = _steps.c, _steps.alias("after")
    settles = later.c.step.in_(("next_action", "sent_back"))
    settled = exists().where(later.c.lead_id == c.lead_id, settles, later.c.at > c.at)
    is_due = c.due_at.isnot(None) & (c.due_at <= bindparam("until"))
    still_open = (is_newest(_steps), ~settled, ~is_closed(c.lead_id))
    statement = select(c.lead_id, c.due_at, c.by).where(is_due, *still_open)
    return statement.order_by(c.due_at).limit(bindparam("most"))
