"""The true probabilities of won, lost and never closed, the fates drawn from them, and the truth table."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.special import ndtr

from demo.clock import HOUR, NEVER, FloatArray, IntArray, draw_working_time, next_office_time, on_day
from demo.columns import ArrayRows
from demo.traits import USUAL_HOURS, Traits, sigmoid

OPEN, WON, LOST = 0, 1, 2
WON_DAYS = 40.0
LOST_DAYS = 45.0
WON_SIGMA = 0.65
LOST_SIGMA = 0.75


@dataclass(frozen=True)
class Chances:
    """Per lead: the probabilities of the fates (the rest never closes) and log-normal delays.

    `won_log_days` and `lost_log_days` are the logarithms of the median days to the close.
    """

    won: FloatArray
    lost: FloatArray
    won_log_days: FloatArray
    lost_log_days: FloatArray


@dataclass(frozen=True)
class Fates(ArrayRows):
    """Arrays with one entry per lead: its outcome and the times of its steps (NEVER: did not happen)."""

    fate: IntArray
    closed: IntArray
    contacted: IntArray
    opened: IntArray


def compute_chances(traits: Traits) -> Chances:
    """The true probabilities of each lead, from its traits alone."""
    won = traits.worked * sigmoid(_log_odds_won(traits))
    lost = traits.worked * (1 - won) * sigmoid(_log_odds_lost(traits))
    return Chances(
        won=won,
        lost=lost,
        won_log_days=np.log(WON_DAYS) + 0.35 * traits.pace - 0.1 * traits.intent,
        lost_log_days=np.log(LOST_DAYS) + 0.25 * traits.pace,
    )


def _log_odds_won(traits: Traits) -> FloatArray:
    slow = np.log(traits.contact_hours / USUAL_HOURS)
    return np.asarray(
        -3.34
        + 0.55 * traits.intent
        + 0.4 * traits.fit
        + 0.6 * traits.opportunity
        - 0.1 * slow
        + 0.2 * traits.funded
        + 0.15 * traits.decider
        + 1.0 * (traits.funded & traits.decider)
        + 0.3 * traits.evaluating
        + 0.9 * (traits.evaluating & traits.large)
        - 4.0 * traits.student
        - 3.0 * traits.competitor
    )


def _log_odds_lost(traits: Traits) -> FloatArray:
    """The log-odds of a close as lost for a lead that is not won; higher where sales sees a deal."""
    return np.asarray(-1.75 + 2.65 * traits.opportunity - 0.15 * traits.fit)


def draw_fates(rng: np.random.Generator, traits: Traits, true: Chances) -> Fates:
    """Draw the close of each lead and, before it, the first contact and the opening of the deal."""
    count = len(traits)
    drawn = rng.random(count)
    fate = np.where(drawn < true.won, WON, np.where(drawn < true.won + true.lost, LOST, OPEN))
    closed = _draw_closed(rng, traits, true, fate)
    contacted = np.minimum(_draw_contacted(rng, traits), closed)
    opened = np.minimum(_draw_opened(rng, traits, contacted), closed)
    return Fates(fate, closed, contacted, opened)


def _draw_closed(rng: np.random.Generator, traits: Traits, true: Chances, fate: IntArray) -> IntArray:
    """Closing times in office hours of the drawn day of age, so that the truth is exact at whole days."""
    won = fate == WON
    middle = np.where(won, true.won_log_days, true.lost_log_days)
    spread = np.where(won, WON_SIGMA, LOST_SIGMA)
    days = np.ceil(np.exp(middle + spread * rng.standard_normal(len(fate)))).astype(np.int64)
    closed = on_day(traits.created, days - 1, draw_working_time(rng, len(fate)))
    return np.where(fate == OPEN, NEVER, closed)


def _draw_contacted(rng: np.random.Generator, traits: Traits) -> IntArray:
    earliest = traits.created + 60 + (traits.contact_hours * HOUR).astype(np.int64)
    contacted = next_office_time(earliest, rng.integers(0, 2 * HOUR, len(traits)))
    return np.where(traits.worked, contacted, NEVER)


def _draw_opened(rng: np.random.Generator, traits: Traits, contacted: IntArray) -> IntArray:
    """When the deal is opened. It depends on the traits, not on the outcome."""
    count = len(traits)
    days = (4.0 * np.exp(0.8 * rng.standard_normal(count))).astype(np.int64)
    opened = on_day(contacted, days, draw_working_time(rng, count))
    return np.where(traits.worked & traits.opportunity, opened, NEVER)


def truth_table(lead_ids: pa.Array, true: Chances) -> pa.Table:
    """What `true_probability` needs, one row per lead in the order of the leads table."""
    count = len(lead_ids)
    return pa.table(
        {
            "lead_id": lead_ids,
            "p_won": true.won,
            "p_lost": true.lost,
            "won_log_days": true.won_log_days,
            "won_sigma": np.full(count, WON_SIGMA),
            "lost_log_days": true.lost_log_days,
            "lost_sigma": np.full(count, LOST_SIGMA),
        }
    )


def true_probability(
    truth: pa.Table, lead_rows: npt.ArrayLike, age_days: float | FloatArray, horizon_days: float | FloatArray
) -> FloatArray:
    """The probability of a win within the horizon after this age, given the lead is open then.

    `lead_rows` are row numbers of `truth`; ages and horizons are in days, ages since `created_at`, a
    scalar or one per row. Exact at whole days: p_won (F_won(age + horizon) - F_won(age)) / open(age),
    where open(age) = p_won S_won(age) + p_lost S_lost(age) + 1 - p_won - p_lost.
    """
    one = {name: truth[name].to_numpy()[np.asarray(lead_rows)] for name in truth.column_names[1:]}
    until = np.asarray(age_days, dtype=np.float64) + horizon_days
    closed_won = _closed_by(age_days, one["won_log_days"], one["won_sigma"])
    closed_lost = _closed_by(age_days, one["lost_log_days"], one["lost_sigma"])
    later = _closed_by(until, one["won_log_days"], one["won_sigma"]) - closed_won
    still_open = 1 - one["p_won"] * closed_won - one["p_lost"] * closed_lost
    return np.asarray(one["p_won"] * later / still_open)


def _closed_by(age_days: float | FloatArray, log_days: FloatArray, sigma: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore"):
        standard: Any = (np.log(np.asarray(age_days, dtype=np.float64)) - log_days) / sigma
    return np.asarray(ndtr(standard))


def last_moment(fates: Fates, as_of: int) -> IntArray:
    """The last second at which the snapshot can contain an activity of each lead."""
    return np.minimum(fates.closed, as_of - 1)
