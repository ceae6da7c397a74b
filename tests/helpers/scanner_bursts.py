"""Activities as link scanners make them, and others that look alike but are people's or an import's."""

from __future__ import annotations

import math

from features.one_lead import Event
from tests.helpers.builders import NOON

DAY_START = NOON - 12 * 3_600_000
ODD = NOON + 12_345
"""A time that is on no whole minute or second."""


def clicks(count: int, start: int, gap: int, kind: str = "mail_click") -> list[Event]:
    """`count` activities, one each `gap` ms."""
    return [(kind, start + i * gap, math.nan) for i in range(count)]


def scanner(start: int = ODD) -> list[Event]:
    """A scanner that opens all links of a mail within a second."""
    last = start + 12 * 50
    ends = [("price_page", last), ("meeting_request", last + 50), ("unsubscribed", last + 100)]
    return [*clicks(12, start, 50), *((kind, time_ms, math.nan) for kind, time_ms in ends)]


SCANNERS: dict[str, list[Event]] = {
    "all links within a second": scanner(),
    "a type for each link": [(f"link {i}", ODD + 90 * i, math.nan) for i in range(10)],
    "six links, times in whole seconds": [("click", NOON + 1_000 * (i // 2), math.nan) for i in range(6)],
    "no types": clicks(8, ODD, 200, "activity"),
    "a few links at once after a mail": [
        ("email_sent", NOON + 3_000, math.nan),
        *clicks(3, NOON + 21_000, 0),
        ("price_page", NOON + 21_000, math.nan),
    ],
    "クリックがメール配信の直後": [
        ("メール配信", ODD, math.nan),
        *clicks(5, ODD + 4_000, 100, "リンククリック"),
    ],
}
"""Histories in which a machine made all but the mails."""

PEOPLE: dict[str, list[Event]] = {
    "times by the day": clicks(40, DAY_START, 0),
    "times by the day, after a mail": [("email_sent", DAY_START, math.nan), *clicks(9, DAY_START, 0)],
    "times by the minute, after a mail": [("mail_sent", NOON, math.nan), *clicks(9, NOON + 60_000, 0)],
    "an import in one moment": clicks(40, ODD, 0),
    "an import in one second, of all types": [(f"type {i % 4}", ODD, math.nan) for i in range(40)],
    "an import that begins a new second": [*clicks(20, NOON, 0), *clicks(20, NOON + 1_000, 0)],
    "written together with the mail": [("mail_sent", ODD, math.nan), *clicks(5, ODD + 3, 3)],
    "one click that leaves five activities": [
        (kind, ODD + 90 * i, math.nan)
        for i, kind in enumerate(("mail_open", "mail_click", "session", "page_view", "form"))
    ],
    "one click, just after a mail": [
        ("mail_sent", ODD, math.nan),
        *((kind, ODD + 9_000, math.nan) for kind in ("mail_open", "mail_click", "session", "page_view")),
    ],
    "five tabs opened at once": clicks(5, ODD, 300, "page_view"),
    "a click each second": clicks(30, ODD, 1_000),
    "mails of one campaign": clicks(12, ODD, 30, "newsletter_sent"),
    "mails and answers of months": [e for i in range(9) for e in clicks(2, ODD + i * 86_400_000, 60_000)],
}
"""Histories in which no machine made anything."""
