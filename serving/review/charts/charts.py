"""Figures of the pages, told once: Plotly draws them in the browser, and without a script they are SVG.

Both show the same numbers; `rows` are those numbers as a table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias
from zoneinfo import ZoneInfo

from features.clock import from_ms

Role: TypeAlias = Literal["model", "rules", "other"]
COLOURS = {"model": "#1f5fa8", "rules": "#d9711c", "other": "#3b8a5a"}
RAISED, LOWERED, TOTAL = "#3b8a5a", "#b3403a", "#5a6673"
Numbers: TypeAlias = Sequence[float | None]


@dataclass(frozen=True)
class Series:
    """Numbers of one kind; `low` and `high` are the ends of their intervals."""

    name: str
    values: Numbers
    low: Numbers | None = None
    high: Numbers | None = None
    role: Role = "other"


@dataclass(frozen=True)
class Mark:
    """Something that happened at a place of the x axis."""

    x: float
    label: str


@dataclass(frozen=True)
class Step:
    """A part of a sum; a `total` stands for all before it."""

    label: str
    value: float
    total: bool = False


@dataclass(frozen=True)
class Bars:
    """For each label a bar of each series."""

    title: str
    labels: Sequence[str]
    series: Sequence[Series]
    unit: str = ""

    @property
    def head(self) -> list[str]:
        return ["", *(series.name for series in self.series)]

    @property
    def rows(self) -> list[list[str]]:
        return [
            [label, *(_cell(series, i, self.unit) for series in self.series)]
            for i, label in enumerate(self.labels)
        ]

    def plotly(self) -> dict[str, Any]:
        """The figure as Plotly's script reads it."""
        data = [
            {
                "type": "bar",
                "name": s.name,
                "x": list(self.labels),
                "y": list(s.values),
                "marker": {"color": COLOURS[s.role]},
                "error_y": _errors(s),
            }
            for s in self.series
        ]
        axes = {"xaxis": {"type": "category"}, "yaxis": {"ticksuffix": self.unit}}
        return {"data": data, "layout": {"barmode": "group", **axes}}


@dataclass(frozen=True)
class Lines:
    """Series over numbers or, with a time `zone`, over moments (ms UTC), which are told in it; `marks` are
    told on the axis."""

    title: str
    x: Sequence[float]
    series: Sequence[Series]
    marks: Sequence[Mark] = ()
    zone: ZoneInfo | None = None
    unit: str = ""
    x_title: str = ""

    @property
    def head(self) -> list[str]:
        return [self.x_title, *(series.name for series in self.series)]

    @property
    def rows(self) -> list[list[str]]:
        return [
            [self.place(x), *(_cell(series, i, self.unit) for series in self.series)]
            for i, x in enumerate(self.x)
        ]

    def place(self, x: float) -> str:
        """A place of the x axis as people read it."""
        return f"{x:,.4g}" if self.zone is None else f"{_local(x, self.zone):%Y-%m-%d %H:%M}"

    def plotly(self) -> dict[str, Any]:
        """The figure as Plotly's script reads it: it knows no time zones, so times are told in ours."""
        data: list[dict[str, Any]] = [
            {
                "type": "scatter",
                "mode": "lines+markers",
                "connectgaps": True,
                "name": s.name,
                "x": self._across(self.x),
                "y": list(s.values),
                "line": {"color": COLOURS[s.role]},
                "error_y": _errors(s),
            }
            for s in self.series
        ]
        if self.marks:
            data.append(
                {
                    "type": "scatter",
                    "mode": "markers",
                    "name": "",
                    "showlegend": False,
                    "x": self._across([mark.x for mark in self.marks]),
                    "y": [0] * len(self.marks),
                    "text": [mark.label for mark in self.marks],
                    "hoverinfo": "text+x",
                    "marker": {"symbol": "diamond", "color": TOTAL},
                }
            )
        axis = {} if self.zone is None else {"type": "date", "tickformat": "%Y-%m-%d"}
        layout = {
            "xaxis": {**axis, "title": {"text": self.x_title}},
            "yaxis": {"ticksuffix": self.unit},
        }
        return {"data": data, "layout": layout}

    def _across(self, places: Sequence[float]) -> list[Any]:
        if self.zone is None:
            return list(places)
        return [_local(x, self.zone).isoformat() for x in places]


@dataclass(frozen=True)
class Waterfall:
    """A sum, part by part."""

    title: str
    steps: Sequence[Step]
    unit: str = ""
    digits: int = 2

    @property
    def head(self) -> list[str]:
        return ["", self.unit]

    @property
    def rows(self) -> list[list[str]]:
        return [[step.label, self.shown(step)] for step in self.steps]

    def shown(self, step: Step) -> str:
        """A step's number; a part with its sign."""
        return f"{step.value:.{self.digits}f}" if step.total else f"{step.value:+.{self.digits}f}"

    @property
    def spans(self) -> list[tuple[float, float]]:
        """Where each step begins and ends."""
        start, told = 0.0, []
        for step in self.steps:
            told.append((0.0, step.value) if step.total else (start, start + step.value))
            start = told[-1][1]
        return told

    def plotly(self) -> dict[str, Any]:
        """The figure as Plotly's script reads it."""
        trace = {
            "type": "waterfall",
            "orientation": "h",
            "y": [step.label for step in self.steps],
            "x": [step.value for step in self.steps],
            "measure": ["absolute" if step.total else "relative" for step in self.steps],
            "text": [self.shown(step) for step in self.steps],
            "textposition": "outside",
            "increasing": {"marker": {"color": RAISED}},
            "decreasing": {"marker": {"color": LOWERED}},
            "totals": {"marker": {"color": TOTAL}},
            "cliponaxis": False,
        }
        axis = {"autorange": "reversed", "automargin": True}
        return {"data": [trace], "layout": {"yaxis": axis, "height": 90 + 34 * len(self.steps)}}


Figure: TypeAlias = Bars | Lines | Waterfall


def _cell(series: Series, index: int, unit: str) -> str:
    value = series.values[index]
    if value is None:
        return "–"
    low, high = (None if ends is None else ends[index] for ends in (series.low, series.high))
    text = f"{value:,.4g}{unit}"
    return text if low is None or high is None else f"{text} ({low:,.3g}–{high:,.3g})"


def _local(time_ms: float, zone: ZoneInfo) -> datetime:
    """A moment (ms UTC) as the clocks of a zone show it."""
    return from_ms(int(time_ms)).astimezone(zone).replace(tzinfo=None)


def _errors(series: Series) -> dict[str, Any]:
    if series.low is None or series.high is None:
        return {"visible": False}
    ups = [_less(high, value) for high, value in zip(series.high, series.values, strict=True)]
    downs = [_less(value, low) for low, value in zip(series.low, series.values, strict=True)]
    return {"type": "data", "symmetric": False, "array": ups, "arrayminus": downs}


def _less(a: float | None, b: float | None) -> float:
    return 0.0 if a is None or b is None else a - b
