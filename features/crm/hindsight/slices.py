"""Columns that predict almost perfectly from some date on: people began to fill them at the close."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from features.clock import NEVER, iso
from features.columns import Ints, take
from features.crm.findings import Finding
from features.crm.hindsight.advice import ADVICE_EN, ADVICE_JA
from features.crm.hindsight.audited import AuditedColumn
from features.crm.hindsight.sides import Sides, TellingValue, find_telling_value
from features.moments import MIN_WINS
from features.statistics import auc_error, level_auc, win_rate_by_level

_SUSPECT, _LEAK = 0.9, 0.95
_ORDINARY, _BEYOND_CHANCE = 0.8, 3.0
_TENTHS = 10
_PARTS = (0.5, 0.75, 0.9)
"""Where the newest parts begin in which single values are looked at."""


@dataclass(frozen=True)
class _Order:
    """Positions of decided leads by the time of their creation or close, and those times (ms or ranks)."""

    rows: Ints
    time: Ints
    basis: Literal["created", "closed"]


@dataclass(frozen=True)
class _Slice:
    """The leads from a time on, what is seen of the column among them, and how it predicts before them."""

    order: _Order
    start: int
    auc: float
    auc_before: float


def find_perfect_since(column: AuditedColumn) -> Finding | None:
    """A column that tells won from lost almost perfectly among the leads created or closed from a date on, or
    that has a value with one outcome only among them."""
    orders = list(_orders(column))
    if newest := next((slice for order in orders if (slice := _find_slice(column, order))), None):
        return _perfect_since(column, newest)
    for order in orders:
        for part in _PARTS:
            start = round(len(order.rows) * part)
            if value := _find_value(column, order.rows[start:]):
                return _value_since(column, order, start, value)
    return None


def _orders(column: AuditedColumn) -> Iterator[_Order]:
    crm, lead = column.loaded.crm, column.decided.lead
    if crm.order == "none":
        return
    yield _Order(np.arange(len(lead)), crm.created[lead], "created")
    closed_at = crm.outcomes.closed_at[lead]
    has_losses = bool((crm.outcomes.closed & ~crm.outcomes.won).any())
    if crm.horizon_applies and has_losses:
        rows = np.argsort(closed_at, kind="stable")
        yield _Order(rows[closed_at[rows] < NEVER], closed_at[rows], "closed")


def _find_slice(column: AuditedColumn, order: _Order) -> _Slice | None:
    """The longest newest part, in tenths, in which the column alone predicts almost perfectly, and beyond
    chance better than before."""
    starts = [len(order.rows) * k // _TENTHS for k in range(1, _TENTHS)]
    for start in starts:
        auc, auc_before = _auc(column, order.rows[start:]), _auc(column, order.rows[:start])
        won = column.decided.won[order.rows[start:]][1::2]
        error = auc_error(auc, int(won.sum()), int((~won).sum()))
        if auc >= _SUSPECT and auc_before < _ORDINARY and auc - _BEYOND_CHANCE * error > auc_before:
            return _Slice(order, start, auc, auc_before)
    return None


def _auc(column: AuditedColumn, rows: Ints) -> float:
    """The ROC AUC of the column alone on every second of some leads, learnt on the others; nan with few."""
    (all_levels, count), won = column.levels, column.decided.won[rows]
    if min(won[::2].sum(), (~won[::2]).sum(), won[1::2].sum(), (~won[1::2]).sum()) < MIN_WINS / 2:
        return float("nan")
    level = all_levels[rows]
    return level_auc(level[1::2], won[1::2], win_rate_by_level(level[::2], count, won[::2]))


def _find_value(column: AuditedColumn, rows: Ints) -> TellingValue | None:
    won = column.decided.won[rows]
    if min(won.sum(), (~won).sum()) < MIN_WINS:
        return None
    sides = Sides.from_bands(won, np.zeros(len(won), dtype=np.int64))
    return find_telling_value(take(column.values, rows), sides)


def _since(column: AuditedColumn, order: _Order, start: int) -> tuple[str, str]:
    """The leads from a place in the order on, in words."""
    is_date = column.loaded.crm.order == "date"
    count, verb_ja = len(order.rows) - start, {"created": "作成", "closed": "クローズ"}[order.basis]
    if not is_date:
        return f"the newest {count:,} leads", f"最新のリード{count:,}件"
    day = iso(int(order.time[start]))[:10]
    return f"the {count:,} leads {order.basis} since {day}", f"{day}以降に{verb_ja}されたリード{count:,}件"


def _perfect_since(column: AuditedColumn, newest: _Slice) -> Finding:
    is_certain = newest.auc >= _LEAK
    en, ja = _since(column, newest.order, newest.start)
    return Finding(
        code="perfect_since",
        severity="leak" if is_certain else "suspect",
        en=(
            f"'{column.name}' alone tells won from lost almost perfectly among {en} (ROC AUC "
            f"{newest.auc:.2f}; before {newest.auc_before:.2f}): since then it is "
            f"{'surely' if is_certain else 'probably'} written after the outcome is known. {ADVICE_EN}"
        ),
        ja=(
            f"「{column.name}」だけで、{ja}の成約・失注をほぼ言い当てます（ROC AUC {newest.auc:.2f}、"
            f"それ以前は{newest.auc_before:.2f}）。それ以降は結果が出た後に書き込まれている"
            f"{'項目です' if is_certain else '可能性が高い項目です'}。{ADVICE_JA}"
        ),
    )


def _value_since(column: AuditedColumn, order: _Order, start: int, value: TellingValue) -> Finding:
    en, ja = _since(column, order, start)
    side_en, side_ja = ("won", "成約") if value.is_first else ("not won", "失注・未成約")
    return Finding(
        code="outcome_values_since",
        severity="leak" if value.is_certain else "suspect",
        en=(
            f"'{column.name}': among {en}, {value.same:,} of the {value.count:,} with '{value.value}' are "
            f"{side_en}. Since then it is {'surely' if value.is_certain else 'probably'} written "
            f"when the deal ends. {ADVICE_EN}"
        ),
        ja=(
            f"「{column.name}」は、{ja}では「{value.value}」の{value.count:,}件中{value.same:,}件が{side_ja}です。"
            "それ以降は案件の終了時に書き込まれている"
            f"{'項目です' if value.is_certain else '可能性が高い項目です'}。{ADVICE_JA}"
        ),
    )
