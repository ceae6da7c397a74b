"""The decision: one answer for each lead from the model and the rules.

Deciders in order: an exclusion, then a person's valid override, then a trigger, then the model, then
the rules (if there is no model, or it cannot answer).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from features.columns import Bools, Floats, Ints
from scoring.decision.overrides import Override
from scoring.scorecard.rating import Rating
from scoring.scorecard.scale import HOT_SCORE, Scale
from scoring.scorecard.scorecard import COLD, HOT, WARM

Decider: TypeAlias = Literal["rules", "model", "trigger", "person", "exclusion"]
HandOver: TypeAlias = Literal["mql", "sql"]
DECIDERS: tuple[Decider, ...] = get_args(Decider)
RULES, MODEL, TRIGGER, PERSON, EXCLUSION = range(5)
HAND_OVERS: tuple[HandOver | None, ...] = (None, *get_args(HandOver))
NOT_HANDED, MQL, SQL = range(3)

Codes = NDArray[np.int8]


@dataclass(frozen=True)
class ModelSide:
    """The model's view of n leads: probability, and score and stage on its scale."""

    probability: Floats
    score: Ints
    stage: Codes

    @staticmethod
    def from_probability(probability: Floats, scale: Scale) -> ModelSide:
        return ModelSide(probability, scale.score(probability), scale.stage(probability))


@dataclass(frozen=True)
class Decision:
    """One answer for each of n leads.

    `stage` codes into STAGES, `decided_by` into DECIDERS, `hand_over` into HAND_OVERS: proposed to
    inside sales as a marketing qualified lead, or accepted by a person as a sales qualified one.
    """

    score: Ints
    stage: Codes
    decided_by: Codes
    hand_over: Codes


def decide(
    rating: Rating, model: ModelSide | None, overrides: Sequence[Override | None] | None = None
) -> Decision:
    """The decision on rated leads; `overrides` are those in force, one per lead (None: none)."""
    base = rating if model is None else model
    score, stage = base.score.copy(), base.stage.copy()
    decided_by = np.full(len(score), RULES if model is None else MODEL, dtype=np.int8)
    fired = rating.triggered
    stage[fired], score[fired], decided_by[fired] = HOT, np.maximum(score[fired], HOT_SCORE), TRIGGER
    accepted = np.zeros(len(score), dtype=bool)
    if overrides is not None:
        hot, cooled, accepted = _verdict_masks(overrides)
        stage[hot], score[hot] = HOT, np.maximum(score[hot], HOT_SCORE)
        stage[cooled] = np.minimum(stage[cooled], WARM)
        score[cooled] = np.minimum(score[cooled], HOT_SCORE - 1)
        decided_by[hot | cooled] = PERSON
    stage[rating.excluded], score[rating.excluded], decided_by[rating.excluded] = COLD, 0, EXCLUSION
    hand_over = np.full(len(score), NOT_HANDED, dtype=np.int8)
    hand_over[stage == HOT] = MQL
    hand_over[(stage == HOT) & accepted] = SQL
    if rating.card.hot_is == "sql":
        stage[(stage == HOT) & (decided_by != PERSON)] = WARM
    return Decision(score, stage, decided_by, hand_over)


def _verdict_masks(overrides: Sequence[Override | None]) -> tuple[Bools, Bools, Bools]:
    """The leads that a person called hot, called not hot, and accepted."""
    hot = np.array([o is not None and o.hot for o in overrides], dtype=bool)
    cooled = np.array([o is not None and not o.hot for o in overrides], dtype=bool)
    accepted = np.array([o is not None and o.verdict == "accepted" for o in overrides], dtype=bool)
    return hot, cooled, accepted
