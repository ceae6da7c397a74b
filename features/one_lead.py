"""The view of one lead at a moment, in plain Python: the path of a request."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from features.clock import MS_PER_DAY, days_to_ms
from features.columns import plain_text
from features.kinds import Activity, Over
from features.rounding import rounded

Event = tuple[str, int, float]
"""One activity: type, ms UTC, value (nan where it has none)."""
Change = tuple[str, int, object]
"""One change of an attribute: column, ms UTC, new value (None: it was emptied)."""


class History:
    """Activities by type, sorted by time; of equal times the one told later comes last."""

    __slots__ = ("_events", "_merged", "by_type")

    def __init__(self, events: Iterable[Event]) -> None:
        self._events = sorted(events, key=_time)
        self._merged: dict[Activity, tuple[list[int], list[float]]] = {}
        self.by_type: dict[str, tuple[list[int], list[float]]] = {}
        for kind, at, value in self._events:
            if kind not in self.by_type:
                self.by_type[kind] = ([], [])
            times, values = self.by_type[kind]
            times.append(at)
            values.append(value)

    def of(self, activity: Activity) -> tuple[list[int], list[float]]:
        """Times and values of the activities of a type, of several types, or ('*') of all."""
        if isinstance(activity, str) and activity != "*":
            return self.by_type.get(activity, _NOTHING)
        if activity not in self._merged:
            rows = [(at, v) for kind, at, v in self._events if activity == "*" or kind in activity]
            self._merged[activity] = ([at for at, _ in rows], [v for _, v in rows])
        return self._merged[activity]


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
        self._lead = History(events)
        self._account = self._lead if account_events is None else History(account_events)

    def number(self, column: str) -> float:
        value = self._attributes.get(column)
        return math.nan if value is None else float(value)  # type: ignore[arg-type]

    def text(self, column: str) -> str | None:
        value = self._attributes.get(column)
        return value if value is None or isinstance(value, str) else plain_text(value)

    def age(self) -> float:
        return (self._moment - self._created) / MS_PER_DAY

    def count(self, activity: Activity, days: float | None, over: Over) -> float:
        start, stop = self._window(self._times(activity, over), days)
        return float(stop - start)

    def total(self, activity: Activity, days: float | None, over: Over) -> float:
        times, values = self._of(over).of(activity)
        start, stop = self._window(times, days)
        return rounded(_added(v for v in values[start:stop] if v == v))

    def repeated(self, activity: Activity, days: float | None, over: Over) -> float:
        times, values = self._of(over).of(activity)
        start, stop = self._window(times, days)
        often = Counter(v for v in values[start:stop] if v == v)
        return float(max(often.values(), default=0))

    def days_since(self, activity: Activity, over: Over) -> float:
        times = self._times(activity, over)
        before = bisect_left(times, self._moment)
        return (self._moment - times[before - 1]) / MS_PER_DAY if before else math.nan

    def last(self, activity: Activity, over: Over) -> float:
        times, values = self._of(over).of(activity)
        before = bisect_left(times, self._moment)
        return values[before - 1] if before else math.nan

    def after(
        self, then: Activity, first: Activity, days: float, window: float | None, over: Over
    ) -> float:
        firsts, within, found = self._times(first, over), days_to_ms(days), 0
        thens = self._times(then, over)
        start, stop = self._window(thens, window)
        for at in thens[start:stop]:
            earlier = bisect_left(firsts, at + 1)
            found += earlier > 0 and at - firsts[earlier - 1] <= within
        return float(found)

    def decayed(self, activity: Activity, half_life_days: float, over: Over) -> float:
        times, half_life = self._times(activity, over), half_life_days * MS_PER_DAY
        before = bisect_left(times, self._moment)
        return rounded(_added(0.5 ** ((self._moment - at) / half_life) for at in times[:before]))

    def distinct(self, days: float | None, over: Over) -> float:
        found = 0
        for times, _ in self._of(over).by_type.values():
            start, stop = self._window(times, days)
            found += stop > start
        return float(found)

    def ratio(self, part: float, whole: float) -> float:
        return part / whole if whole else math.nan

    def _of(self, over: Over) -> History:
        return self._lead if over == "lead" else self._account

    def _times(self, activity: Activity, over: Over) -> list[int]:
        return (self._lead if over == "lead" else self._account).of(activity)[0]

    def _window(self, times: list[int], days: float | None) -> tuple[int, int]:
        if not times:
            return 0, 0
        stop = bisect_left(times, self._moment)
        return (0 if days is None else bisect_left(times, self._moment - days_to_ms(days))), stop


_NOTHING: tuple[list[int], list[float]] = ([], [])


def _added(terms: Iterable[float]) -> float:
    """The sum, added one by one as NumPy does; `sum` of Python 3.12 mends its digits on the way."""
    total = 0.0
    for term in terms:
        total += term
    return total


def _time(event: Event) -> int:
    return event[1]


def _as_of(
    moment: int, attributes: Mapping[str, object], changes: Sequence[Change]
) -> dict[str, object]:
    told = dict(attributes)
    for column, at, value in sorted(changes, key=lambda change: change[1]):
        if at < moment:
            told[column] = value
    return told
