"""From what is sent to the records that are stored: keys, times, and what lies in the future."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from typing import Any

import orjson

from features.clock import to_ms
from serving.leads import bodies
from serving.leads.lead_facts import check_past
from serving.store.records import Kind, Record
from serving.web.field_errors import Wrong
from serving.web.problems import Problem

_AT = {"leads": "updated_at", "outcomes": "closed_at", "opportunities": "opened_at"}
_TYPE = {"activities": "type", "handovers": "step", "overrides": "verdict", "verdicts": "right_side"}
_RENAMED = {"account_id": "account"}
_TIMES = frozenset({"created_at", "due_at", "expires_at"})
_COMMON = frozenset({"id", "version", "lead_id", "at", *_AT.values()})


def record_of(kind: Kind, sent: bodies.Sent, columns: Collection[str]) -> Record:
    """The record of something sent. Of a lead only the attributes in `columns` are stored: names and
    addresses have no place here."""
    at = to_ms(getattr(sent, _AT.get(kind, "at")))
    key = sent.id or key_of(kind, sent.lead_id, _type_of(kind, sent), at)
    told = _own(sent)
    attributes = told.get("attributes", {})
    kept = {name: value for name, value in attributes.items() if name in columns}
    if len(kept) == len(attributes):
        return Record(kind, key, sent.version, sent.lead_id, at, told)
    stored = {**told, "attributes": kept}
    return Record(kind, key, sent.version, sent.lead_id, at, stored, told)


def in_future(kind: Kind, sent: bodies.Sent, now: int, path: str = "body") -> list[Wrong]:
    """The times of something sent that have not come yet, though what they tell has happened."""
    found: list[Wrong] = []
    for name in (_AT.get(kind, "at"), "created_at"):
        if (at := getattr(sent, name, None)) is not None:
            try:
                check_past(at, f"{path}.{name}", now)
            except Problem as problem:
                found.extend(problem.errors)
    return found


def _own(sent: bodies.Sent) -> Mapping[str, Any]:
    """The kind's own columns, those that were told."""
    told = ((name, getattr(sent, name)) for name in type(sent).model_fields if name not in _COMMON)
    return {_RENAMED.get(name, name): _plain(name)(value) for name, value in told if value is not None}


def _plain(name: str) -> Callable[[Any], Any]:
    if name in _TIMES:
        return to_ms
    return _hearing if name == "hearing" else _same


def _hearing(told: bodies.Hearing) -> Mapping[str, str]:
    return told.model_dump(exclude_none=True)


def _same(value: Any) -> Any:
    return value


def _type_of(kind: Kind, sent: bodies.Sent) -> str:
    """What tells two of a kind apart that came at the same time; of a lead's changes, what they say."""
    if isinstance(sent, bodies.SentLead):
        return orjson.dumps(sent.attributes, option=orjson.OPT_SORT_KEYS).decode()
    return str(getattr(sent, _TYPE.get(kind, ""), ""))


def key_of(kind: Kind, lead_id: str, what: str, at: int) -> str:
    """The key of what comes without an id: a hash of lead, type and time (ms UTC)."""
    told = "\n".join((kind, lead_id, what, str(at)))
    return "h-" + hashlib.sha256(told.encode()).hexdigest()[:32]
