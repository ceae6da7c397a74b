"""A clock for tests: it stands still, or advances by a step whenever it is read."""

from __future__ import annotations

from typing import Generic, TypeVar

from features.clock import MS_PER_DAY

Time = TypeVar("Time", int, float)


class Clock(Generic[Time]):
    """A callable that returns `now` (ms UTC, or seconds), after adding `step` where one is set."""

    def __init__(self, now: Time, step: Time | None = None) -> None:
        self.now = now
        self.step = step

    def __call__(self) -> Time:
        if self.step is not None:
            self.now += self.step
        return self.now

    def forward(self, days: float) -> None:
        """Move a clock of milliseconds on by days."""
        self.now += round(days * MS_PER_DAY)
