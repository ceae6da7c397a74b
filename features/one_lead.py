"""The view of one lead at a moment, in plain Python: the path of a request."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter

from features.clock import MS_PER_DAY, days_to_ms
from features.columns import plain_text
from features.kinds import Activity, Over
from features.rounding import rounded

Event = tuple[str, int, float]
"""One activity: type, ms UTC, value (nan where it has none)."""
Change = tuple[str, int, object]
"""One change of an attribute: column, ms UTC, new value (None: it was emptied)."""


Told = tuple[list[int], list[float]]
"""Activities as their times and values, sorted by time."""


class History:
    """Activities before a moment, by type; of equal times the one told later comes last."""

    __slots__ = ("_events", "_told", "by_type")

    def __init__(self, events: Iterable[Event], moment: int) -> None:
        self._events = sorted([event for event in events if event[1] < moment], key=_time)
        self.by_type: dict[Activity, Told] = {}
        for kind, at, value in self._events:
            told = self.by_type.get(kind)
            if told is None:
                self.by_type[kind] = told = ([], [])
            told[0].append(at)
            told[1].append(value)
        self._told: dict[Activity, Told] = {**self.by_type}

    def of(self, activity: Activity) -> Told:
        """Those of a type, of several types, or ('*') of all."""
        told = self._told.get(activity)
        if told is None:
            told = self._told[activity] = self._merged(activity)
        return told

    def _merged(self, activity: Activity) -> Told:
        if isinstance(activity, str) and activity != "*":
            return _NOTHING
        rows = [(at, v) for kind, at, v in self._events if activity == "*" or kind in activity]
        return [at for at, _ in rows], [v for _, v in rows]


class OneLead:
    """What was known about one lead strictly before `moment` (ms UTC).

    `attributes` are plain values by column (None or absent: missing), `changes` override them from
    their time on; `account_events` are the activities of all leads of its account, its own too.
    """

    __slots__ = ("_account", "_attributes", "_created", "_lead", "_moment")

    def __init__(
        self,
        moment: int,
        created: int,
        attributes: Mapping[str, object],
        events: Iterable[Event] = (),
        changes: Sequence[Change] = (),
        account_events: Iterable[Event] | None = None,
    ) -> None:
        self._moment, self._created = moment, created
        self._attributes = _as_of(moment, attributes, changes) if changes else attributes
        self._lead = History(events, moment)
        self._account = self._lead if account_events is None else History(account_events, moment)

    def number(self, column: str) -> float:
        value = self._attributes.get(column)
        return math.nan if value is None else float(value)  # type: ignore[arg-type]

    def text(self, column: str) -> str | None:
        value = self._attributes.get(column)
        return value if value is None or isinstance(value, str) else plain_text(value)

    def age(self) -> float:
        return (self._moment - self._created) / MS_PER_DAY

    def count(self, activity: Activity, days: float | None, over: Over) -> float:
        times = self._of(over).of(activity)[0]
        return float(len(times) - self._start(times, days))

    def total(self, activity: Activity, days: float | None, over: Over) -> float:
        times, values = self._of(over).of(activity)
        return rounded(_added(v for v in values[self._start(times, days) :] if v == v))

    def repeated(self, activity: Activity, days: float | None, over: Over) -> float:
        times, values = self._of(over).of(activity)
        often = Counter(v for v in values[self._start(times, days) :] if v == v)
        return float(max(often.values(), default=0))

    def days_since(self, activity: Activity, over: Over) -> float:
        times = self._of(over).of(activity)[0]
        return (self._moment - times[-1]) / MS_PER_DAY if times else math.nan

    def last(self, activity: Activity, over: Over) -> float:
        values = self._of(over).of(activity)[1]
        return values[-1] if values else math.nan

    def after(self, then: Activity, first: Activity, days: float, window: float | None, over: Over) -> float:
        firsts, within, found = self._of(over).of(first)[0], days_to_ms(days), 0
        thens = self._of(over).of(then)[0]
        for at in thens[self._start(thens, window) :]:
            earlier = bisect_left(firsts, at + 1)
            found += earlier > 0 and at - firsts[earlier - 1] <= within
        return float(found)

    def decayed(self, activity: Activity, half_life_days: float, over: Over) -> float:
        times, half_life = self._of(over).of(activity)[0], half_life_days * MS_PER_DAY
        return rounded(_added(0.5 ** ((self._moment - at) / half_life) for at in times))

    def distinct(self, days: float | None, over: Over) -> float:
        since = None if days is None else self._moment - days_to_ms(days)
        told = self._of(over).by_type.values()
        return float(sum(since is None or times[-1] >= since for times, _ in told))

    def ratio(self, part: float, whole: float) -> float:
        return part / whole if whole else math.nan

    def _of(self, over: Over) -> History:
        return self._lead if over == "lead" else self._account

    def _start(self, times: list[int], days: float | None) -> int:
        """The place of the first activity in the last `days`."""
        if days is None or not times:
            return 0
        return bisect_left(times, self._moment - days_to_ms(days))


_NOTHING: Told = ([], [])
_time = itemgetter(1)


def _added(terms: Iterable[float]) -> float:
    """The sum, added one by one as NumPy does; `sum` of Python 3.12 mends its digits on the way."""
    total = 0.0
    for term in terms:
        total += term
    return total


def _as_of(moment: int, attributes: Mapping[str, object], changes: Sequence[Change]) -> dict[str, object]:
    told = dict(attributes)
    for column, at, value in sorted(changes, key=lambda change: change[1]):
        if at < moment:
            told[column] = value
    return told
