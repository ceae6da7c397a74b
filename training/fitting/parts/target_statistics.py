"""Target statistics: how often deals with the same value of a text were won, in time order.

A statistic is the logit of (wins + 20 * base) / (deals + 20), shrunk towards the base rate (Micci-Barreca,
2001). An example sees only deals whose outcome was known before its moment, as CatBoost's ordered statistics
do (Prokhorenkova et al., 2018): a statistic of all deals would tell an example its own outcome.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from features.columns import LEVEL_SEPARATOR, Bools, Floats, Ints, Texts, merge_categories
from scoring.model.encoding import Encoding, TextLevels
from training.fitting.dataset import Dataset

_PRIOR = 20.0
"""The number of deals at the base rate that each value starts with."""


def learn_statistics(data: Dataset, encoding: Encoding) -> Encoding:
    """The encoding with the statistics of every text feature over all examples of `data`."""
    base = float(data.won.mean())
    statistics = {
        name: _level_statistics(column, level, data.won, base)
        for name, column in data.columns.items()
        if isinstance(column, Texts) and has_one_level(column) and name not in data.only_segments
        if isinstance(level := encoding.levels[name], TextLevels)
    }
    return encoding.with_statistics(statistics)


def has_one_level(column: Texts) -> bool:
    """Whether a value is one level: neither a list nor a free text."""
    return not any(LEVEL_SEPARATOR in name for name in column.categories)


def encode_in_time_order(data: Dataset, encoding: Encoding) -> Floats:
    """The encoded examples, each with the statistics of outcomes known before its moment."""
    matrix = encoding.matrix(data.columns)
    texts = [name for name, level in encoding.levels.items() if level is not None and level.win_log_odds]
    for place, name in zip(encoding.statistic_columns, texts, strict=True):
        column = data.columns[name]
        assert isinstance(column, Texts)
        matrix[:, place] = ordered_statistic(merge_categories(column), data)
    return matrix


def ordered_statistic(column: Texts, data: Dataset) -> Floats:
    """(rows,) the statistic of each example's value over the outcomes known before its moment."""
    examples, won = data.examples, data.won.astype(np.float64)
    codes = column.codes.astype(np.int64) + 1
    everything = np.zeros(len(codes), dtype=np.int64)
    base = _shrunk_rate(*_count_known(everything, examples.known_at, examples.moment, won), 0.5, 1.0)
    deals, wins = _count_known(codes, examples.known_at, examples.moment, won)
    return _logit(_shrunk_rate(deals, wins, base, _PRIOR))


def _count_known(codes: Ints, known_at: Ints, moment: Ints, won: Floats) -> tuple[Floats, Floats]:
    """For each example the deals of its code known before its moment, and the wins among them."""
    times = np.unique(np.concatenate([known_at, moment]))
    width = len(times) + 1
    events = codes * width + np.searchsorted(times, known_at)
    order = np.argsort(events, kind="stable")
    wins = np.concatenate([[0.0], np.cumsum(won[order])])
    first = np.searchsorted(events[order], codes * width)
    last = np.searchsorted(events[order], codes * width + np.searchsorted(times, moment))
    return (last - first).astype(np.float64), wins[last] - wins[first]


def _level_statistics(column: Texts, level: TextLevels, won: Bools, base: float) -> tuple[float, ...]:
    column = merge_categories(column)
    places, size = column.codes + 1, len(column.categories) + 1
    deals = np.bincount(places, minlength=size).astype(np.float64)
    wins = np.bincount(places[won], minlength=size).astype(np.float64)
    statistic = _logit(_shrunk_rate(deals, wins, np.full(len(deals), base), _PRIOR))
    by_value = dict(zip(column.categories, statistic[1:], strict=True))
    unknown = float(_logit(np.array([base]))[0])
    return (float(statistic[0]), unknown, *(float(by_value[v]) for v in (*level.values, *level.rare)))


def _shrunk_rate(deals: Floats, wins: Floats, base: NDArray[np.float64] | float, prior: float) -> Floats:
    return np.asarray((wins + prior * base) / (deals + prior))


def _logit(rate: Floats) -> Floats:
    return np.log(rate / (1 - rate))
