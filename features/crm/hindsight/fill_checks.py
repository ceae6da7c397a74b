"""Columns that are filled, or emptied, only when the deal ends or after an activity."""

from __future__ import annotations

import numpy as np

from features.columns import take
from features.crm.findings import Finding
from features.crm.hindsight.advice import ADVICE_EN, ADVICE_JA
from features.crm.hindsight.audited import AuditedColumn
from features.crm.hindsight.sides import fill_levels, find_telling_value


def find_filled_at_close(column: AuditedColumn) -> Finding | None:
    """A column that (nearly) only closed leads have filled, or only open ones, whatever its values."""
    value = find_telling_value(fill_levels(column.values_of_compared), column.compared.sides)
    if value is None:
        return None
    state_en, state_ja = ("filled", "入力済み") if value.value else ("empty", "未入力")
    side_en, side_ja = ("closed", "クローズ済み") if value.is_first else ("open", "進行中")
    is_filled = bool(value.value) == value.is_first
    verb_en, verb_ja = ("filled", "入力される") if is_filled else ("emptied", "消去される")
    return Finding(
        code="filled_at_close",
        severity="leak" if value.is_certain else "suspect",
        en=(
            f"'{column.name}' is {state_en} for {value.count:,} leads, of which {value.same:,} are "
            f"{side_en}, far more than of other leads of the same age: it is "
            f"{'' if value.is_certain else 'probably '}{verb_en} when the deal ends. {ADVICE_EN}"
        ),
        ja=(
            f"「{column.name}」が{state_ja}のリード{value.count:,}件のうち{value.same:,}件が{side_ja}で、"
            "同じ時期に作成された他のリードより大幅に多くなっています。案件の終了時に"
            f"{verb_ja}{'項目です' if value.is_certain else '可能性が高い項目です'}。{ADVICE_JA}"
        ),
    )


def find_filled_after_event(column: AuditedColumn) -> Finding | None:
    """A column that (nearly) no lead has filled before its first activity of a kind."""
    if column.is_of_deals or column.name == column.loaded.settings.roles.first_contact:
        return None
    fill = fill_levels(column.values_of_all)
    if not 0 < fill.codes.mean() < 1:
        return None
    place = np.empty(len(column.compared.lead), dtype=np.int64)
    place[column.compared.lead] = np.arange(len(place))
    for event in column.events:
        value = find_telling_value(take(fill, place[event.lead]), event.sides)
        if value is not None and value.value and value.is_first:
            return _filled_after_event(column.name, event.kind, value.same, value.count, value.is_certain)
    return None


def _filled_after_event(name: str, kind: str, same: int, count: int, is_certain: bool) -> Finding:
    return Finding(
        code="filled_after_event",
        severity="leak" if is_certain else "suspect",
        en=(
            f"'{name}' is filled for {count:,} leads, of which {same:,} have had an activity '{kind}' since "
            f"they were created, far more than of other leads of the same age: it is "
            f"{'' if is_certain else 'probably '}filled only then. {ADVICE_EN}"
        ),
        ja=(
            f"「{name}」が入力済みのリード{count:,}件のうち{same:,}件に、作成後の行動「{kind}」があり、"
            "同じ時期に作成された他のリードより大幅に多くなっています。その行動の後に入力される"
            f"{'項目です' if is_certain else '可能性が高い項目です'}。{ADVICE_JA}"
        ),
    )
