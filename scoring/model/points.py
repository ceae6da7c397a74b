"""The points part: the scorecard, calibrated to log-odds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.columns import Bools, Floats, Ints
from scoring.scorecard.rating import Rating
from scoring.scorecard.scorecard import Scorecard


@dataclass(frozen=True, kw_only=True)
class PointsPart:
    """log-odds = intercept + per_point * points + trigger (if any holds) - exclusion (if any holds).

    No weight is below 0, so more points never lower the probability. `mean` (features,) is the mean
    contribution of each of `features` in training, to which reasons are relative.
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
        return self.by_points(rating.points, rating.triggered, rating.excluded)

    def by_points(self, points: Ints, triggered: Bools, excluded: Bools) -> Floats:
        """(rows,) log-odds by points, and by whether a trigger and an exclusion holds."""
        total = self.intercept + self.per_point * points
        return np.asarray(total + self.trigger * triggered - self.exclusion * excluded)

    def contributions(self, rating: Rating) -> tuple[float, Floats]:
        """The log-odds of an average lead, and the contribution of each feature: (rows, features)."""
        return self._prior, self.by_feature(rating) - self.mean

    def by_feature(self, rating: Rating) -> Floats:
        """(rows, features) contributions to the intercept; the conditions of a rule share its weight.

        If a cap limits a group, all its rows are scaled by the same factor; the triggers that hold share
        the weight of one, and so do exclusions.
        """
        points = rating.matches * self._points
        capped = np.array([rating.fit, rating.intent, rating.triggered, rating.excluded]).T
        uncapped = points @ self._groups
        is_zero = uncapped == 0  # then the capped points are 0 too: the factor is 1
        points *= ((capped + is_zero) / (uncapped + is_zero))[:, self._group]
        return np.asarray(points @ self._shares)

    def to_dict(self) -> dict[str, Any]:
        """The numbers in plain JSON types, without the card and the features."""
        numbers = {name: getattr(self, name) for name in ("intercept", "per_point", "trigger", "exclusion")}
        return {**numbers, "mean": self.mean.tolist()}

    @staticmethod
    def from_dict(data: dict[str, Any], card: Scorecard, features: tuple[str, ...]) -> PointsPart:
        if len(data["mean"]) != len(features):
            raise ValueError("the points part does not fit the features")
        mean = np.array(data["mean"], dtype=np.float64)
        return PointsPart(card=card, features=features, **{**data, "mean": mean})

    @cached_property
    def _group(self) -> NDArray[np.intp]:
        """The group of each rule: rows of fit, rows of intent, triggers, exclusions."""
        card = self.card
        sizes = [len(g.rows) if g else 0 for g in (card.fit, card.intent)]
        return np.repeat(np.arange(4), [*sizes, len(card.triggers), len(card.exclusions)])

    @cached_property
    def _groups(self) -> Floats:
        """(rules, groups) 1 where a rule belongs to a group."""
        return np.eye(4)[self._group]

    @cached_property
    def _prior(self) -> float:
        return self.intercept + float(self.mean.sum())

    @cached_property
    def _points(self) -> Floats:
        """The points of each row; 1 for a trigger and for an exclusion."""
        return np.array([float(getattr(rule, "points", 1)) for _, _, rule in self.card.rules()])

    @cached_property
    def _shares(self) -> Floats:
        """(rules, features) the log-odds of a point of each row, or of a trigger or exclusion, by feature."""
        rules = [rule for _, _, rule in self.card.rules()]
        place = {name: i for i, name in enumerate(self.features)}
        shares = np.zeros((len(rules), len(self.features)))
        for index, rule in enumerate(rules):
            for condition in rule.when:
                shares[index, place[condition.feature]] += 1 / len(rule.when)
        weights = np.array([self.per_point, self.per_point, self.trigger, -self.exclusion])
        return np.asarray(shares * weights[self._group][:, None])
