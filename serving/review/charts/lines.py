"""Draws lines over numbers or over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from matplotlib.dates import HOURLY, MONTHLY, AutoDateLocator, date2num, num2date

from scoring.pages.theme import CSS_VARIABLES, TOTAL
from serving.review.charts import axes as parts
from serving.review.charts.charts import Lines, Series, format_value, local_time
from serving.review.charts.svg import Tooltips
from serving.review.charts.text_size import wrap_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

XTick: TypeAlias = tuple[float, str]
"""A position on the x axis and its label."""
_MIN_SIDE = 44.0
"""Half of the widest label of the x axis, which may stand at its very end."""
_POINTS: dict[str, Any] = {"markersize": 6, "markeredgewidth": 0, "clip_on": False}
_X_TICKS = 6
_SHORT_SPAN_DAYS = 4.0


def draw_lines(figure: Figure, chart: Lines) -> Tooltips:
    """Draw the chart, and return the texts that its points and marks show to a pointer."""
    y = parts.y_axis(chart.series, chart.unit, chart.y_range)
    title = wrap_text(chart.x_title, parts.WIDTH - 160, 1) if chart.x_title else []
    sides = max(_MIN_SIDE, y.margin), max(_MIN_SIDE, parts.threshold_margin(chart.thresholds))
    margins = parts.Margins(*sides, parts.legend_height(chart.series), parts.label_height(1 + len(title)))
    axes = parts.add_axes(figure, margins)
    positions = [_position(chart, x) for x in chart.x]
    marks = [_position(chart, mark.x) for mark in chart.marks]
    ticks = _x_ticks(chart, [*positions, *marks])
    parts.draw_y_axis(axes, y)
    _draw_x_axis(axes, ticks, title, [*positions, *marks])
    parts.draw_thresholds(axes, chart.thresholds)
    tooltips: dict[str, list[str]] = {}
    for index, series in enumerate(chart.series):
        name = f"line-{index}"
        tooltips[name] = _draw_series(axes, chart, series, positions, name)
    if marks:
        foot = [y.ticks[0]] * len(marks)
        (line,) = axes.plot(marks, foot, "D", color=TOTAL, **_POINTS)
        line.set_gid("marks")
        tooltips["marks"] = [f"{chart.format_x(mark.x)}: {mark.label}" for mark in chart.marks]
    parts.draw_legend(figure, axes, chart.series, margins)
    return tooltips


def _draw_series(axes: Axes, chart: Lines, series: Series, positions: list[float], name: str) -> list[str]:
    """Draw a series, and return the texts of its points."""
    present = [i for i, value in enumerate(series.values) if value is not None]
    x = [positions[i] for i in present]
    values = [value for value in series.values if value is not None]
    color = CSS_VARIABLES[series.color]
    parts.draw_intervals(axes, positions, series)
    axes.plot(x, values, color=color, linewidth=2, zorder=3, clip_on=False)
    (points,) = axes.plot(x, values, "o", color=color, zorder=5, **_POINTS)
    points.set_gid(name)
    texts = [format_value(series, i, chart.unit) for i in present]
    shown_x = [chart.format_x(chart.x[i]) for i in present]
    return [f"{x}, {series.name}: {text}" for x, text in zip(shown_x, texts, strict=True)]


def _position(chart: Lines, x: float) -> float:
    return x if chart.zone is None else float(date2num(local_time(x, chart.zone)))


def _x_ticks(chart: Lines, positions: list[float]) -> list[XTick]:
    """Round numbers, or round moments in the zone of the chart, with their labels."""
    if not positions:
        return []
    low, high = min(positions), max(positions)
    if chart.zone is None:
        return [(tick, f"{tick:,.4g}") for tick in parts.round_ticks(min(0.0, low), high, _X_TICKS)]
    if high - low < 1:
        low, high = low - 0.5, high + 0.5
    locator = AutoDateLocator(tz=chart.zone, minticks=3, maxticks=_X_TICKS, interval_multiples=False)
    # Without these, spans just below three days or three years have no interval with so few ticks.
    locator.intervald[HOURLY] = [*locator.intervald[HOURLY], 24]
    locator.intervald[MONTHLY] = [*locator.intervald[MONTHLY], 12]
    moments = locator.tick_values(num2date(low, chart.zone), num2date(high, chart.zone))
    form = "%m-%d %H:%M" if high - low < _SHORT_SPAN_DAYS else "%Y-%m-%d"
    shown = [float(moment) for moment in moments if low <= moment <= high]
    return [(moment, f"{num2date(moment, chart.zone):{form}}") for moment in shown]


def _draw_x_axis(axes: Axes, ticks: list[XTick], title: list[str], positions: list[float]) -> None:
    every = [*positions, *(tick for tick, _ in ticks)] or [0.0, 1.0]
    low, high = min(every), max(every)
    axes.set_xlim(low, high if high > low else low + 1)
    for tick, label in ticks:
        parts.draw_x_label(axes, tick, [label])
    for line in title:
        offset = (0, -parts.label_height(1) - 6)
        parts.draw_text(axes, (0.5, 0), line, offset=offset, x_in=parts.AXES, y_in=parts.AXES)
