"""Whether what is scored now is like what the model was judged on, feature by feature."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from features.columns import Column, Floats, Texts

LITTLE, MUCH = 0.10, 0.25
"""Below the first a feature counts as stable, from the second on as shifted: the usual rule of thumb
(Siddiqi, Credit Risk Scorecards, 2006)."""
_BINS, _LEAST, _COMMON, _ALARM = 10, 1e-3, 0.01, 0.05


@dataclass(frozen=True, slots=True)
class Shift:
    """The population stability index of a feature, and what `chance` alone stays below where nothing
    shifted and as few leads are compared: in nineteen of twenty cases all features do."""

    index: float
    chance: float

    @property
    def much(self) -> bool:
        """Whether it has shifted, beyond what few leads do by chance."""
        return self.index >= MUCH and self.index > self.chance

    @property
    def little(self) -> bool:
        """Whether it moves, beyond chance."""
        return self.index >= LITTLE and self.index > self.chance


def stability(
    before: Mapping[str, Column], now: Mapping[str, Column], leads_before: int, leads_now: int
) -> dict[str, Shift]:
    """The shift of each feature that both have, the most shifted first.

    `leads_before` and `leads_now` are how many different leads the rows are of: rows of one lead hang
    together, so it is leads that chance is reckoned by.
    """
    both = [name for name in before if name in now]
    pairs = 1 / max(1, leads_before) + 1 / max(1, leads_now)
    rare = _ALARM / max(1, len(both))  # Bonferroni's share of each feature
    told = {name: _shift(before[name], now[name], pairs, rare) for name in both}
    return dict(sorted(told.items(), key=lambda each: -each[1].index))


def population_stability(before: Column, now: Column) -> float:
    """Sum over bins of (q - p) ln(q / p), where p and q are the shares of a bin before and now.

    The bins are tenths of the numbers before (a number at which tenths meet has a bin of its own: of counts
    most are 0), or the common texts before and all others together, and what is missing. A share counts as
    half a row of the fewer rows, and as 0.1 %, at least, so that an empty bin does not tell everything.
    """
    least = max(_LEAST, 0.5 / max(1, min(len(before), len(now))))
    p, q = (np.maximum(share, least) for share in _shares(before, now))
    return float(((q - p) * np.log(q / p)).sum())


def _shift(before: Column, now: Column, pairs: float, rare: float) -> Shift:
    p, _ = _shares(before, now)
    free = int((p > 0).sum()) - 1
    return Shift(population_stability(before, now), _chi2(free, 1 - rare) * pairs)


def _chi2(free: int, share: float) -> float:
    """The point that chi square stays below so often. Without a shift, the index over (1/n + 1/m) is
    distributed like it (Yurdakul and Naranjo, Journal of Risk Model Validation 14, 2020); here by Wilson
    and Hilferty, 1931."""
    if free < 1:
        return 0.0
    part = 2 / (9 * free)
    return float(free * (1 - part + NormalDist().inv_cdf(share) * sqrt(part)) ** 3)


def _shares(before: Column, now: Column) -> tuple[Floats, Floats]:
    if isinstance(before, Texts) and isinstance(now, Texts):
        places = _common(before)
        count = len(places) + 1
        return _share(_places(before, places), count), _share(_places(now, places), count)
    assert not isinstance(before, Texts)
    assert not isinstance(now, Texts)
    known = before[~np.isnan(before)]
    tenths = np.arange(1, _BINS) / _BINS
    edges = np.unique(np.quantile(known, tenths)) if len(known) else np.empty(0)
    count = 2 * len(edges) + 2
    return _share(_bins(before, edges), count), _share(_bins(now, edges), count)


def _common(before: Texts) -> dict[str | None, int]:
    """The place of what is missing, and of each text that was common; all others come after these."""
    count = np.bincount(before.codes[before.codes >= 0], minlength=len(before.categories))
    least = _COMMON * len(before)
    names = [n for n, c in zip(before.categories, count, strict=True) if c and c >= least]
    return {name: place for place, name in enumerate([None, *names])}


def _places(column: Texts, places: Mapping[str | None, int]) -> NDArray[np.int64]:
    others = len(places)
    of_code = [places.get(name, others) for name in column.categories]
    return np.array([*of_code, places[None]], dtype=np.int64)[column.codes]  # code -1: the last


def _bins(column: Floats, edges: Floats) -> NDArray[np.int64]:
    """Even places lie between two edges, odd ones are an edge itself; what is missing is the last."""
    told = np.searchsorted(edges, column, "left") + np.searchsorted(edges, column, "right")
    return np.where(np.isnan(column), 2 * len(edges) + 1, told).astype(np.int64)


def _share(places: NDArray[np.int64], count: int) -> Floats:
    counts = np.bincount(places, minlength=count)
    return np.asarray(counts / max(1, len(places)), dtype=np.float64)
