"""Draws groups of bars."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scoring.pages.theme import CSS_VARIABLES
from serving.review.charts import axes as parts
from serving.review.charts.charts import Bars, format_value
from serving.review.charts.svg import Tooltips
from serving.review.charts.text_size import wrap_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_GROUP = 0.7
"""The share of its slot that a group of bars takes."""
_MAX_BAR = 60.0
_MAX_LABEL_LINES = 3
_MANY_LABELS = 8


def draw_bars(figure: Figure, chart: Bars) -> Tooltips:
    """Draw the chart, and return the texts that its bars show to a pointer."""
    y = parts.y_axis(chart.series, chart.unit)
    right = max(12.0, parts.threshold_margin(chart.thresholds))
    slot = (parts.WIDTH - y.margin - right) / max(1, len(chart.labels))
    labels = _label_lines(chart.labels, slot - 4)
    bottom = parts.label_height(max(map(len, labels), default=1))
    margins = parts.Margins(y.margin, right, parts.legend_height(chart.series), bottom)
    axes = parts.add_axes(figure, margins)
    axes.set_xlim(-0.5, max(1, len(chart.labels)) - 0.5)
    parts.draw_y_axis(axes, y)
    for i, lines in enumerate(labels):
        parts.draw_x_label(axes, i, lines)
    width = min(_GROUP / max(1, len(chart.series)), _MAX_BAR / slot)
    tooltips = {}
    for index, series in enumerate(chart.series):
        color = CSS_VARIABLES[series.color]
        shift = width * (index - (len(chart.series) - 1) / 2)
        places = [i + shift for i in range(len(chart.labels))]
        for i, (place, value) in enumerate(zip(places, series.values, strict=True)):
            if value is not None:
                bar = axes.bar(place, value, width * 0.94, color=color, linewidth=0, zorder=2)
                name = f"bar-{index}-{i}"
                bar.patches[0].set_gid(name)
                text = format_value(series, i, chart.unit)
                tooltips[name] = [f"{chart.labels[i]}, {series.name}: {text}"]
        parts.draw_intervals(axes, places, series)
    axes.set_ylim(y.ticks[0], y.ticks[-1])
    parts.draw_thresholds(axes, chart.thresholds)
    parts.draw_legend(figure, axes, chart.series, margins)
    return tooltips


def _label_lines(labels: tuple[str, ...], width: float) -> list[list[str]]:
    """The lines of each label; where many labels are too long, only every second one (the last is shown)."""
    lines = [wrap_text(label, width, _MAX_LABEL_LINES) for label in labels]
    if len(labels) < _MANY_LABELS or "".join(map("".join, lines)) == "".join(labels).replace(" ", ""):
        return lines
    shown = [label if (len(labels) - i) % 2 else None for i, label in enumerate(labels)]
    return [[] if label is None else wrap_text(label, 2 * width, _MAX_LABEL_LINES) for label in shown]
