"""The text of a rule's condition."""

from __future__ import annotations

from features.kinds import Language
from features.table import FeatureTable
from scoring.decision.reasons import format_value
from scoring.scorecard.scorecard import Condition
from scoring.texts import translate


def describe_condition(condition: Condition, table: FeatureTable, lang: Language) -> str:
    """'Employees: 100 or more'; a feature that crm.toml no longer has is named by its code."""
    name = condition.feature
    is_known = name in table.rows
    label = table.label(name, lang) if is_known else name
    if condition.one_of is not None:
        values = [format_value(table, name, value, lang) if is_known else value for value in condition.one_of]
        return translate("reason", lang, label=label, value=translate("condition_or", lang).join(values))
    low, high = condition.at_least, condition.at_most
    bounds = [
        translate(f"condition_{key}", lang, number=f"{number:,g}")
        for key, number in (("at_least", low), ("at_most", high))
        if number is not None
    ]
    return translate("reason", lang, label=label, value=translate("list_joint", lang).join(bounds))
