"""What the overview counts: how the sides agree on open leads, and what waits for somebody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from sqlalchemy import BindParameter, Select, bindparam, exists, func, select
from sqlalchemy.engine import Connection

from scoring.decision.actions import FOLLOW_UP
from serving.store.queries import call_list_start, closed_leads, is_to_call
from serving.store.tables import DUE, RECORDS, card_versions, current_scores

_scores, _steps = current_scores.c, RECORDS["handovers"].c


@dataclass(frozen=True)
class Pending:
    """What waits for a decision: hot leads, those past their deadline without a contact, and the number
    of the newest definition that is not in force (None: it is)."""

    hot: int
    overdue: int
    definition: int | None


def count_agreement(connection: Connection) -> Mapping[tuple[str, str | None], int]:
    """How many open leads there are, by the stage of the rules and of the model (None: it did not judge)."""
    counts = Counter({(r, m): n for r, m, n in connection.execute(_select_stage_pairs(False))})
    counts.subtract({(r, m): n for r, m, n in connection.execute(_select_stage_pairs(True))})
    return {pair: count for pair, count in counts.items() if count > 0}


def count_pending(connection: Connection, now: int, not_hot_ids: Iterable[str]) -> Pending:
    """What waits at a moment (ms UTC), without the leads that a person called not hot."""
    params = {"now": now, "active_after": call_list_start(now)}
    excluded, rows = set(not_hot_ids), connection.execute(_select_to_call(), params)
    late = [bool(is_late) for lead_id, is_late in rows if lead_id not in excluded]
    newest = connection.execute(_select_newest_definition()).first()
    waits = newest is not None and newest.in_force_at is None
    return Pending(len(late), sum(late), newest.number if newest is not None and waits else None)


@cache
def _select_stage_pairs(closed: bool) -> Select[str, str | None, int]:
    """Counts of all leads, or of those whose deal is closed: these are few, and quickly taken away."""
    counts = select(_scores.rules_stage, _scores.model_stage, func.count())
    if closed:
        counts = counts.where(_scores.lead_id.in_(closed_leads()))
    return counts.group_by(_scores.rules_stage, _scores.model_stage)


@cache
def _select_to_call() -> Select[str, bool]:
    """The leads to call, and whether each is late, as the call list marks them."""
    contacted = exists().where(
        _steps.lead_id == _scores.lead_id, _steps.step == "first_contact", _steps.at >= _scores.stage_since
    )
    now: BindParameter[int] = bindparam("now")
    late = (now > DUE) & ((_scores.action == FOLLOW_UP) | ~contacted)
    return select(_scores.lead_id, late).where(is_to_call())


@cache
def _select_newest_definition() -> Select[int, int | None]:
    c = card_versions.c
    return select(c.number, c.in_force_at).order_by(c.number.desc()).limit(1)
