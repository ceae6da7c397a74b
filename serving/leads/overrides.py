"""The overrides of people, mirrored in memory: in force while the store is unavailable, and quick to read."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from features.clock import NEVER
from scoring.decision.overrides import VERDICTS, Override, newest_in_force
from serving.leads.sales_status import SalesStatusMirror, SalesStepStore
from serving.store.records import Record


class OverrideStore(SalesStepStore, Protocol):
    """The store that is mirrored. All methods raise StoreUnavailable."""

    def overrides_version(self) -> object: ...
    def overrides(self) -> Sequence[Override]: ...


class OverrideMirror:
    """The overrides by lead as of the last `refresh`, and those added since.

    `sales_status` mirrors what sales did: closed deals, contacts, dates of next actions.
    """

    def __init__(self, store: OverrideStore) -> None:
        self._store, self._stamp = store, object()
        self.sales_status = SalesStatusMirror(store)
        self._by_lead: Mapping[str, Sequence[Override]] = {}
        self._lock = threading.Lock()

    def refresh(self) -> None:
        """Read the overrides again if any was stored or erased since. Raises StoreUnavailable."""
        with self._lock:
            stamp = self._store.overrides_version()
            if stamp != self._stamp:
                self._by_lead, self._stamp = _group_by_lead(self._store.overrides()), stamp
        self.sales_status.refresh()

    def add(self, records: Iterable[Record]) -> None:
        """Add what was just stored, so that it counts before the next `refresh`."""
        stored = list(records)
        self.sales_status.add(stored)
        overrides = [override for record in stored if (override := to_override(record))]
        if overrides:
            with self._lock:
                self._by_lead = {
                    **self._by_lead,
                    **_append_overrides(self._by_lead, _group_by_lead(overrides)),
                }

    def get(self, lead_id: str, as_of: int, live: bool = True) -> Override | None:
        """The override in force on a lead at a moment (ms UTC); `live` as in `get_many`."""
        overrides = self._by_lead.get(lead_id)
        newest = None if overrides is None else newest_in_force(overrides, as_of, live)
        return None if newest is None else _limit_to_now(newest, as_of)

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
    """The override of a record; None if it is none."""
    verdict = record.body.get("verdict") or record.body.get("step")
    if record.kind not in ("overrides", "handovers") or verdict not in VERDICTS:
        return None
    reason, author = (record.body.get(name) or "" for name in ("reason", "by"))
    return Override(
        record.lead_id, verdict, reason, author, record.at, record.body.get("expires_at") or NEVER
    )


def _group_by_lead(overrides: Iterable[Override]) -> dict[str, Sequence[Override]]:
    grouped = defaultdict(list)
    for override in overrides:
        grouped[override.lead_id].append(override)
    return dict(grouped)


def _append_overrides(
    before: Mapping[str, Sequence[Override]], added: Mapping[str, Sequence[Override]]
) -> dict[str, Sequence[Override]]:
    return {lead: [*before.get(lead, ()), *added_overrides] for lead, added_overrides in added.items()}


def _limit_to_now(override: Override, now: int) -> Override:
    return override if override.at <= now else replace(override, at=now)
