"""Simulates the activities of the leads from their traits and age alone, none after the close."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from demo.channels import NAMES
from demo.clock import AS_OF, NEVER, BoolArray, FloatArray, IntArray, draw_daytime, draw_working_time, on_day
from demo.columns import ArrayRows
from demo.company import CODE, COMPANY, HABITS, KINDS, SEQUELS, Habit, Sequel
from demo.fates import Fates, last_moment
from demo.traits import Traits, sigmoid

BLOCK = 100_000
ALWAYS = 2.55  # activities per lead: the first, its sequels, the first contact
TUNED_FOR = 11.85  # activities per lead that HABITS and their sequels add up to
MOST_A_LEAD = 80.0
MAIL = (CODE["mail_open"], CODE["mail_click"])


@dataclass(frozen=True)
class DemoActivities(ArrayRows):
    """Arrays with one entry per activity: row of the lead, code of the kind, time, value (NaN: none)."""

    lead: npt.NDArray[np.int32]
    kind: npt.NDArray[np.int8]
    time: IntArray
    value: npt.NDArray[np.float32]


@dataclass(frozen=True)
class DraftActivities(ArrayRows):
    """Activities of a block before they are truncated and sorted: row within the block, kind, time."""

    lead: IntArray
    kind: npt.NDArray[np.int8]
    time: IntArray


def first_kind(rng: np.random.Generator, traits: Traits) -> IntArray:
    """The kind of the activity that created each lead; leads with more intent request more."""
    table = np.array([[CODE[kind] for kind in COMPANY["first"][name]] for name in NAMES])
    keen = rng.random(len(traits)) < sigmoid(-0.9 + 0.8 * traits.intent)
    return table[traits.channel, keen.astype(np.int64)]


def draw_unsubscribed(rng: np.random.Generator, traits: Traits, fates: Fates) -> IntArray:
    """When each lead unsubscribed from mail; NEVER where it did not before the close or the snapshot."""
    count = len(traits)
    leaves = rng.random(count) < sigmoid(-2.3 - 0.5 * traits.intent + 0.5 * traits.giveaway)
    days = (90 * rng.standard_exponential(count)).astype(np.int64)
    time = on_day(traits.created, days, draw_daytime(rng, count))
    return np.where(leaves & (time <= last_moment(fates, AS_OF)), time, NEVER)


def draw_activities(
    seed: int, traits: Traits, fates: Fates, first: IntArray, unsubscribed: IntArray, a_lead: float
) -> DemoActivities:
    """All activities before the snapshot in order of time, about `a_lead` per lead."""
    volume = max(0.0, a_lead - ALWAYS) / TUNED_FOR
    parts = []
    # In blocks, so that memory holds the finished activities and not every step to them.
    for start in range(0, len(traits), BLOCK):
        rows = slice(start, start + BLOCK)
        block = LeadBlock(traits.take(rows), fates.take(rows), first[rows], unsubscribed[rows])
        rng = np.random.default_rng([seed, 1_000 + start])
        parts.append(block.draw_activities(rng, volume, start))
    activities = DemoActivities.concatenate(parts)
    return activities.take(np.argsort(activities.time, kind="stable"))


@dataclass(frozen=True)
class LeadBlock:
    """Leads that are simulated together."""

    traits: Traits
    fates: Fates
    first: IntArray
    unsubscribed: IntArray

    def draw_activities(self, rng: np.random.Generator, volume: float, offset: int) -> DemoActivities:
        """The activities of these leads; `offset` is the row of the first lead."""
        visible = self._truncate(
            [self._first_activities(rng), *(self._draw_habit(rng, one, volume) for one in HABITS)]
        )
        parts = [visible, _occurrences("call", self.fates.contacted)]
        for sequel in SEQUELS:
            parts.append(self._truncate([self._draw_sequel(rng, sequel, parts)]))
        parts.append(_occurrences("unsubscribed", self.unsubscribed))
        drafts = DraftActivities.concatenate(parts)
        value = _draw_values(rng, drafts.kind, self.traits.intent[drafts.lead])
        return DemoActivities((drafts.lead + offset).astype(np.int32), drafts.kind, drafts.time, value)

    def _first_activities(self, rng: np.random.Generator) -> DraftActivities:
        time = self.traits.created - rng.integers(60, 601, len(self.traits))
        return DraftActivities(np.arange(len(self.traits)), self.first.astype(np.int8), time)

    def _draw_habit(self, rng: np.random.Generator, habit: Habit, volume: float) -> DraftActivities:
        lead = np.repeat(np.arange(len(self.traits)), rng.poisson(self._expected_counts(habit, volume)))
        days = self._draw_ages(rng, habit, lead)
        if habit.kind == "call":
            time = on_day(self.fates.contacted[lead], days, draw_working_time(rng, len(lead)))
        else:
            time = on_day(self.traits.created[lead], days, self._draw_hours(rng, habit, lead))
        return _draft(lead, habit.kind, time)

    def _expected_counts(self, habit: Habit, volume: float) -> FloatArray:
        one_volume = habit.count * np.exp(self.traits.log_rate(habit.slopes))
        rate = np.minimum(one_volume, MOST_A_LEAD) * volume
        return np.asarray(rate * self.traits.worked if habit.kind == "call" else rate)

    def _draw_ages(self, rng: np.random.Generator, habit: Habit, lead: IntArray) -> IntArray:
        mean, shape = habit.mean_days, habit.shape
        if not habit.ripens:
            return (rng.standard_gamma(shape, len(lead)) * (mean / shape)).astype(np.int64)
        later = shape * (1 + sigmoid(1.5 * self.traits.intent))[lead]
        personal_mean = mean * np.exp(0.35 * self.traits.pace - 0.1 * self.traits.intent)[lead]
        return (rng.standard_gamma(later) * personal_mean / later).astype(np.int64)

    def _draw_hours(self, rng: np.random.Generator, habit: Habit, lead: IntArray) -> IntArray:
        """Draw times of day; mail gateways open and scan within seconds of the mail, sent at 10:00."""
        hours = draw_daytime(rng, len(lead))
        if "mail_bot" not in habit.slopes:
            return hours
        scan = 10 * 3_600 + rng.integers(1, 9, len(lead))
        return np.where(self.traits.mail_bot[lead], scan, hours)

    def _draw_sequel(
        self, rng: np.random.Generator, sequel: Sequel, parts: list[DraftActivities]
    ) -> DraftActivities:
        earlier = DraftActivities.concatenate(parts)
        parents = earlier.take(earlier.kind == CODE[sequel.parent])
        parents = parents.take(
            np.repeat(np.arange(len(parents)), self._draw_repeats(rng, sequel, parents.lead))
        )
        lead, time = parents.lead, np.maximum(parents.time, self.traits.created[parents.lead])
        if sequel.within_seconds:
            return _draft(lead, sequel.kind, self._add_short_delay(rng, sequel, lead, time))
        days = (sequel.mean_days * rng.standard_exponential(len(time))).astype(np.int64)
        return _draft(lead, sequel.kind, on_day(time, days, draw_daytime(rng, len(time))))

    def _draw_repeats(self, rng: np.random.Generator, sequel: Sequel, lead: IntArray) -> IntArray:
        mean = sequel.count * np.exp(self.traits.log_rate(sequel.slopes))
        if sequel.kind == "mail_click":
            mean = np.where(self.traits.mail_bot, 0.97, mean)
        if sequel.at_most_once:
            return np.asarray(rng.random(len(lead)) < mean[lead], dtype=np.int64)
        return np.asarray(rng.poisson(np.minimum(mean, MOST_A_LEAD)[lead]))

    def _add_short_delay(
        self, rng: np.random.Generator, sequel: Sequel, lead: IntArray, time: IntArray
    ) -> IntArray:
        delay = rng.integers(5, sequel.within_seconds, len(lead))
        bot: BoolArray = self.traits.mail_bot[lead] & (sequel.parent == "mail_open")
        return time + np.where(bot, 1 + delay % 4, delay)

    def _truncate(self, parts: list[DraftActivities]) -> DraftActivities:
        """Drop activities after the close, after the snapshot, or (mail) after the unsubscription."""
        drafts = DraftActivities.concatenate(parts)
        last = last_moment(self.fates, AS_OF)[drafts.lead]
        last = np.where(np.isin(drafts.kind, MAIL), np.minimum(last, self.unsubscribed[drafts.lead]), last)
        return drafts.take(drafts.time <= last)


def _occurrences(kind: str, time: IntArray) -> DraftActivities:
    """One activity of this kind for each lead for which it happened before the snapshot."""
    lead = np.flatnonzero(time < AS_OF)
    return _draft(lead, kind, time[lead])


def _draft(lead: IntArray, kind: str, time: IntArray) -> DraftActivities:
    return DraftActivities(lead, np.full(len(lead), CODE[kind], dtype=np.int8), time)


def _draw_values(
    rng: np.random.Generator, kind: npt.NDArray[np.int8], intent: FloatArray
) -> npt.NDArray[np.float32]:
    """Values drawn log-normally around the median of the kind, slightly larger with intent."""
    typical = [COMPANY["values"].get(one, (np.nan, 0.0, np.nan)) for one in KINDS]
    middle, spread, maximum = np.array(typical).T
    noise = rng.standard_normal(len(kind), dtype=np.float32)
    value = middle[kind] * np.exp(spread[kind] * (noise + 0.3 * intent))
    return np.asarray(np.round(np.minimum(value, maximum[kind]), 1), dtype=np.float32)
