"""Where model and rules differ: open leads, closed deals by the score before the close, wins never hot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Literal, TypeAlias

from sqlalchemy import Select, bindparam, exists, func, select
from sqlalchemy.engine import Connection

from features.clock import NEVER
from serving.store.queries import is_closed, is_newest
from serving.store.tables import APART, RECORDS, current_scores, predictions

Rows: TypeAlias = Sequence[Any]
Side: TypeAlias = Literal["model", "rules", "both"]
UNJUDGED = "none"
"""Stands for the stage of a model that did not judge."""
LEAST_APART = 20
"""From so many points of the scale on the sides are said to differ: half a stage."""
_scores, _told = current_scores.c, predictions.c
_outcomes, _verdicts = RECORDS["outcomes"], RECORDS["verdicts"]


def open_leads(
    connection: Connection,
    higher: Side,
    model: str | None,
    rules: str | None,
    start: int,
    most: int,
) -> Rows:
    """Open leads, the furthest apart first: those whose `higher` side says more, or of a pair of stages
    (UNJUDGED: the model did not judge)."""
    unjudged = model == UNJUDGED
    asked = {"model": None if unjudged else model, "rules": rules, "start": start, "most": most}
    told = {name: value for name, value in asked.items() if value is not None}
    found = _open(higher, model is not None, rules is not None, unjudged)
    return connection.execute(found, told).all()


def closed_deals(connection: Connection, most: int) -> Rows:
    """Closed leads whose sides differed by the last answer before the close, the newest closes first; a
    lead with several deals by the newest of them."""
    told = connection.execute(_closed(), {"most": most})
    return list({row.lead_id: row for row in reversed(told.all())}.values())[::-1]


def never_hot(connection: Connection, most: int) -> tuple[int, int, Rows]:
    """How many leads were won after they were scored, how many of them were hot at no moment before, and
    the newest of these."""
    scored, missed = (connection.scalar(_won(hot)) or 0 for hot in (None, False))
    return int(scored), int(missed), connection.execute(_never(), {"most": most}).all()


def verdicts(connection: Connection, lead_ids: Sequence[str] | None = None, most: int = NEVER) -> Rows:
    """The verdicts of reviewers that count, the newest first; of some leads, or all."""
    asked: dict[str, Any] = {"most": most}
    if lead_ids is not None:
        asked["asked"] = list(lead_ids)
    return connection.execute(_verdicts_of(lead_ids is not None), asked).all()


def counted(connection: Connection) -> Mapping[str, int]:
    """How many verdicts there are for each side."""
    c = _verdicts.c
    told = select(c.right_side, func.count()).where(is_newest(_verdicts)).group_by(c.right_side)
    return {str(side): int(count) for side, count in connection.execute(told)}


@cache
def _open(higher: Side, of_model: bool, of_rules: bool, unjudged: bool) -> Select[Any]:
    found = select(current_scores).where(~is_closed(_scores.lead_id))
    if not (of_model or of_rules):
        found = found.where(APART >= LEAST_APART)
    if of_model:
        judged_so = _scores.model_stage == bindparam("model")
        found = found.where(_scores.model_stage.is_(None) if unjudged else judged_so)
    if of_rules:
        found = found.where(_scores.rules_stage == bindparam("rules"))
    if higher == "model":
        found = found.where(_scores.model_score > _scores.rules_score)
    if higher == "rules":
        found = found.where(_scores.model_score < _scores.rules_score)
    return found.order_by(APART.desc(), _scores.lead_id).offset(bindparam("start")).limit(bindparam("most"))


@cache
def _closed() -> Select[Any]:
    """The last live answer before the close: closes are few, and each looks up its lead's answers."""
    o = _outcomes.c
    newest = (
        select(_outcomes)
        .where(o.outcome.in_(("won", "lost")), is_newest(_outcomes))
        .order_by(o.at.desc())
        .limit(1_000)
        .subquery()
    )
    last = (
        select(_told.seq)
        .where(_told.lead_id == newest.c.lead_id, _told.as_of <= newest.c.at, ~_told.replay)
        .order_by(_told.as_of.desc(), _told.seq.desc())
        .limit(1)
        .correlate(newest)
        .scalar_subquery()
    )
    apart = func.abs(_told.model_score - _told.rules_score)
    return (
        select(newest.c.outcome, newest.c.at.label("closed_at"), newest.c.amount, *predictions.c)
        .join_from(newest, predictions, _told.seq == last)
        .where(apart >= LEAST_APART)
        .order_by(newest.c.at.desc())
        .limit(bindparam("most"))
    )


def _was_hot(before: Any, lead_id: Any) -> Any:
    return exists().where(
        _told.lead_id == lead_id, _told.stage == "hot", ~_told.replay, _told.as_of <= before
    )


def _scored_before() -> Any:
    o = _outcomes.c
    return exists().where(_told.lead_id == o.lead_id, ~_told.replay, _told.as_of <= o.at)


def _wins() -> Any:
    o = _outcomes.c
    return (o.outcome == "won") & is_newest(_outcomes) & _scored_before()


@cache
def _won(hot: bool | None) -> Select[Any]:
    o = _outcomes.c
    found = select(func.count(o.lead_id.distinct())).where(_wins())
    return found if hot is None else found.where(~_was_hot(o.at, o.lead_id))


@cache
def _never() -> Select[Any]:
    o = _outcomes.c
    newest = func.max(o.at)
    found = select(o.lead_id, newest.label("at"), func.max(o.amount).label("amount")).where(
        _wins(), ~_was_hot(o.at, o.lead_id)
    )
    return found.group_by(o.lead_id).order_by(newest.desc()).limit(bindparam("most"))


@cache
def _verdicts_of(some: bool) -> Select[Any]:
    c = _verdicts.c
    found = select(_verdicts).where(is_newest(_verdicts))
    if some:
        found = found.where(c.lead_id.in_(bindparam("asked", expanding=True)))
    return found.order_by(c.at.desc(), c.seq.desc()).limit(bindparam("most"))
