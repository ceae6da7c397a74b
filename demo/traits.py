"""What is true of a lead from the day it is created; everything later follows from this and age."""

from dataclasses import dataclass, fields
from typing import Final, Self

import numpy as np

from demo.accounts import Accounts, draw_members
from demo.channels import channel_intent, draw_channel
from demo.clock import AS_OF, DAY, HOUR, START, Flags, Floats, Ints, before_weekend, daytime

LARGE: Final = 100  # employees
USUAL_HOURS: Final = 2.5  # until the first contact


@dataclass(frozen=True)
class Traits:
    """One entry a lead, in order of creation; hidden but for created, account and channel.

    `contact_hours` is how long inside sales takes until the first contact (only where `worked`),
    `pace` how slowly the lead decides (0 is usual, positive is slower).
    """

    account: Ints
    created: Ints
    channel: Ints
    giveaway: Flags
    fit: Floats
    intent: Floats
    pace: Floats
    habit: Floats
    large: Flags
    decider: Flags
    funded: Flags
    evaluating: Flags
    competitor: Flags
    student: Flags
    mail_bot: Flags
    opportunity: Flags
    worked: Flags
    contact_hours: Floats

    def __len__(self) -> int:
        return len(self.account)

    def block(self, rows: slice) -> Self:
        """The leads of these rows."""
        return type(self)(**{one.name: getattr(self, one.name)[rows] for one in fields(self)})

    @property
    def outsider(self) -> Flags:
        """Competitors and students: they look around much and never buy."""
        return self.competitor | self.student


def chance(log_odds: Floats) -> Floats:
    """The probability of these log-odds."""
    return np.asarray(1 / (1 + np.exp(-log_odds)))


def draw_traits(rng: np.random.Generator, accounts: Accounts, leads: int) -> Traits:
    """The leads of all companies, oldest first."""
    account, created = _arrivals(rng, accounts, leads)
    giveaway = accounts.giveaway[account]
    channel = draw_channel(rng, created, giveaway)
    student = rng.random(leads) < np.where(giveaway, 0.14, 0.025)
    fit = 0.8 * accounts.fit[account] + 0.5 * rng.standard_normal(leads) - 1.2 * student
    intent = 0.45 * accounts.need[account] + 0.8 * rng.standard_normal(leads)
    intent = intent + channel_intent(channel, giveaway)
    worked = rng.random(leads) < chance(2.0 + 0.5 * fit + 0.35 * intent - 1.2 * student)
    return Traits(
        account,
        created,
        channel,
        giveaway,
        fit,
        intent,
        pace=rng.standard_normal(leads),
        habit=rng.standard_normal(leads),
        large=accounts.log_employees[account] >= np.log(LARGE),
        decider=(rng.random(leads) < chance(-1.0 + 0.9 * fit)) & ~student,
        funded=(rng.random(leads) < chance(-0.9 + 0.9 * intent + 0.3 * fit)) & ~student,
        evaluating=rng.random(leads) < chance(-0.8 + 1.2 * intent),
        competitor=accounts.competitor[account],
        student=student,
        mail_bot=accounts.mail_bot[account],
        opportunity=_opportunity(rng, fit, intent, student | accounts.competitor[account]),
        worked=worked,
        contact_hours=_contact_hours(rng, intent),
    )


def _arrivals(rng: np.random.Generator, accounts: Accounts, leads: int) -> tuple[Ints, Ints]:
    """Company and time of each lead: the company's first, then colleagues over some months."""
    account = draw_members(rng, len(accounts), leads)
    created = accounts.since[account] + _after_first(rng, accounts.giveaway[account], account)
    # What would fall behind the snapshot comes early instead, so that no month is crowded.
    created = np.where(created < AS_OF, created, created - AS_OF + START + DAY)
    created = _at_daytime(rng, created)
    order = np.argsort(created, kind="stable")
    return account[order], created[order]


def _after_first(rng: np.random.Generator, giveaway: Flags, account: Ints) -> Ints:
    """Seconds since the company's first lead; a campaign's leads come close together."""
    days = np.where(giveaway, 12.0, 70.0) * rng.standard_exponential(len(account))
    days[np.diff(account, prepend=-1) > 0] = 0
    return np.asarray(np.where(giveaway, np.minimum(days, 60), days % 500) * DAY, dtype=np.int64)


def _at_daytime(rng: np.random.Generator, at: Ints) -> Ints:
    created = at - at % DAY + daytime(rng, len(at))
    created = np.maximum(created, START + HOUR)  # its first activity lies a little before
    weekday = np.where(rng.random(len(at)) < 0.75, before_weekend(created), created)
    return np.where(weekday < AS_OF, weekday, at)


def _opportunity(rng: np.random.Generator, fit: Floats, intent: Floats, outsider: Flags) -> Flags:
    """Whether sales will see a deal in this lead before anything is decided."""
    seen = chance(0.2 + 0.9 * intent + 0.5 * fit - 3.0 * outsider)
    return np.asarray(rng.random(len(fit)) < seen)


def _contact_hours(rng: np.random.Generator, intent: Floats) -> Floats:
    return np.asarray(USUAL_HOURS * np.exp(-0.25 * intent + 1.2 * rng.standard_normal(len(intent))))
