"""The status of a lead with sales: its deal is won or lost, it was contacted, or a next action is planned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from features.clock import NEVER

DealOutcome: TypeAlias = Literal["won", "lost"]


class SalesStep(NamedTuple):
    """A step of sales on a lead. Times are ms UTC; `due` is the date of a next action."""

    moment_ms: int
    kind: Literal["won", "lost", "first_contact", "next_action"]
    due: int = NEVER


@dataclass(frozen=True, slots=True)
class SalesStatus:
    """The outcome of a lead's deal and its time (None, NEVER: open), the date of the next action (NEVER:
    none), and the last contact by sales (None: not yet). Times are ms UTC."""

    outcome: DealOutcome | None = None
    closed_at: int = NEVER
    next_action: int = NEVER
    contacted_at: int | None = None


def derive_sales_status(steps: Sequence[SalesStep], until: int) -> SalesStatus | None:
    """The status by the steps strictly before a moment (ms UTC); None without such a step."""
    newest = {step.kind: step for step in sorted(steps) if step.moment_ms < until}
    if not newest:
        return None
    planned, contact = newest.get("next_action"), newest.get("first_contact")
    due, contacted = planned.due if planned else NEVER, contact.moment_ms if contact else None
    closes = [step for kind, step in newest.items() if kind in ("won", "lost")]
    if not closes:
        return SalesStatus(next_action=due, contacted_at=contacted)
    last = max(closes)
    return SalesStatus("won" if last.kind == "won" else "lost", last.moment_ms, due, contacted)
