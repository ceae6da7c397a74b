"""From rows with weights to a scorecard: whole points, and where warm and hot begin.

The points are the weights times one factor, rounded; the factor is the one whose rounded points lose
least, as in Liu, Zhong, Li, Seltzer, Rudin, "FasterRisk", NeurIPS 35 (2022).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from features.columns import Bools, Floats, Ints
from features.errors import DataError
from features.kinds import Attribute
from scoring.scorecard.rating import rate
from scoring.scorecard.scorecard import Bands, Group, Row, Scorecard
from scoring.statistics.paired_differences import USUAL_SHARE
from training.fitting.recipe import Data
from training.scorecard.candidates import Candidate, holding
from training.scorecard.forward_selection import Deals
from training.scorecard.row_names import because, row_name

LARGEST = (10, 12, 15, 18, 20, 22, 25, 28, 30)
"""What the weightiest row may be worth."""

MOST_REACH = 120
"""What all rows together may give."""

LEAST_POINTS = 2
"""A row that is worth less changes nothing that people would see, and is left out."""

USUAL_WARM_SHARE = 0.3


def draft(data: Data, chosen: Sequence[Candidate], weights: Floats) -> Scorecard:
    """A card of the chosen rows; all else is as the present card has it.

    About as many of the examples are hot and warm by their points as under the present card. Raises
    DataError where no points are left to give.
    """
    holds = holding(chosen, data.columns)
    points = whole_points(weights, holds, Deals.of(data))
    groups = _groups(data, chosen, points)
    most = sum(group.most for group in groups.values())
    if most < 2:
        raise DataError(
            "No rows were found that tell won from other leads on later deals, so there is nothing to "
            "suggest: keep the present scorecard, or add features to crm.toml that tell more of a lead."
        )
    bands = _bands(data, points @ holds, most)
    learnt = {"profile", "bands", "fit", "intent"}
    if not data.card.rows:  # shares stood in for rules that were not there
        learnt.add("thresholds")
    told = data.card.model_dump(exclude=learnt)
    return Scorecard.model_validate({**told, "bands": bands, **groups})


def whole_points(weights: Floats, holds: Bools, deals: Deals) -> Ints:
    """The weights as small whole numbers, by the factor that loses least."""
    if not weights.any():
        return np.zeros(len(weights), dtype=np.int64)
    tried = [_rounded(weights * (size / np.abs(weights).max())) for size in LARGEST]
    within = [points for points in tried if points[points > 0].sum() <= MOST_REACH]
    kept = holds[:, deals.kept].astype(np.float64)
    return min(within or tried[:1], key=lambda points: float(deals.losses(points @ kept).mean()))


def _rounded(weights: Floats) -> Ints:
    whole = np.rint(weights).astype(np.int64)
    return np.asarray(np.where(np.abs(whole) < LEAST_POINTS, 0, whole))


def _groups(data: Data, chosen: Sequence[Candidate], points: Ints) -> dict[str, Group]:
    """The rows in their groups, those with the most points first."""
    rows: dict[str, dict[str, Row]] = {"fit": {}, "intent": {}}
    taken = set(data.card.rows)
    for at in np.argsort(-points, kind="stable"):
        row, worth = chosen[at], int(points[at])
        if not worth:
            continue
        name = row.name or row_name(row, taken)
        taken.add(name)
        said = row.row.because if row.row else because(row, data.table)
        rows[_group_of(row, data)][name] = Row(when=row.when, points=worth, because=said)
    return {name: _group(data.card, name, told) for name, told in rows.items() if told}


def _group_of(row: Candidate, data: Data) -> str:
    """Where the present card has it; else who the lead is, or what it does."""
    if row.row is not None:
        return "fit" if data.card.fit and row.name in data.card.fit.rows else "intent"
    return "fit" if isinstance(data.table.rows[row.feature], Attribute) else "intent"


def _group(present: Scorecard, name: str, rows: Mapping[str, Row]) -> Group:
    """With the present cap, unless it would cut what was learnt."""
    before: Group | None = getattr(present, name)
    whole = Group(rows=rows)
    told: dict[str, Any] = {"rows": rows}
    if before is not None and before.cap is not None and whole.most <= before.cap:
        told["cap"] = before.cap
    return Group(**told)


def _bands(data: Data, points: Ints, most: int) -> Bands:
    """Where about as many examples stand as under the present card, by points alone."""
    hot, warm = _shares(data)
    at_hot = _mark(points, hot, 2, most)
    return Bands(warm=_mark(points, warm, 1, at_hot - 1), hot=at_hot)


def _shares(data: Data) -> tuple[float, float]:
    """The shares of the examples that the present card calls hot, and warm or hot."""
    points = rate(data.card, data.columns).points
    hot = float((points >= data.card.bands.hot).mean())
    if not hot:
        return USUAL_SHARE, USUAL_WARM_SHARE
    return hot, float((points >= data.card.bands.warm).mean())


def _mark(points: Ints, share: float, low: int, high: int) -> int:
    """The threshold from `low` to `high` that the share of the points nearest to `share` reaches."""
    marks = np.arange(low, high + 1)
    reached = 1 - np.searchsorted(np.sort(points), marks) / len(points)
    return int(marks[np.abs(reached - share).argmin()])
