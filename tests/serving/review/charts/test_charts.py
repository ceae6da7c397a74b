"""A figure is told once: in the browser, as a picture and as a table it shows the same numbers."""

from __future__ import annotations

import re
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import pytest

from serving.review.charts.charts import Bars, Figure, Lines, Mark, Series, Step, Waterfall
from serving.review.charts.svg import svg

SCRIPT = "<script>alert(1)</script>"
MODEL = Series("model", [1.0, 2.5], [0.5, 2.0], [1.5, 3.0], "model")
FIGURES: list[Figure] = [
    Bars(SCRIPT, ["cold", SCRIPT], [MODEL, Series("rules", [0.5, None], role="rules")], " x"),
    Lines(SCRIPT, [1.0, 2.0], [MODEL], [Mark(1.5, SCRIPT)], unit=" %", x_title="told"),
    Lines("dated", [1_790_000_000_000, 1_790_086_400_000], [MODEL], zone=ZoneInfo("Asia/Tokyo")),
    Waterfall(SCRIPT, [Step("prior", -2.0, True), Step(SCRIPT, 1.5), Step("sum", -0.5, True)]),
    Bars("nothing", [], []),
    Lines("nothing", [], []),
    Waterfall("nothing", []),
]


@pytest.mark.parametrize("figure", FIGURES)
def test_a_picture_is_whole_and_runs_nothing(figure: Figure) -> None:
    drawn = str(svg(figure))
    ElementTree.fromstring(drawn)  # raises where it is not whole
    assert "<script" not in drawn
    assert "nan" not in drawn


@pytest.mark.parametrize("figure", FIGURES)
def test_a_table_row_has_a_cell_for_each_column(figure: Figure) -> None:
    assert all(len(row) == len(figure.head) for row in figure.rows)


def test_intervals_are_told_in_the_table_and_drawn() -> None:
    bars = FIGURES[0]
    assert bars.rows[0][1] == "1 x (0.5–1.5)"
    assert bars.rows[1][2] == "–"
    error = bars.plotly()["data"][0]["error_y"]
    assert (error["array"], error["arrayminus"]) == ([0.5, 0.5], [0.5, 0.5])


def test_moments_are_told_as_the_clocks_of_the_company_show_them() -> None:
    moment_ms = 1_790_000_000_000  # 2026-09-21T14:13:20Z
    lines = Lines(
        "", [moment_ms], [Series("s", [1.0])], [Mark(moment_ms, "call")], zone=ZoneInfo("Asia/Tokyo")
    )
    assert lines.rows[0][0] == "2026-09-21 23:13"
    assert [trace["x"] for trace in lines.plotly()["data"]] == [["2026-09-21T23:13:20"]] * 2


def test_a_waterfall_adds_up() -> None:
    waterfall = FIGURES[3]
    assert isinstance(waterfall, Waterfall)
    assert waterfall.spans == [(0.0, -2.0), (-2.0, -0.5), (0.0, -0.5)]
    assert [row[1] for row in waterfall.rows] == ["-2.00", "+1.50", "-0.50"]
    assert waterfall.plotly()["data"][0]["measure"] == ["absolute", "relative", "absolute"]


def test_bars_stand_on_zero_whatever_their_sign() -> None:
    drawn = str(svg(Bars("", ["a", "b"], [Series("s", [-1.0, 1.0])])))
    heights = [float(h) for h in re.findall(r'height="([\d.]+)" fill', drawn)]
    assert heights[0] == heights[1] > 0
