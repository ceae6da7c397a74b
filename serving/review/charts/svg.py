"""Figures as SVG, for browsers that run no script: plain shapes, the same numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from serving.review.charts.charts import (
    COLOURS,
    LOWERED,
    RAISED,
    TOTAL,
    Bars,
    Figure,
    Lines,
    Series,
    Waterfall,
)

WIDTH, HEIGHT, MARGIN_LEFT, RIGHT, TOP, BOTTOM = 720, 300, 48, 12, 12, 40
ROW, LABELS, NUMBERS = 26, 260, 60


@dataclass(frozen=True)
class Scale:
    """From a number to a place: `low` lies at `start`, `high` at `end`."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        span = (self.high - self.low) or 1.0
        return round(self.start + (value - self.low) / span * (self.end - self.start), 1)


def svg(figure: Figure) -> Markup:
    """The figure as an SVG element; its title is told beside it."""
    height = HEIGHT if not isinstance(figure, Waterfall) else 12 + ROW * len(figure.steps)
    shapes = Markup("").join(_shapes(figure))
    return Markup('<svg viewBox="0 0 {} {}" aria-hidden="true" focusable="false">{}</svg>').format(
        WIDTH, height, shapes
    )


def _shapes(figure: Figure) -> Iterator[Markup]:
    match figure:
        case Bars():
            yield from _bars(figure)
        case Lines():
            yield from _lines(figure)
        case Waterfall():
            yield from _waterfall(figure)


def _values(series: Sequence[Series]) -> list[float]:
    values = [v for s in series for ends in (s.values, s.low, s.high) if ends for v in ends]
    return [value for value in values if value is not None]


def _up(series: Sequence[Series]) -> Scale:
    """The scale of a y axis that has 0 on it."""
    values = _values(series) or [1.0]
    return Scale(min(0.0, *values), max(0.0, *values), HEIGHT - BOTTOM, TOP)


def _axis(y: Scale, unit: str) -> Iterator[Markup]:
    for part in range(5):
        value = y.low + (y.high - y.low) * part / 4
        yield Markup('<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(
            MARGIN_LEFT, WIDTH - RIGHT, y(value), y(value)
        )
        yield _text(MARGIN_LEFT - 6, y(value) + 4, f"{value:,.4g}{unit}", "end")


def _bars(figure: Bars) -> Iterator[Markup]:
    y = _up(figure.series)
    yield from _axis(y, figure.unit)
    slot = (WIDTH - MARGIN_LEFT - RIGHT) / max(1, len(figure.labels))
    wide = slot * 0.8 / max(1, len(figure.series))
    for i, label in enumerate(figure.labels):
        start = MARGIN_LEFT + slot * (i + 0.1)
        yield _text(start + slot * 0.4, HEIGHT - BOTTOM + 16, _short(label, slot / 6), "middle")
        for index, series in enumerate(figure.series):
            value = series.values[i]
            if value is not None:
                yield _rect(
                    start + wide * index, y(max(0, value)), wide, abs(y(value) - y(0)), COLOURS[series.role]
                )
    yield from _legend(figure.series)


def _lines(figure: Lines) -> Iterator[Markup]:
    y = _up(figure.series)
    yield from _axis(y, figure.unit)
    every = [*figure.x, *(mark.x for mark in figure.marks)] or [0.0]
    x = Scale(min(every), max(every), MARGIN_LEFT + 8, WIDTH - RIGHT - 8)
    for mark in figure.marks:
        yield _dot(x(mark.x), HEIGHT - BOTTOM, TOTAL, 3)
    for series in figure.series:
        points = [(x(a), y(b)) for a, b in zip(figure.x, series.values, strict=True) if b is not None]
        line = " ".join(f"{a},{b}" for a, b in points)
        yield Markup('<polyline fill="none" stroke-width="2" stroke="{}" points="{}"/>').format(
            COLOURS[series.role], line
        )
        yield from (_dot(a, b, COLOURS[series.role], 3) for a, b in points)
    ends = figure.rows[:1] + figure.rows[1:][-1:]
    for place, row in zip((MARGIN_LEFT, WIDTH - RIGHT), ends, strict=False):
        yield _text(place, HEIGHT - BOTTOM + 16, row[0], "start" if place == MARGIN_LEFT else "end")
    yield from _legend(figure.series)


def _waterfall(figure: Waterfall) -> Iterator[Markup]:
    spans = figure.spans
    ends = [end for span in spans for end in span] or [0.0]
    x = Scale(min(0.0, *ends), max(0.0, *ends), LABELS, WIDTH - NUMBERS)
    for i, (step, (start, end)) in enumerate(zip(figure.steps, spans, strict=True)):
        top = 6 + ROW * i
        colour = TOTAL if step.total else RAISED if end >= start else LOWERED
        x_start, right = sorted((x(start), x(end)))
        yield _text(LABELS - 8, top + 15, _short(step.label, LABELS / 8), "end")
        yield _rect(x_start, top + 3, max(1.0, right - x_start), ROW - 8, colour)
        yield _text(right + 6, top + 15, figure.shown(step), "start")


def _legend(series: Sequence[Series]) -> Iterator[Markup]:
    place = float(MARGIN_LEFT)
    for one in series if len(series) > 1 else ():
        yield _rect(place, HEIGHT - 14, 10, 10, COLOURS[one.role])
        yield _text(place + 15, HEIGHT - 5, one.name, "start")
        place += 40 + 11 * len(one.name)


def _rect(x: float, y: float, width: float, height: float, colour: str) -> Markup:
    return Markup('<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" fill="{}"/>').format(
        x, y, width, height, colour
    )


def _dot(x: float, y: float, colour: str, size: float) -> Markup:
    return Markup('<circle cx="{}" cy="{}" r="{}" fill="{}"/>').format(x, y, size, colour)


def _text(x: float, y: float, text: str, anchor: str) -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(x, y, anchor, escape(text))


def _short(label: str, width: float) -> str:
    """A label that fits; kana and kanji take about twice the room."""
    room, text = width, ""
    for letter in label:
        room -= 1.7 if ord(letter) > 0x2E80 else 1
        if room < 1:
            return f"{text}…"
        text += letter
    return text
