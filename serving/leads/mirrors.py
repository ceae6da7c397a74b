"""What people decided and did, mirrored in memory: overrides, closed deals, contacts, dates of next actions.

It is known for every score without a query, also while the store is unavailable. A lead with a step of sales
takes about 250 bytes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Protocol, TypeVar

from sqlalchemy.engine import Connection

from features.clock import NEVER
from scoring.decision.overrides import VERDICTS, Override, group_by_lead, newest_in_force
from scoring.decision.sales_status import SalesStatus, SalesStep, derive_sales_status
from serving.store import reads, sales_steps
from serving.store.errors import StoreUnavailable
from serving.store.records import Record

T = TypeVar("T")
RECOUNT_SECONDS = 60.0
"""The seconds between two counts of all rows, which find steps that were erased or came late."""


class ReadableStore(Protocol):
    """The store that is mirrored. Raises StoreUnavailable."""

    @property
    def change_mark(self) -> bytes: ...
    def read(self, work: Callable[[Connection], T], /) -> T: ...


class OverrideMirror:
    """The overrides by lead as of the last `refresh`, and those added since.

    `sales_status` mirrors what sales did: closed deals, contacts, dates of next actions.
    """

    def __init__(self, store: ReadableStore) -> None:
        self._store = store
        self._version: tuple[int, ...] | None = None
        self._seen_mark = b""
        self.sales_status = SalesStatusMirror(store)
        self._by_lead: Mapping[str, Sequence[Override]] = {}
        self._lock, self._catch_up_lock = threading.Lock(), threading.Lock()

    def refresh(self) -> None:
        """Read the overrides again if any was stored or erased since. Raises StoreUnavailable."""
        with self._lock:
            version = self._store.read(reads.overrides_version)
            if version != self._version:
                self._by_lead, self._version = group_by_lead(self._store.read(reads.overrides)), version
        self.sales_status.refresh()

    @property
    def is_outdated(self) -> bool:
        """Whether a process of this machine stored something since the last `catch_up`."""
        return self._store.change_mark != self._seen_mark

    def catch_up(self) -> None:
        """Read what was stored since, whichever process stored it. Where the store is unavailable, what is
        known stays."""
        with self._catch_up_lock:
            if not self.is_outdated:
                return
            mark = self._store.change_mark  # before reading: what is stored meanwhile is read the next time
            with suppress(StoreUnavailable):
                self._read_added()
                self.sales_status.read_added()
                self._seen_mark = mark

    def _read_added(self) -> None:
        with self._lock:
            if self._version is None:
                return  # nothing was read yet: `refresh` reads all
            added = partial(reads.changed_overrides, after=self._version)
            changed, self._version = self._store.read(added)
            if changed:
                current = {**self._by_lead, **changed}
                self._by_lead = {lead: overrides for lead, overrides in current.items() if overrides}

    def add(self, records: Iterable[Record]) -> None:
        """Add what was just stored, so that it counts before the next `refresh`."""
        stored = list(records)
        self.sales_status.add(stored)
        added = group_by_lead(override for record in stored if (override := to_override(record)))
        if added:
            with self._lock:
                changed = {
                    lead: [*self._by_lead.get(lead, ()), *overrides] for lead, overrides in added.items()
                }
                self._by_lead = {**self._by_lead, **changed}

    def get(self, lead_id: str, as_of: int, live: bool = True) -> Override | None:
        """The override in force on a lead at a moment (ms UTC); `live` as in `get_many`."""
        overrides = self._by_lead.get(lead_id)
        newest = None if overrides is None else newest_in_force(overrides, as_of, live)
        return newest if newest is None or newest.at <= as_of else replace(newest, at=as_of)

    def get_many(self, lead_ids: Iterable[str], as_of: int, live: bool = True) -> Mapping[str, Override]:
        """The overrides in force on some leads. `live`: one from a clock ahead of ours is in force already;
        a score as of an earlier moment sees nothing later."""
        present = self._by_lead.keys() & set(lead_ids)
        in_force = ((lead_id, self.get(lead_id, as_of, live)) for lead_id in present)
        return {lead_id: override for lead_id, override in in_force if override is not None}

    def not_hot_ids(self, as_of: int) -> list[str]:
        """The leads with a "not hot" override in force at a moment (ms UTC)."""
        newest = (
            (lead, newest_in_force(overrides, as_of, True)) for lead, overrides in self._by_lead.items()
        )
        return [lead for lead, override in newest if override is not None and not override.hot]


def to_override(record: Record) -> Override | None:
    verdict = record.body.get("verdict") or record.body.get("step")
    if record.kind not in ("overrides", "handovers") or verdict not in VERDICTS:
        return None
    reason, author = (record.body.get(name) or "" for name in ("reason", "by"))
    return Override(
        record.lead_id, verdict, reason, author, record.at, record.body.get("expires_at") or NEVER
    )


class SalesStatusMirror:
    """The steps by lead as of the last `refresh`, and those added since."""

    def __init__(self, store: ReadableStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._store, self._clock = store, clock
        self._by_lead: dict[str, tuple[SalesStep, ...]] = {}
        self._newest: tuple[int, ...] | None = None
        self._count, self._checked_at = 0, -RECOUNT_SECONDS
        self._refresh_lock, self._change_lock = threading.Lock(), threading.Lock()

    def refresh(self) -> None:
        """Read the new steps, or all of them if some were erased. Raises StoreUnavailable."""
        self.read_added()
        with self._refresh_lock:
            if self._clock() - self._checked_at >= RECOUNT_SECONDS:
                if self._store.read(sales_steps.count_rows) != self._count:
                    self._read_all()
                self._checked_at = self._clock()

    def read_added(self) -> None:
        """Read the new steps alone. Raises StoreUnavailable."""
        with self._refresh_lock:
            if self._newest is None:
                self._read_all()
            elif self._store.read(sales_steps.newest_rows) != self._newest:
                self._read_more(self._newest)

    def add(self, records: Iterable[Record]) -> None:
        """Add what was just stored, so that it counts before the next `refresh`."""
        new_steps = [(r.lead_id, step) for r in records if (step := to_step(r)) is not None]
        if new_steps:
            with self._change_lock:  # held shortly: the store is read outside of it
                for lead_id, step in new_steps:
                    self._add_steps(lead_id, (step,))

    def get(self, lead_id: str, as_of: int, live: bool = True) -> SalesStatus | None:
        """The sales status of a lead at a moment (ms UTC). `live`: steps from a clock ahead of ours count."""
        steps = self._by_lead.get(lead_id)
        return None if steps is None else derive_sales_status(steps, NEVER if live else as_of)

    def get_many(self, lead_ids: Iterable[str], as_of: int, live: bool = True) -> Mapping[str, SalesStatus]:
        """The sales status of some leads, without those that have no step."""
        standings = ((lead_id, self.get(lead_id, as_of, live)) for lead_id in lead_ids)
        return {lead_id: standing for lead_id, standing in standings if standing is not None}

    def _read_all(self) -> None:
        """Steps added meanwhile are replaced, and read again the next time: they are newer than `newest`."""
        steps = self._store.read(sales_steps.read_steps)
        with self._change_lock:
            self._by_lead = dict(steps.by_lead)
        self._newest, self._count = steps.newest, steps.count

    def _read_more(self, after: tuple[int, ...]) -> None:
        steps = self._store.read(partial(sales_steps.read_steps, after=after))
        with self._change_lock:
            for lead_id, new_steps in steps.by_lead.items():
                self._add_steps(lead_id, new_steps)
            self._by_lead |= steps.corrected
        self._newest, self._count = steps.newest, self._count + steps.count

    def _add_steps(self, lead_id: str, steps: tuple[SalesStep, ...]) -> None:
        existing = self._by_lead.get(lead_id, ())
        self._by_lead[lead_id] = (*existing, *(step for step in steps if step not in existing))


def to_step(record: Record) -> SalesStep | None:
    if record.kind == "outcomes":
        return SalesStep(record.at, "won" if record.body.get("outcome") == "won" else "lost")
    if record.kind != "handovers":
        return None
    due = record.body.get("due_at")
    if due is not None:
        return SalesStep(record.at, "next_action", due)
    return SalesStep(record.at, "first_contact") if record.body.get("step") == "first_contact" else None
