"""Records that are sent: stored with fsync before they are acknowledged, and only once if sent twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future
from typing import TypeAlias

from serving.leads.bodies import RecordIn
from serving.leads.field_types import AttributeSchema
from serving.leads.mirrors import OverrideMirror
from serving.leads.to_records import to_record
from serving.observability.prometheus import Metrics
from serving.store.errors import InvalidRecord
from serving.store.records import Record, RecordKind, WriteOutcome
from serving.store.state.audit_log import Actor
from serving.store.store import Store
from serving.web.api_keys import Key
from serving.web.field_errors import FieldError, InvalidFields

AcceptedRecord: TypeAlias = tuple[Record, WriteOutcome]
MAX_INLINE_RECORDS = 100
"""More records than these are prepared in a thread, so that the event loop goes on."""


def to_actor(key: Key) -> Actor:
    """The holder of a key, as the audit log names it."""
    return Actor(key.name, key.role, key.id)


class RecordIntake:
    """Stores records and takes them into account at once."""

    def __init__(
        self, schema: AttributeSchema, store: Store, overrides: OverrideMirror, metrics: Metrics
    ) -> None:
        self._schema, self._store = schema, store
        self._overrides, self._metrics = overrides, metrics

    async def accept(self, kind: RecordKind, bodies: Sequence[RecordIn], key: Key) -> list[AcceptedRecord]:
        """Store records that the holder of `key` sends; each with its outcome, at its place, once they are on
        the disk.

        Raises InvalidFields for a value that no database holds, and StoreUnavailable; nothing is stored then.
        """
        if len(bodies) > MAX_INLINE_RECORDS:
            records, future = await asyncio.to_thread(self._begin_storing, kind, bodies, key)
        else:
            records, future = self._begin_storing(kind, bodies, key)
        try:
            outcomes = await asyncio.wrap_future(future)
        except InvalidRecord as error:
            raise InvalidFields([FieldError("body", "a value", str(error))]) from None
        for outcome, count in Counter(outcomes).items():
            self._metrics.count_records(kind, outcome, count)
        accepted = list(zip(records, outcomes, strict=True))
        self._overrides.add(record for record, outcome in accepted if outcome == "stored")
        return accepted

    def _begin_storing(
        self, kind: RecordKind, bodies: Sequence[RecordIn], key: Key
    ) -> tuple[list[Record], Future[list[WriteOutcome]]]:
        records = [to_record(kind, body, self._schema.columns) for body in bodies]
        return records, self._store.add_records(records, to_actor(key))
