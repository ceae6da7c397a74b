"""The statements by which the store is read.

Each is built once: building a statement takes longer than running it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from functools import cache
from typing import Any, TypeAlias

from sqlalchemy import BindParameter, ColumnElement, Row, Select, Table, bindparam, exists, func, null, select

from features.clock import days_to_ms
from serving.store.records import HotRow
from serving.store.tables import DUE, IS_HOT, RECORDS, current_scores, predictions

Statement: TypeAlias = Select[*tuple[Any, ...]]
ResultRow: TypeAlias = Row[*tuple[Any, ...]]
CALL_DAYS = 30
"""A lead stays in the call list for so many days after its newest score and its deadline."""
MAX_IDS = 1_000
"""The number of ids in one query: databases limit its parameters."""
_leads, _activities = RECORDS["leads"], RECORDS["activities"]
_handovers, _overrides, _outcomes = RECORDS["handovers"], RECORDS["overrides"], RECORDS["outcomes"]
VERDICT_TABLES = _overrides, _handovers
"""The tables that hold verdicts of people."""


def in_chunks(ids: Sequence[str], size: int = MAX_IDS) -> Iterator[list[str]]:
    return (list(ids[start : start + size]) for start in range(0, len(ids), size))


def is_among_ids(column: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether a column has one of the values of the parameter `ids`, a list."""
    return column.in_(bindparam("ids", expanding=True))


@cache
def newest_rows(table: Table) -> Statement:
    """The rows of the leads `ids` that have the highest version of their key, by time."""
    c = table.c
    return select(table).where(is_among_ids(c.lead_id), is_newest(table)).order_by(c.at, c.version, c.seq)


@cache
def activities_of_leads() -> Statement:
    """Lead, type, time and value of the activities of the leads `ids`, by time."""
    a = _activities.c
    return newest_rows(_activities).with_only_columns(a.lead_id, a.type, a.at, a.value)


@cache
def newest_versions(table: Table) -> Statement:
    """Key, version and digest of the newest version of each of the keys `ids`."""
    c = table.c
    return select(c.key, c.version, c.digest).where(is_among_ids(c.key), is_newest(table))


@cache
def amounts_of_keys() -> Statement:
    """Key and amount of the newest version of each record of leads with a key of `ids`."""
    c = _leads.c
    return select(c.key, c.amount).where(is_among_ids(c.key), is_newest(_leads))


@cache
def imported_open_leads() -> Select[str]:
    """The ids of the leads of all imports whose deal is not closed."""
    c = _leads.c
    imported = select(c.lead_id).distinct().where(c.key.like("import:%:created"))
    return imported.where(c.lead_id.not_in(closed_leads())).order_by(c.lead_id)


@cache
def first_times(table: Table) -> Statement:
    """Lead and time of the first row of each of the leads `ids`."""
    first = select(table.c.lead_id, func.min(table.c.at)).group_by(table.c.lead_id)
    return first.where(is_among_ids(table.c.lead_id))


@cache
def leads_of_accounts() -> Statement:
    """The newest versions of all rows of leads that ever belonged to the accounts `ids`, by time."""
    c = _leads.c
    members = select(c.lead_id).where(is_among_ids(c.account))
    statement = select(_leads).where(c.lead_id.in_(members), is_newest(_leads))
    return statement.order_by(c.at, c.version, c.seq)


@cache
def scores() -> Statement:
    """The predictions of `lead_id`, newest moment first, no more than `limit`."""
    p = predictions.c
    columns = [column for column in predictions.columns if column.name != "seq"]
    of_lead = select(*columns).where(p.lead_id == bindparam("lead_id"))
    return of_lead.order_by(p.as_of.desc(), p.seq.desc()).limit(bindparam("limit"))


