"""What the call list's page reads beside the list: warm leads near to hot, and follow-ups that are due."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from itertools import islice
from typing import Any

from sqlalchemy import Select, bindparam, exists, select
from sqlalchemy.engine import Connection

from serving.store_queries import is_closed, is_newest
from serving.tables import IS_WARM, RECORDS, current_scores

Rows = Sequence[Any]
_steps = RECORDS["handovers"]


def nearly_hot(connection: Connection, most: int, cooled: Iterable[str]) -> Rows:
    """Open warm leads, the highest score first, of equal ones the newest; without the `cooled`, whom a
    person named not hot: they are held below hot, and nobody is to warm them."""
    off = set(cooled)
    told = connection.execute(_warm(), {"most": most + len(off)})
    return list(islice((row for row in told if row.lead_id not in off), most))


def due_steps(connection: Connection, until: int, most: int) -> Rows:
    """Next actions that are due until a moment (ms UTC), the oldest first: lead_id, due_at, by. Those of
    closed leads, and those that a later step took the place of, are left out."""
    return connection.execute(_due(), {"until": until, "most": most}).all()


@cache
def _warm() -> Select[Any]:
    c = current_scores.c
    found = select(current_scores).where(IS_WARM, c.decided_by != "person", ~is_closed(c.lead_id))
    return found.order_by(c.score.desc(), c.stage_since.desc()).limit(bindparam("most"))


@cache
def _due() -> Select[Any]:
    c, later = _steps.c, _steps.alias("after")
    settles = later.c.step.in_(("next_action", "sent_back"))
    settled = exists().where(later.c.lead_id == c.lead_id, settles, later.c.at > c.at)
    found = select(c.lead_id, c.due_at, c.by).where(
        c.due_at.isnot(None), c.due_at <= bindparam("until"), is_newest(_steps), ~settled,
        ~is_closed(c.lead_id),
    )  # fmt: skip
    return found.order_by(c.due_at).limit(bindparam("most"))
