"""What the served model gives to deals that it has not seen.

The model that serves is fitted on all deals, so its own scores of the newest ones are too sure, and the
measured model, which saw none of them, has another level. Cross-fitting lies between: a model of the same
recipe that saw all deals but a part scores that part.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from features.columns import Floats
from scoring.model.evidence import MODEL
from scoring.model.model import Model
from training.fitting.dataset import Dataset
from training.fitting.fit import fit
from training.fitting.holdout import Evaluation
from training.fitting.recipe import Recipe
from training.fitting.splits import Split, random_folds
from training.side_by_side import compute_side_by_side

_PARTS = 2
_MAX_ROWS = 40_000
"""Maximum number of examples of each fit; more are sampled, for time and memory."""
_DIGITS = 6


def score_served(data: Dataset, recipe: Recipe, model: Model, evaluation: Evaluation, seed: int) -> Floats:
    """(rows,) log-odds of the evaluated examples as `model`, fitted on all, gives them to new leads.

    Without an order in time the evaluation was cross-fitted already.
    """
    rows, ordered = evaluation.rows, data.examples.ordered
    log_odds = _cross_fit(data, recipe, rows, seed) if ordered else evaluation.scores[MODEL]
    return snap_to_served(log_odds, model, data.take(rows))


def _cross_fit(data: Dataset, recipe: Recipe, rows: NDArray[np.intp], seed: int) -> Floats:
    """The examples in `rows` by models of the recipe that saw all others."""
    judged, log_odds = data.take(rows), np.zeros(len(rows))
    splits = random_folds(judged.examples, _PARTS, seed)

    def score(split: Split) -> Floats:
        group = judged.examples.group[split.test]
        rest = data.take_sample(np.flatnonzero(~np.isin(data.examples.group, group)), _MAX_ROWS, seed)
        model = fit(rest, recipe, seed)
        return model.log_odds(model.encode(judged.take(split.test).all_columns))

    for split, scores in zip(splits, compute_side_by_side(score, splits), strict=True):
        log_odds[split.test] = scores
    return log_odds


def snap_to_served(log_odds: Floats, model: Model, judged: Dataset) -> Floats:
    """Each log-odds as the nearest of those that the served model gives.

    Leads that the served model cannot tell apart then have one value, as they will when they are scored: a
    threshold never lies within them.
    """
    served = np.unique(np.round(model.log_odds(model.encode(judged.all_columns)), _DIGITS))
    middle = (served[1:] + served[:-1]) / 2
    return np.asarray(served[np.searchsorted(middle, log_odds)])
