"""Rating leads by a scorecard: the rules that hold, points, stage and score.

One lead is rated in plain Python, many in NumPy; a property test holds both equal.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from features.columns import Bools, Column, Floats, Ints, Texts, normalize_text, split_levels
from features.errors import SettingsError
from scoring.scorecard.scale import HOT_SCORE, Scale
from scoring.scorecard.scorecard import COLD, HOT, Condition, Group, Rule, Scorecard

_TIE = 1e-6
LeadValues = Mapping[str, float | str | None]


@dataclass(frozen=True)
class Rating:
    """The rating of n leads by a card.

    `matches` (n, rules) are the rules that hold, in the order of `Scorecard.rules`: rows of fit and of
    intent, triggers, exclusions. `fit` and `intent` are the groups' points, after their caps.
    """

    card: Scorecard
    scale: PointScale
    matches: Bools
    fit: Ints
    intent: Ints

    def __len__(self) -> int:
        return len(self.fit)

    def take(self, rows: NDArray[np.integer] | Bools | slice) -> Rating:
        return Rating(self.card, self.scale, self.matches[rows], self.fit[rows], self.intent[rows])

    @property
    def fired(self) -> Bools:
        """(n, rows) the rows that hold, fit first."""
        return self.matches[:, : len(self.card.rows)]

    @property
    def triggers(self) -> Bools:
        """(n, triggers) the triggers that hold."""
        rows = len(self.card.rows)
        return self.matches[:, rows : rows + len(self.card.triggers)]

    @property
    def exclusions(self) -> Bools:
        """(n, exclusions) the exclusions that hold."""
        return self.matches[:, len(self.card.rows) + len(self.card.triggers) :]

    @cached_property
    def points(self) -> Ints:
        return self.fit + self.intent

    @cached_property
    def patterns(self) -> list[bytes]:
        """The rules that hold for each lead as a key: equal keys have equal ratings."""
        return [row.tobytes() for row in self.matches]

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
        """The ranking of leads: hot before warm before cold like `score`, ties by points."""
        clipped = np.maximum(self.points, 0).astype(np.float64)
        lifted = np.where(self.triggered, np.maximum(clipped, self.card.bands.hot), clipped)
        return np.asarray(np.where(self.excluded, -1.0, lifted) + _TIE * self.points)


class PointScale:
    """The scale of a card's points as a lookup table: score and stage of every number of points."""

    def __init__(self, card: Scorecard) -> None:
        scale = scale_of(card)
        every = np.arange(scale.top + 1)
        self._score, self._stage = scale.score(every), scale.stage(every)

    def score(self, points: Ints) -> Ints:
        """Whole scores 0 to 100; see `Scale`."""
        return np.asarray(self._score.take(points, mode="clip"))

    def stage(self, points: Ints) -> NDArray[np.int8]:
        """0 cold, 1 warm, 2 hot."""
        return np.asarray(self._stage.take(points, mode="clip"))


def scale_of(card: Scorecard) -> Scale:
    return Scale(card.bands.warm, card.bands.hot, max(card.max_points, card.bands.hot))


def rate(card: Scorecard, columns: Mapping[str, Column]) -> Rating:
    """Rate many leads: feature values by name. Raises SettingsError for a missing feature."""
    _check_features_exist(card, columns)
    rows = len(next(iter(columns.values()))) if columns else 0
    cache: dict[Condition, Bools] = {}

    masks = [_rule_mask(rule, columns, cache) for _, _, rule in card.rules()]
    matches = np.column_stack(masks) if masks else np.zeros((rows, 0), dtype=np.bool_)
    fit, fired = len(card.fit.rows) if card.fit else 0, len(card.rows)
    points = _points(card.fit, matches[:, :fit]), _points(card.intent, matches[:, fit:fired])
    return Rating(card, PointScale(card), matches, *points)


