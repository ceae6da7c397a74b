"""The view of one lead at a moment, in plain Python, for requests."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter

from features.clock import MS_PER_DAY, days_to_ms, local_hours
from features.columns import to_text
from features.kinds import Activity, Over
from features.numbers import round_sum

Event = tuple[str, int, float]
"""One activity: type, ms UTC, value (nan: none)."""
AttributeChange = tuple[str, int, object]
"""One change of an attribute: column, ms UTC, new value (None: missing)."""


TimedValues = tuple[list[int], list[float]]
"""Activities as their times and values, sorted by time."""


class History:
    """Activities before a moment, by type, sorted by time (stable)."""

    __slots__ = ("_by_activity", "by_type", "events")

    def __init__(self, events: Iterable[Event], moment: int) -> None:
        self.events = sorted([event for event in events if event[1] < moment], key=_time)
        self.by_type: dict[Activity, TimedValues] = {}
        for kind, time_ms, value in self.events:
            timed_values = self.by_type.get(kind)
            if timed_values is None:
                self.by_type[kind] = timed_values = ([], [])
            timed_values[0].append(time_ms)
            timed_values[1].append(value)
        self._by_activity: dict[Activity, TimedValues] = {**self.by_type}

    def select(self, activity: Activity) -> TimedValues:
        """Those of a type, of several types, or ('*') of all."""
        timed_values = self._by_activity.get(activity)
        if timed_values is None:
            timed_values = self._by_activity[activity] = self._merge(activity)
        return timed_values

    def _merge(self, activity: Activity) -> TimedValues:
        if isinstance(activity, str) and activity != "*":
            return _NOTHING
        rows = [(time_ms, v) for kind, time_ms, v in self.events if activity == "*" or kind in activity]
        return [time_ms for time_ms, _ in rows], [v for _, v in rows]


class OneLead:
    """The data of one lead strictly before `moment` (ms UTC).

    `attributes` are plain values by column (None or absent: missing), `changes` override them from
    their time on; `account_events` are the activities of all leads of its account, including the lead.
    """

    __slots__ = ("_attributes", "_created", "_histories", "_moment")

    def __init__(
        self,
        moment: int,
        created: int,
        attributes: Mapping[str, object],
        events: Iterable[Event] = (),
        changes: Sequence[AttributeChange] = (),
        account_events: Iterable[Event] | None = None,
    ) -> None:
        self._moment, self._created = moment, created
        self._attributes = _apply_changes(moment, attributes, changes) if changes else attributes
        lead_history = History(events, moment)
        account_history = lead_history if account_events is None else History(account_events, moment)
        self._histories: dict[Over, History] = {"lead": lead_history, "account": account_history}

    def number(self, column: str) -> float:
        value = self._attributes.get(column)
        return math.nan if value is None else float(value)  # type: ignore[arg-type]

    def text(self, column: str) -> str | None:
        value = self._attributes.get(column)
        return value if value is None or isinstance(value, str) else to_text(value)

    def age(self) -> float:
        return (self._moment - self._created) / MS_PER_DAY

    def count(self, activity: Activity, days: float | None, over: Over) -> float:
        times = self._histories[over].select(activity)[0]
        return float(len(times) - self._start(times, days))

    def total(self, activity: Activity, days: float | None, over: Over) -> float:
        times, values = self._histories[over].select(activity)
        return round_sum(_add_up(v for v in values[self._start(times, days) :] if v == v))

    def count_repeats(self, activity: Activity, days: float | None, over: Over) -> float:
        times, values = self._histories[over].select(activity)
        often = Counter(v for v in values[self._start(times, days) :] if v == v)
        return float(max(often.values(), default=0))

    def days_since(self, activity: Activity, over: Over) -> float:
        times = self._histories[over].select(activity)[0]
        return (self._moment - times[-1]) / MS_PER_DAY if times else math.nan

    def last(self, activity: Activity, over: Over) -> float:
        times, values = self._histories[over].select(activity)
        if over == "account" and len(times) > 1 and times[-2] == times[-1]:
            # who of an account did it first is not known, so the largest value counts
            newest = values[bisect_left(times, times[-1]) :]
            return max((value for value in newest if value == value), default=math.nan)
        return values[-1] if values else math.nan

    def count_after(
        self, follow_up: Activity, first: Activity, days: float, window: float | None, over: Over
    ) -> float:
        firsts, within, count = self._histories[over].select(first)[0], days_to_ms(days), 0
        follow_ups = self._histories[over].select(follow_up)[0]
        for time_ms in follow_ups[self._start(follow_ups, window) :]:
            earlier = bisect_left(firsts, time_ms + 1)
            count += earlier > 0 and time_ms - firsts[earlier - 1] <= within
        return float(count)

    def decayed_count(self, activity: Activity, half_life_days: float, over: Over) -> float:
        times, half_life = self._histories[over].select(activity)[0], half_life_days * MS_PER_DAY
        return round_sum(_add_up(0.5 ** ((self._moment - time_ms) / half_life) for time_ms in times))

    def distinct(self, days: float | None, over: Over) -> float:
        since = None if days is None else self._moment - days_to_ms(days)
        by_type = self._histories[over].by_type.values()
        return float(sum(since is None or times[-1] >= since for times, _ in by_type))

    def ratio(self, numerator: float, denominator: float) -> float:
        return numerator / denominator if denominator else math.nan

    def created(self) -> float:
        return float(self._created)

    def created_local(self, zone: str) -> float:
        return float(local_hours(self._created, zone))

    def map_text(self, text: str | None, derive: Callable[[str], str | None]) -> str | None:
        return None if text is None else derive(text)

    def map_number(self, number: float, derive: Callable[[float], str | None]) -> str | None:
        return derive(number) if number == number else None

    def _start(self, times: list[int], days: float | None) -> int:
        """The position of the first activity in the last `days`."""
        if days is None or not times:
            return 0
        return bisect_left(times, self._moment - days_to_ms(days))


_NOTHING: TimedValues = ([], [])
_time = itemgetter(1)


def _add_up(terms: Iterable[float]) -> float:
    """The sum, added one by one as NumPy does; `sum` of Python 3.12 compensates rounding errors."""
    total = 0.0
    for term in terms:
        total += term
    return total


def _apply_changes(
    moment: int, attributes: Mapping[str, object], changes: Sequence[AttributeChange]
) -> dict[str, object]:
    values = dict(attributes)
    for column, time_ms, value in sorted(changes, key=lambda change: change[1]):
        if time_ms < moment:
            values[column] = value
    return values
