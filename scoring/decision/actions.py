"""What to do with each lead, and by when: the stage's action, and prompts that are due first.

Leads whose deal is closed, that are excluded, or that sales accepted have a fixed action, whatever their
stage.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from features.clock import MS_PER_DAY, NEVER, days_to_ms
from features.columns import Column, Floats, Ints
from scoring.decision.decision import EXCLUSION, MQL, SQL, Codes, Decision
from scoring.decision.sales_status import SalesStatus
from scoring.scorecard.office_hours import compute_deadline
from scoring.scorecard.scorecard import HOT, STAGES, Action, LocalizedText, Prompt, Scorecard
from scoring.texts import all_texts

HAND_OVER = len(STAGES)
"""The code of the hand-over action, after those of the stages."""
ACCEPTED, EXCLUDED, WON, LOST = range(HAND_OVER + 1, HAND_OVER + 5)
"""The codes of the actions that no scorecard defines."""
FOLLOW_UP, NONE = "follow_up", "none"
"""Their kinds: field sales follows up on an accepted lead; the others need no action."""
_TEXTS = {ACCEPTED: "action_accepted", EXCLUDED: "action_excluded", WON: "action_won", LOST: "action_lost"}


@dataclass(frozen=True)
class Actions:
    """For each of n leads: `action` a stage's code or one of those above, `deadline` in ms UTC (NEVER:
    none), `prompt` the index of the due prompt among the card's (-1: none, or the action is due first)."""

    action: Codes
    deadline: Ints
    prompt: Codes


def action_of(card: Scorecard, code: int) -> Action:
    if code < HAND_OVER:
        return (card.stages.cold, card.stages.warm, card.stages.hot)[code]
    if code > HAND_OVER:
        return _fixed_action(code, card.stages.cold.owner)
    assert card.hand_over is not None  # validated with the card
    return card.hand_over


def codes_of(card: Scorecard) -> list[int]:
    return [code for code in range(LOST + 1) if code != HAND_OVER or card.hand_over is not None]


def choose_actions(
    card: Scorecard,
    decision: Decision,
    columns: Mapping[str, Column],
    as_of: int | None,
    sales_statuses: Sequence[SalesStatus | None] | None = None,
) -> Actions:
    """The actions on decided leads. `as_of` is ms UTC; without it (no dates) there are no deadlines.
    `sales_statuses` has the status of each lead with sales (None: no status of any)."""
    action = decision.stage.copy()
    action[(decision.hand_over == MQL) & (decision.stage != HOT)] = HAND_OVER
    if card.hot_is == "mql":  # with "sql" the card's hot action is that for accepted leads
        action[decision.hand_over == SQL] = ACCEPTED
    action[decision.decided_by == EXCLUSION] = EXCLUDED
    if sales_statuses is not None:
        _apply_sales_status(action, decision, sales_statuses)
    prompt = np.full(len(action), -1, dtype=np.int8)
    if as_of is None:
        return Actions(action, np.full(len(action), NEVER, dtype=np.int64), prompt)
    by_code = np.full(LOST + 1, NEVER, dtype=np.int64)
    for code in np.bincount(action).nonzero()[0].tolist():
        chosen = action_of(card, code)
        if chosen.hours is not None:
            office = card.hours if chosen.business_hours else None
            by_code[code] = compute_deadline(as_of, chosen.hours, office)
    deadline = by_code[action]
    for row, status in enumerate(sales_statuses or ()):
        if status is not None and action[row] == ACCEPTED:
            deadline[row] = status.next_action
    contacted = None if sales_statuses is None else _days_since_contact(sales_statuses, as_of)
    for place, card_prompt in enumerate(card.prompts.values()):
        rows, first = _find_due_prompts(card, card_prompt, columns, as_of, contacted)
        sooner = (first < deadline[rows]) & (action[rows] < WON)
        prompt[rows[sooner]], deadline[rows[sooner]] = place, first[sooner]
    return Actions(action, deadline, prompt)


def _apply_sales_status(
    action: Codes, decision: Decision, sales_statuses: Sequence[SalesStatus | None]
) -> None:
    """Set the actions of accepted leads with a next action, and of closed deals, in place."""
    for row, status in enumerate(sales_statuses):
        if status is None:
            continue
        if status.outcome is not None:
            action[row] = WON if status.outcome == "won" else LOST
        elif status.next_action != NEVER and decision.hand_over[row] == SQL:
            action[row] = ACCEPTED


@lru_cache(maxsize=128)
def _fixed_action(code: int, cold_owner: str) -> Action:
    """An action that no scorecard defines; the owner of cold leads has those that need no action."""
    accepted = code == ACCEPTED
    return Action(
        kind=FOLLOW_UP if accepted else NONE,
        owner="field_sales" if accepted else cold_owner,
        text=LocalizedText(**all_texts()[_TEXTS[code]]),
    )


def _find_due_prompts(
    card: Scorecard, prompt: Prompt, columns: Mapping[str, Column], as_of: int, contacted: Floats | None
) -> tuple[NDArray[np.intp], Ints]:
    """The rows that await the prompt's answer, and its deadlines (ms UTC). A contact recorded by sales
    (`contacted` days ago) counts as an answer."""
    since, answered = (columns[name] for name in (prompt.since, prompt.answered))
    assert isinstance(since, np.ndarray)  # of the kind days_since: validated with the card
    assert isinstance(answered, np.ndarray)
    if contacted is not None:
        answered = np.fmin(answered, contacted)
    # A recent inquiry, and no contact at that time or later; nan: never asked, no contact.
    rows = ((since <= prompt.within_days) & ~(answered <= since)).nonzero()[0]
    office = card.hours if prompt.business_hours else None
    deadlines = [
        compute_deadline(as_of - days_to_ms(days), prompt.hours, office) for days in since[rows].tolist()
    ]
    return rows, np.array(deadlines, dtype=np.int64)


def _days_since_contact(sales_statuses: Sequence[SalesStatus | None], as_of: int) -> Floats | None:
    """The days since sales contacted each lead (nan: not yet); None without any contact."""
    times = [None if status is None else status.contacted_at for status in sales_statuses]
    if all(time_ms is None for time_ms in times):
        return None
    return np.array([np.nan if time_ms is None else (as_of - time_ms) / MS_PER_DAY for time_ms in times])
