"""Draws the charts of the pages as SVG, by matplotlib: without a browser, without scripts in the page.

The same picture serves a light or dark screen, print, and a browser without scripts. Lengths are pixels of
the picture (a point of matplotlib is a pixel here).
"""

from __future__ import annotations

import hashlib
import warnings
from functools import lru_cache
from io import StringIO
from threading import Lock
from zoneinfo import ZoneInfo

from markupsafe import Markup

from features.clock import MS_PER_DAY
from serving.review.charts.charts import Bars, Lines, PageChart, Series
from serving.review.charts.svg import to_page_svg

CACHE_SIZE = 256
"""Charts that are kept as they were drawn (5 to 50 kB each): to draw one takes about 30 ms."""

_lock = Lock()


@lru_cache(CACHE_SIZE)
def render_svg(chart: PageChart) -> Markup:
    """A chart as an SVG element of a page. Safe to call from any thread."""
    # Imported when the first chart is drawn: it takes half a second and 45 MB, which a process without pages
    # does without; `draw_first_chart` sees to it when a service starts.
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    from serving.review.charts import bars, lines, waterfall  # they import matplotlib

    salt = hashlib.sha256(repr(chart).encode()).hexdigest()[:16]
    with (
        _lock,  # both are settings of the whole process
        warnings.catch_warnings(),
        mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": salt}),
    ):
        warnings.filterwarnings("ignore", message="Glyph")  # the fonts of the page have it
        figure = Figure(dpi=72)
        FigureCanvasSVG(figure)
        match chart:
            case Bars():
                tooltips = bars.draw_bars(figure, chart)
            case Lines():
                tooltips = lines.draw_lines(figure, chart)
            case _:
                tooltips = waterfall.draw_waterfall(figure, chart)
        document = StringIO()
        figure.savefig(document, format="svg", transparent=True, metadata={"Date": None})
        return to_page_svg(document.getvalue(), chart.title, tooltips)


def draw_first_chart() -> None:
    """Load what charts are drawn with, and draw a small one: the first chart of a process takes half a second
    or, on a loaded machine, several."""
    series = Series("", (0.0, 1.0), (0.0, 0.5), (0.5, 1.0))
    render_svg(Lines(title="", x=(0.0, MS_PER_DAY), series=(series,), zone=ZoneInfo("UTC")))
