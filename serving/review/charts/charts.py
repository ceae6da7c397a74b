"""The charts of the pages as data: what is drawn (see `render`), and the same numbers as a table, whose
column titles are `head` and whose lines are `rows`.

All of them are immutable and hashable, so that a drawn chart can be cached by its data.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias
from zoneinfo import ZoneInfo

from features.clock import from_ms

SeriesColor: TypeAlias = Literal["model", "rules", "positive"]
Numbers: TypeAlias = tuple[float | None, ...]


@dataclass(frozen=True)
class Series:
    """Numbers of one kind, None for a missing one; `low` and `high` are the ends of their intervals."""

    name: str
    values: Numbers
    low: Numbers | None = None
    high: Numbers | None = None
    color: SeriesColor = "positive"

    @staticmethod
    def with_intervals(name: str, points: Iterable[Sequence[float | None]], color: SeriesColor) -> Series:
        """A series of points, each a value with the low and the high end of its interval; () for none."""
        rows = [point or (None, None, None) for point in points]
        values, low, high = (tuple(row[i] for row in rows) for i in range(3))
        return Series(name, values, low, high, color)


@dataclass(frozen=True)
class Mark:
    """An event at a position of the x axis."""

    x: float
    label: str


@dataclass(frozen=True)
class Threshold:
    """A dashed line across the chart at a value of the y axis, with its label."""

    value: float
    label: str


@dataclass(frozen=True)
class Step:
    """One contribution to a sum; a `total` is the sum of all steps before it."""

    label: str
    value: float
    total: bool = False


@dataclass(frozen=True, kw_only=True)
class Bars:
    """A group of bars for each label, with one bar of each series."""

    title: str
    labels: tuple[str, ...]
    series: tuple[Series, ...]
    unit: str = ""
    thresholds: tuple[Threshold, ...] = ()

    @property
    def head(self) -> list[str]:
        return ["", *(series.name for series in self.series)]

    @property
    def rows(self) -> list[list[str]]:
        return _rows(self.labels, self.series, self.unit)


@dataclass(frozen=True, kw_only=True)
class Lines:
    """Series over numbers or, with a time `zone`, over moments (ms UTC) that are shown in that zone.

    `marks` stand on the x axis. `y_range` fixes the ends of the y axis.
    """

    title: str
    x: tuple[float, ...]
    series: tuple[Series, ...]
    marks: tuple[Mark, ...] = ()
    zone: ZoneInfo | None = None
    unit: str = ""
    x_title: str = ""
    thresholds: tuple[Threshold, ...] = ()
    y_range: tuple[float, float] | None = None

    @property
    def head(self) -> list[str]:
        return [self.x_title, *(series.name for series in self.series)]

    @property
    def rows(self) -> list[list[str]]:
        return _rows(tuple(map(self.format_x, self.x)), self.series, self.unit)

    def format_x(self, x: float) -> str:
        """A position of the x axis as people read it."""
        return f"{x:,.4g}" if self.zone is None else f"{local_time(x, self.zone):%Y-%m-%d %H:%M}"


@dataclass(frozen=True, kw_only=True)
class Waterfall:
    """A sum, step by step."""

    title: str
    steps: tuple[Step, ...]
    unit: str = ""
    digits: int = 2

    @property
    def head(self) -> list[str]:
        return ["", self.unit]

    @property
    def rows(self) -> list[list[str]]:
        return [[step.label, self.format_step(step)] for step in self.steps]

    def format_step(self, step: Step) -> str:
        """The number of a step; a contribution has its sign."""
        return f"{step.value:.{self.digits}f}" if step.total else f"{step.value:+.{self.digits}f}"

    @property
    def spans(self) -> list[tuple[float, float]]:
        """Where the bar of each step begins and ends."""
        start, spans = 0.0, []
        for step in self.steps:
            spans.append((0.0, step.value) if step.total else (start, start + step.value))
            start = spans[-1][1]
        return spans


PageChart: TypeAlias = Bars | Lines | Waterfall


def _rows(labels: tuple[str, ...], series: tuple[Series, ...], unit: str) -> list[list[str]]:
    return [[label, *(format_value(one, i, unit) for one in series)] for i, label in enumerate(labels)]


def format_value(series: Series, index: int, unit: str) -> str:
    """A value of a series with its interval, or a dash."""
    value = series.values[index]
    if value is None:
        return "–"
    low, high = (None if ends is None else ends[index] for ends in (series.low, series.high))
    text = f"{value:,.4g}{unit}"
    return text if low is None or high is None else f"{text} ({low:,.3g}–{high:,.3g})"


def local_time(time_ms: float, zone: ZoneInfo) -> datetime:
    return from_ms(int(time_ms)).astimezone(zone)
