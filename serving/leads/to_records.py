"""From request bodies to the records that are stored: parsing, keys, and the columns that are kept."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Annotated, cast

import orjson
from pydantic import Field, TypeAdapter, ValidationError

from serving.leads.bodies import MAX_RECORDS, RECORD_MODELS, BantAnswers, LeadIn, RecordIn
from serving.leads.field_types import AttributeSchema, ParseContext
from serving.leads.large_bodies import DIRECT_BYTES, load_large, validate_items
from serving.store.records import Record, RecordKind
from serving.web.field_errors import MAX_ERRORS, InvalidFields, field_error, from_validation_error

_TIME_FIELDS = {"leads": "updated_at", "outcomes": "closed_at", "opportunities": "opened_at"}
_TYPE_FIELDS = {"activities": "type", "handovers": "step", "overrides": "verdict", "verdicts": "right_side"}
_RENAMED = {"account_id": "account"}
_COMMON_FIELDS = frozenset({"id", "version", "lead_id", "at", *_TIME_FIELDS.values()})


def parse_record(
    kind: RecordKind, body: bytes | Mapping[str, object], schema: AttributeSchema, now: int
) -> RecordIn:
    """One record, from JSON or from parsed JSON. `now` is ms UTC. Raises InvalidFields and NotJson."""
    model, context = RECORD_MODELS[kind], ParseContext(schema, now)
    if isinstance(body, bytes) and len(body) > DIRECT_BYTES:
        body = cast(Mapping[str, object], load_large(body))  # pydantic describes what is no object
    try:
        if isinstance(body, bytes):
            return model.model_validate_json(body, context=context)
        return model.model_validate(body, context=context)
    except ValidationError as error:
        raise from_validation_error(error, model=model) from None


def parse_records(kind: RecordKind, raw: bytes, schema: AttributeSchema, now: int) -> Sequence[RecordIn]:
    """The records of a request: a JSON object or a list of them. `now` is ms UTC.

    Raises InvalidFields, with the errors of the records, and NotJson.
    """
    if raw.lstrip()[:1] != b"[":
        return [parse_record(kind, raw, schema, now)]
    context = ParseContext(schema, now)
    if len(raw) > DIRECT_BYTES:
        return _parse_large_list(kind, raw, context)
    try:
        return _list_adapter(kind).validate_json(raw, context=context)
    except ValidationError as error:
        if error.error_count() > MAX_ERRORS:
            return _parse_large_list(kind, raw, context)
        raise from_validation_error(error, model=RECORD_MODELS[kind]) from None


def _parse_large_list(kind: RecordKind, raw: bytes, context: ParseContext) -> Sequence[RecordIn]:
    items = cast(Sequence[object], load_large(raw, max_values=sys.maxsize))
    if not items:
        raise InvalidFields([field_error("body", items, "at least 1 items")])
    return validate_items(RECORD_MODELS[kind], items, context, "body")


@cache
def _list_adapter(kind: RecordKind) -> TypeAdapter[list[RecordIn]]:
    model = RECORD_MODELS[kind]
    return TypeAdapter(Annotated[list[model], Field(min_length=1, max_length=MAX_RECORDS)])  # type: ignore[valid-type,arg-type]


def to_record(kind: RecordKind, body: RecordIn, columns: Collection[str]) -> Record:
    """The record of a body. Of a lead only the attributes in `columns` are stored: names and addresses are
    not needed."""
    time_ms: int = getattr(body, _TIME_FIELDS.get(kind, "at"))
    key = body.id or derive_key(kind, body.lead_id, _find_type(kind, body), time_ms)
    values = _own_fields(body)
    record = Record(kind=kind, key=key, version=body.version, lead_id=body.lead_id, at=time_ms, body=values)
    if not isinstance(body, LeadIn):
        return record
    stored_attributes = {name: value for name, value in body.attributes.items() if name in columns}
    if len(stored_attributes) == len(body.attributes):
        return record
    return replace(record, body={**values, "attributes": stored_attributes}, original=values)


def _own_fields(body: RecordIn) -> Mapping[str, object]:
    """The kind's own columns that have a value."""
    pairs = ((name, getattr(body, name)) for name in type(body).model_fields if name not in _COMMON_FIELDS)
    return {_RENAMED.get(name, name): _to_plain(value) for name, value in pairs if value is not None}


def _to_plain(value: object) -> object:
    return value.model_dump(exclude_none=True) if isinstance(value, BantAnswers) else value


def _find_type(kind: RecordKind, body: RecordIn) -> str:
    """What distinguishes two records of a kind at the same time; for changes of a lead, their content."""
    if isinstance(body, LeadIn):
        return orjson.dumps(body.attributes, option=orjson.OPT_SORT_KEYS).decode()
    return str(getattr(body, _TYPE_FIELDS.get(kind, ""), ""))


def derive_key(kind: RecordKind, lead_id: str, record_type: str, time_ms: int) -> str:
    """The key of a record without an id: a hash of lead, type and time (ms UTC)."""
    text = "\n".join((kind, lead_id, record_type, str(time_ms)))
    return "h-" + hashlib.sha256(text.encode()).hexdigest()[:32]
