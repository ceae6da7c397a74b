"""Where a lead stands with sales: its deal is won or lost, or there is a date at which they go on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from features.clock import NEVER

Closed: TypeAlias = Literal["won", "lost"]


class Step(NamedTuple):
    """Something that sales did about a lead. Times are ms UTC; `due` is that of a next action."""

    at: int
    what: Literal["won", "lost", "next_action"]
    due: int = NEVER


@dataclass(frozen=True, slots=True)
class Standing:
    """How the deal of a lead ended and when (None, NEVER: it is open), and the date of the next action
    (NEVER: none was told). Times are ms UTC."""

    closed: Closed | None = None
    closed_at: int = NEVER
    next_action: int = NEVER


def standing_of(steps: Sequence[Step], until: int) -> Standing | None:
    """Where a lead stood by the steps strictly before a moment (ms UTC); None where none counts."""
    closed, planned = None, None
    for step in sorted(steps):
        if step.at >= until:
            break
        if step.what == "next_action":
            planned = step
        else:
            closed = step
    if closed is None and planned is None:
        return None
    due = NEVER if planned is None else planned.due
    if closed is None:
        return Standing(next_action=due)
    return Standing("won" if closed.what == "won" else "lost", closed.at, due)
