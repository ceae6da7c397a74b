"""Reasons in words: which features raised or lowered a score most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from features.columns import Floats
from features.kinds import Age, Attribute, DaysSince, Language
from features.table import FeatureTable
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
        value = format_value(table, self.feature, self.value, lang)
        return translate("reason", lang, label=table.label(self.feature, lang), value=value)


def strongest_contributions(
    names: Sequence[str],
    values: Sequence[float | str | None],
    contributions: Floats,
    limit: int = MAX_REASONS,
) -> list[Contribution]:
    """The features that moved one score most, strongest first; next to nothing is left out."""
    ranked = rank_contributions(contributions[None, :], limit)[0]
    return [Contribution(names[i], values[i], contribution) for i, contribution in ranked]


def rank_contributions(
    contributions: Floats, limit: int | None = MAX_REASONS, minimum: float = MIN_CONTRIBUTION
) -> list[list[tuple[int, float]]]:
    """For each lead (a row) the places of its `most` largest contributions of at least `least`,
    whatever their sign, strongest first; and the contributions."""
    order = np.argsort(-np.abs(contributions), axis=1, kind="stable")[:, :limit]
    return [
        [(i, row[i]) for i in places if abs(row[i]) >= minimum]
        for places, row in zip(order.tolist(), contributions.tolist(), strict=True)
    ]


def format_value(table: FeatureTable, name: str, value: float | str | None, lang: Language) -> str:
    """A value as people write it: the company's word for a text, a number without idle digits, days to a
    tenth."""
    if value is None or value != value:
        return translate("missing", lang)
    feature = table.rows[name]
    if isinstance(value, str):
        words = table.vocabulary.words
        key = f"{feature.column}={value}" if isinstance(feature, Attribute) else value
        return table.vocabulary.word(key, lang) if key in words else value
    if isinstance(feature, Age | DaysSince) and abs(value) < 100:
        return f"{round(value, 1):g}"
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
