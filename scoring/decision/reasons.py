"""Reasons in words: the features that moved a model's score most, and the rules that held."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from features.columns import LEVEL_SEPARATOR, Floats
from features.kinds import Age, DaysBetween, DaysSince, Language
from features.table import SHOWN_SEPARATOR, FeatureTable
from scoring.decision.score import Reason
from scoring.scorecard.scorecard import Rule, Scorecard
from scoring.texts import translate

MAX_REASONS = 5
MIN_CONTRIBUTION = 0.01


@dataclass(frozen=True)
class Contribution:
    """One feature's share in a score: `contribution` in log-odds, above 0 raised it."""

    feature: str
    value: float | str | None
    contribution: float

    def text(self, table: FeatureTable, lang: Language) -> str:
        """'Price page in the last 30 days: 3'."""
        value = self.value
        if isinstance(value, str):
            value = describe_text(table, self.feature, value, lang, self.contribution)
        value = format_value(table, self.feature, value, lang)
        return translate("reason", lang, label=table.label(self.feature, lang), value=value)


def rank_contributions(
    contributions: Floats, limit: int | None = MAX_REASONS, minimum: float = MIN_CONTRIBUTION
) -> list[list[tuple[int, float]]]:
    """For each lead (a row) the column and value of its `limit` largest contributions.

    They are ordered by absolute value, largest first; those below `minimum` are left out.
    """
    order = np.argsort(-np.abs(contributions), axis=1, kind="stable")[:, :limit]
    return [
        [(i, row[i]) for i in places if abs(row[i]) >= minimum]
        for places, row in zip(order.tolist(), contributions.tolist(), strict=True)
    ]


def rule_reasons(rules: Mapping[str, Rule], lang: Language) -> tuple[Reason, ...]:
    """The reason of each rule; a row has its points as weight, a trigger or exclusion 0."""
    return tuple(
        Reason(name, rule.because.text(lang), float(getattr(rule, "points", 0)))
        for name, rule in rules.items()
    )


def stored_rule_reasons(detail: Mapping[str, Any], card: Scorecard, lang: Language) -> list[Reason]:
    """The rules that held in a stored answer: exclusions, triggers, and rows with the points they gave.

    `detail` is what `Score.detail` wrote. A rule that the card no longer has is named by its code.
    """
    rules = {**card.exclusions, **card.triggers, **card.rows}
    weights = [(code, 0.0) for group in ("exclusions", "triggers") for code in detail.get(group) or ()]
    weights += [(entry["code"], entry["weight"]) for entry in detail.get("rules_reasons") or ()]
    return [Reason(c, rules[c].because.text(lang) if c in rules else c, weight) for c, weight in weights]


def describe_text(
    table: FeatureTable, name: str, value: str, lang: Language, contribution: float = 0.0
) -> str:
    """A text as it is answered and stored: "A; B" for several levels, and of a free text the words that a
    model knows and that pull as its `contribution` does."""
    if name not in table.free_texts or not value.startswith(LEVEL_SEPARATOR):
        return value.replace(LEVEL_SEPARATOR, SHOWN_SEPARATOR)
    words = table.text_words[name].select(value, contribution) if name in table.text_words else ()
    return SHOWN_SEPARATOR.join(words) or translate("free_text", lang)


def format_value(table: FeatureTable, name: str, value: float | str | None, lang: Language) -> str:
    """A value for people: the words for a text, a number without needless digits, days to a tenth."""
    if value is None or value != value:
        return translate("missing", lang)
    if isinstance(value, str):
        return table.value_word(name, describe_text(table, name, value, lang), lang)
    if isinstance(table.rows[name], Age | DaysSince | DaysBetween) and abs(value) < 100:
        return f"{round(value, 1):g}"
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
