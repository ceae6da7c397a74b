"""Which leads got so many activities that they should be packed in blocks."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence

from serving.store.activities.blocks import BLOCK_ROWS
from serving.store.records import Record

MAX_COUNTED = 100_000
"""The counts of more leads than these are forgotten: a lead whose activities are not packed is found when it
is read."""


class PackingRequests:
    """The leads whose activities are to be packed. Thread-safe."""

    def __init__(self) -> None:
        self._lock, self._waiting = threading.Lock(), dict[str, None]()
        self._counts = Counter[str]()

    def add(self, lead_id: str) -> None:
        with self._lock:
            self._waiting[lead_id] = None

    def count(self, records: Sequence[Record]) -> None:
        """Count stored activities; a lead waits when it has enough new ones for a block."""
        lead_ids = [record.lead_id for record in records if record.kind == "activities"]
        if not lead_ids:
            return
        with self._lock:
            for lead_id, count in Counter(lead_ids).items():
                self._counts[lead_id] += count
                if self._counts[lead_id] >= BLOCK_ROWS:
                    del self._counts[lead_id]
                    self._waiting[lead_id] = None
            if len(self._counts) > MAX_COUNTED:
                self._counts.clear()

    def take(self) -> list[str]:
        """The leads that wait; they wait no longer."""
        with self._lock:
            waiting, self._waiting = list(self._waiting), {}
        return waiting
