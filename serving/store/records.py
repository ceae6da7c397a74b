"""What is stored and read: records (what the CRM sends), predictions (what the service answers), and the rows
of leads, sales steps and the call list.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

import orjson

from features.clock import NEVER
from features.one_lead import AttributeChange, Event
from scoring.decision.sales_status import SalesStep
from serving.store.errors import InvalidRecord

RecordKind: TypeAlias = Literal[
    "leads", "activities", "outcomes", "opportunities", "handovers", "overrides", "verdicts"
]
WriteOutcome: TypeAlias = Literal["stored", "known", "conflict", "suppressed"]
"""The outcome of a record: new; stored already with this content; stored already with other content; not
stored, as its lead was erased."""
StoredState: TypeAlias = Literal["stored", "queued", "not_stored", "suppressed"]
"""Where predictions are: in the database; in the queue on disk; nowhere; nowhere, as the lead was erased."""
ColumnType: TypeAlias = Literal["text", "time", "real", "object"]
SqlValue: TypeAlias = str | int | float | None
StepsByLead: TypeAlias = Mapping[str, tuple[SalesStep, ...]]

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
KINDS: tuple[RecordKind, ...] = get_args(RecordKind)
COLUMNS: Mapping[RecordKind, Mapping[str, ColumnType]] = {
    "leads": {"attributes": "object", "created_at": "time", "account": "text", "amount": "real"},
    "activities": {"type": "text", "value": "real"},
    "outcomes": {"outcome": "text", "amount": "real", "lost_reason": "text"},
    "opportunities": {"stage": "text", "amount": "real", "by": "text"},
    "handovers": {"step": "text", "by": "text", "reason": "text", "hearing": "object", "due_at": "time"},
    "overrides": {"verdict": "text", "reason": "text", "by": "text", "expires_at": "time"},
    "verdicts": {
        "right_side": "text",
        "reason": "text",
        "by": "text",
        "model_version": "text",
        "card_version": "text",
    },
}
"""The columns of each kind, after key, version, lead_id and at, which all kinds have."""
_ADDED_COLUMNS: Mapping[RecordKind, int] = {"leads": 1}
"""How many of the last columns of a kind are younger than rows that exist: where they are empty, the digest
is as it was before."""


@dataclass(frozen=True, slots=True)
class Record:
    """An event of a lead, as sent by the CRM.

    `key` is the sender's id; a higher `version` of it corrects a lower one. `at` is ms UTC. `body` holds
    values of the kind's COLUMNS; missing ones are NULL. `original` is the complete body, if columns were
    left out of it: the digest must not depend on which columns are stored today.
    """

    kind: RecordKind
    key: str
    version: int
    lead_id: str
    at: int
    body: Mapping[str, Any] = field(default_factory=dict)
    original: Mapping[str, Any] | None = None

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the content: lead_id, at and the complete body. Raises InvalidRecord."""
        return str(self.row()[4])

    def row(self) -> tuple[SqlValue, ...]:
        """The row: key, version, lead_id, at, digest, then the kind's COLUMNS. Raises InvalidRecord."""
        for name in ("key", "lead_id"):
            _to_sql_value("text", getattr(self, name), name)
        for name in ("version", "at"):
            _to_sql_value("time", getattr(self, name), name)
        values = _convert_body(self.kind, self.body)
        content = values if self.original is None else _convert_body(self.kind, self.original)
        compared = _drop_added(self.kind, content)
        digest = hashlib.sha256(orjson.dumps([self.lead_id, self.at, compared])).hexdigest()
        return (self.key, self.version, self.lead_id, self.at, digest, *values)


class Prediction(NamedTuple):
    """One answer of the service, with the results of the model and of the rules. Times are ms UTC.

    `replay`: the request named a moment, so that this is not the lead's present score. `detail` is JSON:
    the reasons of both sides as codes and numbers, cautions and triggers.
    """

    lead_id: str
    as_of: int
    scored_at: int
    replay: bool
    score: int
    stage: str
    decided_by: str
    fallback: str | None
    model_version: str | None
    probability: float | None
    model_score: int | None
    model_stage: str | None
    card_version: str
    points: int
    fit: int
    intent: int
    rules_score: int
    rules_stage: str
    action: str
    owner: str
    deadline: int | None
    request_id: str | None
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredLead:
    """The stored history of a lead. Times are ms UTC; lists are sorted by time, then by arrival.

    `created` is the earliest created_at, else the time of the lead's first record. `changes` are all values
    of attributes that were ever sent (None: emptied). `hearings` are topic, time and answer of the hearing.
    `colleagues` are the activities of each other lead of its account. Many activities of a lead are
    EventColumns. `amount` is what its open deal is
    expected to bring (None: unknown).
    """

    lead_id: str
    created: int
    account: str | None
    changes: list[AttributeChange]
    events: Sequence[Event]
    hearings: list[tuple[str, int, str]]
    colleagues: list[Sequence[Event]]
    first_contacts: list[int]
    amount: float | None = None


