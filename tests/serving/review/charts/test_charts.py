"""The charts as data: their tables, moments in the company's time zone, and the sums of waterfalls."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from serving.review.charts.charts import Lines, Mark, PageChart, Series, Waterfall
from serving.review.charts.lines import _position, _x_ticks
from tests.helpers.review_charts import CHARTS


@pytest.mark.parametrize("chart", CHARTS)
def test_a_table_row_has_a_cell_for_each_column(chart: PageChart) -> None:
    assert all(len(row) == len(chart.head) for row in chart.rows)


def test_the_table_shows_intervals_and_dashes() -> None:
    bars = CHARTS[0]
    assert bars.rows[0][1] == "1 x (0.5–1.5)"
    assert bars.rows[1][2] == "–"


def test_moments_are_shown_in_the_time_zone_of_the_company() -> None:
    moment_ms = 1_790_000_000_000  # 2026-09-21T14:13:20Z
    lines = Lines(
        title="",
        x=(moment_ms,),
        series=(Series("s", (1.0,)),),
        marks=(Mark(moment_ms, "call"),),
        zone=ZoneInfo("Asia/Tokyo"),
    )
    assert lines.rows[0][0] == "2026-09-21 23:13"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("hours", [0.001, 5, 30, 61, 69, 71, 100, 24 * 80, 24 * 1000, 24 * 1090, 24 * 4000])
def test_an_axis_of_moments_has_few_ticks_whatever_its_span(hours: float) -> None:
    first = 1_790_000_000_000
    chart = Lines(title="", x=(first, first + hours * 3_600_000), series=(), zone=ZoneInfo("Asia/Tokyo"))
    ticks = _x_ticks(chart, [_position(chart, x) for x in chart.x])
    assert 1 <= len(ticks) <= 8, ticks


def test_a_waterfall_adds_up() -> None:
    waterfall = CHARTS[3]
    assert isinstance(waterfall, Waterfall)
    assert waterfall.spans == [(0.0, -2.0), (-2.0, -0.5), (0.0, -0.5)]
    assert [row[1] for row in waterfall.rows] == ["-2.00", "+1.50", "-0.50"]
