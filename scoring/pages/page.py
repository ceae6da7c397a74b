"""Pages: a title and blocks, rendered in a terminal or as one HTML file.

The HTML needs no network: it contains Plotly's script if there is a chart. Values from data are escaped in
both renderings; the terminal skips charts. Imports inside functions: each rendering loads the library that
it needs, so that building a page costs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from scoring.pages.theme import COLORWAY, FONTS, INK

if TYPE_CHECKING:  # at run time each rendering imports what it needs: a page itself costs nothing
    import plotly.graph_objects as go
    from jinja2 import Template
    from rich import table as rich_table
    from rich.console import Console, RenderableType
    from rich.text import Text as RichText

    from features.kinds import Language

_TEMPLATES = Path(__file__).parent / "templates"
_MARKS = {
    "leak": ("✕", "red"),
    "fail": ("✕", "red"),
    "suspect": ("?", "red"),
    "warning": ("!", "yellow"),
    "pass": ("✓", "green"),
}
_NUMBER = re.compile(
    r"[<>≤≥~]?\s?[+\-−±]?[¥¥$€£]?\d[\d,]*(\.\d+)?\s?(%|pp|×|x|k|M|s|ms|days?|倍|件|円|万円|日|人)?"
)
_NONE = ("", "–", "-")
_CONTROL = dict.fromkeys((*range(32), *range(127, 160)), "�") | {9: " ", 10: "\n", 13: ""}
_LONG, _WORD, _GAP = 32, 12, 2  # columns of a terminal


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of the blocks after it."""

    text: str


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph; a verdict is shown in a box, a note in small print. Line breaks are preserved."""

    text: str
    kind: Literal["plain", "verdict", "note", "warning"] = "plain"


@dataclass(frozen=True, slots=True)
class CellValue:
    """A figure with its interval or count in small print."""

    text: str
    small: str = ""


Cell: TypeAlias = str | CellValue


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells, one per column. Columns of numbers are right-aligned.

    `empty` is shown instead of a table without rows.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    empty: str = ""
    caption: str = ""

    @property
    def shapes(self) -> tuple[Literal["number", "long", "short"], ...]:
        """The content of each column: numbers, texts that may be wrapped, or short texts."""
        return tuple(_shape([row[index].text for row in self.values]) for index in range(len(self.columns)))

    @property
    def values(self) -> list[list[CellValue]]:
        """The rows with every cell as a CellValue."""
        return [[c if isinstance(c, CellValue) else CellValue(c) for c in row] for row in self.rows]


@dataclass(frozen=True, slots=True)
class Items:
    """A list of (severity, text): leak, suspect, warning, note, pass, fail, or "" for none."""

    items: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """Pairs of a name and a value."""

    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """A Plotly figure, built when it is drawn. Plotly interprets some HTML (<b>, <br>) in texts."""

    figure: Callable[[], go.Figure]
    caption: str = ""


Block: TypeAlias = Heading | Text | Table | Items | Facts | Chart


@dataclass(frozen=True, slots=True)
class Page:
    """A title, blocks, and a footer in small print, in one language."""

    title: str
    blocks: tuple[Block, ...]
    lang: Language
    footer: str = ""


def to_html(page: Page) -> str:
    """The page as one HTML file without external resources."""
    charts = any(isinstance(block, Chart) for block in page.blocks)
    return _template("page.html").render(
        page=page,
        blocks=_with_kinds(page.blocks),
        plotly=_plotly() if charts else "",
        draw=_draw_chart,
        mark=_mark,
        fonts=FONTS,
        ink=INK,
    )


def to_fragment(blocks: Sequence[Block]) -> str:
    """Blocks without charts as HTML for another page, without styles."""
    return _template("blocks.html").render(blocks=_with_kinds(blocks), mark=_mark)


def to_terminal(page: Page, console: Console | None = None) -> None:
    """Print the page on `console` (by default stdout), without its charts."""
    from rich.console import Console

    console = console or Console()
    console.print(_text(page.title, "bold"))
    for block in _without_charts(page.blocks):
        console.print()
        console.print(_render_block(block, console.width))
    if page.footer:
        console.print()
        console.print(_text(page.footer, "dim"))


def _with_kinds(blocks: Sequence[Block]) -> list[tuple[str, Block]]:
    """Each block with its name in the templates."""
    return [(type(block).__name__, block) for block in blocks]


def _mark(severity: str) -> tuple[str, str]:
    """A severity's mark and its style in a terminal."""
    return _MARKS.get(severity, ("•", "dim"))


def _shape(texts: list[str]) -> Literal["number", "long", "short"]:
    if texts and all(text in _NONE or _NUMBER.fullmatch(text) for text in texts):
        return "number"
    return "long" if any(_width(text) > _LONG for text in texts) else "short"


