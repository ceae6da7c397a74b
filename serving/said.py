"""What people said of leads, held in memory: overrides hold while the store is away, and cost no look-up."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Protocol

from scoring.overrides import Override, in_force


class SaidStore(Protocol):
    """Where it is kept. Both raise StoreAway."""

    def said_stamp(self) -> object: ...
    def said(self) -> Sequence[Override]: ...


class Said:
    """Overrides by lead, as they were when `refresh` looked last."""

    def __init__(self, store: SaidStore) -> None:
        self._store, self._stamp = store, object()
        self._by_lead: Mapping[str, Sequence[Override]] = {}

    def refresh(self) -> None:
        """Read them again where something was said since. Raises StoreAway."""
        stamp = self._store.said_stamp()
        if stamp != self._stamp:
            found = defaultdict(list)
            for override in self._store.said():
                found[override.lead_id].append(override)
            self._by_lead, self._stamp = dict(found), stamp

    def of(self, lead_id: str, as_of: int) -> Override | None:
        """The verdict in force on a lead at a moment (ms UTC)."""
        return in_force(self._by_lead.get(lead_id, ()), as_of).get(lead_id)

    def among(self, lead_ids: Sequence[str], as_of: int) -> Mapping[str, Override]:
        """The verdicts in force on some leads."""
        told = [o for lead in self._by_lead.keys() & set(lead_ids) for o in self._by_lead[lead]]
        return in_force(told, as_of)

    def cooled(self, as_of: int) -> set[str]:
        """The leads that a person has named not hot, or sent back, as it stands at a moment."""
        return {lead for lead in self._by_lead if (o := self.of(lead, as_of)) and not o.hot}
