"""Draws the traits of the leads, fixed at creation; all later events follow from traits and age."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from demo.accounts import Accounts, draw_members
from demo.channels import channel_intent, draw_channel
from demo.clock import (
    AS_OF,
    DAY,
    HOUR,
    START,
    BoolArray,
    FloatArray,
    IntArray,
    draw_daytime,
    move_before_weekend,
)
from demo.columns import ArrayRows

LARGE = 100  # employees
USUAL_HOURS = 2.5  # until the first contact


@dataclass(frozen=True)
class Traits(ArrayRows):
    """Arrays with one entry per lead in order of creation; all but created, account and channel are hidden.

    `contact_hours` are the hours until the first contact by inside sales (only where `worked`);
    `pace` is the slowness of the decision (0 is average, positive is slower).
    """

    account: IntArray
    created: IntArray
    channel: IntArray
    giveaway: BoolArray
    fit: FloatArray
    intent: FloatArray
    pace: FloatArray
    habit: FloatArray
    large: BoolArray
    decider: BoolArray
    funded: BoolArray
    evaluating: BoolArray
    competitor: BoolArray
    student: BoolArray
    mail_bot: BoolArray
    opportunity: BoolArray
    worked: BoolArray
    contact_hours: FloatArray

    @property
    def outsider(self) -> BoolArray:
        """Whether the lead is a competitor or a student: they browse often and never buy."""
        return self.competitor | self.student

    def log_rate(self, slopes: Mapping[str, float]) -> FloatArray:
        """The sum of the traits of these names, each times its slope."""
        return np.asarray(sum(slope * getattr(self, name) for name, slope in slopes.items()))


def sigmoid(log_odds: FloatArray) -> FloatArray:
    """The probability of these log-odds."""
    return np.asarray(1 / (1 + np.exp(-log_odds)))


def draw_traits(rng: np.random.Generator, accounts: Accounts, leads: int) -> Traits:
    """The traits of the leads of all companies, oldest lead first."""
    account, created = _draw_arrivals(rng, accounts, leads)
    giveaway = accounts.giveaway[account]
    channel = draw_channel(rng, created, giveaway)
    student = rng.random(leads) < np.where(giveaway, 0.14, 0.025)
    fit = 0.8 * accounts.fit[account] + 0.5 * rng.standard_normal(leads) - 1.2 * student
    intent = 0.45 * accounts.need[account] + 0.8 * rng.standard_normal(leads)
    intent = intent + channel_intent(channel, giveaway)
    worked = rng.random(leads) < sigmoid(2.0 + 0.5 * fit + 0.35 * intent - 1.2 * student)
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
        decider=(rng.random(leads) < sigmoid(-1.0 + 0.9 * fit)) & ~student,
        funded=(rng.random(leads) < sigmoid(-0.9 + 0.9 * intent + 0.3 * fit)) & ~student,
        evaluating=rng.random(leads) < sigmoid(-0.8 + 1.2 * intent),
        competitor=accounts.competitor[account],
        student=student,
        mail_bot=accounts.mail_bot[account],
        opportunity=_draw_opportunity(rng, fit, intent, student | accounts.competitor[account]),
        worked=worked,
        contact_hours=_draw_contact_hours(rng, intent),
    )


def _draw_arrivals(rng: np.random.Generator, accounts: Accounts, leads: int) -> tuple[IntArray, IntArray]:
    """Company and time of each lead: the company's first lead, then its colleagues over some months."""
    account = draw_members(rng, len(accounts), leads)
    created = accounts.since[account] + _draw_delay(rng, accounts.giveaway[account], account)
    # What would fall behind the snapshot comes early instead, so that no month is crowded.
    created = np.where(created < AS_OF, created, created - AS_OF + START + DAY)
    created = _move_to_daytime(rng, created)
    order = np.argsort(created, kind="stable")
    return account[order], created[order]


def _draw_delay(rng: np.random.Generator, giveaway: BoolArray, account: IntArray) -> IntArray:
    """Seconds since the company's first lead; leads of a campaign arrive close together."""
    days = np.where(giveaway, 12.0, 70.0) * rng.standard_exponential(len(account))
    days[np.diff(account, prepend=-1) > 0] = 0
    return np.asarray(np.where(giveaway, np.minimum(days, 60), days % 500) * DAY, dtype=np.int64)


def _move_to_daytime(rng: np.random.Generator, time: IntArray) -> IntArray:
    created = time - time % DAY + draw_daytime(rng, len(time))
    created = np.maximum(created, START + HOUR)  # its first activity lies a little before
    weekday = np.where(rng.random(len(time)) < 0.75, move_before_weekend(created), created)
    return np.where(weekday < AS_OF, weekday, time)


def _draw_opportunity(
    rng: np.random.Generator, fit: FloatArray, intent: FloatArray, outsider: BoolArray
) -> BoolArray:
    """Whether sales will open a deal for the lead before the outcome is decided."""
    probability = sigmoid(0.2 + 0.9 * intent + 0.5 * fit - 3.0 * outsider)
    return np.asarray(rng.random(len(fit)) < probability)


def _draw_contact_hours(rng: np.random.Generator, intent: FloatArray) -> FloatArray:
    return np.asarray(USUAL_HOURS * np.exp(-0.25 * intent + 1.2 * rng.standard_normal(len(intent))))
