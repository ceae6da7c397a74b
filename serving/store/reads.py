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
from serving.store.rows import HotRow, ListCursor, StoredLead
from serving.store.tables import RECORDS

_VERDICTS = {verdict: verdict for verdict in get_args(Verdict)}
LEADS_AT_ONCE = 1_000
"""So many are asked for in one query: databases bound its parameters."""
ResultRows = Sequence[Any]  # versions of SQLAlchemy type them differently


def leads(
    connection: Connection, lead_ids: Sequence[str], before: int | None = None
) -> dict[str, StoredLead]:
    """What is known of leads, without those of whom nothing is; accounts as told `before` (ms UTC)."""
    rows_by_lead = _group_by_lead(
        _fetch_rows(connection, store_queries.newest_rows(RECORDS["leads"]), lead_ids)
    )
    events = _read_events(connection, lead_ids)
    steps = _group_by_lead(_fetch_rows(connection, store_queries.newest_rows(RECORDS["handovers"]), lead_ids))
    created = _creation_times(connection, lead_ids, rows_by_lead)
    accounts = {lead_id: _last_account(rows, before) for lead_id, rows in rows_by_lead.items()}
    named = {account for account in accounts.values() if account is not None}
    together = _read_account_events(connection, named, before)
    return {
        lead_id: StoredLead(
            lead_id,
            created[lead_id],
            accounts.get(lead_id),
            _changes(rows_by_lead.get(lead_id, ())),
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


def call_list(
    connection: Connection, owner: str | None, limit: int, now: int, after: ListCursor | None = None
) -> list[HotRow]:
    """Hot leads without a closed deal `after` a place, by deadline (none: last), then score, then id."""
    params = {"most": limit, "owner": owner, **({} if after is None else after._asdict())}
    statement = store_queries.call_list(owner is not None, after is not None)
    rows = [HotRow(**row._mapping) for row in connection.execute(statement, params)]
    steps = _group_by_lead(
        _fetch_rows(
            connection, store_queries.newest_rows(RECORDS["handovers"]), [row.lead_id for row in rows]
        )
    )
    return [_with_steps(row, steps.get(row.lead_id, ()), now) for row in rows]


def overrides(connection: Connection) -> list[Override]:
    """All verdicts of people, by hand and at the hand-over."""
    rows: ResultRows = [
        row for statement in store_queries.overrides() for row in connection.execute(statement)
    ]
    return [
        Override(lead_id, _VERDICTS[verdict], reason or "", author or "", time_ms, expires or NEVER)
        for lead_id, verdict, reason, author, time_ms, expires in rows
        if verdict in _VERDICTS
    ]


def overrides_version(connection: Connection) -> tuple[int, ...]:
    """The newest row and the count of the tables that hold verdicts."""
    return tuple(n for s in store_queries.override_versions() for n in connection.execute(s).one())


def _fetch_rows(connection: Connection, statement: Select[Any], ids: Iterable[str]) -> ResultRows:
    return connection.execute(statement, {"asked": list(ids)}).all()


def _group_by_lead(rows: ResultRows) -> dict[str, list[Any]]:
    grouped: dict[str, list[Any]] = {}
    for row in rows:
        grouped.setdefault(row.lead_id, []).append(row)
    return grouped


def _read_events(connection: Connection, lead_ids: Iterable[str]) -> dict[str, list[Event]]:
    events_by_lead: dict[str, list[Event]] = {}
    for lead_id, kind, time_ms, value in _fetch_rows(
        connection, store_queries.activities_of_leads(), lead_ids
    ):
        events_by_lead.setdefault(lead_id, []).append((kind, time_ms, math.nan if value is None else value))
    return events_by_lead


def _read_events_in_chunks(connection: Connection, lead_ids: Sequence[str]) -> dict[str, list[Event]]:
    events_by_lead: dict[str, list[Event]] = {}
    for start in range(0, len(lead_ids), LEADS_AT_ONCE):
        events_by_lead |= _read_events(connection, lead_ids[start : start + LEADS_AT_ONCE])
    return events_by_lead


def _creation_times(
    connection: Connection, lead_ids: Sequence[str], rows_by_lead: dict[str, list[Any]]
) -> dict[str, int]:
    """When each lead was created, or else first heard of; without those never heard of."""
    created = {
        lead_id: min(row.created_at for row in rows if row.created_at is not None)
        for lead_id, rows in rows_by_lead.items()
        if any(row.created_at is not None for row in rows)
    }
    if missing_ids := [lead_id for lead_id in lead_ids if lead_id not in created]:
        for kind in KINDS:
            for lead_id, time_ms in _fetch_rows(
                connection, store_queries.first_times(RECORDS[kind]), missing_ids
            ):
                created[lead_id] = min(time_ms, created.get(lead_id, time_ms))
    return created


def _last_account(rows: ResultRows, before: int | None) -> str | None:
    """The account told last, before a moment: a replay must not see a later one."""
    earlier_rows = (row for row in reversed(rows) if before is None or row.at < before)
    return next((row.account for row in earlier_rows if row.account is not None), None)


def _read_account_events(
    connection: Connection, accounts: set[str], before: int | None
) -> dict[str, list[Event]]:
    """The activities of all leads of each account, by time."""
    if not accounts:
        return {}
    rows_by_lead = _group_by_lead(_fetch_rows(connection, store_queries.leads_of_accounts(), accounts))
    events = _read_events_in_chunks(connection, list(rows_by_lead))
    together: dict[str, list[Event]] = {account: [] for account in accounts}
    for lead_id, rows in rows_by_lead.items():
        # A lead may have moved to another account since.
        if (account := _last_account(rows, before)) in together:
            together[account] += events.get(lead_id, [])
    return {a: sorted(account_events, key=lambda event: event[1]) for a, account_events in together.items()}


def _changes(rows: ResultRows) -> list[tuple[str, int, object]]:
    return [
        (column, row.at, value)
        for row in rows
        if row.attributes is not None
        for column, value in orjson.loads(row.attributes).items()
    ]


def _hearings(rows: ResultRows) -> list[tuple[str, int, str]]:
    return [
        (about, row.at, answer)
        for row in rows
        if row.step == "hearing" and row.hearing is not None
        for about, answer in orjson.loads(row.hearing).items()
    ]


def _with_steps(row: HotRow, steps: ResultRows, now: int) -> HotRow:
    """What was done about it until `now`; a next action may lie in the future."""
    past_steps = [step for step in steps if step.at <= now]
    contacts = [s.at for s in past_steps if s.step == "first_contact" and s.at >= row.stage_since]
    return replace(
        row,
        first_contact_at=contacts[0] if contacts else None,
        last_step=past_steps[-1].step if past_steps else None,
    )
