"""The six channels that leads come from, with their campaigns, keywords and costs."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from demo.clock import BoolArray, FloatArray, IntArray, day_start, month_index
from demo.columns import decode_labels, draw_codes

GIVEAWAY = "social_giveaway_2026"


@dataclass(frozen=True)
class Channel:
    """A channel: its share of the leads, the purchase intent of its leads, and its cost in yen."""

    name: str
    share: float
    intent: float
    month_jpy: int
    lead_jpy: int
    campaigns: tuple[str, ...]


CHANNELS = (
    Channel("content", 27, -0.15, 350_000, 4_000, ("white_papers", "blog_seo", "roi_calculator")),
    Channel("webinar", 19, 0.05, 250_000, 7_000, ("monthly_webinar", "product_demo_webinar")),
    Channel("search_ads", 20, 0.30, 400_000, 18_000, ("search_brand", "search_generic")),
    Channel("social_ads", 13, -0.45, 200_000, 9_000, ("social_awareness", "social_retargeting")),
    Channel("trade_fair", 19, -0.10, 900_000, 12_000, ()),
    Channel("referral", 10, 0.75, 80_000, 3_000, ("partner_referral", "customer_referral")),
)
NAMES = tuple(channel.name for channel in CHANNELS)
SOCIAL_ADS = NAMES.index("social_ads")
SEARCH_ADS = NAMES.index("search_ads")
TRADE_FAIR = NAMES.index("trade_fair")
FAIR_MONTHS = (4, 5, 10, 11)
FAIRS = (
    ("dx_expo_2024_autumn", day_start(2024, 10, 1)),
    ("it_week_2025_spring", day_start(2025, 4, 1)),
    ("dx_expo_2025_autumn", day_start(2025, 10, 1)),
    ("it_week_2026_spring", day_start(2026, 4, 1)),
)
KEYWORDS = (
    "営業支援とは",
    "顧客管理 エクセル",
    "SFA 比較",
    "見込み客 管理 ツール",
    "SFA 導入 事例",
    "SFA 料金",
)
CAMPAIGNS = (
    *(name for channel in CHANNELS for name in channel.campaigns),
    *(name for name, _ in FAIRS),
    GIVEAWAY,
)


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
    starts = np.array([start for _, start in FAIRS])
    fair = CAMPAIGNS.index(FAIRS[0][0]) + np.searchsorted(starts, created, side="right") - 1
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
