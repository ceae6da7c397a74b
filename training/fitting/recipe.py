"""The recipe of a model: everything that is chosen on validation folds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from scoring.model.model import Calibration
from training.fitting.parts.trees import TreesRecipe

POINTS, LINEAR, STATISTICS = "points", "linear", "statistics"
RULES_ONLY: Mapping[str, float] = {POINTS: 1.0, LINEAR: 0.0}
USUAL_STRENGTH = 0.1


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All choices made on the validation folds.

    `strength` and `recent_strength` are those of the logistic regression on all deals alike and of the one
    on which newer deals weigh more (None: not used). `weights` are by part: points, linear, the names of
    `trees`, and statistics; a part with weight 0 is not in the sum. `segments` are the log-odds that the
    values of a segment add to the sum, by the name of its attribute (see `parts/segments.py`).
    """

    strength: float = USUAL_STRENGTH
    recent_strength: float | None = None
    trees: Mapping[str, TreesRecipe] = field(default_factory=dict)
    statistics: TreesRecipe | None = None
    weights: Mapping[str, float] = field(default_factory=lambda: {POINTS: 0.0, LINEAR: 1.0})
    calibration: Calibration = field(default_factory=Calibration)
    segments: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @property
    def points(self) -> float:
        """The weight of the scorecard."""
        return self.weights[POINTS]

    @property
    def learnt(self) -> dict[str, float]:
        """The weights of the learnt parts among themselves, which add up to 1."""
        learnt = {name: weight for name, weight in self.weights.items() if name != POINTS}
        total = sum(learnt.values())
        return {name: weight / total for name, weight in learnt.items()} if total else {LINEAR: 1.0}

    @property
    def has_statistics(self) -> bool:
        """Whether trees with target statistics are in the sum."""
        return self.weights.get(STATISTICS, 0.0) > 0

    @property
    def learnt_weight(self) -> float:
        """The weight of the learnt parts together."""
        return sum(self.weights.values()) - self.points

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)
