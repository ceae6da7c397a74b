"""Bursts among very many activities of one lead: what `features.bots.bursts` finds, computed on arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from features.bots.bursts import (
    BURST_RULES,
    MAIL_GAP_MS,
    MIN_COUNT,
    MIN_COUNT_AFTER_MAIL,
    MIN_COUNT_ANY_TYPE,
    MIN_REPEATS,
    MIN_TIMES,
    MINUTE_MS,
    WINDOW_MS,
    is_sent_mail,
)
from features.columns import Bools, Ints
from features.large.event_columns import EventColumns, order_by_code, order_by_time


def leave_out_column_bursts(events: EventColumns, before: int | None = None) -> EventColumns:
    """The activities of one lead that people made, as `leave_out_bursts`."""
    if before is not None:
        events = events.select(events.times_ms < before)
    is_bot = find_column_bursts(events) >= 0
    return events.select(~is_bot) if is_bot.any() else events


def find_column_bursts(events: EventColumns) -> NDArray[np.int8]:
    """For each activity of one lead the code of the rule that a machine made it; -1 for those of people."""
    rules = np.full(len(events), -1, dtype=np.int8)
    is_mail = np.array([is_sent_mail(kind) for kind in events.types], dtype=bool)[events.codes]
    received = np.flatnonzero(~is_mail)
    received = received[order_by_time(events.times_ms[received])]
    times_ms, mails = events.times_ms[received], np.sort(events.times_ms[is_mail])
    start = np.searchsorted(times_ms, times_ms - WINDOW_MS)
    if (np.arange(len(start)) - start < MIN_COUNT_AFTER_MAIL - 1).all():
        return rules
    judged = _judge_windows(times_ms, events.codes[received], start, mails)
    stops = np.flatnonzero(judged >= 0)
    # The first window that ends at or after an activity decides, if it reaches back to it.
    later = np.searchsorted(stops, np.arange(len(received)))
    has_later = np.flatnonzero(later < len(stops))
    stop = stops[later[has_later]]
    is_marked = start[stop] <= has_later
    rules[received[has_later[is_marked]]] = judged[stop[is_marked]]
    return rules


def _judge_windows(
    times_ms: Ints, codes: NDArray[np.int32], start: NDArray[np.intp], mails: Ints
) -> NDArray[np.int8]:
    """The rule that the window meets which ends with each activity; sorted by time, without mails."""
    places = np.arange(len(times_ms))
    count = places - start + 1
    ranks = np.cumsum(np.diff(times_ms, prepend=times_ms[:1]) != 0)
    different_times = ranks - ranks[start] + 1
    is_repeated = np.maximum.accumulate(_find_earlier(codes, MIN_REPEATS - 1)) >= start
    is_burst = (different_times >= MIN_TIMES) & (
        (count >= MIN_COUNT_ANY_TYPE) | ((count >= MIN_COUNT) & is_repeated)
    )
    is_exact = (different_times > 1) | (times_ms % MINUTE_MS != 0)
    is_after_mail = (count >= MIN_COUNT_AFTER_MAIL) & is_repeated & is_exact & _follow_mail(times_ms, mails)
    burst, after_mail = BURST_RULES.index("burst"), BURST_RULES.index("burst_after_mail")
    return np.where(is_burst, burst, np.where(is_after_mail, after_mail, -1)).astype(np.int8)


def _find_earlier(codes: NDArray[np.int32], back: int) -> NDArray[np.intp]:
    """For each place that of the same code so many occurrences earlier; -1 where there are not so many."""
    by_code = order_by_code(codes)
    is_same = codes[by_code[back:]] == codes[by_code[:-back]]
    earlier = np.full(len(codes), -1, dtype=np.intp)
    earlier[by_code[back:][is_same]] = by_code[:-back][is_same]
    return earlier


def _follow_mail(times_ms: Ints, mails: Ints) -> Bools:
    if not len(mails):
        return np.zeros(len(times_ms), dtype=bool)
    shortest, longest = MAIL_GAP_MS
    earlier = np.searchsorted(mails, times_ms - shortest, side="right")
    return np.asarray((earlier > 0) & (times_ms - mails[earlier - 1] <= longest))
