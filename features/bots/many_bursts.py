"""Bursts among the activities of many leads: those of people are told from those of machines.

Arrays find the few leads that have enough activities close together; of these `features.bots.bursts` decides.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from features.bots.bursts import (
    BURST_RULES,
    MIN_COUNT,
    MIN_COUNT_AFTER_MAIL,
    MIN_TIMES,
    WINDOW_MS,
    find_bursts,
    is_sent_mail,
)
from features.columns import Ints
from features.crm_data import Activities, BotActivities
from features.many_leads import order_by_owner_and_time

RuleCodes = NDArray[np.int8]
"""Places in BURST_RULES; -1 is a person's activity."""
_LARGEST_KEY = 2**63 - 1


def split_bots(activities: Activities) -> tuple[Activities, BotActivities]:
    """The activities of people, and those of machines with the rule of each."""
    codes = find_bursts_of_leads(activities)
    is_bot = codes >= 0
    people = activities.select(~is_bot) if is_bot.any() else activities
    rules = tuple(BURST_RULES[code] for code in codes[is_bot].tolist())
    return people, BotActivities(activities.select(is_bot), rules)


def find_bursts_of_leads(activities: Activities) -> RuleCodes:
    """For each activity the code of the rule that a machine made it; -1 for those of people."""
    codes = np.full(len(activities), -1, dtype=np.int8)
    has_mails = any(map(is_sent_mail, activities.types))
    count = MIN_COUNT_AFTER_MAIL if has_mails else MIN_COUNT
    if not _has_crowd(activities.lead, activities.time_ms, count):
        return codes
    order = order_by_owner_and_time(activities.lead, activities.time_ms)
    lead, times_ms = activities.lead[order], activities.time_ms[order]
    suspects = _find_suspects(lead, times_ms, has_mails)
    starts, stops = np.searchsorted(lead, suspects), np.searchsorted(lead, suspects, side="right")
    for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
        _mark_bursts(activities, order[start:stop], codes)
    return codes


def _has_crowd(lead: NDArray[np.int32], times_ms: Ints, count: int) -> bool:
    """Whether any lead has `count` activities within a window: quick, by sorted keys of lead and time."""
    if len(lead) < count:
        return False
    first, span = int(times_ms.min()), int(np.ptp(times_ms)) + WINDOW_MS + 1
    if (int(lead.max()) + 1) * span > _LARGEST_KEY:
        return True
    keys = np.sort(lead.astype(np.int64) * span + (times_ms - first))
    return bool((keys[count - 1 :] - keys[: len(keys) - count + 1] <= WINDOW_MS).any())


def _find_suspects(lead: NDArray[np.int32], times_ms: Ints, has_mails: bool) -> NDArray[np.int32]:
    """The leads that may have a burst: with enough activities, and enough different times, in a window.

    `lead` and `times_ms` are sorted by lead, then by time.
    """
    crowded = _find_crowded(lead, times_ms, MIN_COUNT_AFTER_MAIL if has_mails else MIN_COUNT)
    if has_mails:
        return np.unique(crowded)
    is_new = np.ones(len(lead), dtype=bool)
    is_new[1:] = (lead[1:] != lead[:-1]) | (times_ms[1:] != times_ms[:-1])
    return np.intersect1d(crowded, _find_crowded(lead[is_new], times_ms[is_new], MIN_TIMES))


def _find_crowded(lead: NDArray[np.int32], times_ms: Ints, count: int) -> NDArray[np.int32]:
    """The lead of each activity that begins `count` ones within a window."""
    reach = count - 1
    if len(lead) <= reach:
        return lead[:0]
    is_close = times_ms[reach:] - times_ms[:-reach] <= WINDOW_MS
    return np.asarray(lead[:-reach][is_close & (lead[reach:] == lead[:-reach])])


def _mark_bursts(activities: Activities, rows: NDArray[np.intp], codes: RuleCodes) -> None:
    """Set the codes of the bursts of one lead, whose activities are in `rows`, sorted by time."""
    kinds, times_ms = activities.type[rows].tolist(), activities.time_ms[rows].tolist()
    events = [
        (activities.types[kind], time_ms, math.nan) for kind, time_ms in zip(kinds, times_ms, strict=True)
    ]
    for place, rule in find_bursts(events).items():
        codes[rows[place]] = BURST_RULES.index(rule)
