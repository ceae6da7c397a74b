"""The audit log for commands: what they change goes into it; `hotlead audit-log` shows and verifies it."""

from __future__ import annotations

import csv
import getpass
import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from features.clock import iso
from features.crm.values.csv_output import BYTE_ORDER_MARK, escape_formula
from features.errors import DataError, OutsideError, SettingsError
from features.files import atomic_file
from features.language import Language
from features.messages import Message
from scoring.review_requests import ReviewAction, ReviewResult
from serving.settings import ServiceSettings
from serving.store.backends.base import Database
from serving.store.errors import StoreUnavailable
from serving.store.migrate import read_revision
from serving.store.state.audit_log import (
    Actor,
    AuditAction,
    AuditEntry,
    Change,
    Verification,
    iter_entries,
    record_change,
    verify_entries,
)
from serving.store.state.known_store import has_store, unavailable_store
from serving.store.store import database_from_url
from serving.store.tables import SCHEMA

PATIENCE_SECONDS = 5.0
"""How long a busy store is tried again."""
FIELDS = ("number", "made_at", "actor", "role", "key_id", "action", "subject", "lead_id", "detail", "hash")
"""The columns of an exported file."""


def command_actor(user: str | None = None) -> Actor:
    """Who runs a command: `user` or, without it, the user of the machine."""
    return Actor(user or getpass.getuser(), "command")


def record_command(
    settings: ServiceSettings,
    action: AuditAction,
    subject: str,
    detail: Mapping[str, object],
    user: str | None = None,
) -> Message | None:
    """Note what a command has changed outside the store; None if that is done or there is no store yet.

    The change is made already, so nothing is raised: the message says why it is not in the log.
    """
    change = Change(command_actor(user), action, subject, detail)
    until = time.monotonic() + PATIENCE_SECONDS
    while has_store(settings):
        try:
            with _open(settings) as database, database.transaction() as connection:
                record_change(connection, change)
                return None
        except StoreUnavailable as problem:
            if time.monotonic() + problem.retry_after > until:
                return Message(
                    "The change is made, but it is not in the audit log: the store at {url} is away ({why}).",
                    url=settings.shown_store,
                    why=str(problem),
                )
            time.sleep(problem.retry_after)
    return None


def record_review_result(settings: ServiceSettings, result: ReviewResult) -> Message | None:
    """Note what the follower has done with a model for a person on the pages; see `record_command`."""
    if not result.ok:
        return None
    request = result.request
    action = _REVIEW_ACTIONS[request.action]
    detail = {"note": request.note, "override": request.override or None, "for": "the review pages"}
    return record_command(settings, action, request.registered, detail, request.by)


def read_entries(settings: ServiceSettings, since: int | None = None) -> list[AuditEntry]:
    """The entries made at `since` (ms UTC) or later, the oldest first. Raises OutsideError."""
    with _reading(settings) as database:
        return [entry for entry in iter_entries(database.read) if since is None or entry.made_at >= since]


def verify(settings: ServiceSettings) -> Verification:
    """Verify the whole log. Raises DataError when an entry was altered or removed, OutsideError."""
    with _reading(settings) as database:
        result = verify_entries(iter_entries(database.read))
    if result.broken_at is not None:
        raise DataError(
            "The audit log of {url} was altered: entry {number} is not the one that was written, or the one "
            "before it is missing. Compare it with an export or a backup.",
            url=settings.shown_store,
            number=result.broken_at,
        )
    return result


def write_entries(entries: Iterable[AuditEntry], path: Path) -> None:
    """Write entries as CSV or, one JSON object a line, as JSONL. Raises SettingsError for another ending."""
    if path.suffix not in (".csv", ".jsonl"):
        raise SettingsError("--to {path}: name a file that ends with .csv or .jsonl.", path=path)
    rows = (to_dict(entry) for entry in entries)
    with atomic_file(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        if path.suffix == ".jsonl":
            file.writelines(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
            return
        file.write(BYTE_ORDER_MARK)
        writer = csv.writer(file)
        writer.writerow(FIELDS)
        writer.writerows([escape_formula(row[name]) for name in FIELDS] for row in rows)


def to_dict(entry: AuditEntry) -> dict[str, str | int | None]:
    """An entry as plain values; the time is ISO 8601 in UTC."""
    return {name: iso(entry.made_at) if name == "made_at" else getattr(entry, name) for name in FIELDS}


@contextmanager
def _reading(settings: ServiceSettings) -> Iterator[Database]:
    if not has_store(settings):
        raise OutsideError(
            "There is no store at {url}. Start the service with `hotlead serve`, or "
            "say with HOTLEAD_STORE_URL or --out where it keeps its store.",
            url=settings.shown_store,
        )
    try:
        with _open(settings) as database:
            yield database
    except StoreUnavailable as problem:
        raise unavailable_store(settings, problem) from None


@contextmanager
def _open(settings: ServiceSettings) -> Iterator[Database]:
    """The store as it is: a command for another purpose does not migrate it."""
    database = database_from_url(settings.store_url)
    try:
        revision = database.read(read_revision)
        if revision != SCHEMA:
            raise StoreUnavailable(f"its tables are of revision {revision}, this version knows {SCHEMA}")
        yield database
    finally:
        database.close()


def print_entries(entries: Sequence[AuditEntry], lang: Language) -> None:
    """Print entries as a table, without their hashes."""
    if not entries:
        print(Message("There is no entry.").text(lang))
        return
    table = Table(
        *(header.text(lang) for header in _HEADERS),
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
        header_style="",
    )
    for entry in entries:
        actor = f"{entry.actor} ({', '.join(filter(None, (entry.role, entry.key_id)))})"
        subject = entry.lead_id or entry.subject
        row = (
            str(entry.number),
            iso(entry.made_at),
            actor,
            _describe_action(entry.action, lang),
            subject,
            entry.detail,
        )
        table.add_row(*map(Text, row))
    Console(width=_WIDTH).print(table)


def _describe_action(action: str, lang: Language) -> str:
    """An action in words; one of a later version by its name."""
    message = _ACTIONS.get(action)
    return action if message is None else message.text(lang)


_REVIEW_ACTIONS: Mapping[ReviewAction, AuditAction] = {
    "approve": "model_approved",
    "reject": "model_rejected",
    "promote": "model_promoted",
    "rollback": "model_rolled_back",
}
_WIDTH = 240  # no column is wrapped or cut
_HEADERS = (
    Message("number"),
    Message("time"),
    Message("by"),
    Message("change"),
    Message("what"),
    Message("details"),
)
_ACTIONS: Mapping[str, Message] = {
    "definition_saved": Message("definition saved"),
    "definition_signed": Message("definition signed"),
    "definition_in_force": Message("definition put in force"),
    "definition_from_file": Message("definition changed in the file"),
    "model_requested": Message("model: action requested"),
    "model_approved": Message("model approved"),
    "model_rejected": Message("model rejected"),
    "model_promoted": Message("model promoted"),
    "model_rolled_back": Message("model rolled back"),
    "key_added": Message("key added"),
    "key_rotated": Message("key rotated"),
    "key_revoked": Message("key revoked"),
    "override_set": Message("override set"),
    "lead_erased": Message("lead erased"),
}
