"""The SQL queries of monitoring, all as of a moment `now` (ms UTC)."""

from __future__ import annotations

from functools import cache

from sqlalchemy import BindParameter, Select, Table, and_, bindparam, case, exists, func, select

from serving.store.queries import is_newest
from serving.store.tables import RECORDS, current_scores, predictions

NEWEST_ROWS = 1_000
"""The newest moment is searched among this many of the rows that arrived last."""
_p = predictions.c
_now: BindParameter[int] = bindparam("now")
_since: BindParameter[int] = bindparam("since")


@cache
def first_answers() -> Select[str, str | None, int, float | None, int, int, str, str, bool, bool]:
    """The first live score of each model version on each lead, if it is not older than `since`.

    First by moment, not by arrival, because queued scores arrive late. Of equal moments both are returned."""
    live = (~_p.replay, _p.as_of <= _now)
    version = (_p.lead_id, _p.model_version)
    by_version = select(*version, func.min(_p.as_of).label("as_of")).where(*live).group_by(*version)
    first = by_version.having(func.min(_p.as_of) >= _since).subquery()
    same = and_(
        _p.lead_id == first.c.lead_id,
        _p.as_of == first.c.as_of,
        _p.model_version.is_not_distinct_from(first.c.model_version),
    )
    statement = select(
        _p.lead_id,
        _p.model_version,
        _p.as_of,
        _p.probability,
        _p.rules_score,
        _p.points,
        _p.rules_stage,
        _p.card_version,
        _p.detail.contains('"triggers":["'),
        _p.detail.contains('"exclusions":["'),
    )
    return statement.select_from(predictions.join(first, same)).where(*live)


@cache
def first_closes() -> Select[str, int, int | None]:
    """The first close and the first win (or NULL) of each lead, by the newest version of each outcome."""
    o = RECORDS["outcomes"].c
    won = func.min(case((o.outcome == "won", o.at)))
    closed = o.outcome.in_(("won", "lost")) & (o.at <= _now)
    statement = select(o.lead_id, func.min(o.at), won).where(closed, is_newest(RECORDS["outcomes"]))
    return statement.group_by(o.lead_id)


@cache
def new_leads() -> Select[str, int]:
    """The leads created since a moment, with the time of creation."""
    c = RECORDS["leads"].c
    created = func.min(c.created_at)
    since = select(c.lead_id, created).where(c.created_at <= _now).group_by(c.lead_id)
    return since.having(created >= _since)


@cache
def newest_scores() -> Select[str, int]:
    """Lead and moment of the `count` present scores made last since a moment.

    Only of leads whose attributes were sent to the store, not with each request."""
    c, leads = current_scores.c, RECORDS["leads"].c
    count: BindParameter[int] = bindparam("count")
    lately = select(c.lead_id, c.as_of).where(c.scored_at >= _since, c.scored_at <= _now)
    of_store = lately.where(exists().where(leads.lead_id == c.lead_id))
    return of_store.order_by(c.scored_at.desc(), c.lead_id).limit(count)


@cache
def decision_counts() -> Select[str, str | None, int]:
    """The number of live scores since a moment by the side that decided and the cause of a fallback."""
    statement = select(_p.decided_by, _p.fallback, func.count())
    lately = (_p.scored_at >= _since, _p.scored_at <= _now, ~_p.replay)
    return statement.where(*lately).group_by(_p.decided_by, _p.fallback)


@cache
def newest_moment(table: Table) -> Select[int | None]:
    """The newest moment among the rows of a table that arrived last."""
    last = select(table.c.at).order_by(table.c.seq.desc()).limit(NEWEST_ROWS).subquery()
    return select(func.max(last.c.at)).where(last.c.at <= _now)


@cache
def newest_answer() -> Select[int | None]:
    return select(func.max(_p.scored_at)).where(_p.scored_at <= _now)
