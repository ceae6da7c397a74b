"""Independent computations side by side: the same results in the same order, and errors that surface."""

from __future__ import annotations

import threading
import warnings

import numpy as np
import pytest
from lightgbm.basic import _LIB
from sklearn.exceptions import ConvergenceWarning

from training.fitting.parts.line import Design, fit_linear
from training.fitting.parts.trees import Boosting, PartScores, TreesRecipe, fit_all_trees, fit_trees
from training.side_by_side import compute_both, compute_side_by_side

rng = np.random.default_rng(3)
MATRIX = rng.normal(size=(400, 6))
WON = rng.random(400) < 1 / (1 + np.exp(-MATRIX[:, 0]))


def test_results_come_in_the_order_of_the_items() -> None:
    assert compute_side_by_side(lambda n: n * n, range(20)) == [n * n for n in range(20)]
    assert compute_side_by_side(lambda n: n, []) == []
    assert compute_both(lambda: 1, lambda: "b") == (1, "b")


def test_two_computations_run_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    both_began = threading.Barrier(2, timeout=20)
    compute_side_by_side(lambda _: both_began.wait(), range(2))


def test_work_within_work_starts_no_further_threads() -> None:
    def name_threads(_: int) -> set[str]:
        inner = compute_side_by_side(lambda _: threading.current_thread().name, range(5))
        return {*inner, threading.current_thread().name}

    assert all(len(names) == 1 for names in compute_side_by_side(name_threads, range(3)))


def test_an_error_of_a_thread_is_raised_and_leaves_nothing_set() -> None:
    filters = list(warnings.filters)
    with pytest.raises(ZeroDivisionError):
        compute_side_by_side(lambda n: 1 / n, (2, 1, 0))
    assert warnings.filters == filters
    assert compute_side_by_side(lambda n: n, (1, 2)) == [1, 2]


def test_warnings_of_solvers_are_not_shown(recwarn: pytest.WarningsRecorder) -> None:
    def warn(_: int) -> None:
        warnings.warn("did not converge", ConvergenceWarning, stacklevel=1)

    compute_side_by_side(warn, range(4))
    assert not recwarn.list


@pytest.mark.parametrize("cores", [1, 2, 3])
def test_fits_are_the_same_on_any_number_of_cores(cores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    design = Design.from_matrix(MATRIX)
    single = [fit_linear(design, WON, strength, seed=0) for strength in (0.1, 1.0)]
    train = PartScores(MATRIX, WON, single[0].log_odds(MATRIX))
    recipes = [TreesRecipe(Boosting(), 12, 3), TreesRecipe(Boosting(num_leaves=15), 8, 2)]
    one_by_one = [fit_trees(train, recipe, seed=1) for recipe in recipes]

    monkeypatch.setattr("os.cpu_count", lambda: cores)
    lines = compute_side_by_side(lambda strength: fit_linear(design, WON, strength, seed=0), (0.1, 1.0))
    assert [line.to_dict() for line in lines] == [line.to_dict() for line in single]
    assert fit_all_trees([(train, recipe) for recipe in recipes], seed=1) == one_by_one


def test_lightgbm_computes_on_one_thread_only_within() -> None:
    def most_threads(_: int) -> int:
        count = np.zeros(1, dtype=np.int32)
        _LIB.LGBM_GetMaxThreads(count.ctypes)
        return int(count[0])

    assert compute_side_by_side(most_threads, range(2)) == [1, 1]
    assert most_threads(0) == -1
