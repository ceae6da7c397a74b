"""Where model and rules differ: open leads, closed deals by the score before the close, wins never hot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Literal, TypeAlias

from sqlalchemy import ColumnElement, Exists, Select, bindparam, exists, func, select
from sqlalchemy.engine import Connection

from features.clock import NEVER
from serving.store.queries import ResultRow, Statement, is_closed, is_newest
from serving.store.tables import RECORDS, SIDE_GAP, current_scores, predictions

DisagreementRows: TypeAlias = Sequence[ResultRow]
Side: TypeAlias = Literal["model", "rules", "both"]
MAX_DEALS = 25
"""The number of closed deals that the page lists."""
UNJUDGED = "none"
"""Stands for the stage of a model that did not judge."""
MIN_SCORE_GAP = 20
"""From so many points of the scale on the sides are said to differ: half a stage."""
_scores, _predictions = current_scores.c, predictions.c
_outcomes, _verdicts = RECORDS["outcomes"], RECORDS["verdicts"]


def read_open_leads(
    connection: Connection, higher: Side, model: str | None, rules: str | None, start: int, limit: int
) -> DisagreementRows:
    """Open leads, the furthest apart first: those whose `higher` side says more, or of a pair of stages
    (UNJUDGED: the model did not judge)."""
    unjudged = model == UNJUDGED
    all_params = {"model": None if unjudged else model, "rules": rules, "start": start, "most": limit}
    params = {name: value for name, value in all_params.items() if value is not None}
    statement = _select_open(higher, model is not None, rules is not None, unjudged)
    return connection.execute(statement, params).all()


def read_closed_deals(connection: Connection, limit: int = MAX_DEALS) -> DisagreementRows:
    """Closed leads whose sides differed by the last answer before the close, the newest closes first; a
    lead with several deals by the newest of them."""
    result = connection.execute(_select_closed(), {"most": limit})
    return list({row.lead_id: row for row in reversed(result.all())}.values())[::-1]


def read_never_hot(connection: Connection, limit: int = MAX_DEALS) -> tuple[int, int, DisagreementRows]:
    """How many leads were won after they were scored, how many of them were hot at no moment before, and
    the newest of these."""
    scored, missed = (connection.scalar(_select_won(hot)) or 0 for hot in (None, False))
    return int(scored), int(missed), connection.execute(_select_never_hot(), {"most": limit}).all()


def read_verdicts(
    connection: Connection, lead_ids: Sequence[str] | None = None, limit: int = NEVER
) -> DisagreementRows:
    """The verdicts of reviewers that count, the newest first; of some leads, or all."""
    params: dict[str, object] = {"most": limit}
    if lead_ids is not None:
        params["asked"] = list(lead_ids)
    return connection.execute(_select_verdicts(lead_ids is not None), params).all()


def verdict_counts(connection: Connection) -> Mapping[str, int]:
    """How many verdicts there are for each side."""
    c = _verdicts.c
    statement = select(c.right_side, func.count()).where(is_newest(_verdicts)).group_by(c.right_side)
    return {str(side): int(count) for side, count in connection.execute(statement)}


@cache
def _select_open(higher: Side, of_model: bool, of_rules: bool, unjudged: bool) -> Statement:
    statement = select(current_scores).where(~is_closed(_scores.lead_id))
    if not (of_model or of_rules):
        statement = statement.where(SIDE_GAP >= MIN_SCORE_GAP)
    if of_model:
        judged_so = _scores.model_stage == bindparam("model")
        statement = statement.where(_scores.model_stage.is_(None) if unjudged else judged_so)
    if of_rules:
        statement = statement.where(_scores.rules_stage == bindparam("rules"))
    if higher == "model":
        statement = statement.where(_scores.model_score > _scores.rules_score)
    if higher == "rules":
        statement = statement.where(_scores.model_score < _scores.rules_score)
    ordered = statement.order_by(SIDE_GAP.desc(), _scores.lead_id)
    return ordered.offset(bindparam("start")).limit(bindparam("most"))


@cache
def _select_closed() -> Statement:
    """The last live answer before the close: closes are few, and each looks up its lead's answers."""
    o, p = _outcomes.c, _predictions
    closes = select(_outcomes).where(o.outcome.in_(("won", "lost")), is_newest(_outcomes))
    newest = closes.order_by(o.at.desc()).limit(1_000).subquery()
    before = select(p.seq).where(p.lead_id == newest.c.lead_id, p.as_of <= newest.c.at, ~p.replay)
    in_order = before.order_by(p.as_of.desc(), p.seq.desc())
    last = in_order.limit(1).correlate(newest).scalar_subquery()
    score_gap = func.abs(p.model_score - p.rules_score)
    return (
        select(newest.c.outcome, newest.c.at.label("closed_at"), newest.c.amount, *predictions.c)
        .join_from(newest, predictions, _predictions.seq == last)
        .where(score_gap >= MIN_SCORE_GAP)
        .order_by(newest.c.at.desc())
        .limit(bindparam("most"))
    )


def _was_hot(before: ColumnElement[int], lead_id: ColumnElement[str]) -> Exists:
    p = _predictions
    return exists().where(p.lead_id == lead_id, p.stage == "hot", ~p.replay, p.as_of <= before)


def _wins() -> ColumnElement[bool]:
    """The deals that were won after their lead was scored."""
    o, p = _outcomes.c, _predictions
    scored_before = exists().where(p.lead_id == o.lead_id, ~p.replay, p.as_of <= o.at)
    return (o.outcome == "won") & is_newest(_outcomes) & scored_before


@cache
def _select_won(hot: bool | None) -> Select[int]:
    o = _outcomes.c
    statement = select(func.count(o.lead_id.distinct())).where(_wins())
    return statement if hot is None else statement.where(~_was_hot(o.at, o.lead_id))


@cache
def _select_never_hot() -> Select[str, int, float | None]:
    o = _outcomes.c
    newest = func.max(o.at)
    statement = select(o.lead_id, newest.label("at"), func.max(o.amount).label("amount")).where(
        _wins(), ~_was_hot(o.at, o.lead_id)
    )
    return statement.group_by(o.lead_id).order_by(newest.desc()).limit(bindparam("most"))


@cache
def _select_verdicts(by_lead: bool) -> Statement:
    c = _verdicts.c
    statement = select(_verdicts).where(is_newest(_verdicts))
    if by_lead:
        statement = statement.where(c.lead_id.in_(bindparam("asked", expanding=True)))
    return statement.order_by(c.at.desc(), c.seq.desc()).limit(bindparam("most"))
