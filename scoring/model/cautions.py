"""Cautions about a model's answer: little is known of the lead, or training had no such values."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import compress
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from features.columns import Bools, Floats
from features.kinds import Age, DaysSince, FreeText, MultiSelect
from scoring.model.model import Model

Caution: TypeAlias = Literal["too_little_known", "out_of_range"]
CAUTIONS: tuple[str, ...] = get_args(Caution)
_MOSTLY_KNOWN, _TOO_LITTLE = 0.5, 0.5
Indices = NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class TrainingRange:
    """Ranges and levels seen in training, indexed for fast checks of encoded leads.

    `usual_columns` belong to features that training had for most leads: a value below `known_limit`
    means that the feature is known. Numbers in `bounded_columns` lay between `low` and `high`. Among
    `text_columns` each of the `text_count` features has one column set to 1 if training had its value;
    the columns of a feature begin at its place in `text_starts`. Texts of several levels are not checked.
    """

    usual_columns: Indices
    known_limit: Floats
    bounded_columns: Indices
    low: Floats
    high: Floats
    text_columns: Indices
    text_count: int
    number_names: tuple[str, ...]
    text_names: tuple[str, ...]
    text_starts: Indices

    @staticmethod
    def from_model(model: Model) -> TrainingRange:
        """Ages are not bounded: training sees leads up to their last landmark, most open ones are older."""
        starts, texts = model.encoding.starts, _texts(model)
        single = texts & ~_has_several_levels(model)
        usual = _usually_missing(model) < _MOSTLY_KNOWN
        bounded = starts[~texts & ~_is_age(model)]
        low, high = model.linear.scaling.training_range
        names = np.array([*model.encoding.levels], dtype=object)
        text_columns = np.setdiff1d(
            model.encoding.columns_of(names[single]), model.encoding.statistic_columns
        )
        return TrainingRange(
            usual_columns=starts[usual],
            known_limit=np.where(texts[usual], 1.0, np.inf),  # a missing text is 1 there, a number nan
            bounded_columns=bounded,
            low=low[bounded],
            high=high[bounded],
            text_columns=text_columns,
            text_count=int(single.sum()),
            number_names=tuple(names[~texts & ~_is_age(model)]),
            text_names=tuple(names[single]),
            text_starts=text_columns.searchsorted(starts[single]),
        )

    def cautions(self, matrix: Floats) -> dict[str, Bools]:
        """By caution, a mask of the leads that it holds for."""
        masks = (self.too_little_known(matrix), self.out_of_range(matrix))
        return dict(zip(CAUTIONS, masks, strict=True))

    def too_little_known(self, matrix: Floats) -> Bools:
        """Leads that lack more than half of the features that training had for most leads."""
        known_count = (matrix[:, self.usual_columns] < self.known_limit).sum(axis=1)
        return np.asarray(known_count < (1 - _TOO_LITTLE) * len(self.usual_columns))

    def out_of_range(self, matrix: Floats) -> Bools:
        """Leads with a number outside the range of training, or with a text that training did not have."""
        outside = self._is_outside(matrix).any(axis=1)
        return np.asarray(outside | (matrix[:, self.text_columns].sum(axis=1) < self.text_count))

    def features_out_of_range(self, matrix: Floats) -> list[tuple[str, ...]]:
        """For each lead, the features with values that training did not have."""
        outside = self._is_outside(matrix)
        if self.text_count:
            seen_count = np.add.reduceat(matrix[:, self.text_columns], self.text_starts, axis=1)
            outside = np.hstack([outside, seen_count == 0])
        names = (*self.number_names, *self.text_names)
        return [tuple(compress(names, row)) for row in outside.tolist()]

    def _is_outside(self, matrix: Floats) -> Bools:
        """(rows, bounded columns) whether a number lies outside the range of training."""
        numbers = matrix[:, self.bounded_columns]
        return np.asarray((numbers < self.low) | (numbers > self.high))


def _usually_missing(model: Model) -> Floats:
    """(features,) the share of training examples in which each feature was missing.

    A number that was always missing, or always the same, counts as missing.
    """
    scaling, starts = model.linear.scaling, model.encoding.starts
    numbers = np.where(scaling.high > scaling.low, scaling.missing, 1.0)
    return np.where(_texts(model), scaling.mean[starts], numbers[starts])


def _is_age(model: Model) -> Bools:
    return np.array([isinstance(feature, Age | DaysSince) for _, feature in model.table])


def _has_several_levels(model: Model) -> Bools:
    return np.array([isinstance(feature, MultiSelect | FreeText) for _, feature in model.table])


def _texts(model: Model) -> Bools:
    return np.array([level is not None for level in model.encoding.levels.values()])
