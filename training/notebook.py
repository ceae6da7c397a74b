"""Blocks of pages as the output of a notebook cell."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

import plotly.graph_objects as go
from IPython.display import HTML, display

from scoring.pages.page import Block, Chart, apply_theme, to_fragment


def show(*blocks: Block) -> None:
    """Display blocks in their order: texts and tables as HTML, charts as Plotly figures."""
    display(*_outputs(blocks))


def _outputs(blocks: tuple[Block, ...]) -> Iterator[HTML | go.Figure]:
    for is_chart, group in groupby(blocks, lambda block: isinstance(block, Chart)):
        if is_chart:
            yield from (apply_theme(chart.figure()) for chart in group if isinstance(chart, Chart))
        else:
            yield HTML(to_fragment(list(group)))
