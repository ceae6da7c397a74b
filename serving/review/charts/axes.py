"""What charts have in common: the frame, round ticks, labels, thresholds, the legend, and intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from scoring.pages.theme import CSS_VARIABLES, INK, LINE, SOFT
from serving.review.charts.charts import Series, Threshold
from serving.review.charts.text_size import FONT_SIZE, LINE_HEIGHT, text_width, wrap_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 640
PLOT_HEIGHT = 230
Coordinates: TypeAlias = Literal["data", "axes fraction"]
AXES: Final = "axes fraction"
_GAP, _SWATCH = 8, 10
_Y_TICKS = 6


@dataclass(frozen=True)
class YAxis:
    """The ends of a y axis and its ticks, from `low` to `high`, with their labels."""

    ticks: tuple[float, ...]
    labels: tuple[str, ...]

    @property
    def margin(self) -> float:
        """The room that the labels need."""
        return max(map(text_width, self.labels)) + 2 * _GAP


@dataclass(frozen=True)
class Margins:
    """The room around the plot."""

    left_margin: float
    right: float
    top: float
    bottom: float


def round_ticks(low: float, high: float, count: int) -> tuple[float, ...]:
    """Ticks at round numbers, about `count` of them, that enclose `low` to `high`."""
    if low == high:
        high = low + 1.0
    locator = MaxNLocator(nbins=count, steps=[1, 2, 2.5, 5, 10])
    ticks = [round(float(tick), 10) for tick in locator.tick_values(low, high)]
    inner = [i for i, tick in enumerate(ticks) if low < tick < high]
    if not inner:
        return tuple(ticks)
    return tuple(ticks[max(0, inner[0] - 1) : inner[-1] + 2])


def y_axis(series: Sequence[Series], unit: str, ends: tuple[float, float] | None = None) -> YAxis:
    """The axis on which all values and intervals lie; 0 is always on it."""
    values = [v for s in series for numbers in (s.values, s.low, s.high) for v in numbers or ()]
    present = [value for value in values if value is not None]
    low, high = ends or (min(0.0, *present, 0.0), max(0.0, *present, 0.0))
    ticks = round_ticks(low, high, _Y_TICKS)
    return YAxis(ticks, tuple(f"{tick:,.4g}{unit}".replace("-", "−") for tick in ticks))


def add_axes(figure: Figure, margins: Margins, plot_height: float = PLOT_HEIGHT) -> Axes:
    """Empty axes of the picture's width, without a frame; sets the size of the figure."""
    height, width = margins.top + plot_height + margins.bottom, WIDTH - margins.left_margin - margins.right
    figure.set_size_inches(WIDTH / 72, height / 72)
    corner = margins.left_margin / WIDTH, margins.bottom / height
    axes = figure.add_axes((*corner, width / WIDTH, plot_height / height))
    axes.set_axis_off()
    return axes


def draw_y_axis(axes: Axes, axis: YAxis) -> None:
    """Grid lines and their labels; the line at 0 is darker."""
    axes.set_ylim(axis.ticks[0], axis.ticks[-1])
    for tick, label in zip(axis.ticks, axis.labels, strict=True):
        color = SOFT if tick == 0 else LINE
        axes.axhline(tick, color=color, linewidth=1, zorder=0, clip_on=False)
        draw_text(axes, (0, tick), label, offset=(-_GAP, 0), horizontal="right", x_in=AXES)


def draw_thresholds(axes: Axes, thresholds: Sequence[Threshold]) -> None:
    """Dashed lines, with their labels right of the plot."""
    for threshold in thresholds:
        y, text = threshold.value, threshold.label
        axes.axhline(y, color=SOFT, linewidth=1.2, linestyle=(0, (5, 4)), zorder=1)
        draw_text(axes, (1, y), text, offset=(_GAP, 0), horizontal="left", x_in=AXES, color=SOFT)


def threshold_margin(thresholds: Sequence[Threshold]) -> float:
    """The room right of the plot for the labels of thresholds."""
    return max((text_width(threshold.label) + 2 * _GAP for threshold in thresholds), default=0.0)


def draw_text(
    axes: Axes,
    position: tuple[float, float],
    text: str,
    *,
    offset: tuple[float, float] = (0, 0),
    horizontal: str = "center",
    vertical: str = "center",
    x_in: Coordinates = "data",
    y_in: Coordinates = "data",
    color: str = INK,
) -> None:
    """A line of text at a position in data or axes coordinates, moved by an offset in pixels."""
    axes.annotate(
        text,
        position,
        xycoords=(x_in, y_in),
        xytext=offset,
        textcoords="offset points",
        ha=horizontal,
        va=vertical,
        fontsize=FONT_SIZE,
        color=color,
        annotation_clip=False,
        parse_math=False,
    )


def draw_x_label(axes: Axes, x: float, lines: Sequence[str]) -> None:
    """A label of one or more lines below the plot."""
    for i, line in enumerate(lines):
        draw_text(axes, (x, 0), line, offset=(0, -_GAP - 6 - LINE_HEIGHT * i), y_in=AXES)


def label_height(lines: int) -> float:
    """The room below the plot for labels of so many lines."""
    return 2 * _GAP + LINE_HEIGHT * lines


def legend_rows(series: Sequence[Series]) -> list[list[tuple[float, Series]]]:
    """The entries of the legend with their left ends, in rows that fit; none for a single series."""
    rows: list[list[tuple[float, Series]]] = []
    x_left = 0.0
    for one in series if len(series) > 1 else ():
        width = _SWATCH + _GAP + text_width(one.name) + 2 * _GAP
        if not rows or x_left + width > WIDTH - 2 * _GAP:
            rows.append([])
            x_left = _GAP
        rows[-1].append((x_left, one))
        x_left += width
    return rows


def legend_height(series: Sequence[Series]) -> float:
    """The room above the plot: for the legend, and for half a tick label."""
    return 12.0 + 20.0 * len(legend_rows(series))


def draw_legend(figure: Figure, axes: Axes, series: Sequence[Series], margins: Margins) -> None:
    """A swatch and a name for each series, above the plot."""
    height = figure.get_figheight() * 72
    for row, entries in enumerate(legend_rows(series)):
        y = height - 12 - 20 * row
        for x_left, one in entries:
            corner, size = (x_left / WIDTH, (y - _SWATCH / 2) / height), (_SWATCH / WIDTH, _SWATCH / height)
            figure.add_artist(Rectangle(corner, *size, color=CSS_VARIABLES[one.color], linewidth=0))
            name = wrap_text(one.name, WIDTH - 6 * _GAP, 1)[0]
            offset = (x_left + _SWATCH + _GAP - margins.left_margin, y - margins.bottom)
            draw_text(axes, (0, 0), name, offset=offset, horizontal="left", x_in=AXES, y_in=AXES)


def draw_intervals(axes: Axes, x: Sequence[float], series: Series) -> None:
    """The intervals of a series as error bars at positions of the x axis."""
    for place, low, high in zip(x, series.low or (), series.high or (), strict=False):
        if low is not None and high is not None:
            axes.add_line(Line2D([place, place], [low, high], color=INK, linewidth=1.2, zorder=4))
            for end in (low, high):
                axes.plot([place], [end], marker="_", markersize=7, color=INK, zorder=4)
