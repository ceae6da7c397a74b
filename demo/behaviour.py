"""Every activity of the leads: from traits and age alone, and none after the close."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from demo.channels import NAMES
from demo.clock import AS_OF, NEVER, Flags, Floats, Ints, daytime, on_day, working_time
from demo.fates import Fates, last_moment
from demo.habits import CODE, HABITS, KINDS, SEQUELS, TYPICAL_VALUE, Habit, Sequel
from demo.traits import Traits, chance

BLOCK: Final = 100_000
ALWAYS: Final = 2.55  # activities a lead: the first, what follows it, the first contact
TUNED_FOR: Final = 11.85  # activities a lead that HABITS and what follows them add up to
MOST_A_LEAD: Final = 80.0
FIRST: Final = {
    "content": ("white_paper", "material_request"),
    "webinar": ("webinar_registered", "webinar_registered"),
    "search_ads": ("material_request", "trial_started"),
    "social_ads": ("newsletter_signup", "white_paper"),
    "trade_fair": ("trade_fair_visit", "material_request"),
    "referral": ("inquiry", "meeting_request"),
}
MAIL: Final = (CODE["mail_open"], CODE["mail_click"])


@dataclass(frozen=True)
class Activities:
    """One entry an activity: row of the lead, code of the kind, time, value (NaN for none)."""

    lead: npt.NDArray[np.int32]
    kind: npt.NDArray[np.int8]
    at: Ints
    value: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.lead)


@dataclass(frozen=True)
class Moves:
    """Activities in the making: row within the block, kind, time."""

    lead: Ints
    kind: npt.NDArray[np.int8]
    at: Ints


def first_kind(rng: np.random.Generator, traits: Traits) -> Ints:
    """The kind of the activity that created each lead; keener leads ask for more."""
    table = np.array([[CODE[kind] for kind in FIRST[name]] for name in NAMES])
    keen = rng.random(len(traits)) < chance(-0.9 + 0.8 * traits.intent)
    return table[traits.channel, keen.astype(np.int64)]


def draw_unsubscribed(rng: np.random.Generator, traits: Traits, fates: Fates) -> Ints:
    """When each lead unsubscribed from mail; NEVER where not seen by the close or snapshot."""
    count = len(traits)
    leaves = rng.random(count) < chance(-2.3 - 0.5 * traits.intent + 0.5 * traits.giveaway)
    days = (90 * rng.standard_exponential(count)).astype(np.int64)
    at = on_day(traits.created, days, daytime(rng, count))
    return np.where(leaves & (at <= last_moment(fates, AS_OF)), at, NEVER)


def draw_activities(
    seed: int, traits: Traits, fates: Fates, first: Ints, unsubscribed: Ints, a_lead: float
) -> Activities:
    """All activities before the snapshot, in order of time; about `a_lead` a lead."""
    volume = max(0.0, a_lead - ALWAYS) / TUNED_FOR
    parts = []
    # In blocks, so that memory holds the finished activities and not every step to them.
    for start in range(0, len(traits), BLOCK):
        rows = slice(start, start + BLOCK)
        block = Block(traits.block(rows), fates.block(rows), first[rows], unsubscribed[rows])
        rng = np.random.default_rng([seed, 1_000 + start])
        parts.append(block.activities(rng, volume, start))
    return _in_order(parts)


def _in_order(parts: list[Activities]) -> Activities:
    order = np.argsort(np.concatenate([part.at for part in parts]), kind="stable")
    return Activities(
        lead=np.concatenate([part.lead for part in parts])[order],
        kind=np.concatenate([part.kind for part in parts])[order],
        at=np.concatenate([part.at for part in parts])[order],
        value=np.concatenate([part.value for part in parts])[order],
    )


@dataclass(frozen=True)
class Block:
    """Some of the leads, simulated together."""

    traits: Traits
    fates: Fates
    first: Ints
    unsubscribed: Ints

    def activities(self, rng: np.random.Generator, volume: float, offset: int) -> Activities:
        """What these leads did; `offset` is the row of the first of them."""
        seen = self._seen([self._first(rng), *(self._own(rng, one, volume) for one in HABITS)])
        parts = [seen, self._contact()]
        for sequel in SEQUELS:
            parts.append(self._seen([self._after(rng, sequel, parts)]))
        parts.append(self._leaving())
        lead, kind, at = _joined(parts)
        value = _values(rng, kind, self.traits.intent[lead])
        return Activities((lead + offset).astype(np.int32), kind, at, value)

    def _first(self, rng: np.random.Generator) -> Moves:
        at = self.traits.created - rng.integers(60, 601, len(self.traits))
        return Moves(np.arange(len(self.traits)), self.first.astype(np.int8), at)

    def _contact(self) -> Moves:
        return _moves(np.flatnonzero(self.fates.contacted < AS_OF), "call", self.fates.contacted)

    def _leaving(self) -> Moves:
        return _moves(np.flatnonzero(self.unsubscribed < AS_OF), "unsubscribed", self.unsubscribed)

    def _own(self, rng: np.random.Generator, habit: Habit, volume: float) -> Moves:
        lead = np.repeat(np.arange(len(self.traits)), rng.poisson(self._rate(habit, volume)))
        days = self._ages(rng, habit, lead)
        if habit.kind == "call":
            at = on_day(self.fates.contacted[lead], days, working_time(rng, len(lead)))
        else:
            at = on_day(self.traits.created[lead], days, self._hours(rng, habit, lead))
        return Moves(lead, np.full(len(lead), CODE[habit.kind], dtype=np.int8), at)

    def _rate(self, habit: Habit, volume: float) -> Floats:
        who = self.traits
        log_rate = (
            habit.intent * who.intent
            + habit.fit * who.fit
            + habit.idle * who.habit
            + habit.funded * who.funded
            + habit.evaluating * who.evaluating
            + habit.outsider * who.outsider
            + habit.mail_bot * who.mail_bot
        )
        rate = np.minimum(habit.count * np.exp(log_rate), MOST_A_LEAD) * volume
        return np.asarray(rate * who.worked if habit.kind == "call" else rate)

    def _ages(self, rng: np.random.Generator, habit: Habit, lead: Ints) -> Ints:
        mean, shape = habit.mean_days, habit.shape
        if not habit.ripens:
            return (rng.standard_gamma(shape, len(lead)) * (mean / shape)).astype(np.int64)
        later = shape * (1 + chance(1.5 * self.traits.intent))[lead]
        own = mean * np.exp(0.35 * self.traits.pace - 0.1 * self.traits.intent)[lead]
        return (rng.standard_gamma(later) * own / later).astype(np.int64)

    def _hours(self, rng: np.random.Generator, habit: Habit, lead: Ints) -> Ints:
        """Mail gateways open and scan within seconds of the mail, which leaves at 10:00."""
        hours = daytime(rng, len(lead))
        if not habit.mail_bot:
            return hours
        scan = 10 * 3_600 + rng.integers(1, 9, len(lead))
        return np.where(self.traits.mail_bot[lead], scan, hours)

    def _after(self, rng: np.random.Generator, sequel: Sequel, parts: list[Moves]) -> Moves:
        code = CODE[sequel.parent]
        lead = np.concatenate([part.lead[part.kind == code] for part in parts])
        at = np.concatenate([part.at[part.kind == code] for part in parts])
        at = np.maximum(at, self.traits.created[lead])
        times = self._follows(rng, sequel, lead)
        lead, at = np.repeat(lead, times), np.repeat(at, times)
        at = (
            self._soon(rng, sequel, lead, at)
            if sequel.within_seconds
            else (on_day(at, _days(rng, sequel, len(at)), daytime(rng, len(at))))
        )
        return Moves(lead, np.full(len(lead), CODE[sequel.kind], dtype=np.int8), at)

    def _follows(self, rng: np.random.Generator, sequel: Sequel, lead: Ints) -> Ints:
        who = self.traits
        mean = sequel.count * np.exp(
            sequel.intent * who.intent
            + sequel.funded * who.funded
            + sequel.evaluating * who.evaluating
            + sequel.outsider * who.outsider
        )
        if sequel.kind == "mail_click":
            mean = np.where(who.mail_bot, 0.97, mean)
        if sequel.once:
            return np.asarray(rng.random(len(lead)) < mean[lead], dtype=np.int64)
        return np.asarray(rng.poisson(np.minimum(mean, MOST_A_LEAD)[lead]))

    def _soon(self, rng: np.random.Generator, sequel: Sequel, lead: Ints, at: Ints) -> Ints:
        delay = rng.integers(5, sequel.within_seconds, len(lead))
        bot: Flags = self.traits.mail_bot[lead] & (sequel.parent == "mail_open")
        return at + np.where(bot, 1 + delay % 4, delay)

    def _seen(self, parts: list[Moves]) -> Moves:
        """Without what lies after the close, the snapshot, or (mail) the unsubscription."""
        lead, kind, at = _joined(parts)
        last = last_moment(self.fates, AS_OF)[lead]
        last = np.where(np.isin(kind, MAIL), np.minimum(last, self.unsubscribed[lead]), last)
        keep = at <= last
        return Moves(lead[keep], kind[keep], at[keep])


def _moves(lead: Ints, kind: str, at: Ints) -> Moves:
    return Moves(lead, np.full(len(lead), CODE[kind], dtype=np.int8), at[lead])


def _joined(parts: list[Moves]) -> tuple[Ints, npt.NDArray[np.int8], Ints]:
    return (
        np.concatenate([part.lead for part in parts]),
        np.concatenate([part.kind for part in parts]),
        np.concatenate([part.at for part in parts]),
    )


def _days(rng: np.random.Generator, sequel: Sequel, count: int) -> Ints:
    return (sequel.mean_days * rng.standard_exponential(count)).astype(np.int64)


def _values(rng: np.random.Generator, kind: npt.NDArray[np.int8], intent: Floats) -> npt.NDArray[np.float32]:
    """Log-normal about the kind's typical value, a little larger with intent."""
    typical = [TYPICAL_VALUE.get(one, (np.nan, 0.0, np.nan)) for one in KINDS]
    middle, spread, most = np.array(typical).T
    noise = rng.standard_normal(len(kind), dtype=np.float32)
    value = middle[kind] * np.exp(spread[kind] * (noise + 0.3 * intent))
    return np.asarray(np.round(np.minimum(value, most[kind]), 1), dtype=np.float32)
