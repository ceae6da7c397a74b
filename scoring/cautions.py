"""What to bear in mind with a model's answer: it knows little of the lead, or never saw such values."""

from __future__ import annotations

import numpy as np

from features.columns import Bools, Floats
from features.kinds import Age, DaysSince
from scoring.model import Model

CAUTIONS = ("too_little_known", "out_of_range")
_MOSTLY_KNOWN, _TOO_LITTLE = 0.5, 0.5


def too_little_known(model: Model, matrix: Floats) -> Bools:
    """Where more than half is missing of what training knew of most leads."""
    missing = _missing(model, matrix)
    usual = _usually_missing(model) < _MOSTLY_KNOWN
    if not usual.any():
        return np.zeros(len(matrix), dtype=np.bool_)
    return np.asarray(missing[:, usual].mean(axis=1) > _TOO_LITTLE)


def out_of_range(model: Model, matrix: Floats) -> Bools:
    """Where a number lies outside what training saw, or a text is one that it never saw.

    Ages do not count: training sees leads up to their last landmark, and most open ones are older.
    """
    starts, texts = model.encoding.starts, _texts(model)
    numbers = starts[~texts & ~_ages(model)]
    low, high = (bound[numbers] for bound in model.linear.scaling.seen)
    with np.errstate(invalid="ignore"):
        outside = ((matrix[:, numbers] < low) | (matrix[:, numbers] > high)).any(axis=1)
    told = np.add.reduceat(matrix, starts, axis=1)[:, texts]  # 0 where no level is the lead's
    return np.asarray(outside | (told == 0).any(axis=1))


def _missing(model: Model, matrix: Floats) -> Bools:
    """(rows, features) where a feature says nothing; the first column of a text is its missing one."""
    first = matrix[:, model.encoding.starts]
    return np.where(_texts(model), first == 1.0, np.isnan(first))


def _usually_missing(model: Model) -> Floats:
    """(features,) the share of the training's examples in which each feature was missing.

    A number that was always missing, or always the same, told nothing: it counts as missing.
    """
    scaling, starts = model.linear.scaling, model.encoding.starts
    numbers = np.where(scaling.high > scaling.low, scaling.missing, 1.0)
    return np.where(_texts(model), scaling.mean[starts], numbers[starts])


def _ages(model: Model) -> Bools:
    return np.array([isinstance(feature, Age | DaysSince) for _, feature in model.table])


def _texts(model: Model) -> Bools:
    return np.array([level is not None for level in model.encoding.levels.values()])