class OneRater:
    """A scorecard prepared for rating one lead at a time: each rule becomes a function."""

    def __init__(self, card: Scorecard) -> None:
        self.card, self._scale = card, PointScale(card)
        self._rules = [_rule_predicate(rule) for _, _, rule in card.rules()]
        self._fit = [row.points for row in card.fit.rows.values()] if card.fit else []
        self._intent = [row.points for row in card.intent.rows.values()] if card.intent else []
        self._caps = [math.inf if g is None or g.cap is None else g.cap for g in (card.fit, card.intent)]

    def __call__(self, values: LeadValues) -> Rating:
        """Rate one lead: its feature values by name. Raises SettingsError for a missing feature."""
        try:
            matches = [rule(values) for rule in self._rules]
        except KeyError:
            _check_features_exist(self.card, values)
            raise
        fit, rows = len(self._fit), len(self._fit) + len(self._intent)
        fit_points = min(sum(compress(self._fit, matches)), self._caps[0])
        intent_points = min(sum(compress(self._intent, matches[fit:rows])), self._caps[1])
        points = np.array([fit_points, intent_points], dtype=np.int64)
        matrix = np.array([matches], dtype=np.bool_)
        return Rating(self.card, self._scale, matrix, points[:1], points[1:])


_Predicate = Callable[[LeadValues], bool]


def _rule_predicate(rule: Rule) -> _Predicate:
    tests = [_condition_predicate(condition) for condition in rule.when]
    return tests[0] if len(tests) == 1 else lambda values: all(test(values) for test in tests)


def _condition_predicate(condition: Condition) -> _Predicate:
    feature, texts = condition.feature, _normal_values(condition)
    low, high = _range(condition)
    if texts:
        return lambda values: (text := values[feature]) is not None and _has_level(str(text), texts)

    def within(values: LeadValues) -> bool:
        value = values[feature]
        return value is not None and low <= value <= high  # type: ignore[operator]

    return within


def _rule_mask(rule: Rule, columns: Mapping[str, Column], cache: dict[Condition, Bools]) -> Bools:
    masks = []
    for condition in rule.when:
        if condition not in cache:
            cache[condition] = _condition_mask(condition, columns[condition.feature])
        masks.append(cache[condition])
    return masks[0] if len(masks) == 1 else np.logical_and.reduce(masks)


def _condition_mask(condition: Condition, column: Column) -> Bools:
    if isinstance(column, Texts) != (condition.one_of is not None):
        raise SettingsError(
            "{feature!r} is a text here, and the scorecard takes it for a number: crm.toml has changed "
            "since; train again."
            if isinstance(column, Texts)
            else "{feature!r} is a number here, and the scorecard takes it for a text: crm.toml has changed "
            "since; train again.",
            feature=condition.feature,
        )
    if isinstance(column, Texts):
        texts = _normal_values(condition)
        wanted = [_has_level(name, texts) for name in column.categories]
        return np.array([*wanted, False], dtype=np.bool_)[column.codes]
    low, high = _range(condition)
    return np.asarray((column >= low) & (column <= high))


def _has_level(text: str, wanted: frozenset[str]) -> bool:
    """Whether one of the levels of a text is among those wanted, which are normal forms."""
    return any(normalize_text(level) in wanted for level in split_levels(text))


def _normal_values(condition: Condition) -> frozenset[str]:
    """The texts of a condition in their normal form; empty for a condition on numbers."""
    return frozenset(map(normalize_text, condition.one_of or ()))


def _range(condition: Condition) -> tuple[float, float]:
    low, high = condition.at_least, condition.at_most
    return -math.inf if low is None else low, math.inf if high is None else high


def _points(group: Group | None, fired: Bools) -> Ints:
    if group is None:
        return np.zeros(len(fired), dtype=np.int64)
    points = np.array([row.points for row in group.rows.values()], dtype=np.int64)
    total = fired.astype(np.int64) @ points
    return np.asarray(total if group.cap is None else np.minimum(total, group.cap))


def _check_features_exist(card: Scorecard, available: Iterable[str]) -> None:
    missing = sorted(card.features - set(available))
    if missing:
        raise SettingsError(
            "The scorecard looks at features that are not there: {names}. "
            "Add them to [features] in crm.toml and train again, or change the scorecard.",
            names=[*missing],
        )
