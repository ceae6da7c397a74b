"""Reading from the store: leads as they are known, scores, the call list, what people said."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, get_args

import orjson
from sqlalchemy import Select
from sqlalchemy.engine import Connection

from features.clock import NEVER
from features.one_lead import Event
from scoring.decision.overrides import Override, Verdict
from serving.store import queries as store_queries
from serving.store.records import KINDS
from serving.store.rows import HotRow, Place, StoredLead
from serving.store.tables import RECORDS

_VERDICTS = {verdict: verdict for verdict in get_args(Verdict)}
LEADS_AT_ONCE = 1_000
"""So many are asked for in one query: databases bound its parameters."""
Rows = Sequence[Any]  # versions of SQLAlchemy type them differently


def leads(
    connection: Connection, lead_ids: Sequence[str], before: int | None = None
) -> dict[str, StoredLead]:
    """What is known of leads, without those of whom nothing is; accounts as told `before` (ms UTC)."""
    told = _by_lead(_of(connection, store_queries.newest(RECORDS["leads"]), lead_ids))
    events = _events(connection, lead_ids)
    steps = _by_lead(_of(connection, store_queries.newest(RECORDS["handovers"]), lead_ids))
    created = _created(connection, lead_ids, told)
    accounts = {lead_id: _account(rows, before) for lead_id, rows in told.items()}
    named = {account for account in accounts.values() if account is not None}
    together = _account_events(connection, named, before)
    return {
        lead_id: StoredLead(
            lead_id,
            created[lead_id],
            accounts.get(lead_id),
            _changes(told.get(lead_id, ())),
            events.get(lead_id, []),
            _hearings(steps.get(lead_id, ())),
            together.get(accounts.get(lead_id) or ""),
            [row.at for row in steps.get(lead_id, ()) if row.step == "first_contact"],
        )
        for lead_id in lead_ids
        if lead_id in created
    }


def scores(connection: Connection, lead_id: str, limit: int) -> list[dict[str, Any]]:
    """A lead's predictions, newest moment first."""
    rows = connection.execute(store_queries.scores(), {"lead_id": lead_id, "most": limit})
    return [dict(row._mapping) for row in rows]


def hot(
    connection: Connection, owner: str | None, limit: int, now: int, after: Place | None = None
) -> list[HotRow]:
    """Hot leads without a closed deal `after` a place, by deadline (none: last), then score, then id."""
    asked = {"most": limit, "owner": owner, **({} if after is None else after._asdict())}
    statement = store_queries.hot(owner is not None, after is not None)
    rows = [HotRow(**row._mapping) for row in connection.execute(statement, asked)]
    steps = _by_lead(
        _of(connection, store_queries.newest(RECORDS["handovers"]), [row.lead_id for row in rows])
    )
    return [_with_steps(row, steps.get(row.lead_id, ()), now) for row in rows]


def said(connection: Connection) -> list[Override]:
    """All verdicts of people, by hand and at the hand-over."""
    found: Rows = [row for statement in store_queries.said() for row in connection.execute(statement)]
    return [
        Override(lead_id, _VERDICTS[verdict], reason or "", by or "", at, expires or NEVER)
        for lead_id, verdict, reason, by, at, expires in found
        if verdict in _VERDICTS
    ]


def said_stamp(connection: Connection) -> tuple[int, ...]:
    """The newest row and the count of the tables that hold verdicts."""
    return tuple(n for s in store_queries.said_stamps() for n in connection.execute(s).one())


def _of(connection: Connection, statement: Select[Any], asked: Iterable[str]) -> Rows:
    return connection.execute(statement, {"asked": list(asked)}).all()


def _by_lead(rows: Rows) -> dict[str, list[Any]]:
    told: dict[str, list[Any]] = {}
    for row in rows:
        told.setdefault(row.lead_id, []).append(row)
    return told


def _events(connection: Connection, lead_ids: Iterable[str]) -> dict[str, list[Event]]:
    told: dict[str, list[Event]] = {}
    for lead_id, kind, at, value in _of(connection, store_queries.activities_of(), lead_ids):
        told.setdefault(lead_id, []).append((kind, at, math.nan if value is None else value))
    return told


def _events_of_many(connection: Connection, lead_ids: Sequence[str]) -> dict[str, list[Event]]:
    told: dict[str, list[Event]] = {}
    for start in range(0, len(lead_ids), LEADS_AT_ONCE):
        told |= _events(connection, lead_ids[start : start + LEADS_AT_ONCE])
    return told


def _created(connection: Connection, lead_ids: Sequence[str], told: dict[str, list[Any]]) -> dict[str, int]:
    """When each lead was created, or else first heard of; without those never heard of."""
    created = {
        lead_id: min(row.created_at for row in rows if row.created_at is not None)
        for lead_id, rows in told.items()
        if any(row.created_at is not None for row in rows)
    }
    if asked := [lead_id for lead_id in lead_ids if lead_id not in created]:
        for kind in KINDS:
            for lead_id, at in _of(connection, store_queries.first_heard(RECORDS[kind]), asked):
                created[lead_id] = min(at, created.get(lead_id, at))
    return created


def _account(rows: Rows, before: int | None) -> str | None:
    """The account told last, before a moment: a replay must not see a later one."""
    seen = (row for row in reversed(rows) if before is None or row.at < before)
    return next((row.account for row in seen if row.account is not None), None)


def _account_events(connection: Connection, accounts: set[str], before: int | None) -> dict[str, list[Event]]:
    """The activities of all leads of each account, by time."""
    if not accounts:
        return {}
    told = _by_lead(_of(connection, store_queries.of_accounts(), accounts))
    events = _events_of_many(connection, list(told))
    together: dict[str, list[Event]] = {account: [] for account in accounts}
    for lead_id, rows in told.items():
        # A lead may have moved to another account since.
        if (account := _account(rows, before)) in together:
            together[account] += events.get(lead_id, [])
    return {a: sorted(found, key=lambda event: event[1]) for a, found in together.items()}


def _changes(rows: Rows) -> list[tuple[str, int, object]]:
    return [
        (column, row.at, value)
        for row in rows
        if row.attributes is not None
        for column, value in orjson.loads(row.attributes).items()
    ]


def _hearings(rows: Rows) -> list[tuple[str, int, str]]:
    return [
        (about, row.at, answer)
        for row in rows
        if row.step == "hearing" and row.hearing is not None
        for about, answer in orjson.loads(row.hearing).items()
    ]


def _with_steps(row: HotRow, steps: Rows, now: int) -> HotRow:
    """What was done about it until `now`; a next action may lie in the future."""
    done = [step for step in steps if step.at <= now]
    contacts = [s.at for s in done if s.step == "first_contact" and s.at >= row.stage_since]
    return replace(
        row,
        first_contact_at=contacts[0] if contacts else None,
        last_step=done[-1].step if done else None,
    )
