"""Where a lead stands with sales: its deal is won or lost, they contacted it, or there is a date at which
they go on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from features.clock import NEVER

Closed: TypeAlias = Literal["won", "lost"]


class Step(NamedTuple):
    """Something that sales did about a lead. Times are ms UTC; `due` is that of a next action."""

    at: int
    what: Literal["won", "lost", "first_contact", "next_action"]
    due: int = NEVER


@dataclass(frozen=True, slots=True)
class Standing:
    """How the deal of a lead ended and when (None, NEVER: it is open), the date of the next action
    (NEVER: none was told), and when sales contacted it last (None: not yet). Times are ms UTC."""

    closed: Closed | None = None
    closed_at: int = NEVER
    next_action: int = NEVER
    contacted: int | None = None


def standing_of(steps: Sequence[Step], until: int) -> Standing | None:
    """Where a lead stood by the steps strictly before a moment (ms UTC); None where none counts."""
    newest = {step.what: step for step in sorted(steps) if step.at < until}
    if not newest:
        return None
    planned, contact = newest.get("next_action"), newest.get("first_contact")
    due, contacted = planned.due if planned else NEVER, contact.at if contact else None
    closes = [step for what, step in newest.items() if what in ("won", "lost")]
    if not closes:
        return Standing(next_action=due, contacted=contacted)
    last = max(closes)
    return Standing("won" if last.what == "won" else "lost", last.at, due, contacted)
