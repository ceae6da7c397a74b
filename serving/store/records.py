"""What the service takes in (records) and what it answered (predictions), before they are stored."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

import orjson

Kind: TypeAlias = Literal[
    "leads", "activities", "outcomes", "opportunities", "handovers", "overrides", "verdicts"
]
Outcome: TypeAlias = Literal["stored", "known", "conflict"]
"""What became of a record: new; there already, the same; there already with other content."""
Kept: TypeAlias = Literal["stored", "queued", "not_stored"]
"""What became of predictions: in the database; in the queue on disk; nowhere."""
Form: TypeAlias = Literal["text", "time", "real", "object"]
Plain: TypeAlias = str | int | float | None

KINDS: tuple[Kind, ...] = get_args(Kind)
COLUMNS: Mapping[Kind, Mapping[str, Form]] = {
    "leads": {"attributes": "object", "created_at": "time", "account": "text"},
    "activities": {"type": "text", "value": "real"},
    "outcomes": {"outcome": "text", "amount": "real", "lost_reason": "text"},
    "opportunities": {"stage": "text", "amount": "real", "by": "text"},
    "handovers": {
        "step": "text",
        "by": "text",
        "reason": "text",
        "hearing": "object",
        "due_at": "time",
    },
    "overrides": {"verdict": "text", "reason": "text", "by": "text", "expires_at": "time"},
    "verdicts": {
        "right_side": "text",
        "reason": "text",
        "by": "text",
        "model_version": "text",
        "card_version": "text",
    },
}
"""Each kind's own columns, beside key, version, lead_id and at."""


class Refused(ValueError):
    """A record that no database could hold; the message names the column and what is allowed."""


@dataclass(frozen=True, slots=True)
class Record:
    """Something that happened to a lead, as the CRM told it.

    `key` is the sender's id, a later `version` of it corrects an earlier one; `at` is ms UTC.
    `body` holds the kind's own COLUMNS; absent ones are NULL. `sent` is all that was sent for them,
    where that is more: whether the same came twice must not hang on which columns are kept today.
    """

    kind: Kind
    key: str
    version: int
    lead_id: str
    at: int
    body: Mapping[str, Any] = field(default_factory=dict)
    sent: Mapping[str, Any] | None = None

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the content: lead_id, at and what was sent. Raises Refused."""
        return _digest(self, self.plain())

    def plain(self) -> tuple[Plain, ...]:
        """The values of the kind's own COLUMNS as a database holds them. Raises Refused."""
        return _plain(self.kind, self.body)

    def row(self) -> tuple[Plain, ...]:
        """The whole row: key, version, lead_id, at, digest, then the own columns. Raises Refused."""
        for name in ("key", "lead_id"):
            _checked("text", getattr(self, name), name)
        for name in ("version", "at"):
            _checked("time", getattr(self, name), name)
        own = self.plain()
        return (self.key, self.version, self.lead_id, self.at, _digest(self, own), *own)


class Prediction(NamedTuple):
    """One answer of the service, with both sides. Times are ms UTC.

    `replay`: its moment was asked for, so it is no lead's present score. `detail` is JSON: reasons
    as codes and numbers of both sides, cautions, triggers and the like.
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


def _plain(kind: Kind, body: Mapping[str, Any]) -> tuple[Plain, ...]:
    own = COLUMNS[kind]
    if unknown := body.keys() - own.keys():
        raise Refused(f"{kind}: no column {min(unknown)!r}; known are {', '.join(own)}.")
    return tuple(_checked(form, body.get(name), f"{kind}.{name}") for name, form in own.items())


def _digest(record: Record, own: tuple[Plain, ...]) -> str:
    sent = own if record.sent is None else _plain(record.kind, record.sent)
    content = orjson.dumps([record.lead_id, record.at, sent])
    return hashlib.sha256(content).hexdigest()


def _checked(form: Form, value: Any, where: str) -> Plain:
    return None if value is None else _FORMS[form](value, where)


def _text(value: Any, where: str) -> Plain:
    if not isinstance(value, str):
        raise Refused(f"{where} must be a text.")
    if "\0" in value or not _encodable(value):
        raise Refused(f"{where} holds a character that cannot be stored (NUL or half a pair).")
    return value


def _encodable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _time(value: Any, where: str) -> Plain:
    if type(value) is not int or not -(2**63) <= value < 2**63:
        raise Refused(f"{where} must be a whole number of at most 64 bits.")
    return value


def _real(value: Any, where: str) -> Plain:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.inf
    if math.isinf(number):
        raise Refused(f"{where} must be a number below 1e308.")
    return None if math.isnan(number) else number


def _object(value: Any, where: str) -> Plain:
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    except orjson.JSONEncodeError:
        raise Refused(f"{where} must be plain JSON, with whole numbers of at most 64 bits.") from None


_FORMS: Mapping[Form, Callable[[Any, str], Plain]] = {
    "text": _text,
    "time": _time,
    "real": _real,
    "object": _object,
}
