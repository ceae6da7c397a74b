"""A condition of a rule, as people read it."""

from __future__ import annotations

from features.kinds import Language
from features.table import FeatureTable
from scoring.decision.reasons import shown
from scoring.scorecard.scorecard import Condition
from scoring.texts import say


def condition_in_words(condition: Condition, table: FeatureTable, lang: Language) -> str:
    """'Employees: 100 or more'; a feature that crm.toml no longer has is named by its code."""
    name = condition.feature
    known = name in table.rows
    label = table.label(name, lang) if known else name
    if condition.one_of is not None:
        values = [shown(table, name, value, lang) if known else value for value in condition.one_of]
        return say("reason", lang, label=label, value=say("condition_or", lang).join(values))
    low, high = condition.at_least, condition.at_most
    told = [
        say(f"condition_{key}", lang, number=f"{number:,g}")
        for key, number in (("at_least", low), ("at_most", high))
        if number is not None
    ]
    return say("reason", lang, label=label, value=say("list_joint", lang).join(told))
