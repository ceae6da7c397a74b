"""What to do with each lead, and by when: the stage's action, and answers that are due anyway."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.clock import NEVER, days_to_ms
from features.columns import Bools, Column, Floats, Ints
from scoring.deadlines import due
from scoring.decision import MQL, Codes, Decision
from scoring.scorecard import HOT, STAGES, Action, Prompt, Scorecard

HAND_OVER = len(STAGES)
"""The code of the hand-over action, after those of the stages."""


@dataclass(frozen=True)
class Actions:
    """For each of n leads: `action` a stage's code or HAND_OVER, `deadline` in ms UTC (NEVER: none),
    `prompt` the place of the waiting answer among the card's prompts (-1: none waits, or the action
    itself is due first)."""

    action: Codes
    deadline: Ints
    prompt: Codes


def action_of(card: Scorecard, code: int) -> Action:
    """The action that a code names."""
    if code != HAND_OVER:
        return card.action(code)
    assert card.hand_over is not None  # the card is checked for it
    return card.hand_over


def actions(
    card: Scorecard, decision: Decision, columns: Mapping[str, Column], as_of: int | None
) -> Actions:
    """The actions on decided leads. `as_of` is ms UTC; without it (no dates) nothing has a deadline."""
    action = decision.stage.copy()
    action[(decision.hand_over == MQL) & (decision.stage != HOT)] = HAND_OVER
    prompt = np.full(len(action), -1, dtype=np.int8)
    if as_of is None:
        return Actions(action, np.full(len(action), NEVER, dtype=np.int64), prompt)
    by_code = np.full(HAND_OVER + 1, NEVER, dtype=np.int64)
    for code in np.bincount(action).nonzero()[0].tolist():
        by_code[code] = _action_due(card, action_of(card, code), as_of)
    deadline = by_code[action]
    for place, told in enumerate(card.prompts.values()):
        rows, first = _prompts_due(card, told, columns, as_of)
        sooner = first < deadline[rows]
        prompt[rows[sooner]], deadline[rows[sooner]] = place, first[sooner]
    return Actions(action, deadline, prompt)


def _action_due(card: Scorecard, action: Action, as_of: int) -> int:
    if action.hours is None:
        return NEVER
    return due(as_of, action.hours, card.hours if action.business_hours else None)


def _prompts_due(
    card: Scorecard, prompt: Prompt, columns: Mapping[str, Column], as_of: int
) -> tuple[NDArray[np.intp], Ints]:
    """The leads that wait for the answer, and when it is due."""
    since, answered = (columns[name] for name in (prompt.since, prompt.answered))
    assert isinstance(since, np.ndarray)  # of the kind days_since, as the card is checked for
    assert isinstance(answered, np.ndarray)
    rows = _waiting(since, answered, prompt.within_days).nonzero()[0]
    office = card.hours if prompt.business_hours else None
    told = [due(as_of - days_to_ms(days), prompt.hours, office) for days in since[rows].tolist()]
    return rows, np.array(told, dtype=np.int64)


def _waiting(since: Floats, answered: Floats, within_days: float) -> Bools:
    """Where something was asked lately and no contact came at that time or later."""
    return np.asarray((since <= within_days) & ~(answered <= since))  # nan: never asked, no contact
