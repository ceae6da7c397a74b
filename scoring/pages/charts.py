"""Charts that several pages share.

Imports inside functions: Plotly takes a second to load, and is needed for HTML only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from scoring.pages.theme import GREY, MODEL, RULES
from scoring.statistics.rates import Rate

if TYPE_CHECKING:
    import plotly.graph_objects as go

_COLORS = (MODEL, RULES, GREY)


def bars_with_intervals(
    names: Sequence[str], sides: Mapping[str, Sequence[Rate]], x: str, y: str
) -> go.Figure:
    """Win rates with their intervals: a group of bars per name, a bar per side."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for (side, rates), colour in zip(sides.items(), _COLORS, strict=False):
        value = [None if rate.value != rate.value else rate.value for rate in rates]
        up = [rate.high - rate.value if rate.count else 0 for rate in rates]
        down = [rate.value - rate.low if rate.count else 0 for rate in rates]
        intervals = {"type": "data", "array": up, "arrayminus": down, "symmetric": False}
        figure.add_bar(x=names, y=value, name=side, marker_color=colour, error_y=intervals)
    figure.update_yaxes(tickformat=".0%", rangemode="tozero")
    return apply_layout(figure, x, y)


def lines(x: Sequence[str], sides: Mapping[str, Sequence[float]], y: str) -> go.Figure:
    """One line per side."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for (side, values), colour in zip(sides.items(), _COLORS, strict=False):
        figure.add_scatter(x=list(x), y=list(values), mode="lines+markers", name=side, line={"color": colour})
    figure.update_yaxes(rangemode="tozero")
    return apply_layout(figure, "", y)


def apply_layout(figure: go.Figure, x: str, y: str) -> go.Figure:
    return figure.update_layout(
        template="plotly_white",
        height=360,
        margin={"l": 60, "r": 20, "t": 20, "b": 50},
        legend={"orientation": "h", "y": 1.1},
        xaxis_title=x,
        yaxis_title=y,
    )
