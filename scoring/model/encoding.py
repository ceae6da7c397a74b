"""Encoding of feature values as a matrix, the same for every part of the model.

A number is one column (nan if missing). A text has one column for each of its common values, one for all
rarer values and one for a missing text, of which at most one is 1: a value that training did not have sets
none.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.columns import Column, Floats, Texts

MIN_COUNT = 10
"""A value with fewer examples than this is rare."""

_MISSING, _RARE, _NEW = 0, 1, -1


@dataclass(frozen=True)
class TextLevels:
    """The common values of a text feature, most frequent first, and the rare ones."""

    values: tuple[str, ...]
    rare: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        return len(self.values) + 2

    @cached_property
    def place(self) -> dict[str | None, int]:
        """The column of each value of training, and of a missing one."""
        place: dict[str | None, int] = {None: _MISSING}
        place |= dict.fromkeys(self.rare, _RARE)
        return place | {value: i + 2 for i, value in enumerate(self.values)}


@dataclass(frozen=True)
class Encoding:
    """The encoding of a table's features: text features have levels, numbers None."""

    levels: Mapping[str, TextLevels | None]

    @staticmethod
    def learn(columns: Mapping[str, Column], min_count: int = MIN_COUNT) -> Encoding:
        """The levels of the text columns, most frequent first."""
        return Encoding({name: _learn_levels(column, min_count) for name, column in columns.items()})

    @cached_property
    def starts(self) -> NDArray[np.intp]:
        """The first column of each feature."""
        widths = [1 if level is None else level.width for level in self.levels.values()]
        return np.cumsum([0, *widths])[:-1]

    @cached_property
    def width(self) -> int:
        return sum(1 if level is None else level.width for level in self.levels.values())

    def matrix(self, columns: Mapping[str, Column]) -> Floats:
        """Encode many leads: one row per lead."""
        rows = len(next(iter(columns.values()))) if columns else 0
        matrix = np.zeros((rows, self.width))
        for start, (name, level) in zip(self.starts, self.levels.items(), strict=True):
            column = columns[name]
            if isinstance(column, Texts) and level is not None:
                places = _places(column, level)
                filled = np.flatnonzero(places != _NEW)
                matrix[filled, start + places[filled]] = 1.0
            elif not isinstance(column, Texts):
                matrix[:, start] = column
        return matrix

    def row(self, values: Iterable[float | str | None]) -> Floats:
        """Encode one lead, given its feature values in the order of the table: a matrix of one row."""
        row = [0.0] * self.width
        for (start, columns), value in zip(self._cells, values, strict=True):
            if columns is None:
                row[start] = math.nan if value is None else float(value)
            elif value in columns:
                row[columns[value]] = 1.0
        return np.array([row])

    @cached_property
    def _cells(self) -> list[tuple[int, dict[str | None, int] | None]]:
        """By feature its first column and, for a text, the column of each value."""
        return [
            (start, None if level is None else {v: start + i for v, i in level.place.items()})
            for start, level in zip(self.starts.tolist(), self.levels.values(), strict=True)
        ]

    def by_feature(self, by_column: Floats) -> Floats:
        """Sums of (rows, columns) over the columns of each feature."""
        return np.add.reduceat(by_column, self.starts, axis=1)

    def to_dict(self) -> dict[str, dict[str, list[str]] | None]:
        levels = self.levels.items()
        return {n: {"values": list(v.values), "rare": list(v.rare)} if v else None for n, v in levels}

    @staticmethod
    def from_dict(data: Mapping[str, Mapping[str, Sequence[str]] | None]) -> Encoding:
        levels = data.items()
        return Encoding(
            {n: TextLevels(tuple(v["values"]), tuple(v["rare"])) if v else None for n, v in levels}
        )


def _learn_levels(column: Column, min_count: int) -> TextLevels | None:
    if not isinstance(column, Texts):
        return None
    counts = np.bincount(column.codes[column.codes >= 0], minlength=len(column.categories))
    by_count = np.argsort(-counts, kind="stable")
    common, rare = by_count[counts[by_count] >= min_count], by_count[counts[by_count] < min_count]
    names = column.categories
    return TextLevels(tuple(names[i] for i in common), tuple(names[i] for i in rare if counts[i]))


def _places(column: Texts, level: TextLevels) -> NDArray[Any]:
    to_place = [level.place.get(value, _NEW) for value in column.categories]
    return np.array([*to_place, _MISSING])[column.codes]