def _width(text: str) -> int:
    """The width in columns of a terminal; kana and kanji take two."""
    from rich.cells import cell_len

    return cell_len(text)


@cache
def _template(name: str) -> Template:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    options: dict[str, Any] = {"undefined": StrictUndefined, "trim_blocks": True, "lstrip_blocks": True}
    return Environment(loader=FileSystemLoader(_TEMPLATES), autoescape=True, **options).get_template(name)


def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


def _draw_chart(chart: Chart, place: int) -> str:
    """The chart as HTML, without Plotly's buttons, which are in English."""
    figure, config = apply_theme(chart.figure()), {"displayModeBar": False, "responsive": True}
    return str(
        figure.to_html(full_html=False, include_plotlyjs=False, div_id=f"chart-{place}", config=config)
    )


def apply_theme(figure: go.Figure) -> go.Figure:
    """A copy of the figure with the fonts and colours of all pages; touch scrolls past it."""
    import plotly.graph_objects as go

    font = {"family": FONTS, "color": INK}
    return go.Figure(figure).update_layout(dragmode=False, font=font, colorway=COLORWAY)


def _without_charts(blocks: tuple[Block, ...]) -> Iterator[Block]:
    """The blocks for a terminal, without headings that have no block left."""
    shown = [block for block in blocks if not isinstance(block, Chart)]
    for block, after in zip_longest(shown, shown[1:]):
        if not isinstance(block, Heading) or not (after is None or isinstance(after, Heading)):
            yield block


def _render_block(block: Block, width: int) -> RenderableType:
    match block:
        case Heading(text):
            return _text(text, "bold")
        case Text(text, kind):
            return _paragraph(text, kind)
        case Table():
            return _table(block, width)
        case Items(items):
            return _pairs([(_text(*_mark(severity)), _text(item)) for severity, item in items])
        case Facts(pairs):
            return _pairs([(_text(name, "dim"), _text(value)) for name, value in pairs])
        case Chart():
            raise TypeError("a terminal shows no charts")


def _text(text: str, style: str = "") -> RichText:
    """The text without markup and without control codes for the terminal."""
    from rich.text import Text as RichText

    return RichText(text.translate(_CONTROL), style, overflow="fold")


def _paragraph(text: str, kind: str) -> RenderableType:
    from rich.panel import Panel

    if kind == "verdict":
        return Panel(_text(text, "bold"), expand=False)
    if kind == "warning":
        return _pairs([(_text(*_mark(kind)), _text(text))])
    return _text(text, "dim" if kind == "note" else "")


def _pairs(pairs: list[tuple[RichText, RichText]]) -> rich_table.Table:
    from rich.table import Table as RichTable

    grid = RichTable.grid(padding=(0, 2, 0, 0))
    for pair in pairs:
        grid.add_row(*pair)
    return grid


def _table(table: Table, width: int) -> RenderableType:
    from rich.console import Group

    small = [_text(table.caption, "dim")] if table.caption else []
    if not table.rows and table.empty:
        return Group(_text(table.empty, "dim"), *small)
    full, minimum = _widths(table)
    room = width - _GAP * (len(full) - 1)
    if sum(minimum) > room:
        return Group(*_records(table), *small)
    return Group(_grid(table, full if sum(full) <= room else minimum), *small)


def _widths(table: Table) -> tuple[list[int], list[int]]:
    """The full width of each column, and the minimum in which no number is broken."""
    full, minimum, rows = [], [], table.values
    for index, (name, shape) in enumerate(zip(table.columns, table.shapes, strict=True)):
        cells = max((_width(line) for row in rows for line in _lines(row[index])), default=0)
        word = max((min(_width(word), _WORD) for word in name.split()), default=0)
        full.append(max(cells, _width(name)))
        minimum.append(max(word, cells if shape == "number" else min(cells, _WORD)))
    return full, minimum


def _lines(value: CellValue) -> list[str]:
    return [*value.text.splitlines(), value.small]


def _grid(table: Table, widths: list[int]) -> rich_table.Table:
    """The table. Columns of numbers have their width, columns of text share the rest."""
    from rich import box
    from rich.table import Table as RichTable

    grid = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    for name, shape, width in zip(table.columns, table.shapes, widths, strict=True):
        if shape == "number":
            grid.add_column(_text(name), justify="right", width=width)
        else:
            grid.add_column(_text(name))
    for row in table.values:
        grid.add_row(*map(_cell, row))
    return grid


def _records(table: Table) -> Iterator[RenderableType]:
    """Each row as a list, for a terminal that is too narrow for the table."""
    for row in table.values:
        cells = zip(table.columns, row, strict=True)
        yield _pairs([(_text(name, "dim"), _cell(value)) for name, value in cells])
        yield ""


def _cell(value: CellValue) -> RichText:
    text = _text(value.text)
    return text.append_text(_text(f"\n{value.small}", "dim")) if value.small else text
