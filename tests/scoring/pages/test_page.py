from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest
from plotly.offline import get_plotlyjs
from rich.cells import cell_len
from rich.console import Console

from features.kinds import Language
from scoring.pages.page import (
    Block,
    CellValue,
    Chart,
    Facts,
    Heading,
    Items,
    Page,
    Table,
    Text,
    to_html,
    to_terminal,
)

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
LOADING = ("src", "href", "data", "poster", "srcset", "action")
SCRIPT = "<script>alert(1)</script>"


class ParsedPage(HTMLParser):
    """What an HTML page would load, its text, and its tags with their classes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.words: list[str] = []
        self.styles: list[str] = []
        self.tags: list[tuple[str, str]] = []
        self.within: list[str] = []
        self.language: str | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [str(value) for name, value in attrs if name in LOADING]
        self.language = dict(attrs).get("lang") or self.language
        self.tags.append((tag, dict(attrs).get("class") or ""))
        self.within.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.within and self.within.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        inside = self.within[-1] if self.within else ""
        if inside == "style":
            self.styles.append(data)
        elif inside != "script":
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


@contextmanager
def open_browser() -> Iterator[Any]:
    """A headless Chromium; where there is none the test is skipped, and fails in CI, which needs it."""
    if not Path(CHROMIUM).exists():
        reason = "there is no chromium on this machine (Debian: apt-get install chromium)"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    from playwright.sync_api import sync_playwright  # only where a browser is there

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


def chart() -> go.Figure:
    return go.Figure(go.Scatter(x=[1, 2, 3], y=[0.1, 0.3, 0.2], name="won"))


def page(*blocks: Block, lang: Language = "en", footer: str = "") -> Page:
    return Page("Whom to call", blocks, lang, footer)


def print_page(shown: Page, width: int = 100, **options: Any) -> str:
    out = io.StringIO()
    to_terminal(shown, Console(file=out, width=width, **options))
    return out.getvalue()


def lines(shown: Page, width: int = 100) -> list[str]:
    return [line.rstrip() for line in print_page(shown, width).splitlines()]


FIGURES = Table(
    ("Figure", "Model", "Baseline"),
    (("log loss", CellValue("0.3120", "0.3010 – 0.3240"), "0.4001"), ("lift", CellValue("3.2"), "–")),
    caption="Intervals are bootstrapped.",
)
EVERY = page(
    Text("Trained on 12 leads."),
    Text("Better than the rules.", "verdict"),
    Text("Few wins.", "warning"),
    Text("A demo.", "note"),
    Heading("Figures"),
    FIGURES,
    Heading("Pictures"),
    Chart(chart, "Win rate by month."),
    Heading("Findings"),
    Items((("leak", "reason leaks"), ("pass", "enough wins"), ("", "no more"))),
    Facts((("weights", "linear 0.45"), ("threshold", "70"))),
    footer="Model 3f2a.",
)


def test_html_shows_every_block() -> None:
    parsed = ParsedPage(to_html(EVERY))
    expected = (
        "Whom to call",
        "Trained on 12 leads.",
        "Better than the rules.",
        "Few wins.",
        "A demo.",
        "Figures",
        "log loss",
        "0.3120",
        "0.3010 – 0.3240",
        "Intervals are bootstrapped.",
        "Pictures",
        "Win rate by month.",
        "reason leaks",
        "enough wins",
        "no more",
        "weights",
        "linear 0.45",
        "threshold",
        "Model 3f2a.",
    )
    places = [parsed.text.find(words) for words in expected]
    assert -1 not in places
    assert places == sorted(places)
    assert parsed.language == "en"
    for tag in (
        ("p", "text plain"),
        ("p", "text verdict"),
        ("p", "text warning"),
        ("p", "text note"),
        ("li", "leak"),
        ("li", "pass"),
        ("dl", ""),
        ("h2", ""),
        ("small", ""),
    ):
        assert tag in parsed.tags, tag


def test_terminal_shows_every_block_but_charts() -> None:
    output_lines = lines(EVERY)
    for line in (
        "Whom to call",
        "Trained on 12 leads.",
        "│ Better than the rules. │",
        "!  Few wins.",
        "A demo.",
        "Figures",
        "Intervals are bootstrapped.",
        "✕  reason leaks",
        "✓  enough wins",
        "•  no more",
        "weights    linear 0.45",
        "threshold  70",
        "Model 3f2a.",
    ):
        assert line in output_lines, line
    assert "Win rate by month." not in output_lines


def test_heading_of_charts_alone_is_not_printed() -> None:
    assert "Pictures" not in lines(EVERY)
    assert "Last" not in lines(page(Text("one"), Heading("Last"), Chart(chart)))
    assert "Pictures" in lines(page(Heading("Pictures"), Chart(chart), Text("one")))


def test_charts_are_made_only_when_drawn() -> None:
    draw_calls: list[int] = []
    shown = page(Chart(lambda: draw_calls.append(1) or chart()))
    print_page(shown)
    assert draw_calls == []
    to_html(shown)
    assert draw_calls == [1]


def test_rendering_does_not_change_the_figure_and_is_repeatable() -> None:
    figure = chart()
    before = figure.to_json()
    shown = page(Chart(lambda: figure))
    assert to_html(shown) == to_html(shown)
    assert figure.to_json() == before


def test_everything_is_escaped() -> None:
    s = SCRIPT
    blocks = (
        Heading(s),
        Text(s),
        Text(s, "verdict"),
        Table((s,), ((s,), (CellValue(s, s),)), s, s),
        Table((s,), (), s),
        Items(((s, s),)),
        Items((('"><script>', "x"),)),
        Facts(((s, s),)),
        Chart(lambda: go.Figure(go.Scatter(x=[1], y=[1], name=s)), s),
    )
    html = to_html(Page(s, blocks, "en", s))
    assert ParsedPage(html).tags.count(("script", "")) == ParsedPage(to_html(EVERY)).tags.count(
        ("script", "")
    )
    assert s not in html
    assert ParsedPage(html).text.count(s) == 16


def test_terminal_reads_no_markup_and_obeys_no_control_codes() -> None:
    output = print_page(page(Text("[bold]a[/bold] \x1b[31mred\x07\x9b1m :smile:"), Heading("[/]")))
    assert "[bold]a[/bold] �[31mred��1m :smile:" in output
    assert "\x1b" not in output


def test_page_loads_nothing_from_outside() -> None:
    parsed = ParsedPage(to_html(EVERY))
    assert parsed.loads == []
    assert not any("url(" in style or "@import" in style for style in parsed.styles)


@pytest.mark.parametrize("charts", [0, 1, 2])
def test_plotly_is_part_of_the_page_once_or_not_at_all(charts: int) -> None:
    html = to_html(page(Text("one"), *[Chart(chart)] * charts))
    assert html.count(get_plotlyjs()) == min(charts, 1)
    assert html.replace(get_plotlyjs(), "").count("Plotly.newPlot(") == charts
    assert len(html) < 20_000 or charts


@pytest.mark.parametrize(
    ("cells", "shape"),
    [
        (("1", "23,456", "–"), "number"),
        (("12.5%", "-3.1%", "+0.2 %", ""), "number"),
        (("¥1,200", "<0.01", "3.2×"), "number"),
        (("1,234件", "3.2倍"), "number"),
        (("12", "twelve"), "short"),
        (("2026-01-31",), "short"),
        (("a reason that is told in rather more words",), "long"),
        (("直近14日間に価格ページを合計4回閲覧", "–"), "long"),
        ((), "short"),
    ],
)
def test_columns_of_numbers_are_told_from_texts(cells: tuple[str, ...], shape: str) -> None:
    for variant in (cells, tuple(CellValue(cell, "of 12 leads") for cell in cells)):
        assert Table(("a",), tuple((cell,) for cell in variant)).shapes == (shape,)


def test_numbers_are_aligned_right_in_both() -> None:
    parsed = ParsedPage(to_html(page(FIGURES)))
    classes = [name for tag, name in parsed.tags if tag in ("th", "td")]
    assert classes == ["short", "number", "number"] * 3
    head, _, first, interval, second = lines(page(FIGURES))[2:7]
    assert head.index("Model") + 5 == first.index("0.3120") + 6 == interval.index("0.3240") + 6
    assert second.endswith("–")
    assert len(head) == len(first) == len(second)


def test_empty_table_says_so() -> None:
    shown = page(Table(("Rule", "Points"), (), "No rule changed.", "Since Monday."))
    assert lines(shown)[2:] == ["No rule changed.", "Since Monday."]
    parsed = ParsedPage(to_html(shown))
    assert "No rule changed. Since Monday." in parsed.text
    assert "table" not in [tag for tag, _ in parsed.tags]
    assert "Rule" in ParsedPage(to_html(page(Table(("Rule",), ())))).text


def test_japanese_is_aligned() -> None:
    rows = (("成約率（上位5%）", "12.5%", "対応"), ("AUC", "3", "待つ"))
    shown = page(Table(("指標", "値", "次"), rows), lang="ja")
    head, _, *body = lines(shown)[2:]
    ends = {
        cell_len(line[: line.index(after)])
        for line, after in zip((head, *body), ("次", "対応", "待つ"), strict=True)
    }
    assert len(ends) == 1
    assert ParsedPage(to_html(shown)).language == "ja"


@pytest.mark.parametrize("width", [110, 80, 60, 40, 24])
def test_terminal_keeps_its_width_and_breaks_no_number(width: int) -> None:
    long = "asked for a demo three days ago / 直近14日間に価格ページを4回閲覧 / head of IT " * 3
    cell = CellValue("0.31234", "0.3010 – 0.3240")
    wide = Table(("Figure", *(f"model number {n}" for n in range(4))), (("loss", *[cell] * 4),))
    reasons = Table(("Lead", "Probability", "Why"), (("L-00123", "81%", long),))
    output = print_page(
        page(Text(long), wide, reasons, Items((("leak", long),)), Facts((("a", long),))), width
    )
    assert max(cell_len(line) for line in output.splitlines()) <= width
    assert output.count("0.31234") == 4
    assert output.count("0.3010 – 0.3240") == (4 if width >= 40 else 0)
    assert "81%" in output
    assert output.replace("\n", " ").count("demo") == 12


def test_page_without_blocks_is_its_title() -> None:
    assert lines(page()) == ["Whom to call"]
    assert ParsedPage(to_html(page())).text.count("Whom to call") == 2


def test_line_breaks_are_kept() -> None:
    shown = page(Text("one\r\ntwo\tthree"))
    assert lines(shown)[2:] == ["one", "two three"]
    assert "one\r\ntwo" in to_html(shown)


def test_colour_is_for_terminals_only() -> None:
    assert "\x1b[" not in print_page(EVERY)
    assert "\x1b[" in print_page(EVERY, force_terminal=True, color_system="standard", no_color=False)


def test_by_default_it_prints_to_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    to_terminal(page(Text("hello")))
    assert capsys.readouterr().out.split() == ["Whom", "to", "call", "hello"]


def test_a_page_imports_nothing_heavy() -> None:
    light = "'pydantic', 'numpy', 'plotly', 'rich', 'jinja2'"
    heavy = "'pandas', 'sklearn', 'mlflow'"
    code = f"""
