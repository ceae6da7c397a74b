from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna

from training.fitting.choosing import choose
from training.fitting.dataset import Dataset
from training.fitting.parts.trees import Boosting
from training.fitting.tuning import tune


def trials(store: Path) -> list[optuna.trial.FrozenTrial]:
    storage = f"sqlite:///{store}"
    names = optuna.get_all_study_names(storage)
    return [t for n in names for t in optuna.load_study(study_name=n, storage=storage).trials]


def test_budget_is_kept_and_a_second_run_goes_on_from_the_first(small_data: Dataset, tmp_path: Path) -> None:
    store = tmp_path / "out" / "tuning.db"
    began = time.monotonic()
    tune(small_data, 0, 3, store)
    assert time.monotonic() - began < 20
    first = trials(store)
    started = [t.params["num_leaves"] for t in first if t.params][:2]
    assert started == [7, 31][: max(1, len(started))]
    recipe = tune(small_data, 0, 3, store)
    completed = [t for t in trials(store) if t.value is not None and t.state.name == "COMPLETE"]
    assert len(trials(store)) > len(first)
    best = min(completed, key=lambda t: t.value or 0)
    assert recipe.trees["tuned_trees"].boosting == Boosting(**best.params)


def test_other_data_are_searched_anew(small_data: Dataset, tmp_path: Path) -> None:
    store = tmp_path / "tuning.db"
    for size in (300, 400):
        tune(small_data.take(np.arange(size)), 0, 0.1, store)
    assert len(optuna.get_all_study_names(f"sqlite:///{store}")) == 2


def test_no_time_or_no_folds_gives_the_usual_recipe(small_data: Dataset, tmp_path: Path) -> None:
    one_group = replace(small_data.examples, group=np.zeros(len(small_data), np.int32), ordered=False)
    lone = replace(small_data, examples=one_group)
    assert tune(lone, 0, 1, tmp_path / "tuning.db") == choose(lone, 0)
    assert not (tmp_path / "tuning.db").exists()


def test_a_budget_too_small_for_one_trial_still_gives_a_recipe(small_data: Dataset, tmp_path: Path) -> None:
    fewer = small_data.take(np.arange(0, len(small_data), 4))
    assert tune(fewer, 1, 1e-6, tmp_path / "tuning.db") == choose(fewer, 1)
