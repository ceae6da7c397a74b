"""The six channels that leads come from, with their campaigns, keywords and costs."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from demo.clock import BoolArray, FloatArray, IntArray, month_index
from demo.columns import decode_labels, draw_codes
from demo.company import COMPANY

GIVEAWAY = "social_giveaway_2026"


@dataclass(frozen=True, kw_only=True)
class Channel:
    """A channel: its share of the leads, the purchase intent of its leads, and its cost in yen."""

    name: str
    share: float
    intent: float
    month_jpy: int
    lead_jpy: int
    campaigns: list[str]


CHANNELS = tuple(Channel(**row) for row in COMPANY["channels"])
NAMES = tuple(channel.name for channel in CHANNELS)
SOCIAL_ADS = NAMES.index("social_ads")
SEARCH_ADS = NAMES.index("search_ads")
TRADE_FAIR = NAMES.index("trade_fair")
FAIR_MONTHS = (4, 5, 10, 11)
FAIRS = tuple(COMPANY["fairs"])
FAIR_STARTS = np.array(list(COMPANY["fairs"].values()), "datetime64[s]").astype(np.int64)
KEYWORDS = COMPANY["keywords"]
CAMPAIGNS = (*(name for channel in CHANNELS for name in channel.campaigns), *FAIRS, GIVEAWAY)


def draw_channel(rng: np.random.Generator, created: IntArray, giveaway: BoolArray) -> IntArray:
    """The channel of each lead; leads from trade fairs arrive in spring and autumn."""
    count = len(created)
    channel = draw_codes(rng, [one.share for one in CHANNELS], count)
    usual = [0.0 if one.name == "trade_fair" else one.share for one in CHANNELS]
    in_season = np.isin(month_index(created) % 12 + 1, FAIR_MONTHS)
    late = (channel == TRADE_FAIR) & ~in_season & (rng.random(count) < 0.8)
    channel = np.where(late, draw_codes(rng, usual, count), channel)
    return np.where(giveaway, SOCIAL_ADS, channel)


def channel_intent(channel: IntArray, giveaway: BoolArray) -> FloatArray:
    """The purchase intent of leads from these channels."""
    return np.asarray(np.array([one.intent for one in CHANNELS])[channel] - 0.5 * giveaway)


def draw_campaign(
    rng: np.random.Generator, channel: IntArray, created: IntArray, giveaway: BoolArray
) -> IntArray:
    """The campaign of each lead, as an index into CAMPAIGNS."""
    first = np.array([_first_campaign(one) for one in CHANNELS])
    several = np.array([max(1, len(one.campaigns)) for one in CHANNELS])
    usual = first[channel] + rng.integers(0, several[channel])
    fair = CAMPAIGNS.index(FAIRS[0]) + np.searchsorted(FAIR_STARTS, created, side="right") - 1
    usual = np.where(channel == TRADE_FAIR, fair, usual)
    return np.where(giveaway, CAMPAIGNS.index(GIVEAWAY), usual)


def _first_campaign(channel: Channel) -> int:
    return CAMPAIGNS.index(channel.campaigns[0]) if channel.campaigns else 0


def draw_keyword(rng: np.random.Generator, channel: IntArray, intent: FloatArray) -> IntArray:
    """The search keyword as an index into KEYWORDS, which are ordered by intent; -1 outside search ads."""
    keen = intent + 0.9 * rng.standard_normal(len(intent))
    place = np.searchsorted([-1.0, -0.3, 0.3, 0.9, 1.6], keen)
    return np.where(channel == SEARCH_ADS, place, -1)


def campaigns_table(
    rng: np.random.Generator, channel: IntArray, campaign: IntArray, created: IntArray
) -> pa.Table:
    """The cost in yen, one row per campaign and month with leads."""
    key = np.stack([campaign, month_index(created), channel], axis=1)
    rows, leads = np.unique(key, axis=0, return_counts=True)
    fixed = np.array([one.month_jpy for one in CHANNELS])[rows[:, 2]]
    per_lead = np.array([one.lead_jpy for one in CHANNELS])[rows[:, 2]]
    cost = (fixed + per_lead * leads) * np.exp(0.12 * rng.standard_normal(len(rows)))
    months = np.datetime_as_string(rows[:, 1].astype("datetime64[M]"))
    return pa.table(
        {
            "campaign": decode_labels(rows[:, 0], CAMPAIGNS),
            "channel": decode_labels(rows[:, 2], NAMES),
            "month": pa.array(months.tolist(), pa.string()),
            "cost_jpy": pa.array((np.rint(cost / 1_000) * 1_000).astype(np.int64)),
        }
    )
