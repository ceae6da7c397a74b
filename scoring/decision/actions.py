"""What to do with each lead, and by when: the stage's action, and answers that are due anyway.

Leads whose deal is closed, that are never hot, or that sales accepted have an action of their own,
whatever their stage.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from features.clock import NEVER, days_to_ms
from features.columns import Bools, Column, Floats, Ints
from scoring.decision.decision import EXCLUSION, MQL, SQL, Codes, Decision
from scoring.decision.sales_status import SalesStatus
from scoring.scorecard.office_hours import compute_deadline
from scoring.scorecard.scorecard import HOT, STAGES, Action, LocalizedText, Prompt, Scorecard
from scoring.texts import all_texts

HAND_OVER = len(STAGES)
"""The code of the hand-over action, after those of the stages."""
ACCEPTED, EXCLUDED, WON, LOST = range(HAND_OVER + 1, HAND_OVER + 5)
"""The codes of the actions that no scorecard tells."""
FOLLOW_UP, NONE = "follow_up", "none"
"""Their kinds: field sales goes on with an accepted lead; nobody calls the others."""
_TEXTS = {ACCEPTED: "action_accepted", EXCLUDED: "action_excluded", WON: "action_won", LOST: "action_lost"}


@dataclass(frozen=True)
class Actions:
    """For each of n leads: `action` a stage's code or one of those above, `deadline` in ms UTC (NEVER:
    none), `prompt` the place of the waiting answer among the card's prompts (-1: none waits, or the
    action itself is due first)."""

    action: Codes
    deadline: Ints
    prompt: Codes


def action_of(card: Scorecard, code: int) -> Action:
    """The action that a code names."""
    if code < HAND_OVER:
        return card.action(code)
    if code > HAND_OVER:
        return _fixed_action(code, card.stages.cold.owner)
    assert card.hand_over is not None  # the card is checked for it
    return card.hand_over


def codes_of(card: Scorecard) -> list[int]:
    """The codes of all actions that there may be."""
    return [code for code in range(LOST + 1) if code != HAND_OVER or card.hand_over is not None]


def choose_actions(
    card: Scorecard,
    decision: Decision,
    columns: Mapping[str, Column],
    as_of: int | None,
    sales_statuses: Sequence[SalesStatus | None] | None = None,
) -> Actions:
    """The actions on decided leads. `as_of` is ms UTC; without it (no dates) nothing has a deadline.
    `standings` tell where each lead stands with sales (None: nothing is known of any)."""
    action = decision.stage.copy()
    action[(decision.hand_over == MQL) & (decision.stage != HOT)] = HAND_OVER
    if card.hot_is == "mql":  # else the card's own action for hot leads is that for accepted ones
        action[decision.hand_over == SQL] = ACCEPTED
    action[decision.decided_by == EXCLUSION] = EXCLUDED
    if sales_statuses is not None:
        _apply_sales_status(action, decision, sales_statuses)
    prompt = np.full(len(action), -1, dtype=np.int8)
    if as_of is None:
        return Actions(action, np.full(len(action), NEVER, dtype=np.int64), prompt)
    by_code = np.full(LOST + 1, NEVER, dtype=np.int64)
    for code in np.bincount(action).nonzero()[0].tolist():
        by_code[code] = _action_due(card, action_of(card, code), as_of)
    deadline = by_code[action]
    if sales_statuses is not None:
        _apply_next_action(action, deadline, sales_statuses)
    contacted = _days_since_contact(sales_statuses, as_of)
    for place, card_prompt in enumerate(card.prompts.values()):
        rows, first = _find_due_prompts(card, card_prompt, columns, as_of, contacted)
        sooner = (first < deadline[rows]) & (action[rows] < WON)
        prompt[rows[sooner]], deadline[rows[sooner]] = place, first[sooner]
    return Actions(action, deadline, prompt)


def _apply_sales_status(
    action: Codes, decision: Decision, sales_statuses: Sequence[SalesStatus | None]
) -> None:
    """Accepted leads with whom sales go on, and closed deals whatever was decided on them, in place."""
    for row, status in enumerate(sales_statuses):
        if status is None:
            continue
        if status.outcome is not None:
            action[row] = WON if status.outcome == "won" else LOST
        elif status.next_action != NEVER and decision.hand_over[row] == SQL:
            action[row] = ACCEPTED


def _apply_next_action(action: Codes, deadline: Ints, sales_statuses: Sequence[SalesStatus | None]) -> None:
    """An accepted lead is due when sales said that they go on with it, in place."""
    for row, status in enumerate(sales_statuses):
        if status is not None and action[row] == ACCEPTED:
            deadline[row] = status.next_action


@lru_cache(maxsize=128)
def _fixed_action(code: int, cold_owner: str) -> Action:
    """An action that no scorecard tells; `nobody` owns what nobody does."""
    accepted = code == ACCEPTED
    return Action(
        kind=FOLLOW_UP if accepted else NONE,
        owner="field_sales" if accepted else cold_owner,
        text=LocalizedText(**all_texts()[_TEXTS[code]]),
    )


def _action_due(card: Scorecard, action: Action, as_of: int) -> int:
    if action.hours is None:
        return NEVER
    return compute_deadline(as_of, action.hours, card.hours if action.business_hours else None)


def _find_due_prompts(
    card: Scorecard,
    prompt: Prompt,
    columns: Mapping[str, Column],
    as_of: int,
    contacted: Floats | None,
) -> tuple[NDArray[np.intp], Ints]:
    """The leads that wait for the answer, and when it is due. A contact that sales recorded (`contacted`
    days ago) answers as an activity does."""
    since, answered = (columns[name] for name in (prompt.since, prompt.answered))
    assert isinstance(since, np.ndarray)  # of the kind days_since, as the card is checked for
    assert isinstance(answered, np.ndarray)
    if contacted is not None:
        answered = np.fmin(answered, contacted)
    rows = _awaits_answer(since, answered, prompt.within_days).nonzero()[0]
    office = card.hours if prompt.business_hours else None
    deadlines = [
        compute_deadline(as_of - days_to_ms(days), prompt.hours, office) for days in since[rows].tolist()
    ]
    return rows, np.array(deadlines, dtype=np.int64)


def _days_since_contact(sales_statuses: Sequence[SalesStatus | None] | None, as_of: int) -> Floats | None:
    """How many days ago sales contacted each lead (nan: not yet); None where nothing is known of any."""
    contact_times = [None if status is None else status.contacted_at for status in sales_statuses or ()]
    if all(contact_ms is None for contact_ms in contact_times):
        return None
    return np.array(
        [
            np.nan if contact_ms is None else (as_of - contact_ms) / days_to_ms(1)
            for contact_ms in contact_times
        ]
    )


def _awaits_answer(since: Floats, answered: Floats, within_days: float) -> Bools:
    """Where something was asked lately and no contact came at that time or later."""
    return np.asarray((since <= within_days) & ~(answered <= since))  # nan: never asked, no contact
