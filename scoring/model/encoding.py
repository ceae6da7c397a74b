"""Encoding of feature values as a matrix, the same for every part of the model.

A number is one column (nan if missing). A text has one column for each of its common values, one for all
rarer values and one for a missing text, of which at most one is 1: a value that training did not have sets
none. A text of several levels, such as a multi-select list, sets a column for each. A text with target
statistics has one more column: the shrunk log-odds of winning of its value, be it common or rare. Texts of
one normal form are one value.

However many values the texts have, the matrix stays narrow: the time of a logistic regression grows with the
square of its columns.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.columns import (
    LEVEL_SEPARATOR,
    TEXT_FORM,
    Bools,
    Column,
    Floats,
    Texts,
    merge_categories,
    normalize_text,
    split_levels,
    split_rows,
    spread_rows,
)

MIN_COUNT = 10
"""A value with fewer examples than this is rare."""

MAX_VALUES, MAX_VALUES_OF_ALL = 200, 600
"""The most values with a column of their own, of a text and of all texts together; less common ones are rare.
"""

MAX_NGRAMS = 256
"""The most n-grams of a free text that a model looks at."""

_MISSING, _RARE, _NEW = 0, 1, -1


@dataclass(frozen=True)
class TextLevels:
    """The common values of a text feature, most frequent first, and the rare ones.

    `form` is the version of the normal form in which texts are compared. `win_log_odds`, where it is not
    empty, has the statistic of a missing text, of an unknown one, of each of `values` and each of `rare`.
    """

    values: tuple[str, ...]
    rare: tuple[str, ...] = ()
    form: int = TEXT_FORM
    win_log_odds: tuple[float, ...] = ()

    @property
    def width(self) -> int:
        return len(self.values) + 2 + bool(self.win_log_odds)

    def find_places(self, text: str | None) -> list[int]:
        """The columns of a value's levels, counted from the first of the feature; none for a level that
        training did not have."""
        if text is None:
            return [_MISSING]
        places = (self._places.get(normalize_text(level, self.form), _NEW) for level in split_levels(text))
        return [place for place in places if place != _NEW]

    def find_win_log_odds(self, text: str | None) -> float:
        """The statistic of a value. The levels must have statistics."""
        if text is None:
            return self.win_log_odds[0]
        return self.win_log_odds[self._statistic_places.get(normalize_text(text, self.form), 1)]

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> TextLevels:
        statistics = tuple(data.get("win_log_odds", ()))
        return TextLevels(tuple(data["values"]), tuple(data["rare"]), data.get("form", 0), statistics)

    def to_dict(self) -> dict[str, Any]:
        """The levels in plain JSON types; those of a model made before the normal form have no `form`."""
        levels: dict[str, Any] = {"values": list(self.values), "rare": list(self.rare)}
        if self.form:
            levels["form"] = self.form
        return levels | {"win_log_odds": list(self.win_log_odds)} if self.win_log_odds else levels

    @cached_property
    def _places(self) -> dict[str, int]:
        """The column of each value of training by its normal form."""
        places = {normalize_text(value, self.form): _RARE for value in self.rare}
        return places | {normalize_text(value, self.form): i + 2 for i, value in enumerate(self.values)}

    @cached_property
    def _statistic_places(self) -> dict[str, int]:
        """The place in `win_log_odds` of each value by its normal form."""
        values = (*self.values, *self.rare)
        return {normalize_text(value, self.form): i + 2 for i, value in enumerate(values)}


@dataclass(frozen=True)
class Encoding:
    """The encoding of a table's features: text features have levels, numbers None."""

    levels: Mapping[str, TextLevels | None]

    @staticmethod
    def learn(
        columns: Mapping[str, Column], min_count: int = MIN_COUNT, won: Bools | None = None
    ) -> Encoding:
        """The levels of the text columns, most frequent first, of equally frequent ones by name.

        Of the n-grams of a free text, those whose win rate (of `won`) differs most from that of the rest.
        """
        learnt = {name: _learn_levels(column, min_count, won) for name, column in columns.items()}
        categories = {n: level for n, level in learnt.items() if level and not is_free_text(columns[n])}
        return Encoding(learnt | _limit_values(categories))

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
                row, place = _find_cells(column, level)
                matrix[row, start + place] = 1.0
                if level.win_log_odds:
                    matrix[:, start + level.width - 1] = _win_log_odds(column, level)
            elif not isinstance(column, Texts):
                matrix[:, start] = column
        return matrix

    def row(self, values: Iterable[float | str | None]) -> Floats:
        """Encode one lead, given its feature values in the order of the table: a matrix of one row."""
        row = [0.0] * self.width
        for start, level, value in zip(self._first_columns, self.levels.values(), values, strict=True):
            if level is None:
                row[start] = math.nan if value is None else float(value)
            else:
                for place in level.find_places(value):  # type: ignore[arg-type]
                    row[start + place] = 1.0
                if level.win_log_odds:
                    row[start + level.width - 1] = level.find_win_log_odds(value)  # type: ignore[arg-type]
        return np.array([row])

    def with_statistics(self, win_log_odds: Mapping[str, tuple[float, ...]]) -> Encoding:
        """The same encoding with the target statistics of text features by name (see `TextLevels`)."""
        return Encoding(
            {
                name: replace(level, win_log_odds=win_log_odds[name])
                if level and name in win_log_odds
                else level
                for name, level in self.levels.items()
            }
        )

    @cached_property
    def statistic_columns(self) -> NDArray[np.intp]:
        """The columns that hold target statistics."""
        places = zip(self.starts, self.levels.values(), strict=True)
        return np.array(
            [start + v.width - 1 for start, v in places if v is not None and v.win_log_odds], dtype=np.intp
        )

    @cached_property
    def _first_columns(self) -> list[int]:
        """`starts` as plain numbers, which are faster for one lead."""
        return list(map(int, self.starts))

    def columns_of(self, names: Collection[str]) -> NDArray[np.intp]:
        """The columns of some features."""
        ends = [*self.starts[1:], self.width]
        spans = zip(self.levels, self.starts, ends, strict=True)
        ranges = [np.arange(start, end) for name, start, end in spans if name in names]
        return np.concatenate(ranges) if ranges else np.empty(0, dtype=np.intp)

    def by_feature(self, by_column: Floats) -> Floats:
        """Sums of (rows, columns) over the columns of each feature."""
        return np.add.reduceat(by_column, self.starts, axis=1)

    def to_dict(self) -> dict[str, dict[str, Any] | None]:
        return {name: None if level is None else level.to_dict() for name, level in self.levels.items()}

    @staticmethod
    def from_dict(data: Mapping[str, Mapping[str, Any] | None]) -> Encoding:
        levels = data.items()
        return Encoding({name: None if v is None else TextLevels.from_dict(v) for name, v in levels})


