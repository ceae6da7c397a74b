"""Where a lead stands with sales: its deal is won or lost, they contacted it, or there is a date at which
they go on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from features.clock import NEVER

DealOutcome: TypeAlias = Literal["won", "lost"]


class SalesStep(NamedTuple):
    """Something that sales did about a lead. Times are ms UTC; `due` is that of a next action."""

    moment_ms: int
    kind: Literal["won", "lost", "first_contact", "next_action"]
    due: int = NEVER


@dataclass(frozen=True, slots=True)
class SalesStatus:
    """How the deal of a lead ended and when (None, NEVER: it is open), the date of the next action
    (NEVER: none was told), and when sales contacted it last (None: not yet). Times are ms UTC."""

    outcome: DealOutcome | None = None
    closed_at: int = NEVER
    next_action: int = NEVER
    contacted_at: int | None = None


def derive_sales_status(steps: Sequence[SalesStep], until: int) -> SalesStatus | None:
    """Where a lead stood by the steps strictly before a moment (ms UTC); None where none counts."""
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
