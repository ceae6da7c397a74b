"""What sales did about leads, held in memory: whose deal closed, whom they contacted, and when
they go on with whom.

A closed lead must not be called, whoever asks for its score: looking it up costs a request nothing here,
and it is known while the store is away. Some 250 bytes a lead with a step.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from features.clock import NEVER
from scoring.decision.sales_status import Standing, Step, standing_of
from serving.store.records import Record

LOOK_THROUGH_SECONDS = 60.0
"""So often it is counted whether all steps are known: erased ones, and those that came late."""


@dataclass(frozen=True, slots=True)
class Steps:
    """Steps as the store tells them: those that came `of` each lead, all steps of each lead of whom
    something was `corrected`, the number of rows looked at, and the newest row of each table."""

    of: Mapping[str, tuple[Step, ...]] = field(default_factory=dict)
    corrected: Mapping[str, tuple[Step, ...]] = field(default_factory=dict)
    count: int = 0
    newest: tuple[int, ...] = ()


class DoneStore(Protocol):
    """Where it is kept. All raise StoreAway."""

    def steps_newest(self) -> tuple[int, ...]: ...
    def steps_count(self) -> int: ...
    def steps(self, after: tuple[int, ...] | None = None) -> Steps: ...


class Done:
    """The steps by lead, as they were when `refresh` looked last, and what was added since."""

    def __init__(self, store: DoneStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._store, self._clock = store, clock
        self._by_lead: dict[str, tuple[Step, ...]] = {}
        self._newest: tuple[int, ...] | None = None
        self._count, self._through = 0, -LOOK_THROUGH_SECONDS
        self._refreshing, self._changing = threading.Lock(), threading.Lock()

    def refresh(self) -> None:
        """Read what came since; all of it where some were erased. Raises StoreAway."""
        with self._refreshing:
            if self._newest is None:
                self._read_all()
            elif self._store.steps_newest() != self._newest:
                self._read_more(self._newest)
            if self._clock() - self._through >= LOOK_THROUGH_SECONDS:
                self._look_through()

    def add(self, records: Iterable[Record]) -> None:
        """Take what was just stored into account at once."""
        told = [(r.lead_id, step) for r in records if (step := step_of(r)) is not None]
        if told:
            with self._changing:  # held for moments alone: the store is read outside of it
                for lead_id, step in told:
                    self._take(lead_id, (step,))

    def of(self, lead_id: str, as_of: int, live: bool = True) -> Standing | None:
        """Where a lead stands at a moment (ms UTC). `live`: what came from a clock ahead of ours counts."""
        steps = self._by_lead.get(lead_id)
        return None if steps is None else standing_of(steps, NEVER if live else as_of)

    def among(self, lead_ids: Iterable[str], as_of: int, live: bool = True) -> Mapping[str, Standing]:
        """Where some leads stand, without those of whom no step is known."""
        told = ((lead_id, self.of(lead_id, as_of, live)) for lead_id in lead_ids)
        return {lead_id: standing for lead_id, standing in told if standing is not None}

    def _read_all(self) -> None:
        """What is added meanwhile goes with the old, and is read the next time: it is newer than `newest`."""
        steps = self._store.steps()
        with self._changing:
            self._by_lead = dict(steps.of)
        self._newest, self._count = steps.newest, steps.count

    def _read_more(self, after: tuple[int, ...]) -> None:
        steps = self._store.steps(after)
        with self._changing:
            for lead_id, told in steps.of.items():
                self._take(lead_id, told)
            self._by_lead |= steps.corrected
        self._newest, self._count = steps.newest, self._count + steps.count

    def _look_through(self) -> None:
        if self._store.steps_count() != self._count:
            self._read_all()
        self._through = self._clock()

    def _take(self, lead_id: str, steps: tuple[Step, ...]) -> None:
        known = self._by_lead.get(lead_id, ())
        self._by_lead[lead_id] = (*known, *(step for step in steps if step not in known))


def step_of(record: Record) -> Step | None:
    """The step that a record tells of, if it does."""
    if record.kind == "outcomes":
        return Step(record.at, "won" if record.body.get("outcome") == "won" else "lost")
    if record.kind != "handovers":
        return None
    due = record.body.get("due_at")
    if due is not None:
        return Step(record.at, "next_action", due)
    return Step(record.at, "first_contact") if record.body.get("step") == "first_contact" else None