@cache
def call_list(of_owner: bool, continued: bool = False) -> Statement:
    """Hot leads without a closed deal by deadline, score and id, no more than `limit`.

    `of_owner`: only those of the parameter `owner`. `continued`: only those after the position that the
    parameters `due`, `score` and `lead_id` name.
    """
    c = current_scores.c
    columns = (c[field.name] for field in fields(HotRow) if field.name in c)
    statement = select(*columns).where(is_to_call())
    if of_owner:
        statement = statement.where(c.owner == bindparam("owner"))
    if continued:
        due: BindParameter[int] = bindparam("due")
        score: BindParameter[int] = bindparam("score")
        lead_id: BindParameter[str] = bindparam("lead_id")
        lower = (c.score < score) | ((c.score == score) & (c.lead_id > lead_id))
        # The first condition follows from the second, but only the first can use the index.
        statement = statement.where(due <= DUE, (due < DUE) | lower)
    return statement.order_by(DUE, c.score.desc(), c.lead_id).limit(bindparam("limit"))


def is_to_call() -> ColumnElement[bool]:
    """Whether a lead is hot, its deal is not closed, and it is in use: it was scored, or its deadline is,
    after the parameter `active_after`."""
    c = current_scores.c
    active_after: BindParameter[int] = bindparam("active_after")
    is_active = (c.scored_at > active_after) | (c.deadline > active_after)
    return IS_HOT & is_active & ~is_closed(c.lead_id)


def call_list_start(now: int) -> int:
    """The parameter `active_after` of the call list at `now` (both ms UTC)."""
    return now - days_to_ms(CALL_DAYS)


@cache
def overrides() -> tuple[Statement, Statement]:
    """Lead, verdict, reason, person, time and end of overrides, and of judged hand-overs."""
    o, h = _overrides.c, _handovers.c
    by_hand = select(o.lead_id, o.verdict, o.reason, o.by, o.at, o.expires_at)
    handed_over = select(h.lead_id, h.step, h.reason, h.by, h.at, null())
    is_judged = h.step.in_(("accepted", "sent_back"))
    return (
        by_hand.where(is_newest(_overrides)).order_by(o.at, o.seq),
        handed_over.where(is_judged, is_newest(_handovers)).order_by(h.at, h.seq),
    )


@cache
def overrides_of_leads() -> tuple[Statement, Statement]:
    """As `overrides`, of the leads `ids`."""
    by_hand, handed_over = overrides()
    of_overrides, of_handovers = is_among_ids(_overrides.c.lead_id), is_among_ids(_handovers.c.lead_id)
    return by_hand.where(of_overrides), handed_over.where(of_handovers)


@cache
def added_rows(table: Table) -> Statement:
    """The newest row (`seq`) of a table after the row `after`, and the number of rows after it."""
    seq = table.c.seq
    return select(func.max(seq), func.count()).where(seq > bindparam("after"))


@cache
def changed_leads(table: Table) -> Select[str]:
    """The leads of the rows of a table from after `after` to `last`, and those which the records that they
    correct belonged to."""
    c = table.c
    is_added = (c.seq > bindparam("after")) & (c.seq <= bindparam("last"))
    corrected_keys = select(c.key).where(is_added, c.version > 1)
    corrected = select(c.lead_id).where(c.key.in_(corrected_keys))
    return select(c.lead_id).where(is_added).union(corrected)  # type: ignore[return-value]


@cache
def override_versions() -> tuple[Statement, Statement]:
    """The newest row (`seq`) and the number of rows of each table that holds verdicts."""
    statements = (
        select(func.coalesce(func.max(table.c.seq), 0), func.count()).select_from(table)
        for table in VERDICT_TABLES
    )
    return next(statements), next(statements)


@cache
def closed_leads() -> Statement:
    """The leads whose deal is won or lost by the newest version."""
    o = _outcomes.c
    return select(o.lead_id).where(o.outcome.in_(("won", "lost")), is_newest(_outcomes))


def is_newest(table: Table) -> ColumnElement[bool]:
    """Whether no other row of the table has a higher version of the same key."""
    later = table.alias("later")
    newer = (later.c.key == table.c.key) & (later.c.version > table.c.version)
    return ~exists().where(newer).correlate(table)


def is_closed(lead_id: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether the deal of a lead is won or lost: fast for few leads; use `closed_leads` for many."""
    o = _outcomes.c
    closed = (o.lead_id == lead_id) & o.outcome.in_(("won", "lost")) & is_newest(_outcomes)
    return exists().where(closed)
