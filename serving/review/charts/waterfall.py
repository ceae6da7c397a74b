"""Draws the steps of a sum as horizontal bars."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scoring.pages.theme import LINE, NEGATIVE, POSITIVE, SOFT, TOTAL
from serving.review.charts import axes as parts
from serving.review.charts.charts import Waterfall
from serving.review.charts.svg import Tooltips
from serving.review.charts.text_size import LINE_HEIGHT, text_width, wrap_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LABEL_WIDTH, _PADDING, _GAP = 250.0, 14.0, 8.0
_MAX_LABEL_LINES = 4


def draw_waterfall(figure: Figure, chart: Waterfall) -> Tooltips:
    """Draw the chart, and return the texts that its bars show to a pointer."""
    labels = [wrap_text(step.label, _LABEL_WIDTH, _MAX_LABEL_LINES) for step in chart.steps]
    numbers = [chart.format_step(step).replace("-", "−") for step in chart.steps]
    heights = [LINE_HEIGHT * len(lines) + _PADDING for lines in labels]
    total_height = max(_PADDING, sum(heights))
    label_width = max((text_width(line) for lines in labels for line in lines), default=0.0)
    number_width = max(map(text_width, numbers), default=0.0)
    margins = parts.Margins(label_width + 2 * _GAP, number_width + 2 * _GAP, top=4, bottom=4)
    axes = parts.add_axes(figure, margins, total_height)
    ends = [0.0, *(end for span in chart.spans for end in span)]
    low, high = min(ends), max(ends)
    axes.axvline(0, color=SOFT, linewidth=1, zorder=1)
    top, tooltips = 0.0, {}
    rows = zip(chart.steps, chart.spans, labels, numbers, heights, strict=True)
    for i, (step, (start, end), lines, number, height) in enumerate(rows):
        middle, left_end, length = top + height / 2, min(start, end), abs(end - start)
        color = TOTAL if step.total else POSITIVE if step.value >= 0 else NEGATIVE
        bar = axes.barh(middle, length, LINE_HEIGHT, left=left_end, color=color, linewidth=0, zorder=2)
        bar.patches[0].set_gid(f"step-{i}")
        tooltips[f"step-{i}"] = [f"{step.label}: {number}"]
        for index, line in enumerate(lines):
            shift = -LINE_HEIGHT * (index - (len(lines) - 1) / 2)
            offset = (-_GAP, shift)
            parts.draw_text(axes, (0, middle), line, offset=offset, horizontal="right", x_in=parts.AXES)
        parts.draw_text(axes, (max(start, end), middle), number, offset=(6, 0), horizontal="left")
        top += height
        axes.axhline(top, color=LINE, linewidth=0.5, zorder=0)
    axes.set_xlim(low, high if high > low else low + 1)
    axes.set_ylim(total_height, 0)
    return tooltips
