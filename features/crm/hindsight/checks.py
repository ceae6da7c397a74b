"""Checks for what only hindsight knows: columns and values that tell open leads from closed ones, or won from
lost ones."""

from __future__ import annotations

import numpy as np

from features.crm.findings import Finding
from features.crm.hindsight.audited import AuditedColumn
from features.crm.hindsight.sides import Sides, find_outcome_word, find_telling_value, separation

_TELLING, _SURELY_TELLING, _BEYOND_CHANCE = 0.8, 0.9, 4.0
"""The ROC AUC from which a column is suspected, from which it leaks, and its standard errors from chance."""
_ADVICE_EN = (
    "Leave it out or give its history in [changes]; if it never changes after the lead is created, keep it "
    "with insist = true."
)
_ADVICE_JA = (
    "特徴量から外すか、[changes]で変更履歴を渡してください。リードの作成後に変わらない項目であれば、"
    "insist = true で使えます。"
)


def find_tells_open(column: AuditedColumn) -> Finding | None:
    """A column that tells closed leads from open ones of the same age, as a whole or by one value."""
    values, sides = column.values_of_compared, column.compared.sides
    if not len(values):
        return None
    auc, errors = separation(values, sides)
    is_telling = auc >= _TELLING and errors >= _BEYOND_CHANCE
    value = find_telling_value(values, sides)
    if is_telling and (auc >= _SURELY_TELLING or value is None):
        shown = f"ROC AUC {auc:.2f}"
        return _tells_open(column.name, auc >= _SURELY_TELLING, shown, shown)
    if value is None:
        return None
    en, ja = ("closed", "クローズ済み") if value.is_first else ("open", "進行中")
    return _tells_open(
        column.name,
        value.is_certain,
        f"'{value.value}': {value.same:,} of {value.count:,} are {en}",
        f"「{value.value}」{value.count:,}件中{value.same:,}件が{ja}",
    )


def _tells_open(name: str, is_certain: bool, shown_en: str, shown_ja: str) -> Finding:
    return Finding(
        code="tells_open",
        severity="leak" if is_certain else "suspect",
        en=(
            f"'{name}' tells open leads from closed ones of the same age ({shown_en}): it "
            f"{'changes' if is_certain else 'probably changes'} when the deal ends. {_ADVICE_EN}"
        ),
        ja=(
            f"「{name}」だけで、同じ時期に作成された進行中とクローズ済みのリードを見分けられます（{shown_ja}）。"
            f"案件の終了時に変わる{'項目です' if is_certain else '可能性が高い項目です'}。{_ADVICE_JA}"
        ),
    )


def find_outcome_values(column: AuditedColumn) -> Finding | None:
    """A column with a value that only won leads have, or only the others, or one spelt like an outcome."""
    won, deals = column.decided.won, column.loaded.settings.deals
    sides = Sides.from_bands(won, np.zeros(len(won), dtype=np.int64))
    value = find_outcome_word(column.values, sides, deals.won, deals.lost) if deals else None
    value = value or find_telling_value(column.values, sides)
    if value is None:
        return None
    en, ja = ("won", "成約") if value.is_first else ("not won", "失注・未成約")
    is_certain = value.is_certain
    return Finding(
        code="outcome_values",
        severity="leak" if is_certain else "suspect",
        en=(
            f"'{column.name}': of the {value.count:,} leads with '{value.value}' {value.same:,} are {en}. "
            f"It is {'surely' if is_certain else 'probably'} written when the deal ends. {_ADVICE_EN}"
        ),
        ja=(
            f"「{column.name}」が「{value.value}」のリードは、{value.count:,}件中{value.same:,}件が{ja}です。"
            f"案件の終了時に書き込まれる{'項目です' if is_certain else '可能性が高い項目です'}。{_ADVICE_JA}"
        ),
    )
