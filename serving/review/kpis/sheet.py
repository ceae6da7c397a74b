"""Tables of figures, told once: on a page with words and intervals, in a CSV file with plain numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

from serving.review.kpis.definitions import Share
from serving.review.web.rendering import number, percent

MOST_SHOWN = 50
"""So many rows of a table are shown; all of them are in its file."""

Kind: TypeAlias = Literal["text", "number", "money", "share", "lead"]


class Say(Protocol):
    """Tells a text by its key, in the reader's language."""

    def __call__(self, name: str, /, **values: object) -> str: ...


@dataclass(frozen=True)
class Column:
    """A column: its key (the same in every language), its title, and what it holds."""

    key: str
    title: str
    kind: Kind = "number"


@dataclass(frozen=True)
class Sheet:
    """A table of raw values, a row a list in the order of the columns."""

    name: str
    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Any]]
    note: str = ""

    @property
    def shown_rows(self) -> Sequence[Sequence[Any]]:
        """The rows of the page."""
        return self.rows[:MOST_SHOWN]

    @property
    def csv_head(self) -> list[str]:
        """A share is told in three columns: the rate, what was counted, and of how many."""
        return [name for column in self.columns for name in _names(column)]

    @property
    def csv_rows(self) -> Iterator[list[Any]]:
        for row in self.rows:
            yield [v for c, value in zip(self.columns, row, strict=True) for v in _raw(c, value)]


def shown(say: Say, kind: Kind, value: Any) -> tuple[str, str]:
    """A value as the page shows it, and its small print: a rate with its counts and 95 % interval."""
    if value is None:
        return "–", ""
    if isinstance(value, Share):
        if value.interval is None:
            return percent(value.rate), say("figures_of_none")
        low, high = map(percent, value.interval)
        counts = {"part": number(value.part), "whole": number(value.whole)}
        return percent(value.rate), say("figures_of", low=low, high=high, **counts)
    return (str(value), "") if kind in ("text", "lead") else (number(value), "")


def _names(column: Column) -> list[str]:
    if column.kind == "share":
        return [column.key, f"{column.key}_count", f"{column.key}_of"]
    return [column.key]


def _raw(column: Column, value: Any) -> list[Any]:
    if column.kind != "share":
        return [value]
    return [None, None, None] if value is None else [value.rate, value.part, value.whole]
