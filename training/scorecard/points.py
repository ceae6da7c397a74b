"""From weighted rows to a scorecard: whole points and the thresholds of warm and hot.

The points are the weights times one factor, rounded; the factor is the one with the smallest loss after
rounding, as in Liu, Zhong, Li, Seltzer, Rudin, "FasterRisk", NeurIPS 35 (2022).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from features.columns import Bools, Floats, Ints
from features.errors import DataError
from features.kinds import OfLead
from scoring.scorecard.rating import rate
from scoring.scorecard.scorecard import Bands, Group, Row, Scorecard
from scoring.statistics.paired_differences import USUAL_SHARE
from training.fitting.dataset import Dataset
from training.scorecard.candidates import CandidateRow, condition_matrix
from training.scorecard.forward_selection import RankingData
from training.scorecard.row_names import build_reason, row_name

ROW_POINT_SCALES = (10, 12, 15, 18, 20, 22, 25, 28, 30)
"""Points of the row with the largest weight, to choose from."""

MAX_TOTAL_POINTS = 120
"""Maximum sum of all positive points."""

MIN_POINTS = 2
"""Minimum absolute points of a row; rows with less have no visible effect and are left out."""

USUAL_WARM_SHARE = 0.3


def draft_scorecard(data: Dataset, chosen: Sequence[CandidateRow], weights: Floats) -> Scorecard:
    """A card of the chosen rows; everything else is copied from the present card.

    About as many examples are hot and warm by points as under the present card. Raises DataError if no
    row gets points.
    """
    holds = condition_matrix(chosen, data.columns)
    points = round_to_points(weights, holds, RankingData.from_dataset(data))
    groups = _build_groups(data, chosen, points)
    max_points = sum(group.max_points for group in groups.values())
    if max_points < 2:
        raise DataError(
            "No rows were found that tell won from other leads on later deals, so there is nothing to "
            "suggest: keep the present scorecard, or add features to crm.toml that tell more of a lead."
        )
    bands = _choose_bands(data, points @ holds, max_points)
    learnt = {"profile", "bands", "fit", "intent"}
    if not data.card.rows:  # without rules they were default shares
        learnt.add("thresholds")
    present_values = data.card.model_dump(exclude=learnt)
    return Scorecard.model_validate({**present_values, "bands": bands, **groups})


def round_to_points(weights: Floats, holds: Bools, deals: RankingData) -> Ints:
    """The weights as small whole numbers, scaled by the factor with the smallest loss."""
    if not weights.any():
        return np.zeros(len(weights), dtype=np.int64)
    tried = [_round_weights(weights * (size / np.abs(weights).max())) for size in ROW_POINT_SCALES]
    within = [points for points in tried if points[points > 0].sum() <= MAX_TOTAL_POINTS]
    included_holds = holds[:, deals.included].astype(np.float64)
    return min(within or tried[:1], key=lambda points: float(deals.losses(points @ included_holds).mean()))


def _round_weights(weights: Floats) -> Ints:
    rounded = np.rint(weights).astype(np.int64)
    return np.asarray(np.where(np.abs(rounded) < MIN_POINTS, 0, rounded))


def _build_groups(data: Dataset, chosen: Sequence[CandidateRow], points: Ints) -> dict[str, Group]:
    """The rows by group, most points first."""
    rows: dict[str, dict[str, Row]] = {"fit": {}, "intent": {}}
    taken = set(data.card.rows)
    for index in np.argsort(-points, kind="stable"):
        row, worth = chosen[index], int(points[index])
        if not worth:
            continue
        name = row.name or row_name(row, taken)
        taken.add(name)
        reason = row.row.because if row.row else build_reason(row, data.table)
        rows[_group_of(row, data)][name] = Row(when=row.conditions, points=worth, because=reason)
    return {
        name: _build_group(data.card, name, group_rows) for name, group_rows in rows.items() if group_rows
    }


def _group_of(row: CandidateRow, data: Dataset) -> str:
    """The group in the present card; for new rows fit for attributes, intent for behaviour."""
    if row.row is not None:
        return "fit" if data.card.fit and row.name in data.card.fit.rows else "intent"
    return "fit" if isinstance(data.table.rows[row.feature], OfLead) else "intent"


def _build_group(present: Scorecard, name: str, rows: Mapping[str, Row]) -> Group:
    """A group with the present cap, unless the cap would cut the learnt points."""
    before: Group | None = getattr(present, name)
    uncapped = Group(rows=rows)
    values: dict[str, Any] = {"rows": rows}
    if before is not None and before.cap is not None and uncapped.max_points <= before.cap:
        values["cap"] = before.cap
    return Group(**values)


def _choose_bands(data: Dataset, points: Ints, max_points: int) -> Bands:
    """Thresholds that as many examples reach as under the present card, by points alone."""
    hot, warm = _shares(data)
    at_hot = _threshold(points, hot, 2, max_points)
    return Bands(warm=_threshold(points, warm, 1, at_hot - 1), hot=at_hot)


def _shares(data: Dataset) -> tuple[float, float]:
    """The shares of examples that are hot, and warm or hot, under the present card."""
    points = rate(data.card, data.columns).points
    hot = float((points >= data.card.bands.hot).mean())
    if not hot:
        return USUAL_SHARE, USUAL_WARM_SHARE
    return hot, float((points >= data.card.bands.warm).mean())


def _threshold(points: Ints, share: float, low: int, high: int) -> int:
    """The threshold from `low` to `high` that a share of the points nearest to `share` reaches."""
    thresholds = np.arange(low, high + 1)
    reached = 1 - np.searchsorted(np.sort(points), thresholds) / len(points)
    return int(thresholds[np.abs(reached - share).argmin()])
