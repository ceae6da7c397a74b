"""Evaluating a recipe once, on the newest examples, which were not used for choosing or fitting it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from features.columns import Bools, Floats, Texts, take
from features.crm_data import Crm
from features.errors import DataError
from features.messages import Message
from scoring.model.evidence import MODEL, SERVED, Evidence
from scoring.model.model import Encoded, Model, sigmoid
from scoring.model.pseudonyms import Pseudonyms
from scoring.statistics.metrics import Estimate, measure
from training.fitting.baselines import baseline_scores
from training.fitting.dataset import Dataset
from training.fitting.fit import fit
from training.fitting.learning_curve import count_trees, mean_curve, sum_losses
from training.fitting.recipe import Recipe
from training.fitting.splits import Split, limit_test, random_folds, split_newest
from training.side_by_side import compute_side_by_side

RANDOM_FOLDS, _STAND_IN_FOLDS = 5, 2
PARTS = ("linear", "trees")
MAX_EVALUATED = 100_000
"""About the maximum number of examples to evaluate on: of more, whole leads or accounts are drawn."""

MAX_EXPLAINED = 6_000
_DRAWS, _DRAWS_MANY, _MANY = 200, 100, 50_000


@dataclass(frozen=True)
class Evaluation:
    """The evaluation of a recipe on held-out examples.

    `rows` are their positions in the dataset, `scores` (log-odds) and `figures` are by model, baseline or
    part; `reasons` (rows,) are the contributions of each feature to the model's scores, nan where not
    computed.
    `train` are the positions of the examples that the evaluated model learnt from (of the first fold).
    `learning_curve` is the model's log loss by its number of trees.
    """

    rows: NDArray[np.intp]
    scores: dict[str, Floats]
    reasons: dict[str, NDArray[np.float32]]
    figures: dict[str, dict[str, Estimate]]
    recipes: list[Recipe]
    train: NDArray[np.intp]
    learning_curve: dict[int, float]

    @property
    def model(self) -> dict[str, Estimate]:
        return self.figures["model"]

    @property
    def train_rows(self) -> int:
        return len(self.train)


def split_for_evaluation(data: Dataset, seed: int) -> list[Split]:
    """The newest fifth against the rest; random folds if the examples have no order in time."""
    if data.examples.ordered:
        newest = split_newest(data.examples, 0)  # the same test set for every seed
        return [limit_test(newest, data.examples, MAX_EVALUATED)]
    return random_folds(data.examples, RANDOM_FOLDS, seed)


def evaluate(data: Dataset, choose: Callable[[Dataset], Recipe], seed: int) -> Evaluation:
    """Choose and fit on the older examples of each split, evaluate on the newer ones.

    Older examples of one outcome teach nothing: then the newest ones are scored by models of all others, and
    nothing is measurable yet. Raises DataError if these hold only one outcome as well.
    """
    measured = split_for_evaluation(data, seed)
    splits = _learnable_splits(data, measured, seed)
    recipes, split_scores, reasons, losses, trees = [], [], [], [], []
    for split in splits:
        train, test = data.take(split.train), data.take(split.test)
        _check_both_outcomes(train)
        recipe = choose(train)
        model, baselines = fit(train, recipe, seed), baseline_scores(train, test, seed)
        leads = model.encode(test.all_columns)
        recipes.append(recipe)
        scores = _score_parts(model, leads)
        split_scores.append({**scores, **baselines})
        reasons.append(_explain_sample(model, leads, scores[MODEL], MAX_EXPLAINED // len(splits), seed))
        losses.append(sum_losses(model, leads, test.won))
        trees.append(count_trees(model))
    rows = np.concatenate([split.test for split in splits])
    scores = {name: np.concatenate([t[name] for t in split_scores]) for name in split_scores[0]}
    figures = _measure_scores(data.take(rows), scores, seed)
    curve = mean_curve(losses, max(trees), len(rows))
    return Evaluation(rows, scores, _join_reasons(reasons), figures, recipes, measured[0].train, curve)


def _learnable_splits(data: Dataset, splits: list[Split], seed: int) -> list[Split]:
    """The splits; folds of the newest examples against all others where the older ones hold one outcome."""
    if not data.examples.ordered or any(_has_both_outcomes(data.won[split.train]) for split in splits):
        return splits
    rows, group = splits[0].test, data.examples.group
    folds = [rows[fold.test] for fold in random_folds(data.examples.take(rows), _STAND_IN_FOLDS, seed)]
    others = [np.flatnonzero(~np.isin(group, group[fold])) for fold in folds]
    return [Split(rest, fold, None) for rest, fold in zip(others, folds, strict=True)] or splits


def _has_both_outcomes(won: Bools) -> bool:
    return bool(won.any() and not won.all())


def is_measurable(data: Dataset, evaluation: Evaluation) -> bool:
    """Whether both sides of the split hold enough won and other leads for a figure to mean anything."""
    sides = (data.examples.take(rows) for rows in (evaluation.train, evaluation.rows))
    return not any(side.missing_leads for side in sides)


def build_evidence(
    data: Dataset,
    evaluation: Evaluation,
    served: Floats,
    crm: Crm,
    segments: dict[str, str],
    pseudonyms: Pseudonyms,
) -> Evidence:
    """The evaluated examples as evidence, with scores and contributions; `served` as in `Evidence`."""
    nothing = np.zeros(len(evaluation.rows), dtype=np.float32)  # a term of the model in use alone
    reasons = {name: evaluation.reasons.get(name, nothing) for name in data.table.names}
    return replace(
        build_unscored_evidence(data.take(evaluation.rows), crm, segments, pseudonyms),
        scores={**evaluation.scores, SERVED: served},
        reasons=reasons,
    )


def build_unscored_evidence(
    data: Dataset, crm: Crm, segments: dict[str, str], pseudonyms: Pseudonyms
) -> Evidence:
    """Examples as evidence for rules, without scores of a model."""
    examples = data.examples
    columns = {name: take(crm.attributes[c], examples.lead) for name, c in segments.items()}
    return Evidence(
        lead=np.array([pseudonyms.derive(i) for i in crm.lead_ids[examples.lead]], dtype=object),
        group=examples.group,
        moment=examples.moment,
        landmark=examples.landmark,
        won=examples.won,
        amount=examples.amount,
        scores={},
        features=data.columns,
        segments={n: c for n, c in columns.items() if isinstance(c, Texts)},
        dated=data.dated,
        key_id=pseudonyms.key_id,
    )


def _check_both_outcomes(train: Dataset) -> None:
    """Raise DataError if the older side of a split holds only one outcome."""
    if not _has_both_outcomes(train.won):
        missing = Message("lost") if train.won.any() else Message("won")
        raise DataError(
            "The {count:,} examples that are older than the newest fifth, with outcomes known "
            "by then, hold no {missing} lead: nothing can be measured in time. Look at `won`, "
            "`lost` and `since` in crm.toml, shorten [target] horizon_days, or come back later.",
            count=len(train),
            missing=missing,
        )


def _score_parts(model: Model, leads: Encoded) -> dict[str, Floats]:
    parts = model.score_parts(leads)
    return {MODEL: model.add_parts(parts, len(leads)), **parts}


def _join_reasons(parts: list[dict[str, NDArray[np.float32]]]) -> dict[str, NDArray[np.float32]]:
    """The contributions of all splits by feature, 0 where a split's model lacks the feature."""
    names = dict.fromkeys(name for part in parts for name in part)
    sizes = [len(next(iter(part.values()))) for part in parts]
    nothing = [np.zeros(size, dtype=np.float32) for size in sizes]
    return {
        name: np.concatenate([part.get(name, zero) for part, zero in zip(parts, nothing, strict=True)])
        for name in names
    }


