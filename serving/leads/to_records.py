"""From what is sent to the records that are stored: keys, times, and what lies in the future."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from typing import Any

import orjson

from features.clock import to_ms
from serving.leads import bodies
from serving.leads.lead_facts import check_past
from serving.store.records import Record, RecordKind
from serving.web.field_errors import FieldError
from serving.web.problems import Problem

_TIME_FIELDS = {"leads": "updated_at", "outcomes": "closed_at", "opportunities": "opened_at"}
_TYPE_FIELDS = {"activities": "type", "handovers": "step", "overrides": "verdict", "verdicts": "right_side"}
_RENAMED = {"account_id": "account"}
_MS_FIELDS = frozenset({"created_at", "due_at", "expires_at"})
_COMMON_FIELDS = frozenset({"id", "version", "lead_id", "at", *_TIME_FIELDS.values()})


def to_record(kind: RecordKind, body: bodies.RecordIn, columns: Collection[str]) -> Record:
    """The record of something sent. Of a lead only the attributes in `columns` are stored: names and
    addresses have no place here."""
    time_ms = to_ms(getattr(body, _TIME_FIELDS.get(kind, "at")))
    key = body.id or derive_key(kind, body.lead_id, _find_type(kind, body), time_ms)
    values = _own_fields(body)
    attributes = values.get("attributes", {})
    stored_attributes = {name: value for name, value in attributes.items() if name in columns}
    if len(stored_attributes) == len(attributes):
        return Record(kind, key, body.version, body.lead_id, time_ms, values)
    stored = {**values, "attributes": stored_attributes}
    return Record(kind, key, body.version, body.lead_id, time_ms, stored, values)


def find_future_times(
    kind: RecordKind, body: bodies.RecordIn, now: int, path: str = "body"
) -> list[FieldError]:
    """The times of something sent that have not come yet, though what they tell has happened."""
    errors: list[FieldError] = []
    for name in (_TIME_FIELDS.get(kind, "at"), "created_at"):
        if (moment := getattr(body, name, None)) is not None:
            try:
                check_past(moment, f"{path}.{name}", now)
            except Problem as problem:
                errors.extend(problem.errors)
    return errors


def _own_fields(body: bodies.RecordIn) -> Mapping[str, Any]:
    """The kind's own columns, those that were told."""
    pairs = ((name, getattr(body, name)) for name in type(body).model_fields if name not in _COMMON_FIELDS)
    return {_RENAMED.get(name, name): _converter(name)(value) for name, value in pairs if value is not None}


def _converter(name: str) -> Callable[[Any], Any]:
    if name in _MS_FIELDS:
        return to_ms
    return _dump_hearing if name == "hearing" else _identity


def _dump_hearing(answers: bodies.BantAnswers) -> Mapping[str, str]:
    return answers.model_dump(exclude_none=True)


def _identity(value: Any) -> Any:
    return value


def _find_type(kind: RecordKind, body: bodies.RecordIn) -> str:
    """What tells two of a kind apart that came at the same time; of a lead's changes, what they say."""
    if isinstance(body, bodies.LeadIn):
        return orjson.dumps(body.attributes, option=orjson.OPT_SORT_KEYS).decode()
    return str(getattr(body, _TYPE_FIELDS.get(kind, ""), ""))


def derive_key(kind: RecordKind, lead_id: str, record_type: str, time_ms: int) -> str:
    """The key of what comes without an id: a hash of lead, type and time (ms UTC)."""
    text = "\n".join((kind, lead_id, record_type, str(time_ms)))
    return "h-" + hashlib.sha256(text.encode()).hexdigest()[:32]
