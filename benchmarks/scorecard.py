"""Measures the scorecard on one lead and on a million: the b2b_saas profile with business hours.

`python -m benchmarks.scorecard`
"""

from __future__ import annotations

import numpy as np

from benchmarks.support.measuring import end, measure_microseconds, measure_seconds, show
from features.clock import MS_PER_DAY
from features.columns import Column, Texts
from features.settings import parse_features
from features.table import FeatureTable
from scoring.scorecard.load import parse_card, profile_features
from scoring.scorecard.office_hours import compute_deadline
from scoring.scorecard.rating import OneRater, rate
from scoring.scorecard.scorecard import Scorecard

LEADS = 1_000_000
_MONDAY = 1_764_547_200_000


def main() -> None:
    card = parse_card({"profile": "b2b_saas"}, "b2b_saas")
    table = FeatureTable(parse_features(profile_features("b2b_saas")["features"]))
    rules = len(list(card.rules()))
    assert rules >= 20
    columns = _draw_columns(card, table, LEADS)
    seconds = min(measure_seconds(lambda: rate(card, columns), 3))
    print(f"{rules} rules of b2b_saas; {LEADS / seconds:,.0f} leads a second in bulk")
    values = {n: c.to_list()[0] if isinstance(c, Texts) else float(c[0]) for n, c in columns.items()}
    rater = OneRater(card)
    passed = [
        show(f"one lead, {rules} rules", measure_microseconds(lambda: rater(values)), 25, "µs"),
        show("bulk, a lead", seconds / LEADS * 1e6, 2, "µs"),
        show("a deadline of 24 business hours, with holidays", _measure_deadline(card), 25, "µs"),
    ]
    end(passed)


def _draw_columns(card: Scorecard, table: FeatureTable, leads: int) -> dict[str, Column]:
    """Random values around the thresholds of the card, some of them missing."""
    rng = np.random.default_rng(0)
    values = {c.feature: c.one_of for _, _, rule in card.rules() for c in rule.when if c.one_of}
    columns: dict[str, Column] = {}
    for name in table.names:
        if name in table.texts:
            words = (*values.get(name, ()), "other")
            columns[name] = Texts(rng.integers(-1, len(words), leads).astype(np.int32), words)
        else:
            number = rng.integers(0, 60, leads).astype(np.float64)
            columns[name] = np.where(rng.random(leads) < 0.3, np.nan, number)
    return columns


def _measure_deadline(card: Scorecard) -> float:
    starts = iter(_MONDAY + np.random.default_rng(1).integers(0, 90 * MS_PER_DAY, 100_000))
    return measure_microseconds(lambda: compute_deadline(int(next(starts)), 24, card.hours))


if __name__ == "__main__":
    main()
