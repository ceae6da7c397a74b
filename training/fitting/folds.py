"""Validation folds: encoded splits of the older deals, on which the choices of a recipe are made."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from features.columns import Bools, Floats
from scoring.model.encoding import Encoding
from scoring.model.linear import LinearPart
from scoring.scorecard.rating import rate
from training.fitting.dataset import Dataset
from training.fitting.parts.line import Design
from training.fitting.parts.trees import PartScores, hide
from training.fitting.splits import Split, random_folds, split_rolling

FOLDS = 4
FOLD_ROWS = 40_000
"""Maximum number of examples of a side of a fold; more are sampled."""


@dataclass(frozen=True)
class Fold:
    """One split: older examples for training, later ones for validation, both encoded.

    `points` are the log-odds of the later examples by the scorecard, calibrated on the older ones; None
    without a scorecard, or where it was learnt from later examples.
    """

    older: Dataset
    later: Dataset
    encoding: Encoding
    train: Floats
    test: Floats
    points: Floats | None

    @property
    def hidden(self) -> NDArray[np.intp]:
        """The columns that only the linear part looks at."""
        return self.encoding.columns_of(self.older.hidden)

    @property
    def train_won(self) -> Bools:
        return self.older.won

    @property
    def test_won(self) -> Bools:
        return self.later.won

    @property
    def groups(self) -> NDArray[np.int32]:
        return self.later.examples.group

    @cached_property
    def design(self) -> Design:
        return Design.from_matrix(self.train)

    def score_linear(self, linear: LinearPart) -> tuple[PartScores, PartScores]:
        """Both sides with the log-odds of a linear part that was fitted on the older side."""
        train = PartScores(hide(self.train, self.hidden), self.train_won, linear.log_odds(self.train))
        test = PartScores(hide(self.test, self.hidden), self.test_won, linear.log_odds(self.test))
        return train, test


def folds_of(data: Dataset, seed: int) -> list[Fold]:
    """The encoded rolling-origin folds that contain both outcomes.

    A history too short for two origins is split into random folds by group; the final evaluation is
    still in time.
    """
    for split_up in (split_rolling, random_folds):
        splits = split_up(data.examples, FOLDS, seed)
        folds = [f for split in splits if (f := encode_fold(data, split, seed)) is not None]
        if len(folds) > 1:
            return folds
    return []


def encode_fold(data: Dataset, split: Split, seed: int) -> Fold | None:
    """The encoded sides of a split; None if the older one holds only one outcome or the later one nothing."""
    older = data.take_sample(split.train, FOLD_ROWS, seed)
    later = data.take_sample(split.test, FOLD_ROWS, seed)
    if not len(later) or older.won.all() or not older.won.any():
        return None
    encoding = Encoding.learn(older.columns, won=older.won)
    part = older.fit_points_part() if later.is_later_than_card else None
    points = None if part is None else part.log_odds(rate(data.card, later.columns))
    matrices = encoding.matrix(older.columns), encoding.matrix(later.columns)
    return Fold(older, later, encoding, *matrices, points)
