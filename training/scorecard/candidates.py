"""Candidate rows of a scorecard: conditions that may get points, with the sign of the points.

More of a good behaviour never lowers the points, and a behaviour long past never raises them. What the
present card gives negative points for stays negative. For attributes of the lead the deals decide.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np

from features import kinds
from features.columns import Bools, Column, Floats, Texts, is_missing, merge_categories, split_rows
from features.kinds import Feature, activities_of
from scoring.scorecard.load import blank_card
from scoring.scorecard.rating import rate
from scoring.scorecard.scorecard import Condition, LocalizedText, Row, Rule, Scorecard
from training.fitting.dataset import Dataset

COUNTS = (1, 2, 3, 5, 10, 20, 50)
"""Thresholds of counts."""

DAYS = (3, 7, 14, 30, 60, 90)
"""Thresholds of days since."""

QUANTILES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""Quantiles at which the thresholds of other numbers lie before rounding."""

MAX_VALUES = 5
"""Maximum number of values of a row, for readability."""

MAX_KNOWN_SHARE = 0.95
"""Maximum share of the known values for which a row may hold: beyond, it rewards that a value is known."""

_STEPS = (1, 1.5, 2, 2.5, 3, 4, 5, 6, 7.5, 10)
_MIN_EXAMPLES, _MIN_SHARE, _MIN_EXPECTED_WINS, _PRIOR = 30, 0.01, 5.0, 10.0
_NO_TEXT = LocalizedText(en="-", ja="-")

Sign: TypeAlias = Literal[-1, 0, 1]


@dataclass(frozen=True)
class CandidateRow:
    """Conditions that may become a row; `sign` is that of the points, 0 if the deals decide.

    `name` and `row` are set for rows of the present card.
    """

    conditions: tuple[Condition, ...]
    sign: Sign
    name: str = ""
    row: Row | None = None

    @property
    def feature(self) -> str:
        """The feature of a single condition; empty for several conditions."""
        return self.conditions[0].feature if len(self.conditions) == 1 else ""

    @property
    def values(self) -> frozenset[str]:
        """The values of a category for which the row holds."""
        return frozenset(self.conditions[0].one_of or ()) if self.feature else frozenset()

    @property
    def direction(self) -> int:
        """1 if a higher number is better, -1 if a lower one is, 0 if neither."""
        condition = self.conditions[0]
        if not self.feature or (condition.at_least is None) == (condition.at_most is None):
            return 0
        return self.sign if condition.at_least is not None else -self.sign


@dataclass(frozen=True)
class CandidateRows:
    """Candidate rows with their signs, and the examples for which they hold (candidates, examples)."""

    rows: tuple[CandidateRow, ...]
    holds: Bools


def find_candidates(data: Dataset) -> CandidateRows:
    """Every row of the present card, and every single condition with enough examples.

    The sign of a row must agree with the win rate of its leads. Of rows that hold for the same examples
    the first is retained, rows of the present card before others.
    """
    rows = [*_present_rows(data.card), *_new_rows(data)]
    holds = condition_matrix(rows, data.columns)
    first: dict[bytes, tuple[int, CandidateRow]] = {}
    for index, row in enumerate(rows):
        sign = _to_sign(data.won[holds[index]].sum() - data.won.mean() * holds[index].sum())
        if row.sign in (0, sign) and _has_enough_examples(row, holds[index], data):
            first.setdefault(np.packbits(holds[index]).tobytes(), (index, replace(row, sign=sign)))
    unique_rows = list(first.values())
    return CandidateRows(tuple(row for _, row in unique_rows), holds[[index for index, _ in unique_rows]])


def condition_matrix(rows: Sequence[CandidateRow], columns: Mapping[str, Column]) -> Bools:
    """The examples for which each row holds: (rows, examples)."""
    rules = {str(index): Rule(when=row.conditions, because=_NO_TEXT) for index, row in enumerate(rows)}
    card = blank_card().model_copy(update={"triggers": rules})
    return np.ascontiguousarray(rate(card, columns).triggers.T)


def _present_rows(card: Scorecard) -> Iterator[CandidateRow]:
    for name, row in card.rows.items():
        yield CandidateRow(row.when, _to_sign(row.points), name, row)


def _has_enough_examples(row: CandidateRow, holds: Bools, data: Dataset) -> bool:
    """Whether the row has enough examples and expected wins, both where it holds and where it does not."""
    count, total = int(holds.sum()), len(data)
    rarer = min(count, total - count)
    few = rarer * float(data.won.mean()) < _MIN_EXPECTED_WINS
    if few or count < _MIN_EXAMPLES or rarer < _MIN_SHARE * total:
        return False
    return row.row is not None or count <= MAX_KNOWN_SHARE * _count_known(row, data)


def _count_known(row: CandidateRow, data: Dataset) -> int:
    """The number of examples with a known value. Behaviour is always known."""
    if not isinstance(data.table.rows[row.feature], kinds.OfLead):
        return len(data)
    return len(data) - int(is_missing(data.columns[row.feature]).sum())


# -- new rows ------------------------------------------------------------------------------------


