"""The won examples that the time to win learns from and is measured on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.columns import Floats
from features.moments import Examples
from scoring.model.encoding import Encoding
from training.fitting.dataset import Dataset

MAX_WINNERS = 6_000
"""Maximum number of won examples to learn from; more are sampled."""


@dataclass(frozen=True)
class Winners:
    """Won examples with their encoded columns (rows, columns).

    All examples weigh the same. A weight by lead would depend on the outcome: a lead that is won late has
    examples at more ages, so each of its days would count less, and predicted days would be too short.
    """

    examples: Examples
    matrix: Floats

    @staticmethod
    def from_dataset(data: Dataset, encoding: Encoding) -> Winners:
        """The examples of `data` that are won after their moment and within the horizon, with dates."""
        won = data.take(np.flatnonzero(~np.isnan(data.examples.days_to_win)))
        matrix = encoding.matrix(won.columns)
        matrix[:, encoding.statistic_columns] = 0.0  # only the trees with statistics look at them
        matrix[:, encoding.columns_of(data.only_segments)] = 0.0  # only the term of the segment does
        return Winners(won.examples, matrix)

    def __len__(self) -> int:
        return len(self.examples)

    @property
    def days(self) -> Floats:
        return self.examples.days_to_win

    @property
    def group(self) -> NDArray[np.int32]:
        """The leads or accounts that depend on each other."""
        return self.examples.group

    @property
    def leads(self) -> int:
        """The number of won leads."""
        return self.examples.won_leads

    def take(self, rows: NDArray[np.intp]) -> Winners:
        """The examples at the given positions."""
        return Winners(self.examples.take(rows), self.matrix[rows])

    def sampled(self, seed: int) -> Winners:
        """A random sample of at most `MAX_WINNERS` examples, in their original order."""
        if len(self) <= MAX_WINNERS:
            return self
        return self.take(np.sort(np.random.default_rng(seed).choice(len(self), MAX_WINNERS, replace=False)))
