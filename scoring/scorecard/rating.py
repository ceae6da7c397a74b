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
from scoring.scorecard.scale import HOT_SCORE, Scale
from scoring.scorecard.scorecard import COLD, HOT, Condition, Group, Rule, Scorecard

_TIE = 1e-6
Values = Mapping[str, float | str | None]


@dataclass(frozen=True)
class Rating:
    """The scorecard's view of n leads.

    `held` (n, rules) tells which rules hold, in the order of `Scorecard.rules`: rows of fit and of
    intent, triggers, exclusions. `fit` and `intent` are the groups' points, after their caps.
    """

    card: Scorecard
    scale: PointScale
    held: Bools
    fit: Ints
    intent: Ints

    def __len__(self) -> int:
        return len(self.fit)

    def take(self, rows: NDArray[np.integer] | Bools | slice) -> Rating:
        """Some of the leads."""
        return Rating(self.card, self.scale, self.held[rows], self.fit[rows], self.intent[rows])

    @property
    def fired(self) -> Bools:
        """(n, rows) which rows hold, fit first."""
        return self.held[:, : len(self.card.rows)]

    @property
    def triggers(self) -> Bools:
        """(n, triggers)"""
        rows = len(self.card.rows)
        return self.held[:, rows : rows + len(self.card.triggers)]

    @property
    def exclusions(self) -> Bools:
        """(n, exclusions)"""
        return self.held[:, len(self.card.rows) + len(self.card.triggers) :]

    @cached_property
    def points(self) -> Ints:
        return self.fit + self.intent

    @cached_property
    def patterns(self) -> list[bytes]:
        """What holds for each lead, as a key: leads of equal patterns are rated alike."""
        return [held.tobytes() for held in self.held]

    @cached_property
    def triggered(self) -> Bools:
        return np.asarray(self.triggers.any(axis=1))

    @cached_property
    def excluded(self) -> Bools:
        return np.asarray(self.exclusions.any(axis=1))

    @cached_property
    def stage(self) -> NDArray[np.int8]:
        """The stage by the rules: exclusion, then trigger, then points."""
        stage = self.scale.stage(self.points)
        stage[self.triggered] = HOT
        stage[self.excluded] = COLD
        return stage

    @cached_property
    def score(self) -> Ints:
        """The score by the rules, 0 to 100: at least 80 with a trigger, 0 with an exclusion."""
        score = self.scale.score(self.points)
        score[self.triggered] = np.maximum(score[self.triggered], HOT_SCORE)
        score[self.excluded] = 0
        return score

    @cached_property
    def rank(self) -> Floats:
        """What orders leads: hot before warm before cold as `score` does, ties by their points."""
        own = np.maximum(self.points, 0).astype(np.float64)
        lifted = np.where(self.triggered, np.maximum(own, self.card.bands.hot), own)
        return np.asarray(np.where(self.excluded, -1.0, lifted) + _TIE * self.points)


class PointScale:
    """The scale of a card's points, made ready: score and stage of every number of points."""

    def __init__(self, card: Scorecard) -> None:
        scale = scale_of(card)
        every = np.arange(scale.top + 1)
        self._score, self._stage = scale.score(every), scale.stage(every)

    def score(self, points: Ints) -> Ints:
        """Whole scores 0 to 100; see `Scale`."""
        return self._score[self._place(points)]

    def stage(self, points: Ints) -> NDArray[np.int8]:
        """0 cold, 1 warm, 2 hot."""
        return self._stage[self._place(points)]

    def _place(self, points: Ints) -> Ints:
        return np.minimum(np.maximum(points, 0), len(self._score) - 1)


def scale_of(card: Scorecard) -> Scale:
    """The scale of a card's points."""
    return Scale(card.bands.warm, card.bands.hot, max(card.most, card.bands.hot))


def rate(card: Scorecard, columns: Mapping[str, Column]) -> Rating:
    """Many leads: feature values by name. Raises SettingsError for a feature that is not there."""
    _check_there(card, columns)
    rows = len(next(iter(columns.values()))) if columns else 0
    judged: dict[Condition, Bools] = {}

    told = [_all_hold(rule, columns, judged) for _, _, rule in card.rules()]
    held = np.column_stack(told) if told else np.zeros((rows, 0), dtype=np.bool_)
    fit, fired = len(card.fit.rows) if card.fit else 0, len(card.rows)
    return Rating(
        card,
        PointScale(card),
        held,
        _points(card.fit, held[:, :fit]),
        _points(card.intent, held[:, fit:fired]),
    )


class OneRater:
    """A scorecard made ready for one lead at a time: each rule becomes a function of the values."""

    def __init__(self, card: Scorecard) -> None:
        self.card, self._scale = card, PointScale(card)
        self._rules = [_test(rule) for _, _, rule in card.rules()]
        self._fit = [row.points for row in card.fit.rows.values()] if card.fit else []
        self._intent = [row.points for row in card.intent.rows.values()] if card.intent else []
        self._caps = [math.inf if g is None or g.cap is None else g.cap for g in (card.fit, card.intent)]

    def __call__(self, values: Values) -> Rating:
        """One lead: its feature values by name. Raises SettingsError for a feature not there."""
        try:
            held = [rule(values) for rule in self._rules]
        except KeyError:
            _check_there(self.card, values)
            raise
        fit, rows = len(self._fit), len(self._fit) + len(self._intent)
        points = np.array(
            [
                min(sum(compress(self._fit, held)), self._caps[0]),
                min(sum(compress(self._intent, held[fit:rows])), self._caps[1]),
            ],
            dtype=np.int64,
        )
        told = np.array([held], dtype=np.bool_)
        return Rating(self.card, self._scale, told, points[:1], points[1:])


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
    points = np.array([row.points for row in group.rows.values()], dtype=np.int64)
    total = fired.astype(np.int64) @ points
    return np.asarray(total if group.cap is None else np.minimum(total, group.cap))


def _check_there(card: Scorecard, there: Iterable[str]) -> None:
    lacking = sorted(card.features - set(there))
    if lacking:
        raise SettingsError(
            f"The scorecard looks at features that are not there: {', '.join(lacking)}. "
            "Add them to [features] in crm.toml and train again, or change the scorecard."
        )
