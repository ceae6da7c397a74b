"""Independent fits side by side: BLAS and LightGBM let go of the interpreter while they compute."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar, cast

from lightgbm.basic import _LIB, _safe_call  # the number of its threads is set nowhere else
from scipy.linalg import LinAlgWarning
from threadpoolctl import threadpool_limits

Item = TypeVar("Item")
Result = TypeVar("Result")
First = TypeVar("First")
Second = TypeVar("Second")

_MOST_THREADS = 4
"""Every further fit at the same time takes memory of its own."""

_ALL_CORES = -1

_thread = threading.local()


def compute_side_by_side(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """The results of `work` on each item, in their order, whatever the number of cores.

    Work within work is done one after the other. The first error is raised, and what has not begun is left.
    """
    waiting = list(items)
    if getattr(_thread, "is_worker", False):
        return [work(item) for item in waiting]
    threads = min(len(waiting), os.cpu_count() or 1, _MOST_THREADS)
    with _quiet_solvers(), ThreadPoolExecutor(max(threads, 1), initializer=_mark_worker) as pool:
        return list(pool.map(work, waiting))


def compute_both(first: Callable[[], First], second: Callable[[], Second]) -> tuple[First, Second]:
    """The results of two different computations, side by side."""
    results = compute_side_by_side(lambda call: call(), (first, second))
    return cast(First, results[0]), cast(Second, results[1])


def _mark_worker() -> None:
    _thread.is_worker = True


@contextmanager
def _quiet_solvers() -> Iterator[None]:
    """What belongs to the process, and therefore must not change while threads compute.

    BLAS and LightGBM compute on one thread each: several would wait for each other on busy cores, and the
    last digits of a sum, hence the version of a model, would depend on the number of cores. Solvers' warnings
    are not shown, because later deals judge a fit; scikit-learn turns to another solver when the warning of
    an ill-conditioned matrix is raised.
    """
    with warnings.catch_warnings(), threadpool_limits(1, user_api="blas"):
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", LinAlgWarning)
        _safe_call(_LIB.LGBM_SetMaxThreads(1))
        try:
            yield
        finally:
            _safe_call(_LIB.LGBM_SetMaxThreads(_ALL_CORES))
