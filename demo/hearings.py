"""Simulates what inside sales learns about budget, authority, need and timing, and its changes."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from demo.clock import AS_OF, BoolArray, FloatArray, IntArray, draw_working_time, on_day
from demo.columns import ArrayRows, decode_labels, to_timestamps
from demo.fates import Fates, last_moment
from demo.traits import Traits, sigmoid

COLUMNS = ("budget", "authority", "need", "timing")
VALUES = (
    ("none", "planned", "approved"),
    ("user", "influencer", "decider"),
    ("vague", "concrete"),
    ("unknown", "within_6_months", "within_3_months", "this_month"),
)
ALL_VALUES = tuple(value for values in VALUES for value in values)
FIRST_VALUE = np.cumsum([0] + [len(values) for values in VALUES[:-1]])


@dataclass(frozen=True)
class BantChanges(ArrayRows):
    """Arrays with one entry per change, in order of time: row of the lead, column, level in VALUES, time."""

    lead: IntArray
    column: IntArray
    level: IntArray
    time: IntArray


def draw_changes(rng: np.random.Generator, traits: Traits, fates: Fates) -> BantChanges:
    """All changes before the snapshot and before the close of the lead."""
    columns = [_draw_column(rng, column, traits, fates) for column in range(len(COLUMNS))]
    changes = BantChanges.concatenate(columns)
    return changes.take(np.lexsort((changes.column, changes.lead, changes.time)))


def _draw_column(rng: np.random.Generator, column: int, traits: Traits, fates: Fates) -> BantChanges:
    """A first level, then one level up at a time until the final level of the lead."""
    final = _final_level(rng, column, traits)
    level = final - rng.binomial(final, 0.5)
    has_answered = rng.random(len(traits)) < sigmoid(0.5 + 0.5 * traits.intent - 1.5 * traits.outsider)
    time = fates.contacted.copy()
    steps = []
    for step in range(len(VALUES[column])):
        time = _next_time(rng, time, traits.intent, first=step == 0)
        rows = np.flatnonzero(has_answered & (level + step <= final) & (time <= last_moment(fates, AS_OF)))
        steps.append(BantChanges(rows, np.full(len(rows), column), level[rows] + step, time[rows]))
    return BantChanges.concatenate(steps)


def _next_time(rng: np.random.Generator, after: IntArray, intent: FloatArray, first: bool) -> IntArray:
    """The time of the next change: sooner with more intent; the first is often the first contact."""
    mean = (2.5 if first else 16.0) * np.exp(-0.3 * intent)
    days = (mean * rng.standard_exponential(len(after))).astype(np.int64)
    later = on_day(after, days, draw_working_time(rng, len(after)))
    at_contact: BoolArray = (days == 0) & first
    return np.where(at_contact, after, later)


def _final_level(rng: np.random.Generator, column: int, traits: Traits) -> IntArray:
    noise = rng.standard_normal(len(traits))
    if COLUMNS[column] == "budget":
        return np.where(traits.funded, 2, (traits.intent + 0.7 * noise > 0.4).astype(np.int64))
    if COLUMNS[column] == "authority":
        return np.where(traits.decider, 2, (traits.fit + 0.8 * noise > 0.2).astype(np.int64))
    if COLUMNS[column] == "need":
        return (traits.intent + 0.6 * noise > 0.3).astype(np.int64)
    soon = traits.intent - 0.4 * traits.pace + 0.6 * noise
    return np.searchsorted([-0.3, 0.6, 1.4], soon)


def changes_table(changes: BantChanges, lead_ids: pa.Array) -> pa.Table:
    """The changes as a table: lead_id, column_name, value, at."""
    return pa.table(
        {
            "lead_id": lead_ids.take(pa.array(changes.lead)),
            "column_name": decode_labels(changes.column, COLUMNS),
            "value": decode_labels(FIRST_VALUE[changes.column] + changes.level, ALL_VALUES),
            "at": to_timestamps(changes.time),
        }
    )


def newest_values(changes: BantChanges, column: int, leads: int) -> pa.Array:
    """The newest value of a column for each lead; missing where there is no change."""
    level = np.full(leads, -1)
    mine = changes.column == column
    # In order of time, so the last assignment to a lead is its newest value.
    level[changes.lead[mine]] = changes.level[mine]
    return decode_labels(level, VALUES[column])
