"""Draws the companies of the demo: their fit, their size and what the CRM records about them."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from demo.clock import AS_OF, DAY, START, BoolArray, FloatArray, IntArray, day_start
from demo.columns import ArrayRows, draw_codes
from demo.company import COMPANY

LEADS_A_COMPANY = 24_000 / 9_000
MOST_LEADS = 10
INDUSTRIES, PREFECTURES = tuple(COMPANY["industries"]), tuple(COMPANY["prefectures"])
GOOD_FIT, POOR_FIT = zip(*COMPANY["industries"].values(), strict=True)
PREFECTURE_SHARES = tuple(COMPANY["prefectures"].values())
GIVEAWAY_STARTS = day_start(2026, 2, 2)
GIVEAWAY_DAYS = 75


@dataclass(frozen=True)
class Accounts(ArrayRows):
    """Arrays with one entry per company. `fit` and `need` are hidden traits with mean 0 and deviation 1."""

    fit: FloatArray
    need: FloatArray
    log_employees: FloatArray
    employees_known: BoolArray
    industry: IntArray
    prefecture: IntArray
    competitor: BoolArray
    mail_bot: BoolArray
    giveaway: BoolArray
    since: IntArray


def draw_accounts(rng: np.random.Generator, leads: int) -> Accounts:
    """The companies of `leads` leads, about 2.7 leads each."""
    count = max(1, round(leads / LEADS_A_COMPANY))
    giveaway = rng.random(count) < 0.05
    fit = rng.standard_normal(count) - 1.0 * giveaway
    return Accounts(
        fit=fit,
        need=rng.standard_normal(count),
        log_employees=np.clip(4.3 + 0.7 * fit + 1.1 * rng.standard_normal(count), 1.0, 11.0),
        employees_known=rng.random(count) >= 0.12,
        industry=_industry(rng, fit),
        prefecture=np.where(rng.random(count) < 0.03, -1, draw_codes(rng, PREFECTURE_SHARES, count)),
        competitor=rng.random(count) < 0.02,
        mail_bot=rng.random(count) < 0.06,
        giveaway=giveaway,
        since=_since(rng, giveaway),
    )


def _industry(rng: np.random.Generator, fit: FloatArray) -> IntArray:
    suited = rng.random(len(fit)) < 1 / (1 + np.exp(-1.3 * fit))
    good, poor = draw_codes(rng, GOOD_FIT, len(fit)), draw_codes(rng, POOR_FIT, len(fit))
    return np.where(suited, good, poor)


def _since(rng: np.random.Generator, giveaway: BoolArray) -> IntArray:
    """The earliest second of each company's first lead; arrivals become slightly more frequent over time."""
    usual = START + DAY // 24 + (AS_OF - START - DAY) * rng.random(len(giveaway)) ** 0.8
    campaign = GIVEAWAY_STARTS + GIVEAWAY_DAYS * DAY * rng.random(len(giveaway))
    return np.where(giveaway, campaign, usual).astype(np.int64)


def draw_members(rng: np.random.Generator, accounts: int, leads: int) -> IntArray:
    """The company of each lead: every company has one lead, the others are spread unevenly, at most ten."""
    sizes = np.minimum(np.ones(accounts, dtype=np.int64), leads)
    appeal = rng.gamma(0.9, size=accounts)
    missing = leads - int(sizes.sum())
    while missing > 0:
        room = appeal * (sizes < MOST_LEADS)
        sizes += rng.multinomial(missing, room / room.sum())
        sizes = np.minimum(sizes, MOST_LEADS)
        missing = leads - int(sizes.sum())
    return np.repeat(np.arange(accounts), sizes)


def employees(accounts: Accounts) -> pa.Array:
    """The number of employees; missing for about one company in eight."""
    heads = np.rint(np.exp(accounts.log_employees)).astype(np.int64)
    return pa.array(heads, mask=~accounts.employees_known)
