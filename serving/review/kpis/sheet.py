"""Tables of figures: on a page with words and intervals, in a CSV file with plain numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from scoring.pages.formats import NONE, format_number, format_share
from serving.review.kpis.definitions import Proportion

MAX_SHOWN_ROWS = 50
"""So many rows of a table are shown; all of them are in its file."""

SheetColumnKind: TypeAlias = Literal["text", "number", "money", "share", "lead"]
SheetValue: TypeAlias = str | float | Proportion | None
CellRows: TypeAlias = Sequence[Sequence[SheetValue]]


class Translator(Protocol):
    """Returns the text of a key in the reader's language."""

    def __call__(self, name: str, /, **values: object) -> str: ...


@dataclass(frozen=True)
class SheetColumn:
    """A column: its key (the same in every language), its title, and what it holds."""

    key: str
    title: str
    kind: SheetColumnKind


@dataclass(frozen=True)
class Sheet:
    """A table of raw values, a row a list in the order of the columns."""

    name: str
    title: str
    columns: Sequence[SheetColumn]
    rows: CellRows
    note: str = ""

    @property
    def shown_rows(self) -> CellRows:
        return self.rows[:MAX_SHOWN_ROWS]

    @property
    def csv_head(self) -> list[str]:
        """A share has three columns: the rate, what was counted, and of how many."""
        return [name for column in self.columns for name in _csv_columns(column)]

    @property
    def csv_rows(self) -> Iterator[list[SheetValue]]:
        for row in self.rows:
            yield [v for c, value in zip(self.columns, row, strict=True) for v in _csv_values(c, value)]


def format_cell(translate: Translator, kind: SheetColumnKind, value: SheetValue) -> tuple[str, str]:
    """A value as the page shows it, and its small print: a rate with its counts and 95 % interval."""
    if value is None:
        return NONE, ""
    if isinstance(value, Proportion):
        if value.interval is None:
            return format_share(value.rate), translate("figures_of_none")
        low, high = map(format_share, value.interval)
        counts = {"part": format_number(value.part), "whole": format_number(value.total)}
        return format_share(value.rate), translate("figures_of", low=low, high=high, **counts)
    if isinstance(value, str) or kind in ("text", "lead"):
        return str(value), ""
    return format_number(value), ""


def _csv_columns(column: SheetColumn) -> list[str]:
    if column.kind == "share":
        return [column.key, f"{column.key}_count", f"{column.key}_of"]
    return [column.key]


def _csv_values(column: SheetColumn, value: SheetValue) -> list[SheetValue]:
    if column.kind != "share":
        return [value]
    return [value.rate, value.part, value.total] if isinstance(value, Proportion) else [None, None, None]
