"""Candidate rows of a scorecard: conditions that may get points, with the sign that common sense fixes.

More of a good behaviour never lowers the points, and a behaviour long past never raises them. What
the present card takes points away for stays bad. Whether a quality of the lead is good, the deals say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np

from features.columns import Bools, Column, Floats, Texts, missing
from features.kinds import (
    After,
    Age,
    Attribute,
    Count,
    DaysSince,
    Distinct,
    Feature,
    Ratio,
    Repeated,
    activities_of,
)
from scoring.scorecard.load import blank_card
from scoring.scorecard.rating import rate
from scoring.scorecard.scorecard import Condition, Row, Rule, Scorecard
from scoring.scorecard.scorecard import Texts as Said
from training.fitting.recipe import Data

COUNTS = (1, 2, 3, 5, 10, 20, 50)
"""Thresholds of counts."""

DAYS = (3, 7, 14, 30, 60, 90)
"""Thresholds of days since."""

QUANTILES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""Where the thresholds of other numbers lie before they are rounded."""

MOST_VALUES = 5
"""A row that names more values than this is not read to its end."""

MOST_OF_KNOWN = 0.95
"""A row that holds for more of the known values than this would reward that something is known."""

_STEPS = (1, 1.5, 2, 2.5, 3, 4, 5, 6, 7.5, 10)
_LEAST, _LEAST_SHARE, _LEAST_WINS, _PRIOR = 30, 0.01, 5.0, 10.0
_UNSAID = Said(en="-", ja="-")

Sign: TypeAlias = Literal[-1, 0, 1]


@dataclass(frozen=True)
class Candidate:
    """Conditions that may become a row: `sign` 1 gives points, -1 takes away, 0 as the deals say.

    `name` and `row` are those of the present card, where the row stands there.
    """

    when: tuple[Condition, ...]
    sign: Sign
    name: str = ""
    row: Row | None = None

    @property
    def feature(self) -> str:
        """The one feature that it looks at; empty where it looks at several."""
        return self.when[0].feature if len(self.when) == 1 else ""

    @property
    def values(self) -> frozenset[str]:
        """The texts for which it holds."""
        return frozenset(self.when[0].one_of or ()) if self.feature else frozenset()

    @property
    def way(self) -> int:
        """1: a higher number is better, -1: a lower one is; 0 where it tells neither."""
        at = self.when[0]
        if not self.feature or (at.at_least is None) == (at.at_most is None):
            return 0
        return self.sign if at.at_least is not None else -self.sign


@dataclass(frozen=True)
class Candidates:
    """Candidate rows, each with its sign, and for which examples each holds: (candidates, examples)."""

    rows: tuple[Candidate, ...]
    holds: Bools


def candidates(data: Data) -> Candidates:
    """Every row of the present card, and every single condition, of which enough examples tell.

    A row whose leads are won less often than others cannot give points, whatever else it would mend;
    nor take any away in the other case. Of rows that hold for the very same examples the first is
    kept; the present card's come first.
    """
    rows = [*_present(data.card), *_new(data)]
    holds = holding(rows, data.columns)
    first: dict[bytes, tuple[int, Candidate]] = {}
    for at, row in enumerate(rows):
        sign = _sign(data.won[holds[at]].sum() - data.won.mean() * holds[at].sum())
        if row.sign in (0, sign) and _enough(row, holds[at], data):
            first.setdefault(np.packbits(holds[at]).tobytes(), (at, replace(row, sign=sign)))
    kept = list(first.values())
    return Candidates(tuple(row for _, row in kept), holds[[at for at, _ in kept]])


def holding(rows: Sequence[Candidate], columns: Mapping[str, Column]) -> Bools:
    """For which examples each row holds: (rows, examples)."""
    rules = {str(at): Rule(when=row.when, because=_UNSAID) for at, row in enumerate(rows)}
    card = blank_card().model_copy(update={"triggers": rules})
    return np.ascontiguousarray(rate(card, columns).triggers.T)


def _present(card: Scorecard) -> Iterator[Candidate]:
    for name, row in card.rows.items():
        yield Candidate(row.when, _sign(row.points), name, row)


def _enough(row: Candidate, holds: Bools, data: Data) -> bool:
    """Whether enough examples, and enough wins, are to be expected on either side of it."""
    count, total = int(holds.sum()), len(data)
    rarer = min(count, total - count)
    few = rarer * float(data.won.mean()) < _LEAST_WINS
    if few or count < _LEAST or rarer < _LEAST_SHARE * total:
        return False
    return row.row is not None or count <= MOST_OF_KNOWN * _known(row, data)


