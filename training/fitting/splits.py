"""Splits in time that keep the examples of a lead, an account or repeated rows on one side."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from features.columns import Bools
from features.moments import Examples

NEWEST = 0.2
"""The share of the newest examples on which a model is evaluated."""


@dataclass(frozen=True)
class Split:
    """Rows of examples to train on and to evaluate on; `cutoff` (ms UTC) separates them in time."""

    train: NDArray[np.intp]
    test: NDArray[np.intp]
    cutoff: int | None


def split_newest(examples: Examples, seed: int, share: float = NEWEST) -> Split:
    """The oldest examples against the newest `share`; random by group if there is no order in time."""
    if not examples.ordered:
        return random_folds(examples, round(1 / share), seed)[0]
    return split_between(examples, moment_at_quantile(examples, 1 - share), None, seed)


def split_rolling(examples: Examples, folds: int, seed: int) -> list[Split]:
    """Rolling origin: train on everything older, evaluate on the next part, and move on.

    The first origin is at 40 % of the examples. Without an order in time: random folds by group.
    """
    if not examples.ordered:
        return random_folds(examples, folds + 1, seed)
    ends = [moment_at_quantile(examples, share) for share in np.linspace(0.4, 1, folds + 1)]
    pairs = zip(ends[:-1], [*ends[1:-1], None], strict=True)
    splits = [split_between(examples, start, end, seed) for start, end in pairs]
    return [split for split in splits if len(split.train) and len(split.test)]


def random_folds(examples: Examples, folds: int, seed: int) -> list[Split]:
    """Random folds by group, with about equal win rates; each group is evaluated once.

    Groups are shuffled, sorted by win rate and assigned to the folds in turn.
    """
    names, group = np.unique(examples.group, return_inverse=True)
    folds = min(folds, len(names))
    if folds < 2:
        return []
    rate = np.bincount(group, weights=examples.won) / np.bincount(group)
    dealt = np.lexsort((np.random.default_rng(seed).random(len(names)), rate))
    fold_of = np.empty(len(names), dtype=np.int64)
    fold_of[dealt] = np.arange(len(names)) % folds
    fold = fold_of[group]
    return [Split(np.flatnonzero(fold != k), np.flatnonzero(fold == k), None) for k in range(folds)]


def limit_test(split: Split, examples: Examples, limit: int) -> Split:
    """The split with about `limit` examples to evaluate: all those of groups that are drawn at random."""
    if len(split.test) <= limit:
        return split
    names, group = np.unique(examples.group[split.test], return_inverse=True)
    is_drawn = np.random.default_rng(0).random(len(names)) < limit / len(split.test)
    return replace(split, test=split.test[is_drawn[group]])


def moment_at_quantile(examples: Examples, share: float) -> int:
    """The moment (ms UTC) before which this share of the examples lies."""
    return int(examples.moment[min(int(len(examples) * share), len(examples) - 1)])


def split_between(examples: Examples, cutoff: int, end: int | None, seed: int) -> Split:
    """Train on outcomes known at the cutoff, evaluate on moments from the cutoff on (before `end`)."""
    old = (examples.known_at <= cutoff) & (examples.moment < cutoff)
    new = examples.moment >= cutoff
    if end is not None:
        new &= examples.moment < end
    goes_new = _goes_to_new_side(examples.group, examples.moment < cutoff, new, seed)
    return Split(np.flatnonzero(old & ~goes_new), np.flatnonzero(new & goes_new), cutoff)


def _goes_to_new_side(group: NDArray[np.int32], old: Bools, new: Bools, seed: int) -> Bools:
    """The examples that belong to the new side; a group on both sides is assigned at random.

    Not by its first or last moment: long-lived leads end differently, so the side would reveal something
    about the outcome.
    """
    count = int(group.max()) + 1 if len(group) else 0
    has_old, has_new = np.zeros(count, dtype=bool), np.zeros(count, dtype=bool)
    has_old[group[old]] = True
    has_new[group[new]] = True
    on_both_sides = has_old & has_new
    lot = _draw_per_group(np.arange(count, dtype=np.int32), seed) < 0.5
    return np.asarray(np.where(on_both_sides, lot, has_new)[group], dtype=bool)


def _draw_per_group(group: NDArray[np.integer], seed: int) -> NDArray[np.float64]:
    """A pseudo-random number in [0, 1) for each group, independent of the other groups (splitmix64)."""
    mixed = group.astype(np.uint64) + np.uint64(seed * 0x9E3779B97F4A7C15 % 2**64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return np.asarray((mixed ^ (mixed >> np.uint64(31))) / 2.0**64, dtype=np.float64)
