"""The view of one lead with very many activities: the values of `OneLead`, computed on arrays."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from features.clock import MS_PER_DAY, days_to_ms
from features.columns import Floats, Ints
from features.kinds import Activity, Over
from features.large.event_columns import EventColumns, order_by_code
from features.numbers import round_sum
from features.one_lead import AttributeChange, OneLead

MANY_EVENTS = 2_000
"""From more activities than these on, arrays are faster than plain Python."""


class ColumnHistory:
    """Activities before a moment, sorted by time (stable)."""

    def __init__(self, events: EventColumns, moment: int) -> None:
        in_order = events.sorted_by_time()
        self.events = in_order[: int(np.searchsorted(in_order.times_ms, moment))]
        self._by_activity: dict[Activity, tuple[Ints, Floats]] = {}
        self._by_type = self.events.select(order_by_code(self.events.codes))
        self._ends = np.cumsum(np.bincount(self.events.codes, minlength=len(self.events.types)))

    def select(self, activity: Activity) -> tuple[Ints, Floats]:
        """Times and values of those of a type, of several types, or ('*') of all."""
        if activity not in self._by_activity:
            events = self._select(activity)
            self._by_activity[activity] = (events.times_ms, events.values)
        return self._by_activity[activity]

    def _select(self, activity: Activity) -> EventColumns:
        if activity == "*":
            return self.events
        names = (activity,) if isinstance(activity, str) else activity
        is_wanted = np.array([kind in names for kind in self.events.types], dtype=bool)
        if is_wanted.sum() == 1:
            code = int(is_wanted.argmax())
            return self._by_type[int(self._ends[code - 1]) if code else 0 : int(self._ends[code])]
        return self.events.select(is_wanted[self.events.codes])


class LargeLead(OneLead):
    """The data of one lead strictly before `moment` (ms UTC), with arguments as for `OneLead`."""

    __slots__ = ("_columns",)

    def __init__(
        self,
        moment: int,
        created: int,
        attributes: Mapping[str, object],
        events: EventColumns,
        changes: Sequence[AttributeChange] = (),
        account_events: EventColumns | None = None,
    ) -> None:
        super().__init__(moment, created, attributes, (), changes)
        lead = ColumnHistory(events, moment)
        account = lead if account_events is None else ColumnHistory(account_events, moment)
        self._columns: dict[Over, ColumnHistory] = {"lead": lead, "account": account}

    def count(self, activity: Activity, days: float | None, over: Over) -> float:
        return float(len(self._window(activity, days, over)[0]))

    def total(self, activity: Activity, days: float | None, over: Over) -> float:
        return round_sum(_add_up(self._known_values(activity, days, over)))

    def count_repeats(self, activity: Activity, days: float | None, over: Over) -> float:
        often = np.unique(self._known_values(activity, days, over), return_counts=True)[1]
        return float(often.max(initial=0))

    def days_since(self, activity: Activity, over: Over) -> float:
        times = self._columns[over].select(activity)[0]
        return (self._moment - int(times[-1])) / MS_PER_DAY if len(times) else math.nan

    def last(self, activity: Activity, over: Over) -> float:
        times, values = self._columns[over].select(activity)
        if over == "account" and len(times) > 1:
            # who of an account did it first is not known, so the largest value counts
            newest = values[int(np.searchsorted(times, times[-1])) :]
            return (
                float(np.max(newest[~np.isnan(newest)], initial=-math.inf)) if _is_any(newest) else math.nan
            )
        return float(values[-1]) if len(values) else math.nan

    def count_after(
        self, follow_up: Activity, first: Activity, days: float, window: float | None, over: Over
    ) -> float:
        firsts, follow_ups = self._columns[over].select(first)[0], self._window(follow_up, window, over)[0]
        earlier = np.searchsorted(firsts, follow_ups, side="right")
        after, last = follow_ups[earlier > 0], firsts[earlier[earlier > 0] - 1]
        return float(np.count_nonzero(after - last <= days_to_ms(days)))

    def decayed_count(self, activity: Activity, half_life_days: float, over: Over) -> float:
        age = self._moment - self._columns[over].select(activity)[0]
        return round_sum(_add_up(0.5 ** (age / (half_life_days * MS_PER_DAY))))

    def distinct(self, days: float | None, over: Over) -> float:
        events = self._columns[over].events
        return float(len(events[self._first(events.times_ms, days) :].find_types()))

    def _known_values(self, activity: Activity, days: float | None, over: Over) -> Floats:
        values = self._window(activity, days, over)[1]
        return values[~np.isnan(values)]

    def _window(self, activity: Activity, days: float | None, over: Over) -> tuple[Ints, Floats]:
        times, values = self._columns[over].select(activity)
        first = self._first(times, days)
        return times[first:], values[first:]

    def _first(self, times: Ints, days: float | None) -> int:
        """The position of the first activity in the last `days`."""
        return 0 if days is None else int(np.searchsorted(times, self._moment - days_to_ms(days)))


def _is_any(values: Floats) -> bool:
    return bool((~np.isnan(values)).any())


def _add_up(terms: Floats) -> float:
    """The sum, added one by one as plain Python does; `np.sum` adds in another order."""
    return float(np.cumsum(terms)[-1]) if len(terms) else 0.0
