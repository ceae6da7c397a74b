"""Bursts: more activities of a lead within two seconds than a person can make. They are no interest.

A mail gateway that checks links opens every link of a mail at once: clicks, a price page, a request for a
meeting and the link to unsubscribe, all within a second. This is the one definition of such a burst. Every
way to a score calls it: reading a CRM, requests, the store and batches.

What a machine made follows from the times and types of one lead's activities alone. A burst is known when
the activity that completes it has come, and the mark then reaches back to its first one: a score as of a
moment within the burst still counts the activities before that moment.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate, pairwise
from operator import itemgetter, sub
from typing import Literal, TypeAlias, get_args

from features.one_lead import Event

BurstRule: TypeAlias = Literal["burst", "burst_after_mail"]
"""burst: too many for a person. burst_after_mail: fewer, just after a mail was sent to the lead."""
BURST_RULES: tuple[BurstRule, ...] = get_args(BurstRule)

WINDOW_MS = 2_000
"""Scanners open the links of a mail in parallel, within about a second."""
MIN_COUNT, MIN_REPEATS = 6, 3
"""One click of a person can leave up to five activities (opened, clicked, session, page, form), each of
another type. A scanner repeats a type: it clicks link after link."""
MIN_COUNT_ANY_TYPE = 10
"""From this number on the types do not matter: some systems have a type for each link or page."""
MIN_TIMES = 3
"""Activities that share one or two times were written together: by an import, a nightly synchronization, or
with the day, the minute or the second alone. Their times say nothing about how fast they came."""
MIN_COUNT_AFTER_MAIL = 4
"""Just after a mail fewer are enough, and their times may be equal, for the mail explains them."""
MAIL_GAP_MS = (1_000, 60_000)
"""How long after the mail: a gateway checks on delivery. In less than a second nothing is delivered; what
follows so fast was written together with the mail."""

MINUTE_MS = 60_000
_time = itemgetter(1)
_MAIL = re.compile("mail|メール|newsletter|メルマガ")
_SENDING = re.compile("(?<![a-z])(sent|delivered)(?![a-z])|送信|配信|送付")


def leave_out_bursts(events: Sequence[Event], before: int | None = None) -> Sequence[Event]:
    """The activities of one lead that people made. With `before` (ms UTC) those before that moment, and
    only they tell what a machine made."""
    if before is not None:
        events = [event for event in events if event[1] < before]
    rules = find_bursts(events)
    return [event for place, event in enumerate(events) if place not in rules] if rules else events


def find_bursts(events: Sequence[Event]) -> dict[int, BurstRule]:
    """The places of the activities of one lead that a machine made, and the rule that says so."""
    if len(events) < MIN_COUNT_AFTER_MAIL:
        return {}
    times, step = sorted(map(_time, events)), MIN_COUNT_AFTER_MAIL - 1
    # Of four times in a row two neighbours are among these pairs; most leads need no other look.
    if min(map(sub, times[1::step], times[::step])) > WINDOW_MS or not _is_crowded(times, step + 1):
        return {}
    if _is_crowded(sorted({*times}), MIN_TIMES) or any(is_sent_mail(kind) for kind, _, _ in events):
        return _find_in_windows(events)
    return {}


def _is_crowded(times: Sequence[int], count: int) -> bool:
    """Whether `count` of the sorted times lie in one window."""
    return len(times) >= count and min(map(sub, times[count - 1 :], times)) <= WINDOW_MS


def _find_in_windows(events: Sequence[Event]) -> dict[int, BurstRule]:
    """Looks at the window that ends with each activity. Linear in the number of activities."""
    mails = sorted(time_ms for kind, time_ms, _ in events if is_sent_mail(kind))
    received = [place for place, event in enumerate(events) if not is_sent_mail(event[0])]
    places = sorted(received, key=lambda place: events[place][1])
    kinds, times = [events[i][0] for i in places], [events[i][1] for i in places]
    ranks = list(accumulate((a != b for a, b in pairwise(times)), initial=0))
    rules: dict[int, BurstRule] = {}
    counts, repeated, start, marked_to = Counter[str](), 0, 0, 0
    for stop, (kind, time_ms) in enumerate(zip(kinds, times, strict=True)):
        counts[kind] += 1
        repeated += counts[kind] == MIN_REPEATS
        while time_ms - times[start] > WINDOW_MS:
            repeated -= counts[kinds[start]] == MIN_REPEATS
            counts[kinds[start]] -= 1
            start += 1
        rule = _judge(stop - start + 1, repeated > 0, ranks[stop] - ranks[start] + 1, time_ms, mails)
        if rule is not None:
            rules.update(dict.fromkeys(places[max(start, marked_to) : stop + 1], rule))
            marked_to = stop + 1
    return rules


def _judge(
    count: int, is_repeated: bool, different_times: int, last_ms: int, mails: Sequence[int]
) -> BurstRule | None:
    """The rule that a window meets. What holds for a window holds for every larger one with the same end."""
    if different_times >= MIN_TIMES and (count >= MIN_COUNT_ANY_TYPE or (count >= MIN_COUNT and is_repeated)):
        return "burst"
    is_exact = different_times > 1 or last_ms % MINUTE_MS != 0
    if count >= MIN_COUNT_AFTER_MAIL and is_repeated and is_exact and _follows_mail(last_ms, mails):
        return "burst_after_mail"
    return None


def _follows_mail(time_ms: int, mails: Sequence[int]) -> bool:
    shortest, longest = MAIL_GAP_MS
    earlier = bisect_right(mails, time_ms - shortest)
    return earlier > 0 and time_ms - mails[earlier - 1] <= longest


@lru_cache(maxsize=4_096)
def is_sent_mail(activity_type: str) -> bool:
    """Whether a type of activity means, by its name, that the company sent the lead a mail."""
    name = unicodedata.normalize("NFKC", activity_type).lower()
    return bool(_MAIL.search(name) and _SENDING.search(name))
