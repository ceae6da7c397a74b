"""Drift: how far the features of scored leads have shifted from those that the model was evaluated on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from features.columns import Column, Floats, Texts, merge_categories, normalize_text

MINOR_SHIFT, MAJOR_SHIFT = 0.10, 0.25
"""Stable below the first, shifted from the second on: the usual rule of thumb (Siddiqi, Credit Risk
Scorecards, 2006)."""
_BINS, _MIN_SHARE, _COMMON, _ALARM = 10, 1e-3, 0.01, 0.05


@dataclass(frozen=True, slots=True)
class Shift:
    """The population stability index of a feature, and the limit of `chance`: with as few leads and no
    shift, all features stay below it with a probability of 95%."""

    index: float
    chance: float

    @property
    def is_shifted(self) -> bool:
        """Whether it has shifted by more than chance explains."""
        return self.index >= MAJOR_SHIFT and self.index > self.chance

    @property
    def is_moving(self) -> bool:
        """Whether it moves by more than chance explains."""
        return self.index >= MINOR_SHIFT and self.index > self.chance


def measure_shifts(
    before: Mapping[str, Column], now: Mapping[str, Column], leads_before: int, leads_now: int
) -> dict[str, Shift]:
    """The shift of each feature in both tables, largest first.

    `leads_before` and `leads_now` are the numbers of different leads: rows of one lead are correlated, so
    chance is computed from leads.
    """
    shared = [name for name in before if name in now]
    pairs = 1 / max(1, leads_before) + 1 / max(1, leads_now)
    rare = _ALARM / max(1, len(shared))  # Bonferroni's share of each feature
    shifts = {name: _measure_shift(before[name], now[name], pairs, rare) for name in shared}
    return dict(sorted(shifts.items(), key=lambda item: -item[1].index))


def population_stability(before: Column, now: Column) -> float:
    """Sum over bins of (q - p) ln(q / p), where p and q are the shares of a bin before and now.

    The bins are tenths of the numbers before (a number at an edge has its own bin, as most counts are 0),
    or the common texts before and all others together, and missing values. A share is at least 0.1%, and
    at least half a row of the smaller table, so that an empty bin does not dominate.
    """
    minimum = max(_MIN_SHARE, 0.5 / max(1, min(len(before), len(now))))
    p, q = (np.maximum(share, minimum) for share in _shares(before, now))
    return float(((q - p) * np.log(q / p)).sum())


def _measure_shift(before: Column, now: Column, pairs: float, rare: float) -> Shift:
    p, _ = _shares(before, now)
    free = int((p > 0).sum()) - 1
    return Shift(population_stability(before, now), _chi2(free, 1 - rare) * pairs)


def _chi2(free: int, share: float) -> float:
    """A quantile of chi square with `free` degrees of freedom, by Wilson and Hilferty (1931). Without a
    shift, the index over (1/n + 1/m) has this distribution (Yurdakul and Naranjo, Journal of Risk Model
    Validation 14, 2020)."""
    if free < 1:
        return 0.0
    part = 2 / (9 * free)
    return float(free * (1 - part + NormalDist().inv_cdf(share) * sqrt(part)) ** 3)


def _shares(before: Column, now: Column) -> tuple[Floats, Floats]:
    if isinstance(before, Texts) and isinstance(now, Texts):
        places = _common_values(before)
        count = len(places) + 1
        return _share(_places(before, places), count), _share(_places(now, places), count)
    assert not isinstance(before, Texts)
    assert not isinstance(now, Texts)
    present = before[~np.isnan(before)]
    tenths = np.arange(1, _BINS) / _BINS
    edges = np.unique(np.quantile(present, tenths)) if len(present) else np.empty(0)
    count = 2 * len(edges) + 2
    return _share(_bins(before, edges), count), _share(_bins(now, edges), count)


def _common_values(before: Texts) -> dict[str | None, int]:
    """The bin of a missing value and of the normal form of each common text; the next is for all others."""
    before = merge_categories(before)
    count = np.bincount(before.codes[before.codes >= 0], minlength=len(before.categories))
    min_count = _COMMON * len(before)
    names = [normalize_text(n) for n, c in zip(before.categories, count, strict=True) if c and c >= min_count]
    return {name: place for place, name in enumerate([None, *names])}


def _places(column: Texts, places: Mapping[str | None, int]) -> NDArray[np.int64]:
    others = len(places)
    of_code = [places.get(normalize_text(name), others) for name in column.categories]
    return np.array([*of_code, places[None]], dtype=np.int64)[column.codes]  # code -1: the last


def _bins(column: Floats, edges: Floats) -> NDArray[np.int64]:
    """Even bins lie between two edges, odd ones are an edge itself; missing values have the last."""
    bins = np.searchsorted(edges, column, "left") + np.searchsorted(edges, column, "right")
    return np.where(np.isnan(column), 2 * len(edges) + 1, bins).astype(np.int64)


def _share(places: NDArray[np.int64], count: int) -> Floats:
    counts = np.bincount(places, minlength=count)
    return np.asarray(counts / max(1, len(places)), dtype=np.float64)