def _known(row: Candidate, data: Data) -> int:
    """Of how many examples a quality of the lead is known. Behaviour is always known."""
    if not isinstance(data.table.rows[row.feature], Attribute):
        return len(data)
    return len(data) - int(missing(data.columns[row.feature]).sum())


# -- new rows ------------------------------------------------------------------------------------


def _new(data: Data) -> Iterator[Candidate]:
    sense = _Sense.of(data)
    for name, feature in data.table:
        column = data.columns[name]
        if sense.no_row(feature):
            continue
        if isinstance(column, Texts):
            yield from _groups(name, column, data.won)
        else:
            yield from _thresholds(name, feature, column, sense.way(name, feature))


@dataclass(frozen=True)
class _Sense:
    """What common sense and the present card fix: the ways of features, the activities that are bad,
    and those that are our own doing (they answer a prompt)."""

    ways: Mapping[str, int]
    bad: frozenset[str]
    ours: frozenset[str]

    @staticmethod
    def of(data: Data) -> _Sense:
        ways = {row.feature: row.way for row in _present(data.card) if row.way}
        table = data.table.rows
        bad = [activities_of(table[name]) for name, way in ways.items() if _bad(table[name], way)]
        ours = [activities_of(table[prompt.answered]) for prompt in data.card.prompts.values()]
        return _Sense(ways, frozenset().union(*bad), frozenset().union(*ours))

    def no_row(self, feature: Feature) -> bool:
        """A lead's age is neither fit nor behaviour, and a call of ours is not the lead's doing."""
        own = activities_of(feature)
        return isinstance(feature, Age) or bool(own and own <= self.ours)

    def way(self, name: str, feature: Feature) -> int:
        """1: a higher number is better, -1: a lower one is, 0: the deals say."""
        if name in self.ways:
            return self.ways[name]
        if isinstance(feature, Attribute | Ratio):
            return 0
        own = activities_of(feature)
        good = -1 if own and own <= self.bad else 1
        return -good if isinstance(feature, DaysSince) else good


def _bad(feature: Feature, way: int) -> bool:
    """Whether points go away for having done something, not for having been silent."""
    if isinstance(feature, Attribute | Ratio):
        return False
    return way > 0 if isinstance(feature, DaysSince) else way < 0


def _thresholds(name: str, feature: Feature, column: Floats, way: int) -> Iterator[Candidate]:
    """Counts and the like: at_least; days since: at_most; free numbers: points from either end."""
    free = isinstance(feature, Attribute | Ratio)
    for mark in _marks(feature, column):
        least, most = Condition(feature=name, at_least=mark), Condition(feature=name, at_most=mark)
        if isinstance(feature, DaysSince):
            yield Candidate((most,), _sign(-way))
        elif not free:
            yield Candidate((least,), _sign(way))
        if free and way >= 0:
            yield Candidate((least,), 1)
        if free and way <= 0:
            yield Candidate((most,), 1)


def _marks(feature: Feature, column: Floats) -> Sequence[float]:
    if isinstance(feature, DaysSince):
        return DAYS
    if isinstance(feature, Count | Distinct | After | Repeated):
        return COUNTS
    known = column[np.isfinite(column)]
    if not isinstance(feature, Attribute | Ratio):
        known = known[known > 0]  # a sum of 0 says that there was nothing to add up
    if len(known) < _LEAST:
        return ()
    return sorted({round_number(mark) for mark in np.quantile(known, QUANTILES).tolist()})


def round_number(value: float) -> float:
    """The nearest number that a person would choose: 1, 1.5, 2, 2.5, 3, 4, 5, 6 or 7.5 times 10^k."""
    if not value:
        return 0.0
    power = 10.0 ** np.floor(np.log10(abs(value)))
    step = min(_STEPS, key=lambda step: abs(step * power - abs(value)))
    return float(f"{np.sign(value) * step * power:.6g}")


def _groups(name: str, column: Texts, won: Bools) -> Iterator[Candidate]:
    """Each common value, and the few with the highest and the few with the lowest win rates."""
    known, size = column.codes >= 0, len(column.categories)
    count = np.bincount(column.codes[known], minlength=size)
    wins = np.bincount(column.codes[known], won[known], minlength=size)
    rates = (wins + _PRIOR * won.mean()) / (count + _PRIOR)
    common = [int(c) for c in np.argsort(-rates, kind="stable") if count[c] >= _LEAST]
    ends = [end for k in range(2, min(MOST_VALUES, len(common) - 1) + 1) for end in (common[:k], common[-k:])]
    for group in dict.fromkeys(tuple(sorted(g)) for g in [*([c] for c in common), *ends]):
        values = tuple(column.categories[c] for c in group)
        yield Candidate((Condition(feature=name, one_of=values),), 0)


def _sign(way: float) -> Sign:
    return 1 if way > 0 else -1
