"""Simulates the activities of the leads from their traits and age alone, none after the close."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from demo.channels import NAMES
from demo.clock import AS_OF, NEVER, BoolArray, FloatArray, IntArray, draw_daytime, draw_working_time, on_day
from demo.fates import Fates, last_moment
from demo.habits import CODE, HABITS, KINDS, SEQUELS, TYPICAL_VALUE, Habit, Sequel
from demo.traits import Traits, sigmoid

BLOCK = 100_000
ALWAYS = 2.55  # activities per lead: the first, its sequels, the first contact
TUNED_FOR = 11.85  # activities per lead that HABITS and their sequels add up to
MOST_A_LEAD = 80.0
FIRST = {
    "content": ("white_paper", "material_request"),
    "webinar": ("webinar_registered", "webinar_registered"),
    "search_ads": ("material_request", "trial_started"),
    "social_ads": ("newsletter_signup", "white_paper"),
    "trade_fair": ("trade_fair_visit", "material_request"),
    "referral": ("inquiry", "meeting_request"),
}
MAIL = (CODE["mail_open"], CODE["mail_click"])


@dataclass(frozen=True)
class DemoActivities:
    """Arrays with one entry per activity: row of the lead, code of the kind, time, value (NaN: none)."""

    lead: npt.NDArray[np.int32]
    kind: npt.NDArray[np.int8]
    time: IntArray
    value: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.lead)


@dataclass(frozen=True)
class DraftActivities:
    """Activities of a block before they are truncated and sorted: row within the block, kind, time."""

    lead: IntArray
    kind: npt.NDArray[np.int8]
    time: IntArray


def first_kind(rng: np.random.Generator, traits: Traits) -> IntArray:
    """The kind of the activity that created each lead; leads with more intent request more."""
    table = np.array([[CODE[kind] for kind in FIRST[name]] for name in NAMES])
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
        block = LeadBlock(traits.block(rows), fates.block(rows), first[rows], unsubscribed[rows])
        rng = np.random.default_rng([seed, 1_000 + start])
        parts.append(block.draw_activities(rng, volume, start))
    return _merge_by_time(parts)


def _merge_by_time(parts: list[DemoActivities]) -> DemoActivities:
    order = np.argsort(np.concatenate([part.time for part in parts]), kind="stable")
    return DemoActivities(
        lead=np.concatenate([part.lead for part in parts])[order],
        kind=np.concatenate([part.kind for part in parts])[order],
        time=np.concatenate([part.time for part in parts])[order],
        value=np.concatenate([part.value for part in parts])[order],
    )


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
        parts = [visible, self._contact_calls()]
        for sequel in SEQUELS:
            parts.append(self._truncate([self._draw_sequel(rng, sequel, parts)]))
        parts.append(self._unsubscriptions())
        lead, kind, time = _concatenate(parts)
        value = _draw_values(rng, kind, self.traits.intent[lead])
        return DemoActivities((lead + offset).astype(np.int32), kind, time, value)

    def _first_activities(self, rng: np.random.Generator) -> DraftActivities:
        time = self.traits.created - rng.integers(60, 601, len(self.traits))
        return DraftActivities(np.arange(len(self.traits)), self.first.astype(np.int8), time)

    def _contact_calls(self) -> DraftActivities:
        return _draft(np.flatnonzero(self.fates.contacted < AS_OF), "call", self.fates.contacted)

    def _unsubscriptions(self) -> DraftActivities:
        return _draft(np.flatnonzero(self.unsubscribed < AS_OF), "unsubscribed", self.unsubscribed)

    def _draw_habit(self, rng: np.random.Generator, habit: Habit, volume: float) -> DraftActivities:
        lead = np.repeat(np.arange(len(self.traits)), rng.poisson(self._expected_counts(habit, volume)))
        days = self._draw_ages(rng, habit, lead)
        if habit.kind == "call":
            time = on_day(self.fates.contacted[lead], days, draw_working_time(rng, len(lead)))
        else:
            time = on_day(self.traits.created[lead], days, self._draw_hours(rng, habit, lead))
        return DraftActivities(lead, np.full(len(lead), CODE[habit.kind], dtype=np.int8), time)

    def _expected_counts(self, habit: Habit, volume: float) -> FloatArray:
        traits = self.traits
        log_rate = (
            habit.intent * traits.intent
            + habit.fit * traits.fit
            + habit.idle * traits.habit
            + habit.funded * traits.funded
            + habit.evaluating * traits.evaluating
            + habit.outsider * traits.outsider
            + habit.mail_bot * traits.mail_bot
        )
        rate = np.minimum(habit.count * np.exp(log_rate), MOST_A_LEAD) * volume
        return np.asarray(rate * traits.worked if habit.kind == "call" else rate)

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
        if not habit.mail_bot:
            return hours
        scan = 10 * 3_600 + rng.integers(1, 9, len(lead))
        return np.where(self.traits.mail_bot[lead], scan, hours)

    def _draw_sequel(
        self, rng: np.random.Generator, sequel: Sequel, parts: list[DraftActivities]
    ) -> DraftActivities:
        code = CODE[sequel.parent]
        lead = np.concatenate([part.lead[part.kind == code] for part in parts])
        time = np.concatenate([part.time[part.kind == code] for part in parts])
        time = np.maximum(time, self.traits.created[lead])
        repeats = self._draw_repeats(rng, sequel, lead)
        lead, time = np.repeat(lead, repeats), np.repeat(time, repeats)
        time = (
            self._add_short_delay(rng, sequel, lead, time)
            if sequel.within_seconds
            else (on_day(time, _draw_days(rng, sequel, len(time)), draw_daytime(rng, len(time))))
        )
        return DraftActivities(lead, np.full(len(lead), CODE[sequel.kind], dtype=np.int8), time)

    def _draw_repeats(self, rng: np.random.Generator, sequel: Sequel, lead: IntArray) -> IntArray:
        traits = self.traits
        mean = sequel.count * np.exp(
            sequel.intent * traits.intent
            + sequel.funded * traits.funded
            + sequel.evaluating * traits.evaluating
            + sequel.outsider * traits.outsider
        )
        if sequel.kind == "mail_click":
            mean = np.where(traits.mail_bot, 0.97, mean)
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
        lead, kind, time = _concatenate(parts)
        last = last_moment(self.fates, AS_OF)[lead]
        last = np.where(np.isin(kind, MAIL), np.minimum(last, self.unsubscribed[lead]), last)
        keep = time <= last
        return DraftActivities(lead[keep], kind[keep], time[keep])


def _draft(lead: IntArray, kind: str, time: IntArray) -> DraftActivities:
    return DraftActivities(lead, np.full(len(lead), CODE[kind], dtype=np.int8), time[lead])


def _concatenate(parts: list[DraftActivities]) -> tuple[IntArray, npt.NDArray[np.int8], IntArray]:
    return (
        np.concatenate([part.lead for part in parts]),
        np.concatenate([part.kind for part in parts]),
        np.concatenate([part.time for part in parts]),
    )


def _draw_days(rng: np.random.Generator, sequel: Sequel, count: int) -> IntArray:
    return (sequel.mean_days * rng.standard_exponential(count)).astype(np.int64)


def _draw_values(
    rng: np.random.Generator, kind: npt.NDArray[np.int8], intent: FloatArray
) -> npt.NDArray[np.float32]:
    """Values drawn log-normally around the median of the kind, slightly larger with intent."""
    typical = [TYPICAL_VALUE.get(one, (np.nan, 0.0, np.nan)) for one in KINDS]
    middle, spread, maximum = np.array(typical).T
    noise = rng.standard_normal(len(kind), dtype=np.float32)
    value = middle[kind] * np.exp(spread[kind] * (noise + 0.3 * intent))
    return np.asarray(np.round(np.minimum(value, maximum[kind]), 1), dtype=np.float32)
