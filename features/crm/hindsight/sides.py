"""What a column tells of two sides of leads, such as won and lost, or closed and open at equal age."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from scipy.stats import binom

from features.columns import Bools, Column, Floats, Ints, Texts, is_missing
from features.statistics import level_auc, to_levels

_BANDS = 20
_BAND_SIZE = 50
_MIN_CLOSED = 0.2
"""As much of a band must be closed: of younger leads only the fastest are."""
_CHANCE = 1e-4
_EXCEPTIONS = 0.0125
"""The share of leads of a value that may be on the other side: data are corrected by hand now and then."""
_HELPFUL, _IMPOSSIBLE = 4.0, 20.0
"""By how much an honest value may change the odds, and by how much none does."""
_MAX_NUMBERS = 50
"""A column with more different numbers than this holds measures, not values."""
_PRIOR_WEIGHT = 10.0
_MIN_SPELT, _AGREEMENT = 5, 0.9
"""A value spelt like an outcome counts if as many leads have it, and as many of them had that outcome."""
_SAY_NOTHING = frozenset(
    {"", "yes", "no", "true", "false", "y", "n", "0", "1", "はい", "いいえ", "あり", "なし"}
)
"""Words of an outcome that stand in other columns as well."""


@dataclass(frozen=True)
class Sides:
    """Leads of two sides: whether each is on the first one, its band of age, and how likely the first side
    is in that band."""

    is_first: Bools
    band: Ints
    chance: Floats

    @staticmethod
    def from_bands(is_first: Bools, band: Ints) -> Sides:
        share = (np.bincount(band, is_first) + 0.5) / (np.bincount(band) + 1.0)
        return Sides(is_first, band, share[band])

    def take(self, use: Bools) -> Sides:
        """Those that a mask selects."""
        return Sides(self.is_first[use], self.band[use], self.chance[use])


@dataclass(frozen=True)
class TellingValue:
    """A value that (nearly) all its `count` leads on one side have; `is_certain` if no honest value does."""

    value: str
    count: int
    same: int
    is_first: bool
    is_certain: bool


def age_bands(closed: Bools) -> tuple[Ints, Bools]:
    """The band of each lead, and which leads can be compared. Leads are given oldest first.

    Bands hold equally many leads; those with too few closed or no open leads are not compared."""
    count = min(max(len(closed) // _BAND_SIZE, 1), _BANDS)
    band: Ints = np.arange(len(closed), dtype=np.int64) * count // max(len(closed), 1)
    share = np.bincount(band, closed, count) / np.maximum(np.bincount(band, minlength=count), 1)
    return band, ((share >= _MIN_CLOSED) & (share < 1))[band]


@dataclass(frozen=True)
class Separation:
    """How well a column tells the sides apart within the bands: the ROC AUC on every second lead, learnt on
    the others, its distance from 0.5 in standard errors of chance, and the `score` of each level."""

    auc: float
    errors: float
    score: Floats


def separate(level: Ints, count: int, sides: Sides) -> Separation:
    """The separation by levels 0..count-1; an AUC of 0.5 at 0 standard errors if unknown."""
    learnt = np.arange(len(level)) % 2 == 0
    excess = np.bincount(level[learnt], (sides.is_first - sides.chance)[learnt], count)
    score = excess / (np.bincount(level[learnt], minlength=count) + _PRIOR_WEIGHT)
    auc, errors = banded_auc(level[~learnt], score, sides.take(~learnt))
    return Separation(auc, errors, score)


def banded_auc(level: Ints, score: Floats, sides: Sides) -> tuple[float, float]:
    """The ROC AUC of the score of each level over pairs within a band, and its distance from 0.5 in standard
    errors of chance (Mann and Whitney 1947). (0.5, 0) without a pair."""
    right = pairs = variance = 0.0
    for band in np.unique(sides.band):
        rows = sides.band == band
        first = int(sides.is_first[rows].sum())
        second = int(rows.sum()) - first
        if first and second:
            right += level_auc(level[rows], sides.is_first[rows], score) * first * second
            pairs += first * second
            variance += first * second * (first + second + 1) / 12
    if not pairs:
        return 0.5, 0.0
    return right / pairs, float((right - pairs / 2) / np.sqrt(variance))


def fill_levels(column: Column) -> Texts:
    """Whether a column is filled, as two values."""
    return Texts(np.where(is_missing(column), 0, 1).astype(np.int32), ("", "filled"))


def number_ranges(column: Column) -> Texts | None:
    """A column of many different numbers as the ranges that hold equally many leads; None for another."""
    if isinstance(column, Texts):
        return None
    level, count = to_levels(column)
    is_present = level > 0
    if len(np.unique(column[is_present])) <= _MAX_NUMBERS:
        return None
    names = ["" for _ in range(count)]
    for k in np.unique(level[is_present]).tolist():
        inside = column[level == k]
        names[k] = f"{inside.min():g} – {inside.max():g}"
    return Texts(np.where(is_present, level, -1).astype(np.int32), tuple(names))


def find_telling_value(column: Column, sides: Sides, is_second_rare: bool = True) -> TellingValue | None:
    """The value that stands on one side beyond chance; of several the most certain and most common one.

    An exact binomial test against a value that makes its side several times as likely (in odds) as it is
    in its bands, corrected for the number of values and the two sides. Without `is_second_rare` an honest
    value may have nearly all its leads on the second side: only one that has all of them there is certain.
    """
    level, names = _value_levels(column)
    use = level >= 0
    level, sides = level[use], sides.take(use)
    total = np.bincount(level, minlength=len(names))
    first = np.bincount(level, sides.is_first, len(names)).astype(np.int64)
    chance = np.bincount(level, sides.chance, len(names)) / np.maximum(total, 1)
    limit = _CHANCE / max(2 * int((total > 0).sum()), 1)
    telling = [
        TellingValue(names[v], int(total[v]), int(same[v]), is_first, bool(certain[v]))
        for is_first, same, base in ((True, first, chance), (False, total - first, 1 - chance))
        for likely, certain in [_tests(same, total, base, limit, is_first or is_second_rare)]
        for v in np.flatnonzero(likely)
    ]
    return max(telling, key=lambda value: (value.is_certain, value.count), default=None)


def find_outcome_word(
    column: Column, sides: Sides, first: Collection[object], second: Collection[object]
) -> TellingValue | None:
    """The most common value that is spelt like those of one side and nearly always stands on that side."""
    if not isinstance(column, Texts):
        return None
    counts = np.bincount(column.codes[column.codes >= 0], minlength=len(column.categories))
    common = [(int(code), column.categories[code]) for code in np.flatnonzero(counts >= _MIN_SPELT)]
    telling = [
        TellingValue(name, len(on_side), int(on_side.sum()), is_first, is_certain=True)
        for is_first, outcomes in ((True, first), (False, second))
        for code, name in common
        if _is_spelt_like(name, outcomes)
        for on_side in [sides.is_first[column.codes == code] == is_first]
        if on_side.mean() >= _AGREEMENT
    ]
    return max(telling, key=lambda value: value.count, default=None)


def _tests(same: Ints, total: Ints, base: Floats, limit: float, is_rare: bool) -> tuple[Bools, Bools]:
    """Whether each value is on the side beyond chance, and beyond that of any honest value.

    Without `is_rare` only a value all of whose leads are on the side is beyond that.
    """
    is_pure = (total > 0) & (total - same <= _EXCEPTIONS * total)
    likely, certain = (
        is_pure & (binom.sf(same - 1, total, _raise_odds(base, factor)) < limit)
        for factor in (_HELPFUL, _IMPOSSIBLE)
    )
    return likely, certain if is_rare else certain & (same == total)


def _raise_odds(chance: Floats, factor: float) -> Floats:
    return np.asarray(factor * chance / (1 - chance + factor * chance), dtype=np.float64)


def _value_levels(column: Column) -> tuple[Ints, tuple[str, ...]]:
    """The values as levels (-1: missing or not looked at) and their names."""
    if isinstance(column, Texts):
        return column.codes.astype(np.int64), column.categories
    is_present = ~np.isnan(column)
    values, level = np.unique(column[is_present], return_inverse=True)
    levels = np.full(len(column), -1, dtype=np.int64)
    if len(values) > _MAX_NUMBERS:
        return levels, ()
    levels[is_present] = level
    return levels, tuple(f"{value:g}" for value in values)


def _is_spelt_like(name: str, outcomes: Collection[object]) -> bool:
    """Whether a value is one of the outcomes, or words of one ("Won" of "Closed Won")."""
    words = _words(name)
    return bool(words) and any(words <= _words(str(outcome)) for outcome in outcomes)


def _words(text: str) -> set[str]:
    return set(re.split(r"[\s_\-]+", text.casefold())) - _SAY_NOTHING
