"""Reasons in words: which features raised or lowered a score most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from features.columns import Floats
from features.kinds import Age, Attribute, DaysSince, Language
from features.table import FeatureTable
from scoring.texts import say

MOST_REASONS = 5
SMALL = 0.01


@dataclass(frozen=True)
class Reason:
    """One feature's share in a score: `contribution` in log-odds, above 0 raised it."""

    feature: str
    value: float | str | None
    contribution: float

    def text(self, table: FeatureTable, lang: Language) -> str:
        """'Price page in the last 30 days: 3'."""
        value = shown(table, self.feature, self.value, lang)
        return say("reason", lang, label=table.label(self.feature, lang), value=value)


def strongest(
    names: Sequence[str],
    values: Sequence[float | str | None],
    contributions: Floats,
    most: int = MOST_REASONS,
) -> list[Reason]:
    """The features that moved one score most, strongest first; next to nothing is left out."""
    told = in_order(contributions[None, :], most)[0]
    return [Reason(names[i], values[i], contribution) for i, contribution in told]


def in_order(
    contributions: Floats, most: int | None = MOST_REASONS, least: float = SMALL
) -> list[list[tuple[int, float]]]:
    """For each lead (a row) the places of its `most` largest contributions of at least `least`,
    whatever their sign, strongest first; and the contributions."""
    order = np.argsort(-np.abs(contributions), axis=1, kind="stable")[:, :most]
    return [
        [(i, told[i]) for i in places if abs(told[i]) >= least]
        for places, told in zip(order.tolist(), contributions.tolist(), strict=True)
    ]


def shown(table: FeatureTable, name: str, value: float | str | None, lang: Language) -> str:
    """A value as people write it: the company's word for a text, a number without idle digits, days to a
    tenth."""
    if value is None or value != value:
        return say("missing", lang)
    feature = table.rows[name]
    if isinstance(value, str):
        words = table.vocabulary.words
        own = f"{feature.column}={value}" if isinstance(feature, Attribute) else value
        return table.vocabulary.word(own, lang) if own in words else value
    if isinstance(feature, Age | DaysSince) and abs(value) < 100:
        return f"{round(value, 1):g}"
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
