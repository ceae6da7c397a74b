"""The activities that come some time after the creation of a lead, such as the first meeting."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from features.clock import NEVER, days_to_ms
from features.columns import Bools, Ints
from features.crm.hindsight.sides import Sides, age_bands
from features.crm_data import Crm
from features.moments import MIN_WINS

_MAX_KINDS = 30
"""As many kinds of activity are looked at, the most common ones."""
_LATER = days_to_ms(1)
"""An activity that usually comes later than this after the creation is no part of it."""


@dataclass(frozen=True)
class LaterActivity:
    """The first activity of a kind, after the creation: the leads (oldest first) that had none before, and as
    sides (the first: those that had it)."""

    kind: str
    lead: Ints
    sides: Sides


def list_events(crm: Crm) -> list[LaterActivity]:
    """The kinds of activity that a good part of the leads had, and another part never."""
    if crm.order != "date" or not len(crm.activities):
        return []
    lead = np.argsort(crm.created, kind="stable")
    counts = np.bincount(crm.activities.type, minlength=len(crm.activities.types))
    kinds = np.argsort(-counts, kind="stable")[:_MAX_KINDS]
    return [event for kind in kinds.tolist() for event in _find_event(crm, lead, kind)]


def _find_event(crm: Crm, lead: Ints, kind: int) -> Iterator[LaterActivity]:
    first = _first_times(crm, crm.activities.type == kind)
    lead = lead[first[lead] > crm.created[lead]]
    is_first = first[lead] < NEVER
    if min(is_first.sum(), (~is_first).sum()) < MIN_WINS:
        return
    if np.median(first[lead][is_first] - crm.created[lead][is_first]) < _LATER:
        return
    band, _ = age_bands(is_first)
    yield LaterActivity(crm.activities.types[kind], lead, Sides.from_bands(is_first, band))


def _first_times(crm: Crm, chosen: Bools) -> Ints:
    """The time of each lead's first chosen activity, NEVER for none."""
    first = np.full(len(crm), NEVER)
    np.minimum.at(first, crm.activities.lead[chosen], crm.activities.time_ms[chosen])
    return first
