"""Reads from the store: leads with their history, predictions, the call list, and overrides."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias, get_args

import orjson
from sqlalchemy.engine import Connection

from features.clock import NEVER
from features.one_lead import Event
from scoring.decision.overrides import Override, Verdict
from serving.store import queries
from serving.store.queries import ResultRow, Statement, in_chunks
from serving.store.records import KINDS, HotRow, ListCursor, RecordKind, StoredLead
from serving.store.tables import RECORDS

Rows: TypeAlias = Sequence[ResultRow]
RowsByLead: TypeAlias = Mapping[str, Rows]
_VERDICTS = {verdict: verdict for verdict in get_args(Verdict)}


def leads(
    connection: Connection, lead_ids: Sequence[str], before: int | None = None
) -> dict[str, StoredLead]:
    """The stored history of leads; unknown leads are left out.

    Accounts are those set `before` a moment (ms UTC; None: the newest).
    """
    rows_by_lead = _read_by_lead(connection, queries.newest_rows(RECORDS["leads"]), lead_ids)
    steps = _read_by_lead(connection, queries.newest_rows(RECORDS["handovers"]), lead_ids)
    events = _read_events(connection, lead_ids)
    created = _creation_times(connection, lead_ids, rows_by_lead)
    amounts = _amounts(connection, lead_ids, rows_by_lead, before)
    accounts = {lead_id: _last_account(rows, before) for lead_id, rows in rows_by_lead.items()}
    account_ids = {account for account in accounts.values() if account is not None}
    events_by_account = _read_account_events(connection, account_ids, before)
    return {
        lead_id: StoredLead(
            lead_id=lead_id,
            created=created[lead_id],
            account=accounts.get(lead_id),
            changes=_changes(rows_by_lead.get(lead_id, ())),
            events=events.get(lead_id, []),
            hearings=_hearings(steps.get(lead_id, ())),
            colleagues=[
                colleague_events
                for colleague_id, colleague_events in events_by_account.get(accounts.get(lead_id), {}).items()
                if colleague_id != lead_id
            ],
            first_contacts=[row.at for row in steps.get(lead_id, ()) if row.step == "first_contact"],
            amount=amounts.get(lead_id),
        )
        for lead_id in lead_ids
        if lead_id in created
    }


def attribute_history(
    connection: Connection, lead_ids: Sequence[str]
) -> dict[str, list[tuple[str, int, object]]]:
    """By lead, every value of an attribute that was sent: column, time (ms UTC) and value, by time."""
    statement = queries.newest_rows(RECORDS["leads"])
    rows_by_lead: dict[str, Rows] = {}
    for chunk in in_chunks(lead_ids):
        rows_by_lead |= _read_by_lead(connection, statement, chunk)
    return {lead_id: _changes(rows) for lead_id, rows in rows_by_lead.items()}


def amounts_of_keys(connection: Connection, keys: Sequence[str]) -> dict[str, float | None]:
    """The amount in the newest version of each record of a lead with one of these keys."""
    rows = (
        row
        for chunk in in_chunks(keys)
        for row in connection.execute(queries.amounts_of_keys(), {"ids": chunk})
    )
    return {row.key: row.amount for row in rows}


def imported_open_leads(connection: Connection) -> list[str]:
    """The leads of all imports whose deal is not closed, sorted by id."""
    return list(connection.scalars(queries.imported_open_leads()))


def newest_versions(
    connection: Connection, kind: RecordKind, keys: Sequence[str]
) -> dict[str, tuple[int, str]]:
    """The newest version of each stored key and the digest of its content."""
    statement = queries.newest_versions(RECORDS[kind])
    rows = (row for chunk in in_chunks(keys) for row in connection.execute(statement, {"ids": chunk}))
    return {key: (version, digest) for key, version, digest in rows}


def scores(connection: Connection, lead_id: str, limit: int) -> list[dict[str, Any]]:
    """The predictions of a lead as dicts of Prediction's fields, newest moment first."""
    rows = connection.execute(queries.scores(), {"lead_id": lead_id, "limit": limit})
    return [dict(row._mapping) for row in rows]


def call_list(
    connection: Connection, owner: str | None, limit: int, now: int, after: ListCursor | None = None
) -> list[HotRow]:
    """Hot leads without a closed deal `after` a position, by deadline (none: last), score and id."""
    start = queries.call_list_start(now)
    position = {} if after is None else after._asdict()
    params = {"limit": limit, "owner": owner, "active_after": start, **position}
    statement = queries.call_list(owner is not None, after is not None)
    rows = [HotRow(**row._mapping) for row in connection.execute(statement, params)]
    lead_ids = [row.lead_id for row in rows]
    steps = _read_by_lead(connection, queries.newest_rows(RECORDS["handovers"]), lead_ids)
    return [_with_steps(row, steps.get(row.lead_id, ()), now) for row in rows]


def overrides(connection: Connection, lead_ids: Sequence[str] | None = None) -> list[Override]:
    """The verdicts of people, on some leads or on all (None): overrides, then those at the hand-over."""
    statements = queries.overrides() if lead_ids is None else queries.overrides_of_leads()
    parameters = {} if lead_ids is None else {"ids": list(lead_ids)}
    rows = [row for statement in statements for row in connection.execute(statement, parameters)]
    return [
        Override(lead_id, _VERDICTS[verdict], reason or "", person or "", time_ms, expires_at or NEVER)
        for lead_id, verdict, reason, person, time_ms, expires_at in rows
        if verdict in _VERDICTS
    ]