import sys, scoring.pages.page as p
print([m for m in ({light}, {heavy}) if m in sys.modules])
import plotly.graph_objects as go
shown = p.Page("t", (p.Table(("a",), (("1",),)), p.Chart(lambda: go.Figure(go.Bar(y=[1])))), "en")
p.to_html(shown), p.to_terminal(shown, __import__("rich.console").console.Console(quiet=True))
print([m for m in ({heavy}) if m in sys.modules])
"""
    root = Path(__file__).parents[3]
    run = [sys.executable, "-c", code]
    completed = subprocess.run(run, cwd=root, capture_output=True, text=True, check=True)
    assert completed.stdout == "[]\n[]\n"


@pytest.mark.browser
@pytest.mark.parametrize("width", [1100, 400])
def test_browser_draws_the_page(tmp_path: Path, width: int) -> None:
    path = tmp_path / "page.html"
    path.write_text(to_html(EVERY), encoding="utf-8")
    problems: list[str] = []
    requested_urls: list[str] = []
    with open_browser() as browser:
        tab = browser.new_page(viewport={"width": width, "height": 900})
        tab.on("console", lambda message: problems.append(message.text))
        tab.on("pageerror", lambda error: problems.append(str(error)))
        tab.on("request", lambda request: requested_urls.append(request.url))
        tab.goto(path.as_uri())
        tab.wait_for_selector(".js-plotly-plot .main-svg")
        assert tab.locator(".js-plotly-plot svg .scatterlayer path.js-line").count() == 1
        assert tab.evaluate("document.documentElement.scrollWidth") == width
        assert tab.locator(".main-svg").first.bounding_box()["width"] <= width
        assert tab.locator("td.number").first.evaluate("e => getComputedStyle(e).textAlign") == "right"
        for event, wide in (("beforeprint", 680), ("afterprint", tab.locator("figure").last)):
            tab.evaluate(f"dispatchEvent(new Event('{event}'))")
            expected_width = wide if isinstance(wide, int) else wide.bounding_box()["width"]
            assert tab.locator(".main-svg").first.bounding_box()["width"] == expected_width
    assert problems == []
    assert requested_urls == [path.as_uri()]