@dataclass(frozen=True, slots=True)
class StoredSteps:
    """Steps of sales: the new ones by lead, all steps of each lead that had a correction, the number of
    rows read, and the newest row (`seq`) of each table."""

    by_lead: StepsByLead = field(default_factory=dict)
    corrected: StepsByLead = field(default_factory=dict)
    count: int = 0
    newest: tuple[int, ...] = ()


@dataclass
class ErasedLeads:
    """Erased rows by table, those of the queue on disk as "spool", the leads that had any, and those that
    were on the suppression list before."""

    rows: dict[str, int] = field(default_factory=dict)
    leads: set[str] = field(default_factory=set)
    suppressed_before: set[str] = field(default_factory=set)

    def add(self, leads: set[str], rows: Mapping[str, int], suppressed_before: set[str]) -> None:
        self.leads |= leads
        self.suppressed_before |= suppressed_before - self.leads
        for table, count in rows.items():
            self.rows[table] = self.rows.get(table, 0) + count


class ListCursor(NamedTuple):
    """A position in the call list, which is sorted by deadline (ms UTC; NEVER: none), descending score
    and id."""

    due: int
    score: int
    lead_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HotRow:
    """A lead to call: its present score, since when it is hot, and the steps of sales. Times are ms UTC.

    `deadline` is the earliest of the predictions since the lead became hot (None: none),
    `first_contact_at` the first contact since then, `last_step` the newest hand-over step of any kind.
    """

    lead_id: str
    as_of: int
    scored_at: int
    score: int
    decided_by: str
    fallback: str | None
    model_version: str | None
    probability: float | None
    model_score: int | None
    card_version: str
    points: int
    rules_score: int
    action: str
    owner: str
    deadline: int | None
    request_id: str | None
    detail: str
    stage_since: int
    first_contact_at: int | None = None
    last_step: str | None = None

    @property
    def cursor(self) -> ListCursor:
        return ListCursor(NEVER if self.deadline is None else self.deadline, self.score, self.lead_id)


def _convert_body(kind: RecordKind, body: Mapping[str, object]) -> tuple[SqlValue, ...]:
    """The values of the kind's COLUMNS as a database stores them. Raises InvalidRecord."""
    columns = COLUMNS[kind]
    if unknown := body.keys() - columns.keys():
        raise InvalidRecord(f"{kind}: no column {min(unknown)!r}; known are {', '.join(columns)}.")
    return tuple(
        _to_sql_value(column_type, body.get(name), f"{kind}.{name}") for name, column_type in columns.items()
    )


def _drop_added(kind: RecordKind, values: tuple[SqlValue, ...]) -> tuple[SqlValue, ...]:
    """The values without those of added columns that are empty."""
    first = len(values) - _ADDED_COLUMNS.get(kind, 0)
    return values if any(value is not None for value in values[first:]) else values[:first]


def _to_sql_value(column_type: ColumnType, value: object, column: str) -> SqlValue:
    return None if value is None else _CONVERTERS[column_type](value, column)


def _to_text(value: object, column: str) -> SqlValue:
    if not isinstance(value, str):
        raise InvalidRecord(f"{column} must be a text.")
    if _UNSTORABLE.search(value):
        raise InvalidRecord(f"{column} holds a character that cannot be stored (NUL or half a pair).")
    return value


def _to_integer(value: object, column: str) -> SqlValue:
    if type(value) is not int or not -(2**63) <= value < 2**63:
        raise InvalidRecord(f"{column} must be a whole number of at most 64 bits.")
    return value


def _to_real(value: object, column: str) -> SqlValue:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        number = math.inf
    if math.isinf(number):
        raise InvalidRecord(f"{column} must be a number below 1e308.")
    return None if math.isnan(number) else number


def _to_json(value: object, column: str) -> SqlValue:
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    except orjson.JSONEncodeError:
        raise InvalidRecord(f"{column} must be plain JSON, with whole numbers of at most 64 bits.") from None


_CONVERTERS: Mapping[ColumnType, Callable[[object, str], SqlValue]] = {
    "text": _to_text,
    "time": _to_integer,
    "real": _to_real,
    "object": _to_json,
}