def overrides_version(connection: Connection) -> tuple[int, ...]:
    """The newest row and the number of rows of the tables that hold verdicts."""
    return tuple(n for s in queries.override_versions() for n in connection.execute(s).one())


def changed_overrides(
    connection: Connection, after: tuple[int, ...]
) -> tuple[dict[str, list[Override]], tuple[int, ...]]:
    """All verdicts on the leads that have one in a row after `after`, and the version that follows from it.

    `after` is the version that is known (see `overrides_version`). A lead without any has an empty list.
    """
    lead_ids, version = dict[str, None](), list[int]()
    for table, first, count in zip(queries.VERDICT_TABLES, after[::2], after[1::2], strict=True):
        last, added = connection.execute(queries.added_rows(table), {"after": first}).one()
        version += [last or first, count + added]
        if added:
            bounds = {"after": first, "last": last}
            lead_ids |= dict.fromkeys(connection.scalars(queries.changed_leads(table), bounds))
    by_lead: dict[str, list[Override]] = {lead_id: [] for lead_id in lead_ids}
    for chunk in in_chunks([*lead_ids]):
        for override in overrides(connection, chunk):
            by_lead[override.lead_id].append(override)
    return by_lead, tuple(version)


def _read_by_lead(connection: Connection, statement: Statement, ids: Iterable[str]) -> RowsByLead:
    rows_by_lead: dict[str, list[ResultRow]] = {}
    for row in connection.execute(statement, {"ids": list(ids)}):
        rows_by_lead.setdefault(row.lead_id, []).append(row)
    return rows_by_lead


def _read_events(connection: Connection, lead_ids: Sequence[str]) -> dict[str, list[Event]]:
    """Activities by lead: type, time (ms UTC) and value (NaN: none), by time."""
    events: dict[str, list[Event]] = {}
    for chunk in in_chunks(lead_ids):
        for lead_id, kind, time_ms, value in connection.execute(
            queries.activities_of_leads(), {"ids": chunk}
        ):
            events.setdefault(lead_id, []).append((kind, time_ms, math.nan if value is None else value))
    return events


def _creation_times(
    connection: Connection, lead_ids: Sequence[str], rows_by_lead: RowsByLead
) -> dict[str, int]:
    """When each lead was created (ms UTC), else the time of its first record; unknown leads are left out."""
    created = {
        lead_id: min(row.created_at for row in rows if row.created_at is not None)
        for lead_id, rows in rows_by_lead.items()
        if any(row.created_at is not None for row in rows)
    }
    if missing_ids := [lead_id for lead_id in lead_ids if lead_id not in created]:
        for kind in KINDS:
            rows = connection.execute(queries.first_times(RECORDS[kind]), {"ids": missing_ids})
            for lead_id, time_ms in rows:
                created[lead_id] = min(time_ms, created.get(lead_id, time_ms))
    return created


def _last_account(rows: Rows, before: int | None) -> str | None:
    """The newest account set before a moment (ms UTC): a replay must not see a later one."""
    earlier_rows = (row for row in reversed(rows) if before is None or row.at < before)
    return next((row.account for row in earlier_rows if row.account is not None), None)


def _amounts(
    connection: Connection, lead_ids: Sequence[str], rows_by_lead: RowsByLead, before: int | None
) -> dict[str, float]:
    """By lead, the newest amount of itself or of an opportunity, sent `before` a moment (ms UTC; None: any).

    Amounts that are negative count as unknown: opportunities may have had such.
    """
    opportunities = _read_by_lead(connection, queries.newest_rows(RECORDS["opportunities"]), lead_ids)
    amounts = {}
    for lead_id in lead_ids:
        rows = [*rows_by_lead.get(lead_id, ()), *opportunities.get(lead_id, ())]
        valued = [row for row in rows if row.amount is not None and (before is None or row.at < before)]
        newest = max(valued, key=lambda row: row.at, default=None)
        if newest is not None and newest.amount >= 0:
            amounts[lead_id] = newest.amount
    return amounts


def _read_account_events(
    connection: Connection, accounts: set[str], before: int | None
) -> dict[str | None, dict[str, list[Event]]]:
    """The activities of each lead of each account, by time."""
    if not accounts:
        return {}
    rows_by_lead = _read_by_lead(connection, queries.leads_of_accounts(), accounts)
    events = _read_events(connection, list(rows_by_lead))
    events_by_account: dict[str | None, dict[str, list[Event]]] = {account: {} for account in accounts}
    for lead_id, rows in rows_by_lead.items():
        # A lead may have moved to another account since.
        if lead_id in events and (account := _last_account(rows, before)) in events_by_account:
            events_by_account[account][lead_id] = events[lead_id]
    return events_by_account


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
    """The row with the steps until `now`; a next action may lie in the future."""
    past_steps = [step for step in steps if step.at <= now]
    contacts = [s.at for s in past_steps if s.step == "first_contact" and s.at >= row.stage_since]
    return replace(
        row,
        first_contact_at=contacts[0] if contacts else None,
        last_step=past_steps[-1].step if past_steps else None,
    )
