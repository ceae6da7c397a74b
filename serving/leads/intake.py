"""What is sent to be remembered: checked whole, stored with fsync, acknowledged once, whoever sends twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import cache
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from features.clock import now_ms
from features.settings import CrmSettings
from serving.leads import bodies
from serving.leads.lead_facts import AttributeSchema, find_ignored
from serving.leads.overrides import OverrideMirror
from serving.leads.partial_parse import salvaged
from serving.leads.to_records import find_future_times, to_record
from serving.observability.prometheus import Metrics
from serving.store.errors import InvalidRecord
from serving.store.records import Record, RecordKind, WriteOutcome
from serving.store.store import Store, StoreUnavailable
from serving.web.field_errors import FieldError, field_error
from serving.web.problems import conflict, from_validation_error, invalid_fields, store_unavailable

_OUTCOME_TEXTS: Mapping[WriteOutcome, str] = {"stored": "stored", "known": "already known"}
MAX_INLINE_BYTES = 65_536
"""Bodies of more bytes are read beside the loop."""


class RecordIntake:
    """Takes in what is sent. `clock` gives ms UTC."""

    def __init__(
        self,
        crm: CrmSettings,
        store: Store,
        overrides: OverrideMirror,
        metrics: Metrics,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._schema, self._clock = AttributeSchema.from_settings(crm), clock
        self._store, self._overrides, self._metrics = store, overrides, metrics

    async def accept(self, kind: RecordKind, raw: bytes) -> tuple[int, dict[str, Any]]:
        """Store one body or a list of them; the status and the answer, once it is on the disk.

        A list is checked as a whole before anything of it is stored. Raises Problem: 400, 409, 422, 503.
        """
        is_list = raw.lstrip()[:1] == b"["
        if len(raw) > MAX_INLINE_BYTES:  # the loop answers others meanwhile
            items, records, future = await asyncio.to_thread(self._prepare, kind, raw, is_list)
        else:
            items, records, future = self._prepare(kind, raw, is_list)
        outcomes = await self._await_outcomes(future)
        for outcome, count in Counter(outcomes).items():
            self._metrics.count_records(kind, outcome, count)
        self._overrides.add(
            record for record, result in zip(records, outcomes, strict=True) if result == "stored"
        )
        _check_conflicts(records, outcomes, is_list)
        result = [
            _acknowledge(record, outcome) | self._find_unused(item)
            for record, outcome, item in zip(records, outcomes, items, strict=True)
        ]
        status = 201 if "stored" in outcomes else 200
        return status, {"results": result} if is_list else result[0]

    def _parse(self, kind: RecordKind, raw: bytes, is_list: bool) -> Sequence[bodies.RecordIn]:
        """What was sent; all that is wrong with any of it is told at once."""
        try:
            parsed = _adapter(kind, is_list).validate_json(raw)
        except ValidationError as error:
            problem = from_validation_error(error, model=bodies.RECORD_MODELS[kind])
            parsed = salvaged(bodies.RECORD_MODELS[kind], raw)
            raise problem.with_errors(self._find_errors(kind, parsed, is_list)) from None
        items = parsed if is_list else [parsed]
        if errors := self._find_errors(kind, items, is_list):
            raise invalid_fields(errors)
        return items

    def _find_errors(
        self, kind: RecordKind, items: Sequence[bodies.RecordIn], is_list: bool
    ) -> list[FieldError]:
        """Values that no later score could use, and times that have not come."""
        now, errors = self._clock(), list[FieldError]()
        for i, item in enumerate(items):
            path = f"body[{i}]" if is_list else "body"
            errors += _find_value_errors(item, self._schema, path)
            errors += find_future_times(kind, item, now, path)
        return errors

    def _find_unused(self, item: bodies.RecordIn) -> dict[str, tuple[str, ...]]:
        """The attributes that are not stored, and a type of activity that no feature names."""
        if isinstance(item, bodies.LeadIn):
            unused = {"ignored_attributes": find_ignored(item.attributes, self._schema.columns)}
        elif isinstance(item, bodies.ActivityIn):
            unused = {"unknown_activities": self._schema.find_unknown_types([item.type])}
        else:
            return {}
        return {name: names for name, names in unused.items() if names}

    def _prepare(
        self, kind: RecordKind, raw: bytes, is_list: bool
    ) -> tuple[Sequence[bodies.RecordIn], list[Record], Future[list[WriteOutcome]]]:
        """What was sent, checked and on its way to the disk."""
        items = self._parse(kind, raw, is_list)
        records = [to_record(kind, item, self._schema.columns) for item in items]
        return items, records, self._store.add_records(records)

    async def _await_outcomes(self, future: Future[list[WriteOutcome]]) -> list[WriteOutcome]:
        try:
            return await asyncio.wrap_future(future)
        except StoreUnavailable as problem:
            raise store_unavailable(
                "The store is away, so nothing was taken in. Send it again later.", problem.retry_after
            ) from None
        except InvalidRecord as problem:
            raise invalid_fields([FieldError("body", "a value", str(problem))]) from None


@cache
def _adapter(kind: RecordKind, is_list: bool) -> TypeAdapter[Any]:
    body = bodies.RECORD_MODELS[kind]
    if not is_list:
        return TypeAdapter(body)
    return TypeAdapter(Annotated[list[body], Field(min_length=1, max_length=bodies.MAX_RECORDS)])  # type: ignore[valid-type,arg-type]


def _find_value_errors(item: bodies.RecordIn, schema: AttributeSchema, path: str) -> list[FieldError]:
    """The values that their columns cannot take: no later score could use them."""
    if isinstance(item, bodies.LeadIn):
        return schema.find_errors(item.attributes, f"{path}.attributes")
    if isinstance(item, bodies.HandoverIn) and item.hearing is not None:
        return [
            replace(error, path=f"{path}.hearing.{role}")
            for role, value in item.hearing
            if role in schema.roles
            for error in schema.find_errors({schema.roles[role]: value}, path)
        ]
    return []


def _check_conflicts(records: Sequence[Record], outcomes: Sequence[WriteOutcome], is_list: bool) -> None:
    """Raise the 409 where an id was sent before with other content; the others are stored."""
    errors = [
        field_error(
            f"body[{i}].id" if is_list else "body.id",
            record.key,
            "the content that was sent first, or a higher version",
        )
        for i, (record, outcome) in enumerate(zip(records, outcomes, strict=True))
        if outcome == "conflict"
    ]
    if errors:
        rest = len(records) - len(errors)
        others = f" The other {rest:,} of the list are stored." if is_list else ""
        raise conflict(
            "What was sent is at odds with what was sent before under the same id. To correct it, send "
            f"it with a higher version.{others}",
            errors,
        )


def _acknowledge(record: Record, outcome: WriteOutcome) -> dict[str, Any]:
    return {
        "id": record.key,
        "version": record.version,
        "lead_id": record.lead_id,
        "outcome": _OUTCOME_TEXTS[outcome],
    }
