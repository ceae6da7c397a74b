"""What to do with each lead, and by when: the stage's action, and answers that are due anyway."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

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
    waits = (decision.hand_over == MQL) & (decision.stage != HOT)
    action = np.where(waits, HAND_OVER, decision.stage).astype(np.int8)
    deadline = np.full(len(action), NEVER, dtype=np.int64)
    prompt = np.full(len(action), -1, dtype=np.int8)
    if as_of is None:
        return Actions(action, deadline, prompt)
    for code in np.unique(action):
        deadline[action == code] = _action_due(card, action_of(card, int(code)), as_of)
    for place, told in enumerate(card.prompts.values()):
        first = _prompt_due(card, told, columns, as_of, len(action))
        prompt = np.where(first < deadline, place, prompt).astype(np.int8)
        deadline = np.minimum(deadline, first)
    return Actions(action, deadline, prompt)


def _action_due(card: Scorecard, action: Action, as_of: int) -> int:
    if action.hours is None:
        return NEVER
    return due(as_of, action.hours, card.hours if action.business_hours else None)


def _prompt_due(
    card: Scorecard, prompt: Prompt, columns: Mapping[str, Column], as_of: int, count: int
) -> Ints:
    """When the first answer is due; NEVER where nothing was asked or it has been answered."""
    since, answered = (columns[name] for name in (prompt.since, prompt.answered))
    told = np.full(count, NEVER, dtype=np.int64)
    for row in np.flatnonzero(_waiting(since, answered, prompt.within_days)):
        asked = as_of - days_to_ms(float(since[row]))  # type: ignore[index]
        told[row] = due(asked, prompt.hours, card.hours if prompt.business_hours else None)
    return told


def _waiting(since: Column, answered: Column, within_days: float) -> Bools:
    """Where something was asked lately and no contact came at that time or later."""
    assert isinstance(since, np.ndarray)  # of the kind days_since, as the card is checked for
    assert isinstance(answered, np.ndarray)
    asked: Floats = np.where(np.isnan(answered), np.inf, answered)
    return np.asarray((asked > since) & (since <= within_days))  # nan: nothing was asked
