"""Checks for what only hindsight knows: columns and values that tell open leads from closed ones, or won from
lost ones."""

from __future__ import annotations

import numpy as np

from features.columns import Bools, Floats
from features.crm.findings import Finding
from features.crm.hindsight.advice import ADVICE_EN, ADVICE_JA
from features.crm.hindsight.audited import AuditedColumn
from features.crm.hindsight.cohorts import Movement, measure_movement
from features.crm.hindsight.sides import (
    Separation,
    Sides,
    TellingValue,
    find_outcome_word,
    find_telling_value,
    number_ranges,
    separate,
)
from features.statistics import to_levels

TELLING = 0.6
"""The ROC AUC from which a column tells open from closed if it moves with the closing of leads as well."""
_SUSPECT, _LEAK, BEYOND_CHANCE = 0.8, 0.9, 4.0
"""The ROC AUC from which a column is suspected, from which it leaks, and its standard errors from chance."""


def find_tells_open(column: AuditedColumn) -> Finding | None:
    """A column that tells closed leads from open ones of the same age, as a whole or by one value."""
    values, sides = column.values_of_compared, column.compared.sides
    if not len(values):
        return None
    auc = _telling_auc(column)
    value = find_telling_value(values, sides)
    if auc is not None and (auc >= _LEAK or value is None):
        shown = f"ROC AUC {auc:.2f}"
        return _tells_open(column.name, auc >= _LEAK, shown, shown)
    if value is not None:
        return _tells_open(column.name, value.is_certain, *_show(value))
    ranges = number_ranges(values)
    value = find_telling_value(ranges, sides) if ranges else None
    return _tells_open(column.name, value.is_certain, *_show(value)) if value else None


def _telling_auc(column: AuditedColumn) -> float | None:
    """The ROC AUC between closed and open leads of equal age, None if it shows nothing.

    A moderate one shows something only for a column that moves with the closing of leads, a high one unless
    the column is seen not to."""
    separation, score = separate_closed(column)
    if separation.auc < TELLING or separation.errors < BEYOND_CHANCE:
        return None
    moved = measure_closed_movement(column, score)
    is_telling = not moved.is_known_before if separation.auc >= _SUSPECT else moved.is_written
    return separation.auc if is_telling else None


def separate_closed(column: AuditedColumn) -> tuple[Separation, Floats]:
    """How well the column tells closed leads from open ones of equal age, and the score of each lead."""
    compared = column.compared
    level, count = to_levels(column.values_of_all, compared.use)
    separation = separate(level[compared.use], count, compared.sides)
    return separation, separation.score[level]


def measure_closed_movement(column: AuditedColumn, score: Floats) -> Movement:
    """How the score of each lead by `separate_closed` moves with the closing, on leads it did not learn."""
    unlearnt = _mask_unlearnt(column.compared.use)
    return measure_movement(score[unlearnt], column.compared.closed[unlearnt])


def _mask_unlearnt(use: Bools) -> Bools:
    """The leads that `separate` did not learn the scores from: all but every second one of those compared."""
    mask = np.ones(len(use), dtype=bool)
    mask[np.flatnonzero(use)[::2]] = False
    return mask


def _show(value: TellingValue) -> tuple[str, str]:
    en, ja = ("closed", "クローズ済み") if value.is_first else ("open", "進行中")
    return (
        f"'{value.value}': {value.same:,} of {value.count:,} are {en}",
        f"「{value.value}」{value.count:,}件中{value.same:,}件が{ja}",
    )


def _tells_open(name: str, is_certain: bool, shown_en: str, shown_ja: str) -> Finding:
    return Finding(
        code="tells_open",
        severity="leak" if is_certain else "suspect",
        en=(
            f"'{name}' tells open leads from closed ones of the same age ({shown_en}): it "
            f"{'changes' if is_certain else 'probably changes'} when the deal ends. {ADVICE_EN}"
        ),
        ja=(
            f"「{name}」だけで、同じ時期に作成された進行中とクローズ済みのリードを見分けられます（{shown_ja}）。"
            f"案件の終了時に変わる{'項目です' if is_certain else '可能性が高い項目です'}。{ADVICE_JA}"
        ),
    )


def find_outcome_values(column: AuditedColumn) -> Finding | None:
    """A column with a value that only won leads have, or only the others, or one spelt like an outcome."""
    won, deals = column.decided.won, column.loaded.settings.deals
    sides = Sides.from_bands(won, np.zeros(len(won), dtype=np.int64))
    value = find_outcome_word(column.values, sides, deals.won, deals.lost) if deals else None
    # hardly anybody may buy with an honest value, such as the plan that suits few
    value = value or find_telling_value(column.values, sides, is_second_rare=False)
    if value is None:
        return None
    en, ja = ("won", "成約") if value.is_first else ("not won", "失注・未成約")
    is_certain = value.is_certain
    return Finding(
        code="outcome_values",
        severity="leak" if is_certain else "suspect",
        en=(
            f"'{column.name}': of the {value.count:,} leads with '{value.value}' {value.same:,} are {en}. "
            f"It is {'surely' if is_certain else 'probably'} written when the deal ends. {ADVICE_EN}"
        ),
        ja=(
            f"「{column.name}」が「{value.value}」のリードは、{value.count:,}件中{value.same:,}件が{ja}です。"
            f"案件の終了時に書き込まれる{'項目です' if is_certain else '可能性が高い項目です'}。{ADVICE_JA}"
        ),
    )
