"""What the scorecard says of leads: which rows hold, the points, triggers and exclusions.

Written for one lead in plain Python and for many in NumPy; a property test holds the two equal.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from features.columns import Bools, Column, Floats, Ints, Texts
from features.errors import SettingsError
from scoring.scale import HOT_SCORE, Scale
from scoring.scorecard import COLD, HOT, Condition, Group, Rule, Scorecard

_TIE = 1e-6
Values = Mapping[str, float | str | None]


@dataclass(frozen=True)
class Rating:
    """The scorecard's view of n leads.

    `fired` (n, rows) in the order of the card's rows, fit first; `triggers` (n, triggers) and
    `exclusions` (n, exclusions) likewise; `fit` and `intent` the groups' points, after their caps.
    """

    card: Scorecard
    fired: Bools
    triggers: Bools
    exclusions: Bools
    fit: Ints
    intent: Ints

    def __len__(self) -> int:
        return len(self.fit)

    def take(self, rows: NDArray[np.integer] | Bools) -> Rating:
        """Some of the leads."""
        return Rating(
            self.card, self.fired[rows], self.triggers[rows], self.exclusions[rows],
            self.fit[rows], self.intent[rows],
        )  # fmt: skip

    @property
    def points(self) -> Ints:
        return self.fit + self.intent

    @cached_property
    def triggered(self) -> Bools:
        return np.asarray(self.triggers.any(axis=1))

    @cached_property
    def excluded(self) -> Bools:
        return np.asarray(self.exclusions.any(axis=1))

    @cached_property
    def stage(self) -> NDArray[np.int8]:
        """The stage by the rules: exclusion, then trigger, then points."""
        stage = np.where(self.triggered, HOT, scale_of(self.card).stage(self.points))
        return np.where(self.excluded, COLD, stage).astype(np.int8)

    @cached_property
    def score(self) -> Ints:
        """The score by the rules, 0 to 100: at least 80 with a trigger, 0 with an exclusion."""
        score = scale_of(self.card).score(self.points)
        lifted = np.where(self.triggered, np.maximum(score, HOT_SCORE), score)
        return np.where(self.excluded, 0, lifted)

    @cached_property
    def rank(self) -> Floats:
        """What orders leads: hot before warm before cold as `score` does, ties by their points."""
        own = np.maximum(self.points, 0).astype(np.float64)
        lifted = np.where(self.triggered, np.maximum(own, self.card.bands.hot), own)
        return np.asarray(np.where(self.excluded, -1.0, lifted) + _TIE * self.points)


def scale_of(card: Scorecard) -> Scale:
    """The scale of a card's points."""
    return Scale(card.bands.warm, card.bands.hot, max(card.most, card.bands.hot))


def rate(card: Scorecard, columns: Mapping[str, Column]) -> Rating:
    """Many leads: feature values by name. Raises SettingsError for a feature that is not there."""
    _check_there(card, columns)
    rows = len(next(iter(columns.values()))) if columns else 0
    judged: dict[Condition, Bools] = {}

    def hold(rules: Iterable[Rule]) -> Bools:
        told = [_all_hold(rule, columns, judged) for rule in rules]
        return np.column_stack(told) if told else np.zeros((rows, 0), dtype=np.bool_)

    fired = hold(card.rows.values())
    fit = len(card.fit.rows) if card.fit else 0
    return Rating(
        card, fired, hold(card.triggers.values()), hold(card.exclusions.values()),
        _points(card.fit, fired[:, :fit]), _points(card.intent, fired[:, fit:]),
    )  # fmt: skip


class OneRater:
    """A scorecard made ready for one lead at a time: each rule becomes a function of the values."""

    def __init__(self, card: Scorecard) -> None:
        self.card = card
        self._rules = [_test(rule) for _, _, rule in card.rules()]
        self._fit = [row.points for row in card.fit.rows.values()] if card.fit else []
        self._intent = [row.points for row in card.intent.rows.values()] if card.intent else []
        self._caps = [math.inf if g is None or g.cap is None else g.cap
                      for g in (card.fit, card.intent)]  # fmt: skip

    def __call__(self, values: Values) -> Rating:
        """One lead: its feature values by name. Raises SettingsError for a feature not there."""
        try:
            held = [rule(values) for rule in self._rules]
        except KeyError:
            _check_there(self.card, values)
            raise
        fit, rows = len(self._fit), len(self._fit) + len(self._intent)
        points = np.array([
            min(sum(compress(self._fit, held)), self._caps[0]),
            min(sum(compress(self._intent, held[fit:rows])), self._caps[1]),
        ], dtype=np.int64)  # fmt: skip
        told, end = np.array([held], dtype=np.bool_), rows + len(self.card.triggers)
        return Rating(
            self.card, told[:, :rows], told[:, rows:end], told[:, end:], points[:1], points[1:]
        )


_Test = Callable[[Values], bool]


def _test(rule: Rule) -> _Test:
    tests = [_one_test(condition) for condition in rule.when]
    return tests[0] if len(tests) == 1 else lambda values: all(test(values) for test in tests)


def _one_test(condition: Condition) -> _Test:
    feature, texts = condition.feature, frozenset(condition.one_of or ())
    low, high = _range(condition)
    if texts:
        return lambda values: values[feature] in texts

    def within(values: Values) -> bool:
        value = values[feature]
        return value is not None and low <= value <= high  # type: ignore[operator]

    return within


def _all_hold(rule: Rule, columns: Mapping[str, Column], judged: dict[Condition, Bools]) -> Bools:
    told = []
    for condition in rule.when:
        if condition not in judged:
            judged[condition] = _many_hold(condition, columns[condition.feature])
        told.append(judged[condition])
    return told[0] if len(told) == 1 else np.logical_and.reduce(told)


def _many_hold(condition: Condition, column: Column) -> Bools:
    if isinstance(column, Texts) != (condition.one_of is not None):
        raise SettingsError(
            f"{condition.feature!r} is a {'text' if isinstance(column, Texts) else 'number'} here, and the "
            "scorecard takes it for the other: crm.toml has changed since; train again."
        )
    if isinstance(column, Texts):
        wanted = [name in (condition.one_of or ()) for name in column.categories]
        return np.array([*wanted, False], dtype=np.bool_)[column.codes]
    low, high = _range(condition)
    return np.asarray((column >= low) & (column <= high))


def _range(condition: Condition) -> tuple[float, float]:
    low, high = condition.at_least, condition.at_most
    return -math.inf if low is None else low, math.inf if high is None else high


def _points(group: Group | None, fired: Bools) -> Ints:
    if group is None:
        return np.zeros(len(fired), dtype=np.int64)
    total = fired.astype(np.int64) @ np.array([row.points for row in group.rows.values()])
    return np.asarray(total if group.cap is None else np.minimum(total, group.cap))


def _check_there(card: Scorecard, there: Iterable[str]) -> None:
    lacking = sorted(card.features - set(there))
    if lacking:
        raise SettingsError(
            f"The scorecard looks at features that are not there: {', '.join(lacking)}. "
            "Add them to [features] in crm.toml and train again, or change the scorecard."
        )
