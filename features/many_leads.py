"""The view of many leads, each at its moment, in NumPy, for training and lists.

Activities are in one array sorted by the key `owner * span + time`. The number of activities of an
owner before a moment is then one binary search, and a window is the difference of two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from features.clock import MS_PER_DAY, NEVER, days_to_ms, iso, local_hours
from features.columns import Bools, Column, Floats, Ints, Texts, encode_texts, map_texts, take
from features.crm_data import Activities, Changes, Crm
from features.errors import DataError
from features.kinds import Activity, Over
from features.numbers import round_sum

_SEGMENTS_AT_ONCE = 4_000_000
_LARGEST_KEY = 2**63 - 1
_MS_PER_QUARTER = 900_000
_Terms: TypeAlias = Callable[[Ints, Ints], Floats]


@dataclass(frozen=True)
class Keys:
    """Sorted keys of owner and time, with the numbers that make a key."""

    key: Ints
    first: int
    span: int

    @staticmethod
    def scale(times_ms: Ints) -> tuple[int, int]:
        """The first time and the span of times, with room for one after the last."""
        return (int(times_ms.min()), int(times_ms.max() - times_ms.min()) + 2) if len(times_ms) else (0, 2)

    def query(self, owner: NDArray[np.integer], times_ms: Ints) -> Ints:
        """The keys of owners at times, limited to the range of the owner."""
        inside = np.clip(times_ms - self.first, 0, self.span - 1)
        return np.asarray(owner.astype(np.int64) * self.span + inside, dtype=np.int64)

    def times_at(self, positions: Ints) -> Ints:
        """The times of the keys at `positions`."""
        return np.asarray(self.key[positions] % self.span + self.first, dtype=np.int64)

    def owners_at(self, positions: Ints) -> Ints:
        """The owners of the keys at `positions`."""
        return np.asarray(self.key[positions] // self.span, dtype=np.int64)


@dataclass(frozen=True)
class ActivitySlice:
    """The activities of some types: sorted keys and, where the CRM gives them, values."""

    keys: Keys
    value: Floats | None

    @cached_property
    def value_codes(self) -> NDArray[np.int32]:
        """A number for each activity, equal for equal values; -1 for none."""
        codes = np.full(len(self.keys.key), -1, dtype=np.int32)
        if self.value is not None:
            has_value = ~np.isnan(self.value)
            codes[has_value] = np.unique(self.value[has_value], return_inverse=True)[1]
        return codes


class Histories:
    """The activities of a CRM sorted by owner and time; computed once and shared by many views."""

    def __init__(self, crm: Crm) -> None:
        self.crm = crm
        self._slices: dict[tuple[Activity, Over], ActivitySlice] = {}
        self._follow_ups: dict[tuple[Activity, Activity, float, Over], ActivitySlice] = {}
        self._changes: dict[str, tuple[Keys, Column]] = {}

    def select_activities(self, activity: Activity, over: Over) -> ActivitySlice:
        """The activities of a type, of several types, or ('*') of all."""
        wanted = (activity, over)
        if wanted not in self._slices:
            all_keys, types, value = self._by_lead if over == "lead" else self._by_account
            mask = self._mask(types, activity)
            key = all_keys.key if mask is None else all_keys.key[mask]
            value = value if value is None or mask is None else value[mask]
            self._slices[wanted] = ActivitySlice(replace(all_keys, key=key), value)
        return self._slices[wanted]

    def select_follow_ups(
        self, follow_up: Activity, first: Activity, days: float, over: Over
    ) -> ActivitySlice:
        """The `then` activities that came within `days` after a `first`."""
        wanted = (follow_up, first, days, over)
        if wanted not in self._follow_ups:
            follow_ups, firsts = (self.select_activities(kind, over).keys for kind in (follow_up, first))
            last = np.searchsorted(firsts.key, follow_ups.key, side="right") - 1
            gap = follow_ups.key - firsts.key[last] if len(firsts.key) else np.full(len(follow_ups.key), -1)
            within = (last >= 0) & (gap <= days_to_ms(days))
            within[within] &= (follow_ups.key[within] // follow_ups.span) == firsts.owners_at(last[within])
            self._follow_ups[wanted] = ActivitySlice(replace(follow_ups, key=follow_ups.key[within]), None)
        return self._follow_ups[wanted]

    def changes(self, column: str) -> tuple[Keys, Column]:
        """The history of a column, sorted by lead and time."""
        if column not in self._changes:
            history: Changes = self.crm.changes[column]
            keys, order = _sort(history.lead, history.time_ms, len(self.crm))
            self._changes[column] = (keys, take(history.value, order))
        return self._changes[column]

    @property
    def types(self) -> tuple[str, ...]:
        return self.crm.activities.types

    @cached_property
    def _by_lead(self) -> tuple[Keys, NDArray[np.int16], Floats | None]:
        activities = self.crm.activities
        return _in_order(activities, *_sort(activities.lead, activities.time_ms, len(self.crm)))

    @cached_property
    def _by_account(self) -> tuple[Keys, NDArray[np.int16], Floats | None]:
        """Activities of an account at the same time are ordered by value, as in the view of one lead."""
        activities, owners = self.crm.activities, int(self.crm.account.max(initial=-1)) + 1
        keys, order = _sort(self.crm.account[activities.lead], activities.time_ms, owners)
        if activities.value is not None:
            order = _order_ties(keys.key, order, activities.value)
        return _in_order(activities, keys, order)

    def _mask(self, types: NDArray[np.int16], activity: Activity) -> Bools | None:
        if activity == "*":
            return None
        wanted = (activity,) if isinstance(activity, str) else activity
        codes = [self.types.index(name) for name in wanted if name in self.types]
        return types == codes[0] if len(codes) == 1 else np.isin(types, codes)


class ManyLeads:
    """The data of each of many leads strictly before its moment.

    `leads` are rows of the CRM, `moments` ms UTC, both of length n (leads may repeat); all results
    have length n. Features of an account cover all leads of the lead's account.
    """

    def __init__(self, histories: Histories, leads: NDArray[np.integer], moments: Ints) -> None:
        self._histories, self._leads, self._moments = histories, leads, moments
        self._owners: dict[Over, NDArray[np.integer]] = {
            "lead": leads,
            "account": histories.crm.account[leads],
        }
        self._positions: dict[tuple[int, Over, int], Ints] = {}
        self._sortings: dict[Over, NDArray[np.intp] | None] = {}

    def number(self, column: str) -> Floats:
        values = self._attribute(column, np.full(1, np.nan))
        if isinstance(values, Texts):
            raise TypeError(f"column {column!r} holds texts, not numbers")
        return values

    def text(self, column: str) -> Texts:
        values = self._attribute(column, Texts(np.full(1, -1, dtype=np.int32), ()))
        if not isinstance(values, Texts):
            raise TypeError(f"column {column!r} holds numbers, not texts")
        return values

    def age(self) -> Floats:
        age = self._moments - self._created_ms
        return np.asarray(age / MS_PER_DAY, dtype=np.float64)

    def count(self, activity: Activity, days: float | None, over: Over) -> Floats:
        start, stop = self._window(self._histories.select_activities(activity, over), days, over)
        return (stop - start).astype(np.float64)

    def total(self, activity: Activity, days: float | None, over: Over) -> Floats:
        activities = self._histories.select_activities(activity, over)
        value = activities.value
        if value is None:
            return np.zeros(len(self._leads))
        start, stop = self._window(activities, days, over)
        return round_sum(_sum_terms(start, stop, lambda _, positions: np.nan_to_num(value[positions])))

    def count_repeats(self, activity: Activity, days: float | None, over: Over) -> Floats:
        activities = self._histories.select_activities(activity, over)
        start, stop = self._window(activities, days, over)
        frequency = np.zeros(len(self._leads))
        for rows, row, positions in _spread(start, stop):
            frequency[rows] = _count_most_frequent(
                row - rows.start, activities.value_codes[positions], rows.stop - rows.start
            )
        return frequency

    def days_since(self, activity: Activity, over: Over) -> Floats:
        activities = self._histories.select_activities(activity, over)
        last, any_before = self._last(activities, over)
        since = np.full(len(self._leads), np.nan)
        last_ms = activities.keys.times_at(last[any_before])
        since[any_before] = (self._moments[any_before] - last_ms) / MS_PER_DAY
        return since

    def last(self, activity: Activity, over: Over) -> Floats:
        activities = self._histories.select_activities(activity, over)
        values = np.full(len(self._leads), np.nan)
        if activities.value is not None:
            last, any_before = self._last(activities, over)
            values[any_before] = activities.value[last[any_before]]
        return values

    def count_after(
        self, follow_up: Activity, first: Activity, days: float, window: float | None, over: Over
    ) -> Floats:
        follow_ups = self._histories.select_follow_ups(follow_up, first, days, over)
        start, stop = self._window(follow_ups, window, over)
        return (stop - start).astype(np.float64)

    def decayed_count(self, activity: Activity, half_life_days: float, over: Over) -> Floats:
        activities, half_life = self._histories.select_activities(activity, over), half_life_days * MS_PER_DAY
        start, stop = self._window(activities, None, over)

        def weigh(row: Ints, positions: Ints) -> Floats:
            age = self._moments[row] - activities.keys.times_at(positions)
            return np.asarray(0.5 ** (age / half_life), dtype=np.float64)

        return round_sum(_sum_terms(start, stop, weigh))

    def distinct(self, days: float | None, over: Over) -> Floats:
        type_count = np.zeros(len(self._leads))
        for name in self._histories.types:
            type_count += self.count(name, days, over) > 0
        return type_count

    def ratio(self, numerator: Floats, denominator: Floats) -> Floats:
        nonzero = denominator != 0
        shares = np.divide(numerator, denominator, out=np.full(len(numerator), np.nan), where=nonzero)
        return np.asarray(shares, dtype=np.float64)

    def created(self) -> Floats:
        return self._created_ms.astype(np.float64)

    def created_local(self, zone: str) -> Floats:
        # All times of a quarter of an hour are of one hour in every zone.
        quarters, position = np.unique(self._created_ms // _MS_PER_QUARTER, return_inverse=True)
        hours = [local_hours(quarter * _MS_PER_QUARTER, zone) for quarter in quarters.tolist()]
        return np.array(hours, dtype=np.float64)[position]

    def map_text(self, text: Texts, derive: Callable[[str], str | None]) -> Texts:
        return map_texts(text, derive)

    def map_number(self, number: Floats, derive: Callable[[float], str | None]) -> Texts:
        different, position = np.unique(number, return_inverse=True)
        return encode_texts([derive(v) if v == v else None for v in different.tolist()]).take(position)

    @property
    def _created_ms(self) -> Ints:
        return np.asarray(self._histories.crm.created[self._leads])

    def _attribute(self, column: str, missing_value: Column) -> Column:
        crm = self._histories.crm
        current = None if column in crm.for_segments else crm.attributes.get(column)
        if column not in crm.changes:
            at_start = np.full(len(self._leads), -1) if current is None else self._leads
            return take(missing_value if current is None else current, at_start)
        keys, history = self._histories.changes(column)
        last = np.searchsorted(keys.key, keys.query(self._leads, self._moments)) - 1
        has_change = (last >= 0) & (keys.owners_at(last) == self._leads) if len(keys.key) else last >= 0
        changed = take(history, np.where(has_change, last, -1))
        return changed if current is None else _overlay(take(current, self._leads), changed, has_change)

    def _last(self, activities: ActivitySlice, over: Over) -> tuple[Ints, Bools]:
        start, stop = self._window(activities, None, over)
        return stop - 1, stop > start

    def _window(self, activities: ActivitySlice, days: float | None, over: Over) -> tuple[Ints, Ints]:
        start = NEVER if days is None else days_to_ms(days)
        return self._before(activities, over, start), self._before(activities, over, 0)

    def _before(self, activities: ActivitySlice, over: Over, back: int) -> Ints:
        """The position of each moment minus `back` ms among the keys."""
        wanted = (id(activities), over, back)
        if wanted not in self._positions:
            query = activities.keys.query(self._owners[over], self._moments - back)
            self._positions[wanted] = _search(activities.keys.key, query, self._sorting(over))
        return self._positions[wanted]

    def _sorting(self, over: Over) -> NDArray[np.intp] | None:
        """The order of the rows by owner and moment for faster searches, None if they are sorted."""
        if over not in self._sortings:
            owner = self._owners[over]
            order = np.lexsort((self._moments, owner))
            in_order = bool(np.all(order[:-1] < order[1:]))
            self._sortings[over] = None if in_order else order
        return self._sortings[over]


def _in_order(
    activities: Activities, keys: Keys, order: NDArray[np.intp]
) -> tuple[Keys, NDArray[np.int16], Floats | None]:
    return keys, activities.type[order], None if activities.value is None else activities.value[order]


def _order_ties(keys: Ints, order: NDArray[np.intp], value: Floats) -> NDArray[np.intp]:
    """The order with rows of equal keys by their value, missing ones first. Few rows have equal keys."""
    same = np.flatnonzero(keys[1:] == keys[:-1])
    rows = order[tied := np.union1d(same, same + 1)]
    order[tied] = rows[np.lexsort((np.nan_to_num(value[rows], nan=-np.inf), keys[tied]))]
    return order


def _sort(owner: NDArray[np.integer], times_ms: Ints, owners: int) -> tuple[Keys, NDArray[np.intp]]:
    """Sorted keys and the stable order that sorts them.

    The keys of all `owners` must fit into 63 bits.
    """
    first, span = Keys.scale(times_ms)
    if owners * span > _LARGEST_KEY:
        raise DataError(
            "The activities reach from {first} to {last}: too long for so many "
            "leads. Look for dates that cannot be right, or set `since` in crm.toml.",
            first=iso(first),
            last=iso(first + span),
        )
    order = order_by_owner_and_time(owner, times_ms)
    return Keys(owner[order].astype(np.int64) * span + (times_ms[order] - first), first, span), order


def order_by_owner_and_time(owner: NDArray[np.integer], times_ms: Ints) -> NDArray[np.intp]:
    """The order by owner, then time, then position in the source.

    A sparse matrix is built by a counting sort, several times faster than sorting; exports are mostly sorted.
    """
    from scipy.sparse import coo_array  # slow to import; few commands that import this module need it

    if not len(owner):
        return np.empty(0, dtype=np.int64)
    in_time = None if np.all(times_ms[:-1] <= times_ms[1:]) else np.argsort(times_ms, kind="stable")
    owners = owner if in_time is None else owner[in_time]
    ones, places = np.ones(len(owners), dtype=np.int8), (owners, np.arange(len(owners)))
    by_owner = coo_array((ones, places)).tocsr().indices
    return np.asarray(by_owner if in_time is None else in_time[by_owner])


def _search(key: Ints, query: Ints, order: NDArray[np.intp] | None) -> Ints:
    if order is None:
        return np.asarray(np.searchsorted(key, query), dtype=np.int64)
    positions = np.empty(len(query), dtype=np.int64)
    positions[order] = np.searchsorted(key, query[order])
    return positions


def _overlay(base: Column, changed: Column, has_change: Bools) -> Column:
    if isinstance(base, Texts) and isinstance(changed, Texts):
        names = tuple(dict.fromkeys((*base.categories, *changed.categories)))
        code = {name: i for i, name in enumerate(names)}
        to_new = np.array([code[c] for c in changed.categories] + [-1], dtype=np.int32)
        return Texts(np.where(has_change, to_new[changed.codes], base.codes).astype(np.int32), names)
    return np.where(has_change, changed, base)  # type: ignore[arg-type]


def _sum_terms(start: Ints, stop: Ints, terms: _Terms) -> Floats:
    """For each row the sum of `terms(rows, positions)` over its positions, added one by one."""
    total = np.zeros(len(start))
    for rows, row, positions in _spread(start, stop):
        weights = terms(row, positions)
        total[rows] = np.bincount(row - rows.start, weights, minlength=rows.stop - rows.start)
    return total


def _count_most_frequent(row: Ints, value_codes: NDArray[np.int32], rows: int) -> Floats:
    """The frequency of the most frequent number of each row; -1 does not count."""
    has_value, code_count = value_codes >= 0, int(value_codes.max(initial=0)) + 1
    pair = np.sort(row[has_value] * code_count + value_codes[has_value])
    first = np.flatnonzero(np.diff(pair, prepend=-1))
    counts = np.diff(first, append=len(pair)).astype(np.float64)
    frequency = np.zeros(rows)
    np.maximum.at(frequency, pair[first] // code_count, counts)
    return frequency


def _spread(start: Ints, stop: Ints) -> Iterator[tuple[slice, Ints, Ints]]:
    """Runs of rows, with the row of each position and the position itself."""
    for rows in _chunks(stop - start):
        length = (stop - start)[rows]
        row = np.repeat(np.arange(rows.start, rows.stop), length)
        offset = np.arange(len(row)) - np.repeat(np.cumsum(length) - length, length)
        yield rows, row, start[row] + offset


def _chunks(lengths: Ints) -> Iterator[slice]:
    """Runs of rows whose total length is small enough to be expanded at once."""
    ends = np.cumsum(lengths)
    begin = 0
    while begin < len(lengths):
        base = ends[begin - 1] if begin else 0
        end = int(np.searchsorted(ends, base + _SEGMENTS_AT_ONCE, side="right"))
        end = min(max(end, begin + 1), len(lengths))
        yield slice(begin, end)
        begin = end