def _learn_levels(column: Column, min_count: int, won: Bools | None) -> TextLevels | None:
    if not isinstance(column, Texts):
        return None
    if is_free_text(column):
        return _learn_ngrams(column, min_count, won)
    column = merge_categories(split_rows(column)[1])
    counts = np.bincount(column.codes[column.codes >= 0], minlength=len(column.categories))
    by_count = sorted(zip((-counts).tolist(), column.categories, strict=True))
    common = tuple(name for count, name in by_count if -count >= min_count)
    return TextLevels(common, tuple(name for count, name in by_count if 0 < -count < min_count))


def _limit_values(levels: Mapping[str, TextLevels]) -> dict[str, TextLevels]:
    """The levels with columns for no more than `MAX_VALUES` values, and `MAX_VALUES_OF_ALL` in all.

    Texts with few values keep them all; those with many have equally many columns.
    """
    counts = [min(len(level.values), MAX_VALUES) for level in levels.values()]
    limit = min(MAX_VALUES, find_equal_share(counts, MAX_VALUES_OF_ALL))
    return {
        name: replace(level, values=level.values[:limit], rare=level.values[limit:] + level.rare)
        for name, level in levels.items()
    }


def find_equal_share(counts: Collection[int], total: int) -> int:
    """The largest limit on each of the counts with which their sum is at most `total`; `total` where none
    is needed."""
    remaining = total
    for place, count in enumerate(sorted(counts)):
        sharing = len(counts) - place
        if count * sharing > remaining:
            return remaining // sharing
        remaining -= count
    return total


def _win_log_odds(column: Texts, level: TextLevels) -> Floats:
    by_category = [level.find_win_log_odds(value) for value in column.categories]
    return np.array([*by_category, level.win_log_odds[0]])[column.codes]


def _learn_ngrams(column: Texts, min_count: int, won: Bools | None) -> TextLevels:
    """The n-grams that tell most of the outcome, at most `MAX_NGRAMS`; the others set no column.

    They are ranked by the difference of their win rate from that of all, over its standard error.
    """
    row, levels = split_rows(column)
    total = int((column.codes >= 0).sum())
    counts = np.bincount(levels.codes, minlength=len(levels.categories)).astype(np.float64)
    weight = counts
    if won is not None:
        wins = np.bincount(levels.codes, won[row], minlength=len(levels.categories))
        rate = float(won[column.codes >= 0].mean()) if total else 0.0
        spread = counts * (1 - counts / max(total, 1)) * rate * (1 - rate)
        weight = np.abs(wins - counts * rate) / np.sqrt(np.maximum(spread, 1e-12))
    enough = np.flatnonzero((counts >= min_count) & (counts <= total - min_count))
    chosen = enough[np.argsort(-weight[enough], kind="stable")[:MAX_NGRAMS]]
    return TextLevels(tuple(levels.categories[i] for i in chosen), form=0)


def is_free_text(column: Column) -> bool:
    """Whether a column holds texts that are n-grams of a free text."""
    return isinstance(column, Texts) and any(
        name.startswith(LEVEL_SEPARATOR) for name in column.categories[:1]
    )


def _find_cells(column: Texts, level: TextLevels) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The row and the column (counted from the first of the feature) of each cell that is 1."""
    places = [*(level.find_places(name) for name in column.categories), [_MISSING]]
    counts = np.array([len(cells) for cells in places], dtype=np.intp)
    flat = np.array([place for cells in places for place in cells], dtype=np.intp)
    row, position = spread_rows(column.codes, counts)
    return row, flat[position]
