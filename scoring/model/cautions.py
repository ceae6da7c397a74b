"""What to bear in mind with a model's answer: it knows little of the lead, or never saw such values."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from features.columns import Bools, Floats
from features.kinds import Age, DaysSince
from scoring.model.model import Model

CAUTIONS = ("too_little_known", "out_of_range")
_MOSTLY_KNOWN, _TOO_LITTLE = 0.5, 0.5
Indices = NDArray[np.intp]


@dataclass(frozen=True)
class TrainingRange:
    """What training saw, made ready to hold encoded leads against.

    `usual` are the columns that say of what training knew of most leads whether it is known: they lie
    below `known` where it is. Numbers in the columns `bounded` lie within `low` and `high`. Of the
    `texts` columns one is 1 for each of `text_count` features, where its value is one that was seen;
    each feature has those from its place in `text_starts` on.
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
        usual = _usually_missing(model) < _MOSTLY_KNOWN
        bounded = starts[~texts & ~_is_age(model)]
        low, high = model.linear.scaling.training_range
        is_text = ~np.isin(np.arange(model.encoding.width), starts[~texts])
        names = np.array([*model.encoding.levels], dtype=object)
        return TrainingRange(
            usual_columns=starts[usual],
            known_limit=np.where(texts[usual], 1.0, np.inf),  # a missing text is 1 there, a number nan
            bounded_columns=bounded,
            low=low[bounded],
            high=high[bounded],
            text_columns=np.flatnonzero(is_text),
            text_count=int(texts.sum()),
            number_names=tuple(names[~texts & ~_is_age(model)]),
            text_names=tuple(names[texts]),
            text_starts=np.flatnonzero(is_text).searchsorted(starts[texts]),
        )

    def cautions(self, matrix: Floats) -> dict[str, Bools]:
        """By caution, the leads that it holds for."""
        masks = (self.too_little_known(matrix), self.out_of_range(matrix))
        return dict(zip(CAUTIONS, masks, strict=True))

    def too_little_known(self, matrix: Floats) -> Bools:
        """Where more than half is missing of what training knew of most leads."""
        known_count = (matrix[:, self.usual_columns] < self.known_limit).sum(axis=1)
        return np.asarray(known_count < (1 - _TOO_LITTLE) * len(self.usual_columns))

    def out_of_range(self, matrix: Floats) -> Bools:
        """Where a number lies outside what training saw, or a text is one that it never saw."""
        outside = self._is_outside(matrix).any(axis=1)
        return np.asarray(outside | (matrix[:, self.text_columns].sum(axis=1) < self.text_count))

    def features_out_of_range(self, matrix: Floats) -> list[tuple[str, ...]]:
        """For each lead the features that `out_of_range` holds for."""
        outside = self._is_outside(matrix)
        if self.text_count:
            seen_count = np.add.reduceat(matrix[:, self.text_columns], self.text_starts, axis=1)
            outside = np.hstack([outside, seen_count == 0])
        names = (*self.number_names, *self.text_names)
        return [tuple(compress(names, row)) for row in outside.tolist()]

    def _is_outside(self, matrix: Floats) -> Bools:
        """Of the `bounded` columns, whether each number lies outside."""
        numbers = matrix[:, self.bounded_columns]
        return np.asarray((numbers < self.low) | (numbers > self.high))


def _usually_missing(model: Model) -> Floats:
    """(features,) the share of the training's examples in which each feature was missing.

    A number that was always missing, or always the same, told nothing: it counts as missing.
    """
    scaling, starts = model.linear.scaling, model.encoding.starts
    numbers = np.where(scaling.high > scaling.low, scaling.missing, 1.0)
    return np.where(_texts(model), scaling.mean[starts], numbers[starts])


def _is_age(model: Model) -> Bools:
    return np.array([isinstance(feature, Age | DaysSince) for _, feature in model.table])


def _texts(model: Model) -> Bools:
    return np.array([level is not None for level in model.encoding.levels.values()])