def _explain_sample(
    model: Model, leads: Encoded, log_odds: Floats, limit: int, seed: int
) -> dict[str, NDArray[np.float32]]:
    """The contributions of each feature to each score (rows,).

    Beyond `limit` leads only for a sample, because exact contributions are slow: half of it the leads on
    which model and rules disagree most, half drawn at random; nan for the others.
    """
    rows = np.arange(len(leads))
    if len(leads) > limit:
        place = [np.argsort(np.argsort(score)) for score in (log_odds, leads.rating.rank)]
        disputed = np.argsort(-np.abs(place[0] - place[1]), kind="stable")[: limit // 2]
        drawn = np.random.default_rng(seed).choice(len(leads), limit - limit // 2, replace=False)
        rows = np.unique(np.concatenate([disputed, drawn]))
    contributions = np.full((len(leads), len(model.table)), np.nan, dtype=np.float32)
    contributions[rows] = model.explain(leads.take(rows)).contributions
    return dict(zip(model.table.names, contributions.T, strict=True))


def _measure_scores(judged: Dataset, scores: dict[str, Floats], seed: int) -> dict[str, dict[str, Estimate]]:
    """Figures with intervals of the model and the baselines (not of the parts)."""
    draws = _DRAWS if len(judged) < _MANY else _DRAWS_MANY
    examples, names = judged.examples, [name for name in scores if name not in PARTS]

    def measure_one(name: str) -> dict[str, Estimate]:
        probability = sigmoid(scores[name])
        return measure(examples.won, probability, examples.amount, examples.group, draws, seed)

    return dict(zip(names, compute_side_by_side(measure_one, names), strict=True))
