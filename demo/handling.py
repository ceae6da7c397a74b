"""Simulates how the demo's sales team handles a hot lead; deterministic for each lead."""

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np

HOUR = 3_600_000
DAY = 24 * HOUR
PEOPLE = ("Sato", "Suzuki", "Tanaka", "Ito")
REASONS = (
    "no budget this year",
    "only collecting information",
    "could not be reached",
    "not our market",
    "no one who decides",
)
_DELAYS = ((0.30, 1), (0.35, 4), (0.22, 24), (0.08, 72))
"""The share of leads that are called within these hours; the rest are never called."""

HandlingStep = tuple[Literal["handovers", "opportunities"], int, dict[str, Any]]


def simulate_handling(
    lead_id: str, hot_at: int, closed_at: int | None, won: bool, now: int
) -> Iterator[HandlingStep]:
    """Hand-over, first contact, acceptance or its refusal, opportunity, next action. Times in ms UTC."""
    rng = np.random.default_rng([17, *lead_id.encode()])
    author = {"by": PEOPLE[rng.integers(len(PEOPLE))]}
    yield "handovers", hot_at + 1, {"step": "handed_over"}
    delay = _draw_delay(rng, won)
    if delay is None and closed_at is None and now - hot_at > 2 * DAY:
        delay = DAY  # an open lead is called within a day
    if delay is None:
        return
    called = hot_at + delay
    yield "handovers", called, {"step": "first_contact", **author}
    judged = called + int(rng.integers(1, 20)) * HOUR
    if rng.random() > _acceptance_probability(closed_at, won, now - hot_at):
        reason = REASONS[rng.integers(len(REASONS))]
        yield "handovers", judged, {"step": "sent_back", "reason": reason, **author}
        return
    yield "handovers", judged, {"step": "accepted", **author}
    opened = judged + int(rng.integers(1, 9)) * DAY
    if won or rng.random() < 0.45:
        yield "opportunities", opened, {"stage": "proposal", **author}
    if closed_at is None:
        due = max(opened, now - DAY) + int(rng.integers(0, 9)) * DAY
        yield "handovers", judged + 1, {"step": "next_action", "due_at": due, **author}


def _acceptance_probability(closed_at: int | None, won: bool, age: int) -> float:
    """The probability that sales accepts a lead; low for leads that stay undecided for long."""
    if closed_at is None and age > 45 * DAY:
        return 0.08
    return 0.97 if won else 0.66


def _draw_delay(rng: np.random.Generator, won: bool) -> int | None:
    """The delay of the first call in ms, None without a call. Leads that are called soon buy more often."""
    draw = rng.random() * (0.85 if won else 1.0)
    for share, hours in _DELAYS:
        draw -= share
        if draw < 0:
            return int(rng.uniform(0.2, 1.0) * hours * HOUR)
    return None
