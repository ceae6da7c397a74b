"""Measures feature computation: a million rows over 20 million activities, and one lead with 50.

`python -m benchmarks.features`
"""

from __future__ import annotations

import time

import numpy as np

from benchmarks.support.measuring import end, measure_microseconds, peak_memory_gib, show
from features import kinds
from features.clock import MS_PER_DAY, NEVER
from features.columns import Texts
from features.crm_data import Activities, Crm, Outcomes
from features.kinds import Feature
from features.many_leads import Histories, ManyLeads
from features.one_lead import OneLead
from features.table import FeatureTable

LEADS, ACTIVITIES, TYPES = 1_000_000, 20_000_000, 12
_START, _SPAN = 1_700_000_000_000, 730 * MS_PER_DAY


def table() -> FeatureTable:
    """A table of 35 features with every kind."""
    types = [f"type_{i}" for i in range(TYPES)]
    rows: dict[str, Feature] = {
        "trade": kinds.Attribute("trade", "category", "at_creation"),
        "employees": kinds.Attribute("employees", "number", "at_creation"),
        "age": kinds.Age(),
        "kinds_30d": kinds.Distinct(30),
        "all_7d": kinds.Count("*", 7),
        "after": kinds.After("type_1", "type_0", 30),
        "last": kinds.Last("type_2"),
        "sum": kinds.Sum("type_3", 90),
        "decayed": kinds.Decayed(("type_0", "type_4"), 14),
        "ratio": kinds.Ratio(kinds.Count("type_5"), kinds.Count("type_6")),
        "account": kinds.Count("type_7", 90, "account"),
    }
    rows |= {f"{kind}_30d": kinds.Count(kind, 30) for kind in types}
    rows |= {f"{kind}_since": kinds.DaysSince(kind) for kind in types}
    assert len(rows) == 35
    return FeatureTable(rows)


def crm(leads: int, activities: int) -> Crm:
    """Leads with random histories, ordered by time as in a CRM export."""
    rng = np.random.default_rng(1)
    created = _START + rng.integers(0, _SPAN, leads)
    account = rng.integers(0, leads // 3, leads).astype(np.int32)
    crm_activities = Activities(
        rng.integers(0, leads, activities).astype(np.int32),
        rng.integers(0, TYPES, activities).astype(np.int16),
        np.sort(_START + rng.integers(0, _SPAN, activities)),
        rng.random(activities).round(2),
        tuple(f"type_{i}" for i in range(TYPES)),
    )
    never = np.full(leads, NEVER)
    trade = Texts(rng.integers(0, 8, leads).astype(np.int32), tuple("abcdefgh"))
    return Crm(
        lead_ids=np.arange(leads).astype(object),
        order="date",
        created=created,
        account=account,
        group=account,
        attributes={"trade": trade, "employees": rng.random(leads)},
        activities=crm_activities,
        outcomes=Outcomes(never, never, np.full(leads, np.nan)),
        snapshot=_START + _SPAN,
        dated_outcomes=True,
    )


def one_lead() -> OneLead:
    """A lead with 50 activities, built for each call as in a request."""
    return OneLead(_START + _SPAN, _START, {"trade": "a", "employees": 120.0}, _EVENTS)


_RNG = np.random.default_rng(2)
_EVENTS = [
    (f"type_{kind}", int(_START + offset), 1.0)
    for kind, offset in zip(_RNG.integers(0, TYPES, 50), _RNG.integers(0, _SPAN, 50), strict=True)
]


def main() -> None:
    features, data = table(), crm(LEADS, ACTIVITIES)
    base = peak_memory_gib()
    began = time.monotonic()
    moments = data.created + np.random.default_rng(3).integers(0, 90, LEADS) * MS_PER_DAY
    features.compute_many(ManyLeads(Histories(data), np.arange(LEADS), moments))
    seconds = time.monotonic() - began
    print(f"35 features of {LEADS:,} moments over {ACTIVITIES:,} activities (data alone {base:.2f} GiB)")
    passed = [show("many leads", seconds, 15, "s"), show("peak memory", peak_memory_gib(), 4, "GiB")]
    one = measure_microseconds(lambda: features.compute_one(one_lead()))
    end([*passed, show("one lead, 35 features, 50 activities", one, 60, "µs")])


if __name__ == "__main__":
    main()
