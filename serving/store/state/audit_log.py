"""The audit log: who changed what, in the same transaction as the change, never altered afterwards.

Each entry has a hash over itself and the entry before it, so an entry that was altered or removed is matches,
even where the triggers of the table, which refuse to change rows, were switched off. A log that was cut at
its end is matches by its last hash, if that was kept elsewhere.

No entry has a value of a lead. An override is named by the number of its row, which leads to the lead for as
long as that is stored; an erasure names nobody.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias, get_args

import orjson
from sqlalchemy import Row, select
from sqlalchemy.engine import Connection

from features.clock import now_ms
from serving.store.backends.base import Cursor, Database
from serving.store.backends.inserts import Entry
from serving.store.records import WriteOutcome
from serving.store.tables import RECORDS, audit_log

AuditAction: TypeAlias = Literal[
    "definition_saved",
    "definition_signed",
    "definition_in_force",
    "definition_from_file",
    "model_requested",
    "model_approved",
    "model_rejected",
    "model_promoted",
    "model_rolled_back",
    "key_added",
    "key_rotated",
    "key_revoked",
    "override_set",
    "lead_erased",
]
AUDIT_ACTIONS: tuple[AuditAction, ...] = get_args(AuditAction)
ReadPage: TypeAlias = Callable[[Callable[[Connection], list["AuditEntry"]]], list["AuditEntry"]]
ROWS_A_STATEMENT, ROWS_A_PAGE = 100, 1_000
_COLUMNS = ("number", "made_at", "actor", "role", "key_id", "action", "subject", "detail", "hash")
_MARKS = {"sqlite": "?", "postgresql": "%s"}
_LOCKS = {"?": (), "%s": ("LOCK TABLE audit_log IN EXCLUSIVE MODE",)}
"""SQLite has one writer at a time; in PostgreSQL two would give the same number."""


class Execute(Protocol):
    """Runs a statement of SQL, as a cursor or a connection does."""

    def __call__(self, query: str, params: tuple[object, ...] = ..., /) -> Any: ...


@dataclass(frozen=True)
class Actor:
    """Who makes a change: a key by its name, role and id, or a user of the machine (role "command")."""

    name: str
    role: str
    key_id: str = ""


@dataclass(frozen=True)
class Change:
    """What was changed: `subject` is the number of a version, row or model, or the id of a key."""

    actor: Actor
    action: AuditAction
    subject: str = ""
    detail: Mapping[str, object] = field(default_factory=dict)


class AuditEntry(NamedTuple):
    """An entry as it is read; `made_at` is ms UTC, `lead_id` the lead of an override while it is stored."""

    number: int
    made_at: int
    actor: str
    role: str
    key_id: str
    action: AuditAction
    subject: str
    detail: str
    hash: str
    lead_id: str | None = None


@dataclass(frozen=True)
class Verification:
    """The number of entries, the last hash, and the first entry that does not fit (None: all do)."""

    entries: int
    last_hash: str
    broken_at: int | None


def record_change(connection: Connection, change: Change) -> None:
    """Add an entry in the transaction of `connection`."""
    append_changes(connection.exec_driver_sql, _MARKS[connection.dialect.name], [change])


def append_changes(execute: Execute, mark: str, changes: Sequence[Change]) -> None:
    """Add entries in a transaction, in which `execute` runs statements; `mark` is a parameter in SQL."""
    for lock in _LOCKS[mark]:
        execute(lock)
    last = execute("SELECT number, hash FROM audit_log ORDER BY number DESC LIMIT 1").fetchone()
    last_number, last_hash = last or (0, "")
    rows, now = list[tuple[object, ...]](), now_ms()
    for number, change in enumerate(changes, last_number + 1):
        content = (number, now, *_texts(change))
        last_hash = _hash(last_hash, content)
        rows.append((*content, last_hash))
    names = ", ".join(f'"{name}"' for name in _COLUMNS)
    for start in range(0, len(rows), ROWS_A_STATEMENT):
        part = rows[start : start + ROWS_A_STATEMENT]
        places = ", ".join([f"({', '.join([mark] * len(_COLUMNS))})"] * len(part))
        values = tuple(value for row in part for value in row)
        execute(f"INSERT INTO audit_log ({names}) VALUES {places}", values)


def record_overrides(
    database: Database,
    cursor: Cursor,
    actor: Actor,
    entries: Sequence[Entry],
    outcomes: Sequence[WriteOutcome],
) -> None:
    """Add an entry for each override that was just stored in the transaction of `cursor`."""
    pairs = zip(entries, outcomes, strict=True)
    stored = [row for (kind, row), outcome in pairs if kind == "overrides" and outcome == "stored"]
    if not stored:
        return
    query = f'SELECT "key", version, seq, verdict, expires_at FROM overrides WHERE "key" {database.in_list}'
    keys = list(dict.fromkeys(row[0] for row in stored))
    matches = cursor.execute(query, (database.to_list(keys),)).fetchall()
    by_version = {(key, version): rest for key, version, *rest in matches}
    changes = []
    for key, version, *_ in stored:
        seq, verdict, expires_at = by_version[key, version]
        detail = {"verdict": verdict, "version": version, "expires_at": expires_at}
        changes.append(Change(actor, "override_set", str(seq), detail))
    append_changes(cursor.execute, database.mark, changes)


def iter_entries(read: ReadPage) -> Iterator[AuditEntry]:
    """All entries, the oldest first; `read` runs a query, as `Store.read` does."""
    last = 0
    while entries := read(partial(_read_page, after=last)):
        yield from entries
        last = entries[-1].number


def verify_entries(entries: Iterator[AuditEntry]) -> Verification:
    """Whether each entry has the number and the hash that follow from the one before it."""
    count, last_hash, broken_at = 0, "", None
    for entry in entries:
        count += 1
        content = entry[: len(_COLUMNS) - 1]
        is_right = entry.number == count and entry.hash == _hash(last_hash, content)
        broken_at = broken_at if is_right or broken_at is not None else min(entry.number, count)
        last_hash = entry.hash
    return Verification(count, last_hash, broken_at)


def _texts(change: Change) -> tuple[str, ...]:
    actor, present = change.actor, {k: v for k, v in change.detail.items() if v is not None}
    detail = json.dumps(present, ensure_ascii=False, sort_keys=True)
    texts = (actor.name, actor.role, actor.key_id, change.action, change.subject, detail)
    return tuple(text.encode("utf-8", "replace").decode() for text in texts)


def _hash(last_hash: str, content: Sequence[object]) -> str:
    return hashlib.sha256(orjson.dumps([last_hash, *content])).hexdigest()


def _read_page(connection: Connection, after: int) -> list[AuditEntry]:
    columns = [audit_log.c[name] for name in _COLUMNS]
    query = select(*columns).where(audit_log.c.number > after).order_by(audit_log.c.number).limit(ROWS_A_PAGE)
    rows = connection.execute(query).all()
    leads = _find_leads(connection, rows)
    return [
        AuditEntry(*row)._replace(lead_id=leads.get(row.subject) if _is_override(row) else None)
        for row in rows
    ]


def _find_leads(connection: Connection, rows: Sequence[Row[*tuple[object, ...]]]) -> dict[str, str]:
    """The leads of overrides by the number of their row; erased ones are not there."""
    overrides = RECORDS["overrides"].c
    numbers = [int(row.subject) for row in rows if _is_override(row) and row.subject.isdigit()]
    matches = connection.execute(select(overrides.seq, overrides.lead_id).where(overrides.seq.in_(numbers)))
    return {str(seq): lead_id for seq, lead_id in matches}


def _is_override(row: Row[*tuple[object, ...]]) -> bool:
    return bool(row.action == "override_set")
