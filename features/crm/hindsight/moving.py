"""Single values that become more common as leads close, and that closed leads have more than open ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from features.columns import Bools, Column, Ints, Texts, is_missing
from features.crm.findings import Finding
from features.crm.hindsight.advice import ADVICE_EN, ADVICE_JA
from features.crm.hindsight.audited import AuditedColumn
from features.crm.hindsight.cohorts import Cohorts, Movement
from features.statistics import to_levels

_WITHIN, _BETWEEN = 4.5, 3.0
_WITHIN_IF_PURE, _BETWEEN_IF_PURE, _TOGETHER_IF_PURE = 3.5, 2.0, 5.0
_SURELY_WITHIN, _SURELY_BETWEEN, _PURE = 6.0, 4.0, 0.02
"""From how many standard errors within and between cohorts a value is suspected; from fewer if so small a
share of one side has it, and it leaks from more."""
_MIN_COUNT, _MAX_VALUES, _MIN_DIFFERENCE = 20, 200, 0.02
_FEW_NUMBERS, _BINS_TOGETHER = 20, 4
"""As many neighbouring bins of numbers are one range: a twentieth of the leads shows little."""


@dataclass(frozen=True)
class _Moving:
    """A value ("" for being filled at all), how having it moves with the closing, and the shares of the
    closed and of the open leads of the same age that have it."""

    value: str
    movement: Movement
    of_closed: float
    of_open: float

    @property
    def is_pure(self) -> bool:
        """Whether hardly any lead of one side has it."""
        low, high = sorted((self.of_closed, self.of_open))
        return low <= _PURE * high

    @property
    def is_moving(self) -> bool:
        within, between = self.movement.errors
        if abs(self.of_closed - self.of_open) < _MIN_DIFFERENCE:
            return False
        if not self.is_pure:
            return within >= _WITHIN and between >= _BETWEEN and self.movement.is_steep
        return np.hypot(within, between) >= _TOGETHER_IF_PURE and self.movement.is_steep

    @property
    def is_certain(self) -> bool:
        within, between = self.movement.errors
        return self.is_pure and within >= _SURELY_WITHIN and between >= _SURELY_BETWEEN


def find_moving_value(column: AuditedColumn) -> Finding | None:
    """A value, or being filled, that moves with the closing of leads; the one that does so most clearly."""
    cohorts, values = column.compared.cohorts, column.values_of_all
    if cohorts is None or not len(values):
        return None
    moving_levels = [_fill(values), *_levels(values)]
    moving = [candidate for levels in moving_levels for candidate in _find_moving(cohorts, levels, values)]
    clearest = max(
        moving, key=lambda candidate: (candidate.is_certain, sum(candidate.movement.errors)), default=None
    )
    return _moves(column.name, clearest) if clearest else None


def _fill(column: Column) -> Ints:
    """Level 0 for a filled value, -1 for an empty one."""
    return np.where(is_missing(column), -1, 0).astype(np.int64)


def _levels(column: Column) -> Iterator[Ints]:
    """The common values as levels from 1 on, -1 for others; of numbers also bins and ranges of bins."""
    if isinstance(column, Texts):
        yield _keep_common(column.codes.astype(np.int64))
        return
    different, level = np.unique(column, return_inverse=True)
    level = np.where(np.isnan(column), -1, level)
    yield _keep_common(level)
    if len(different) > _FEW_NUMBERS:
        bins = to_levels(column)[0] - 1
        yield _keep_common(bins)
        yield _keep_common(np.where(bins < 0, -1, bins // _BINS_TOGETHER))


def _keep_common(level: Ints) -> Ints:
    """The common ones of some levels from 0 on (-1: none) as 1..k, and -1 for others."""
    sizes = np.bincount(level[level >= 0], minlength=1)
    common = np.argsort(-sizes, kind="stable")[:_MAX_VALUES]
    common = np.sort(common[sizes[common] >= _MIN_COUNT])
    place = np.full(len(sizes) + 1, -1)
    place[common] = np.arange(1, len(common) + 1)
    return np.asarray(place[level], dtype=np.int64)


def _find_moving(cohorts: Cohorts, level: Ints, column: Column) -> Iterator[_Moving]:
    """The levels that move; level 0 is that of all filled values."""
    movements = cohorts.measure_levels(level, int(level.max(initial=0)) + 1)
    for k, movement in enumerate(movements):
        if movement.errors[0] >= _WITHIN_IF_PURE and movement.errors[1] >= _BETWEEN_IF_PURE:
            mask = level == k
            candidate = _Moving("" if k == 0 else _name(column, mask), movement, *_shares(cohorts, mask))
            if candidate.is_moving:
                yield candidate


def _name(column: Column, mask: Bools) -> str:
    if isinstance(column, Texts):
        return column.categories[int(column.codes[mask][0])]
    low, high = float(column[mask].min()), float(column[mask].max())
    return f"{low:g}" if low == high else f"{low:g} – {high:g}"


def _shares(cohorts: Cohorts, mask: Bools) -> tuple[float, float]:
    """The shares among closed and open leads of the same cohorts, weighted by the open ones."""
    count = len(cohorts.size)
    number_open = np.bincount(cohorts.cohort, ~cohorts.closed, count)
    number_closed = np.bincount(cohorts.cohort, cohorts.closed, count)
    weight = number_open * (number_closed > 0)
    of_closed = np.bincount(cohorts.cohort, mask & cohorts.closed, count) / np.maximum(number_closed, 1)
    of_open = np.bincount(cohorts.cohort, mask & ~cohorts.closed, count) / np.maximum(number_open, 1)
    total = max(float(weight.sum()), 1.0)
    return float(weight @ of_closed) / total, float(weight @ of_open) / total


def _moves(name: str, candidate: _Moving) -> Finding:
    what_en = f"'{candidate.value}'" if candidate.value else "filled"
    what_ja = f"「{candidate.value}」の割合" if candidate.value else "入力済みの割合"
    is_certain = candidate.is_certain
    return Finding(
        code="moves_with_close",
        severity="leak" if is_certain else "suspect",
        en=(
            f"'{name}' is {what_en} for {candidate.of_closed:.1%} of the closed leads but "
            f"{candidate.of_open:.1%} of the open ones of the same age, and that changes as leads close: "
            f"it is {'' if is_certain else 'probably '}written when the deal ends. {ADVICE_EN}"
        ),
        ja=(
            f"「{name}」は、{what_ja}がクローズ済みのリードで{candidate.of_closed:.1%}、同じ時期に作成された進行中のリードで"
            f"{candidate.of_open:.1%}と異なり、クローズが進むにつれて変わります。案件の終了時に書き込まれる"
            f"{'項目です' if is_certain else '可能性が高い項目です'}。{ADVICE_JA}"
        ),
    )
