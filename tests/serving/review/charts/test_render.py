"""Drawn charts: well formed, without scripts and styles, on the colours of the site, with texts that fit."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import pytest

from scoring.pages.theme import CSS_VARIABLES
from serving.review.charts.axes import round_ticks
from serving.review.charts.charts import Bars, PageChart, Series
from serving.review.charts.render import render_svg
from serving.review.charts.text_size import text_width, wrap_text
from tests.helpers.review_charts import CHARTS, LONG, LONG_JA, SCRIPT
from tests.helpers.service.review_demo import text_problems
from tests.scoring.pages.test_page import open_browser


@pytest.mark.parametrize("chart", CHARTS)
def test_a_picture_is_well_formed_and_has_neither_scripts_nor_styles(chart: PageChart) -> None:
    svg = str(render_svg(chart))
    root = ElementTree.fromstring(svg)
    assert root.attrib["aria-label"] == chart.title
    assert "<script" not in svg
    assert "style" not in svg
    assert "nan" not in svg.lower().replace("nance", "")
    assert not any(re.search("#[0-9a-f]{6}", value) for e in root.iter() for value in e.attrib.values())


@pytest.mark.parametrize("chart", CHARTS)
def test_every_colour_is_a_class_of_the_style_sheet(chart: PageChart) -> None:
    root = ElementTree.fromstring(str(render_svg(chart)))
    coloured = [e for e in root.iter() if "currentColor" in e.attrib.values()]
    assert all(element.attrib["class"] in CSS_VARIABLES for element in coloured)


def test_ids_of_two_charts_of_a_page_differ() -> None:
    ids = [set(re.findall(r' id="([^"]+)"', str(render_svg(chart)))) for chart in (CHARTS[1], CHARTS[9])]
    assert ids[0]
    assert not ids[0] & ids[1]


def test_the_same_chart_is_drawn_once_and_always_the_same() -> None:
    before = render_svg(CHARTS[0])
    assert render_svg(CHARTS[0]) is before
    render_svg.cache_clear()
    assert render_svg(CHARTS[0]) == before


def test_shapes_show_their_value_to_a_pointer() -> None:
    root = ElementTree.fromstring(str(render_svg(CHARTS[0])))
    titles = [element.text for element in root.iter("title")]
    assert titles == ["cold, model: 1 x (0.5–1.5)", f"{SCRIPT}, model: 2.5 x (2–3)", "cold, rules: 0.5 x"]


def test_bars_stand_on_zero_whatever_their_sign() -> None:
    bars = Bars(title="", labels=("a", "b"), series=(Series("s", (-1.0, 1.0)),))
    root = ElementTree.fromstring(str(render_svg(bars)))
    shapes = [path.attrib["d"] for path in root.iter("path") if path.find("title") is not None]
    spans = [
        sorted({round(float(y), 3) for y in re.findall(r"[ML] [\d.]+ ([\d.]+)", shape)}) for shape in shapes
    ]
    assert spans[0][0] == spans[1][1]  # one hangs from the line on which the other stands
    assert spans[0][1] - spans[0][0] == pytest.approx(spans[1][1] - spans[1][0])


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 39.38, (0, 10, 20, 30, 40)),
        (0, 100, (0, 20, 40, 60, 80, 100)),
        (-2, 3, (-2, -1, 0, 1, 2, 3)),
        (0, 0, (0, 0.2, 0.4, 0.6, 0.8, 1)),
    ],
)
def test_ticks_are_round_and_enclose_the_values(low: float, high: float, ticks: tuple[float, ...]) -> None:
    assert round_ticks(low, high, 6) == ticks


@pytest.mark.parametrize("text", [LONG, LONG_JA, "short", "", "a" * 200])
def test_wrapped_lines_fit(text: str) -> None:
    lines = wrap_text(text, 150, 3)
    assert len(lines) <= 3
    assert all(text_width(line) <= 150 for line in lines)


@pytest.mark.slow
def test_every_text_lies_inside_its_picture_and_meets_no_other() -> None:
    pictures = "".join(f"<div class='plot'>{render_svg(chart)}</div>" for chart in CHARTS)
    with open_browser() as browser:
        page: Any = browser.new_page(viewport={"width": 700, "height": 900})
        page.set_content(f"<style>svg {{ display: block; width: 640px }}</style>{pictures}")
        assert text_problems(page) == []
