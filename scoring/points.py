"""The points part: the scorecard, calibrated to log-odds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from features.columns import Bools, Floats, Ints
from scoring.rating import Rating
from scoring.scorecard import Group, Rule, Scorecard


@dataclass(frozen=True)
class PointsPart:
    """log-odds = intercept + per_point * points + trigger (where one fires) - exclusion (likewise).

    No weight is below 0, so more points are never less likely to win. `mean` (features,) is what an
    average lead of the training gets by each of `features`: reasons are told against it.
    """

    card: Scorecard
    features: tuple[str, ...]
    intercept: float
    per_point: float
    trigger: float
    exclusion: float
    mean: Floats

    def log_odds(self, rating: Rating) -> Floats:
        """(rows,) log-odds of rated leads."""
        told = self.intercept + self.per_point * rating.points
        return np.asarray(told + self.trigger * rating.triggered - self.exclusion * rating.excluded)

    def contributions(self, rating: Rating) -> tuple[float, Floats]:
        """The log-odds of an average lead, and what each feature adds to it: (rows, features)."""
        return self.intercept + float(self.mean.sum()), self.by_feature(rating) - self.mean

    def by_feature(self, rating: Rating) -> Floats:
        """What each feature adds to the intercept: a rule's weight is shared by its conditions."""
        points = self._points(rating) @ self._row_shares
        triggers = _each(rating.triggers) @ self._trigger_shares
        exclusions = _each(rating.exclusions) @ self._exclusion_shares
        return np.asarray(
            self.per_point * points + self.trigger * triggers - self.exclusion * exclusions
        )

    def plain(self) -> dict[str, Any]:
        """The numbers as JSON can hold them (the card and the features stand beside them)."""
        return {
            "intercept": self.intercept, "per_point": self.per_point, "trigger": self.trigger,
            "exclusion": self.exclusion, "mean": self.mean.tolist(),
        }  # fmt: skip

    @staticmethod
    def parse(told: dict[str, Any], card: Scorecard, features: tuple[str, ...]) -> PointsPart:
        """What `plain` wrote down."""
        if len(told["mean"]) != len(features):
            raise ValueError("the points part does not fit the features")
        mean = np.array(told["mean"], dtype=np.float64)
        return PointsPart(card, features, **{**told, "mean": mean})

    def _points(self, rating: Rating) -> Floats:
        """The points of each row; where a cap cuts a group, all its rows are cut alike."""
        card, end = self.card, len(self.card.fit.rows) if self.card.fit else 0
        fit = _capped(card.fit, rating.fired[:, :end], rating.fit)
        return np.hstack([fit, _capped(card.intent, rating.fired[:, end:], rating.intent)])

    @cached_property
    def _row_shares(self) -> Floats:
        return self._shares(self.card.rows.values())

    @cached_property
    def _trigger_shares(self) -> Floats:
        return self._shares(self.card.triggers.values())

    @cached_property
    def _exclusion_shares(self) -> Floats:
        return self._shares(self.card.exclusions.values())

    def _shares(self, rules: Iterable[Rule]) -> Floats:
        """(rules, features) which features a rule looks at; each rule's shares add up to 1."""
        told = list(rules)
        shares = np.zeros((len(told), len(self.features)))
        for at, rule in enumerate(told):
            for condition in rule.when:
                shares[at, self._place[condition.feature]] += 1 / len(rule.when)
        return shares

    @cached_property
    def _place(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.features)}


def _capped(group: Group | None, fired: Bools, total: Ints) -> Floats:
    if group is None:
        return np.zeros((len(total), 0))
    points = fired * np.array([row.points for row in group.rows.values()], dtype=np.float64)
    whole = points.sum(axis=1)
    share = np.divide(total, whole, out=np.ones(len(whole)), where=whole != total)
    return np.asarray(points * share[:, None])


def _each(fired: Bools) -> Floats:
    """Shares of the rules that hold, 1 together where any does."""
    count = fired.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(fired, count, out=np.zeros(fired.shape), where=count > 0))
