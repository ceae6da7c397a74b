"""The style sheet and the charts share one palette."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scoring.pages.theme import CSS_VARIABLES, FONTS

STYLE = (Path(__file__).parents[4] / "serving" / "review" / "static" / "site.css").read_text(encoding="utf-8")


def variables(block: str) -> dict[str, str]:
    """The variables of the first :root of a part of the style sheet."""
    return dict(re.findall(r"--([\w-]+):\s*([^;]+);", block.split(":root {")[1].split("}")[0]))


@pytest.mark.parametrize("name", CSS_VARIABLES)
def test_a_light_screen_has_the_colours_of_the_reports(name: str) -> None:
    assert variables(STYLE)[name] == CSS_VARIABLES[name]


@pytest.mark.parametrize("name", CSS_VARIABLES)
def test_a_dark_screen_has_colours_of_its_own(name: str) -> None:
    dark = variables(STYLE.split("prefers-color-scheme: dark")[1])
    assert dark[name] != CSS_VARIABLES[name]


@pytest.mark.parametrize("name", ["model", "rules", "positive", "negative", "total"])
def test_paper_has_the_colours_of_a_light_screen(name: str) -> None:
    paper = variables(STYLE.split("@page")[1])
    assert paper[name] == CSS_VARIABLES[name]


@pytest.mark.parametrize("name", CSS_VARIABLES)
def test_a_class_gives_a_chart_the_colour(name: str) -> None:
    assert f".plot .{name} {{ color: var(--{name}); }}" in STYLE


def test_the_fonts_are_those_of_the_reports() -> None:
    assert f"font-family: {FONTS};" in STYLE
