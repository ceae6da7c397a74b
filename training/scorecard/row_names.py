"""The name of a learnt row: its key in scorecard.toml and its reason."""

from __future__ import annotations

import re
from collections.abc import Collection

from features.kinds import Language
from features.table import FeatureTable
from scoring.decision.reasons import format_value
from scoring.scorecard.scorecard import Condition, LocalizedText
from scoring.texts import translate
from training.scorecard.candidates import CandidateRow


def row_name(row: CandidateRow, taken: Collection[str]) -> str:
    """An unused bare key made of the name of the feature and its threshold or value."""
    condition = row.conditions[0]
    feature_key = _to_key(condition.feature) or "row"
    if condition.one_of is not None:
        is_simple = len(condition.one_of) == 1 and condition.one_of[0].isascii()
        value = _to_key(condition.one_of[0].lower()) if is_simple else ""
        name = f"{feature_key}_{value}"
        return name if value and name not in taken else _add_number(feature_key, taken)
    if condition.at_least == 1 and feature_key not in taken:
        return feature_key
    mark = condition.at_least if condition.at_least is not None else condition.at_most
    direction = "" if condition.at_least is not None else "_to"
    name = f"{feature_key}{direction}_{_to_key(_format_number(mark or 0.0))}"
    return name if name not in taken else _add_number(name, taken)


def build_reason(row: CandidateRow, table: FeatureTable) -> LocalizedText:
    """The reason in both languages, with the labels of crm.toml."""
    return LocalizedText(
        en=_reason_text(row.conditions[0], table, "en"), ja=_reason_text(row.conditions[0], table, "ja")
    )


def _reason_text(condition: Condition, table: FeatureTable, lang: Language) -> str:
    label = table.label(condition.feature, lang)
    label = label[:1].upper() + label[1:]
    if condition.one_of is not None:
        values = [format_value(table, condition.feature, value, lang) for value in condition.one_of]
        return translate("reason", lang, label=label, value=_join_alternatives(values, lang))
    if condition.at_least is not None:
        minimum = format_value(table, condition.feature, condition.at_least, lang)
        return translate("suggest_at_least", lang, label=label, value=minimum)
    maximum = format_value(table, condition.feature, condition.at_most, lang)
    return translate("suggest_at_most", lang, label=label, value=maximum)


def _join_alternatives(values: list[str], lang: Language) -> str:
    """'a, b or c'."""
    first, last = translate("suggest_comma", lang).join(values[:-1]), values[-1]
    return translate("suggest_or", lang, first=first, last=last) if first else last


def _format_number(number: float) -> str:
    return f"{number:.6f}".rstrip("0").rstrip(".")


def _to_key(text: str) -> str:
    """A text with all characters replaced that a bare key cannot hold."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", text).strip("_")


def _add_number(name: str, taken: Collection[str]) -> str:
    number = 1
    while f"{name}_{number}" in taken:
        number += 1
    return f"{name}_{number}"
