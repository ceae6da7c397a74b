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
from serving.leads.lead_facts import Reading, ignored
from serving.leads.overrides import Said
from serving.leads.partial_parse import salvaged
from serving.leads.to_records import in_future, record_of
from serving.observability.prometheus import Metrics
from serving.store.records import Kind, Outcome, Record, Refused
from serving.store.store import Store, StoreAway
from serving.web.field_errors import Wrong, wrong
from serving.web.problems import away, conflict, of_validation, wrong_fields

_SAID: Mapping[Outcome, str] = {"stored": "stored", "known": "already known"}
LARGE = 65_536
"""Bodies of more bytes are read beside the loop."""


class Intake:
    """Takes in what is sent. `clock` gives ms UTC."""

    def __init__(
        self,
        crm: CrmSettings,
        store: Store,
        said: Said,
        metrics: Metrics,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._how, self._clock = Reading.of(crm), clock
        self._store, self._said, self._metrics = store, said, metrics

    async def take(self, kind: Kind, raw: bytes) -> tuple[int, dict[str, Any]]:
        """Store one body or a list of them; the status and the answer, once it is on the disk.

        A list is checked as a whole before anything of it is stored. Raises Problem: 400, 409, 422, 503.
        """
        is_list = raw.lstrip()[:1] == b"["
        if len(raw) > LARGE:  # the loop answers others meanwhile
            sent, records, future = await asyncio.to_thread(self._begun, kind, raw, is_list)
        else:
            sent, records, future = self._begun(kind, raw, is_list)
        outcomes = await self._stored(future)
        for outcome, count in Counter(outcomes).items():
            self._metrics.record(kind, outcome, count)
        self._said.add(record for record, told in zip(records, outcomes, strict=True) if told == "stored")
        _check_conflicts(records, outcomes, is_list)
        told = [
            _told(record, outcome) | self._unused(each)
            for record, outcome, each in zip(records, outcomes, sent, strict=True)
        ]
        status = 201 if "stored" in outcomes else 200
        return status, {"results": told} if is_list else told[0]

    def _parsed(self, kind: Kind, raw: bytes, is_list: bool) -> Sequence[bodies.Sent]:
        """What was sent; all that is wrong with any of it is told at once."""
        try:
            told = _adapter(kind, is_list).validate_json(raw)
        except ValidationError as error:
            problem = of_validation(error, model=bodies.SENT[kind])
            told = salvaged(bodies.SENT[kind], raw)
            raise problem.beside(self._wrong(kind, told, is_list)) from None
        sent = told if is_list else [told]
        if errors := self._wrong(kind, sent, is_list):
            raise wrong_fields(errors)
        return sent

    def _wrong(self, kind: Kind, sent: Sequence[bodies.Sent], is_list: bool) -> list[Wrong]:
        """Values that no later score could use, and times that have not come."""
        now, errors = self._clock(), list[Wrong]()
        for i, each in enumerate(sent):
            path = f"body[{i}]" if is_list else "body"
            errors += _wrong_values(each, self._how, path)
            errors += in_future(kind, each, now, path)
        return errors

    def _unused(self, sent: bodies.Sent) -> dict[str, tuple[str, ...]]:
        """The attributes that are not stored, and a type of activity that no feature names."""
        if isinstance(sent, bodies.SentLead):
            told = {"ignored_attributes": ignored(sent.attributes, self._how.columns)}
        elif isinstance(sent, bodies.SentActivity):
            told = {"unknown_activities": self._how.strange([sent.type])}
        else:
            return {}
        return {name: each for name, each in told.items() if each}

    def _begun(
        self, kind: Kind, raw: bytes, is_list: bool
    ) -> tuple[Sequence[bodies.Sent], list[Record], Future[list[Outcome]]]:
        """What was sent, checked and on its way to the disk."""
        sent = self._parsed(kind, raw, is_list)
        records = [record_of(kind, each, self._how.columns) for each in sent]
        return sent, records, self._store.accept(records)

    async def _stored(self, future: Future[list[Outcome]]) -> list[Outcome]:
        try:
            return await asyncio.wrap_future(future)
        except StoreAway as problem:
            raise away(
                "The store is away, so nothing was taken in. Send it again later.", problem.retry_after
            ) from None
        except Refused as problem:
            raise wrong_fields([Wrong("body", "a value", str(problem))]) from None


@cache
def _adapter(kind: Kind, is_list: bool) -> TypeAdapter[Any]:
    body = bodies.SENT[kind]
    if not is_list:
        return TypeAdapter(body)
    return TypeAdapter(Annotated[list[body], Field(min_length=1, max_length=bodies.RECORDS_MOST)])  # type: ignore[valid-type,arg-type]


def _wrong_values(sent: bodies.Sent, how: Reading, path: str) -> list[Wrong]:
    """The values that their columns cannot take: no later score could use them."""
    if isinstance(sent, bodies.SentLead):
        return how.wrong(sent.attributes, f"{path}.attributes")
    if isinstance(sent, bodies.SentHandover) and sent.hearing is not None:
        return [
            replace(wrong, path=f"{path}.hearing.{role}")
            for role, told in sent.hearing
            if role in how.roles
            for wrong in how.wrong({how.roles[role]: told}, path)
        ]
    return []


def _check_conflicts(records: Sequence[Record], outcomes: Sequence[Outcome], is_list: bool) -> None:
    """Raise the 409 where an id was sent before with other content; the others are stored."""
    errors = [
        wrong(
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


def _told(record: Record, outcome: Outcome) -> dict[str, Any]:
    return {"id": record.key, "version": record.version, "lead_id": record.lead_id, "outcome": _SAID[outcome]}
