"""The won examples that the time to win learns from and is measured on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from features.columns import Floats
from features.moments import Examples
from scoring.model.encoding import Encoding
from training.fitting.dataset import Dataset

MAX_WINNERS = 10_000
"""Maximum number of won examples to learn from; more are sampled."""


@dataclass(frozen=True)
class Winners:
    """Won examples with their encoded columns (rows, columns).

    `weight` (rows,) is such that every won lead weighs 1: its examples at several ages tell little more than
    one of them.
    """

    examples: Examples
    matrix: Floats
    weight: Floats

    @staticmethod
    def of(data: Dataset, encoding: Encoding) -> Winners:
        """The examples of `data` that are won after their moment and within the horizon, with dates."""
        won = data.take(np.flatnonzero(~np.isnan(data.examples.days_to_win)))
        matrix = encoding.matrix(won.columns)
        matrix[:, encoding.statistic_columns] = 0.0  # only the trees with statistics look at them
        _, lead, count = np.unique(won.examples.lead, return_inverse=True, return_counts=True)
        return Winners(won.examples, matrix, 1.0 / count[lead])

    @property
    def days(self) -> Floats:
        return self.examples.days_to_win

    @property
    def leads(self) -> int:
        """The number of won leads."""
        return self.examples.won_leads

    def take(self, rows: NDArray[np.intp]) -> Winners:
        """The examples at the given positions, with the weights that they have."""
        return Winners(self.examples.take(rows), self.matrix[rows], self.weight[rows])

    def sampled(self, seed: int) -> Winners:
        """A random sample of at most `MAX_WINNERS` examples, in their original order."""
        count = len(self.days)
        if count <= MAX_WINNERS:
            return self
        rows = np.sort(np.random.default_rng(seed).choice(count, MAX_WINNERS, replace=False))
        sample = self.take(rows)
        return replace(sample, weight=sample.weight * (self.weight.sum() / sample.weight.sum()))
