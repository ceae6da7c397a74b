"""Tuning the trees with Optuna on the validation folds; a study is resumed by later calls."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path

import optuna

from training.fitting.choosing import best_linear, choose
from training.fitting.dataset import Dataset
from training.fitting.folds import folds_of
from training.fitting.parts.trees import SIZES, Boosting, best_rounds, train_curve
from training.fitting.recipe import Recipe

_LEAVES = (4, 127)


def tune(data: Dataset, seed: int, seconds: float, store: Path) -> Recipe:
    """The recipe with the best trees found within `seconds`.

    Trials are stored in the SQLite file `store`; a later call with the same data continues the study.
    """
    deadline = time.monotonic() + seconds
    folds = folds_of(data, seed)
    if not folds:
        return choose(data, seed)
    _, lines = best_linear(folds, seed)
    sides = [fold.score_linear(line) for fold, line in zip(folds, lines, strict=True)]
    study = _open_study(store, data, seed)

    def loss(trial: optuna.Trial) -> float:
        boosting = _suggest_boosting(trial)
        curves = []
        for step, (train, test) in enumerate(sides):
            curves.append(train_curve(train, test, boosting, seed))
            trial.report(best_rounds(curves)[1], step)
            if time.monotonic() > deadline or trial.should_prune():
                raise optuna.TrialPruned
        return best_rounds(curves)[1]

    while (remaining_seconds := deadline - time.monotonic()) > 0:
        study.optimize(loss, n_trials=1, timeout=remaining_seconds)
    completed_trials = study.get_trials(states=[optuna.trial.TrialState.COMPLETE])
    if not completed_trials:
        return choose(data, seed)
    return choose(data, seed, {"tuned_trees": Boosting(**study.best_params)})


def _open_study(store: Path, data: Dataset, seed: int) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    store.parent.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        study_name=f"trees-{data.digest}-{seed}",
        storage=f"sqlite:///{store}",
        sampler=optuna.samplers.TPESampler(seed=seed, multivariate=True, n_startup_trials=8),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5),
        load_if_exists=True,
    )
    if not study.trials:
        for boosting in SIZES.values():
            study.enqueue_trial(asdict(boosting))
    return study


def _suggest_boosting(trial: optuna.Trial) -> Boosting:
    return Boosting(
        num_leaves=trial.suggest_int("num_leaves", *_LEAVES, log=True),
        learning_rate=trial.suggest_float("learning_rate", 0.03, 0.2, log=True),
        min_data_in_leaf=trial.suggest_int("min_data_in_leaf", 5, 200, log=True),
        lambda_l2=trial.suggest_float("lambda_l2", 0.1, 30.0, log=True),
        feature_fraction=trial.suggest_float("feature_fraction", 0.2, 1.0),
        max_bin=trial.suggest_categorical("max_bin", (255, 1023, 4095)),
        lean=trial.suggest_float("lean", 0.0, 1.0),
    )