def _new_rows(data: Dataset) -> Iterator[CandidateRow]:
    sense = _SignRules.from_dataset(data)
    for name, feature in data.table:
        column = data.columns[name]
        if sense.is_excluded(feature):
            continue
        if isinstance(column, Texts):
            yield from _category_rows(name, *_split_rows(column, data.won))
        else:
            yield from _threshold_rows(name, feature, column, sense.find_direction(name, feature))


@dataclass(frozen=True)
class _SignRules:
    """Fixed directions of features, activities that lower the score, and those of the company itself
    (they answer a prompt)."""

    directions: Mapping[str, int]
    bad: frozenset[str]
    ours: frozenset[str]

    @staticmethod
    def from_dataset(data: Dataset) -> _SignRules:
        ways = {row.feature: row.direction for row in _present_rows(data.card) if row.direction}
        table = data.table.rows
        bad = [activities_of(table[name]) for name, way in ways.items() if _is_bad(table[name], way)]
        ours = [activities_of(table[prompt.answered]) for prompt in data.card.prompts.values()]
        return _SignRules(ways, frozenset().union(*bad), frozenset().union(*ours))

    def is_excluded(self, feature: Feature) -> bool:
        """Whether a feature is no candidate: the age of a lead, a free text, and activities of the company
        itself."""
        activities, no_rows = activities_of(feature), kinds.Age | kinds.FreeText
        return isinstance(feature, no_rows) or bool(activities and activities <= self.ours)

    def find_direction(self, name: str, feature: Feature) -> int:
        """1 if a higher number is better, -1 if a lower one is, 0 if the deals decide."""
        if name in self.directions:
            return self.directions[name]
        if isinstance(feature, kinds.OfLead | kinds.Ratio):
            return 0
        activities = activities_of(feature)
        good = -1 if activities and activities <= self.bad else 1
        return -good if isinstance(feature, kinds.DaysSince) else good


def _is_bad(feature: Feature, way: int) -> bool:
    """Whether the activities of a feature lower the score (inactivity does not count)."""
    if isinstance(feature, kinds.Attribute | kinds.Ratio):
        return False
    return way > 0 if isinstance(feature, kinds.DaysSince) else way < 0


def _threshold_rows(name: str, feature: Feature, column: Floats, way: int) -> Iterator[CandidateRow]:
    """at_least for counts, at_most for days since, both for free numbers."""
    free = isinstance(feature, kinds.Attribute | kinds.Ratio)
    for mark in _threshold_values(feature, column):
        lower_bound = Condition(feature=name, at_least=mark)
        upper_bound = Condition(feature=name, at_most=mark)
        if isinstance(feature, kinds.DaysSince):
            yield CandidateRow((upper_bound,), _to_sign(-way))
        elif not free:
            yield CandidateRow((lower_bound,), _to_sign(way))
        if free and way >= 0:
            yield CandidateRow((lower_bound,), 1)
        if free and way <= 0:
            yield CandidateRow((upper_bound,), 1)


def _threshold_values(feature: Feature, column: Floats) -> Sequence[float]:
    if isinstance(feature, kinds.DaysSince):
        return DAYS
    if isinstance(feature, kinds.Count | kinds.Distinct | kinds.After | kinds.Repeated):
        return COUNTS
    known_values = column[np.isfinite(column)]
    if not isinstance(feature, kinds.Attribute | kinds.Ratio):
        known_values = known_values[known_values > 0]  # a sum of 0 means no activity
    if len(known_values) < _MIN_EXAMPLES:
        return ()
    return sorted({round_number(mark) for mark in np.quantile(known_values, QUANTILES).tolist()})


def round_number(value: float) -> float:
    """The nearest round number: 1, 1.5, 2, 2.5, 3, 4, 5, 6 or 7.5 times a power of ten."""
    if not value:
        return 0.0
    power = 10.0 ** np.floor(np.log10(abs(value)))
    step = min(_STEPS, key=lambda step: abs(step * power - abs(value)))
    return float(f"{np.sign(value) * step * power:.6g}")


def _category_rows(name: str, column: Texts, won: Bools) -> Iterator[CandidateRow]:
    """Each common value, and groups of the values with the highest and with the lowest win rates."""
    is_known, size = column.codes >= 0, len(column.categories)
    count = np.bincount(column.codes[is_known], minlength=size)
    wins = np.bincount(column.codes[is_known], won[is_known], minlength=size)
    rates = (wins + _PRIOR * won.mean()) / (count + _PRIOR)
    common = [int(c) for c in np.argsort(-rates, kind="stable") if count[c] >= _MIN_EXAMPLES]
    ends = [end for k in range(2, min(MAX_VALUES, len(common) - 1) + 1) for end in (common[:k], common[-k:])]
    for group in dict.fromkeys(tuple(sorted(g)) for g in [*([c] for c in common), *ends]):
        values = tuple(column.categories[c] for c in group)
        yield CandidateRow((Condition(feature=name, one_of=values),), 0)


def _split_rows(column: Texts, won: Bools) -> tuple[Texts, Bools]:
    """Texts of one level each, with the outcome of their example."""
    row, levels = split_rows(column)
    return merge_categories(levels), won[row]


def _to_sign(way: float) -> Sign:
    return 1 if way > 0 else -1
