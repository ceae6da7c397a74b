"""What the call list's page reads beside the list: warm leads near to hot, and follow-ups that are due."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import Select, bindparam, exists, select
from sqlalchemy.engine import Connection

from serving.leads.overrides import Said
from serving.store.queries import is_closed, is_newest
from serving.store.tables import IS_NEAR, RECORDS, current_scores

Rows = Sequence[Any]
_steps = RECORDS["handovers"]
_SPARE = 50
"""So many leads more are read, for those named not hot since they were scored."""


def nearly_hot(connection: Connection, most: int, said: Said, now: int) -> Rows:
    """Open warm leads, the highest score first, of equal ones the newest; without those whom a person has
    named not hot: they are held below hot, and nobody is to warm them."""
    told = connection.execute(_warm(), {"most": most + _SPARE}).all()
    verdicts = said.among([row.lead_id for row in told], now)
    return [row for row in told if row.lead_id not in verdicts or verdicts[row.lead_id].hot][:most]


def due_steps(connection: Connection, until: int, most: int) -> Rows:
    """Next actions that are due until a moment (ms UTC), the oldest first: lead_id, due_at, by. Those of
    closed leads, and those that a later step took the place of, are left out."""
    return connection.execute(_due(), {"until": until, "most": most}).all()


@cache
def _warm() -> Select[Any]:
    c = current_scores.c
    found = select(current_scores).where(IS_NEAR, ~is_closed(c.lead_id))
    return found.order_by(c.score.desc(), c.stage_since.desc()).limit(bindparam("most"))


@cache
def _due() -> Select[Any]:
    c, later = _steps.c, _steps.alias("after")
    settles = later.c.step.in_(("next_action", "sent_back"))
    settled = exists().where(later.c.lead_id == c.lead_id, settles, later.c.at > c.at)
    found = select(c.lead_id, c.due_at, c.by).where(
        c.due_at.isnot(None),
        c.due_at <= bindparam("until"),
        is_newest(_steps),
        ~settled,
        ~is_closed(c.lead_id),
    )
    return found.order_by(c.due_at).limit(bindparam("most"))
