"""What people said of leads, held in memory: overrides hold while the store is away, and cost no look-up."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from features.clock import NEVER
from scoring.decision.overrides import VERDICTS, Override, newest_in_force
from serving.leads.sales_status import Done, DoneStore
from serving.store.records import Record


class SaidStore(DoneStore, Protocol):
    """Where it is kept. All raise StoreAway."""

    def said_stamp(self) -> object: ...
    def said(self) -> Sequence[Override]: ...


class Said:
    """Overrides by lead, as they were when `refresh` looked last, and what was added since.

    `done` is what sales did beside: closed deals, dates of next actions.
    """

    def __init__(self, store: SaidStore) -> None:
        self._store, self._stamp = store, object()
        self.done = Done(store)
        self._by_lead: Mapping[str, Sequence[Override]] = {}
        self._alone = threading.Lock()

    def refresh(self) -> None:
        """Read them again where something was said or erased since. Raises StoreAway."""
        with self._alone:
            stamp = self._store.said_stamp()
            if stamp != self._stamp:
                self._by_lead, self._stamp = _grouped(self._store.said()), stamp
        self.done.refresh()

    def add(self, records: Iterable[Record]) -> None:
        """Take what was just stored into account at once; `refresh` finds the rest of it."""
        stored = list(records)
        self.done.add(stored)
        told = [override for record in stored if (override := verdict_of(record))]
        if told:
            with self._alone:
                self._by_lead = {**self._by_lead, **_joined(self._by_lead, _grouped(told))}

    def of(self, lead_id: str, as_of: int, live: bool = True) -> Override | None:
        """The verdict in force on a lead at a moment (ms UTC)."""
        return self.among([lead_id], as_of, live).get(lead_id)

    def among(self, lead_ids: Iterable[str], as_of: int, live: bool = True) -> Mapping[str, Override]:
        """The verdicts in force on some leads. `live`: what came from a clock ahead of ours holds
        already; a replay sees nothing that came after its moment."""
        there = self._by_lead.keys() & set(lead_ids)
        told = ((lead, newest_in_force(self._by_lead[lead], as_of, live)) for lead in there)
        return {lead: _now_at_most(o, as_of) for lead, o in told if o is not None}

    def cooled(self, as_of: int) -> list[str]:
        """The leads that a person named not hot, at a moment (ms UTC)."""
        told = ((lead, newest_in_force(said, as_of, True)) for lead, said in self._by_lead.items())
        return [lead for lead, override in told if override is not None and not override.hot]


def verdict_of(record: Record) -> Override | None:
    """What a record says of a lead, if it is a verdict."""
    said = record.body.get("verdict") or record.body.get("step")
    if record.kind not in ("overrides", "handovers") or said not in VERDICTS:
        return None
    reason, by = (record.body.get(name) or "" for name in ("reason", "by"))
    return Override(record.lead_id, said, reason, by, record.at, record.body.get("expires_at") or NEVER)


def _grouped(told: Iterable[Override]) -> dict[str, Sequence[Override]]:
    found = defaultdict(list)
    for override in told:
        found[override.lead_id].append(override)
    return dict(found)


def _joined(
    before: Mapping[str, Sequence[Override]], added: Mapping[str, Sequence[Override]]
) -> dict[str, Sequence[Override]]:
    return {lead: [*before.get(lead, ()), *told] for lead, told in added.items()}


def _now_at_most(override: Override, now: int) -> Override:
    return override if override.at <= now else replace(override, at=now)
