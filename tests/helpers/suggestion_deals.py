"""Deals with known effects, and a present scorecard, to learn a scorecard from."""

from __future__ import annotations

import tomllib

import numpy as np

from features.columns import Column, Texts
from features.kinds import Age, Attribute, Count, DaysSince
from features.moments import Examples
from features.table import FeatureTable, Vocabulary
from scoring.scorecard.load import blank_card, parse_card
from scoring.scorecard.scorecard import Condition, Scorecard
from tests.helpers.toml_files import toml_text
from training.fitting.dataset import Dataset

DAY = 86_400_000


INDUSTRIES = ("IT・通信", "retail", "製造業", "farming")


WORDS = {
    "visit": {"en": "Visit", "ja": "訪問"},
    "industry": {"en": "Industry", "ja": "業種"},
    "industry=retail": {"en": "shops", "ja": "小売業"},
}


TABLE = FeatureTable(
    {
        "employees": Attribute("employees", "number", "at_creation"),
        "industry": Attribute("industry", "category", "at_creation"),
        "form": Attribute("form", "category", "at_creation"),
        "visits": Count("visit", 30.0),
        "complaints": Count("complaint"),
        "unsubscribed": Count("unsubscribe"),
        "since_unsubscribed": DaysSince("unsubscribe"),
        "silent_days": DaysSince("visit"),
        "calls": Count("call"),
        "since_call": DaysSince("call"),
        "age": Age(),
    },
    Vocabulary(WORDS),
)


CARD_TOML = toml_text("suggest_scorecard")


def card_of(text: str = CARD_TOML) -> Scorecard:
    stages = {"stages": blank_card().stages.model_dump()}
    return parse_card({**tomllib.loads(text), **stages}, "test")


def data_of(
    count: int = 4000,
    seed: int = 1,
    card: Scorecard | None = None,
    ordered: bool = True,
    win_rate: float = 0.2,
) -> Dataset:
    """Leads that are won for their size, trade and visits; complaints and calls are of no use to them."""
    rng = np.random.default_rng(seed)
    employees, visits = rng.integers(1, 500, count).astype(float), rng.poisson(1.5, count)
    industry, form = rng.integers(0, 4, count), np.where(rng.random(count) < 0.5, 0, -1)
    complaints, unsubscribed, calls = (rng.poisson(0.4, count) for _ in range(3))
    silent = np.where(visits > 0, rng.uniform(0, 60, count), np.nan)
    odds = (
        np.log(win_rate / (1 - win_rate))
        + 1.5 * (employees > 250)
        - 0.75
        + np.array([1.0, 0.5, -0.5, -1.0])[industry]
        + 0.6 * (visits - 1.5)
        - 0.8 * complaints
        - 0.6 * unsubscribed
        + 1.0 * calls
        + 1.5 * (form == 0)
    )
    columns: dict[str, Column] = {
        "employees": employees,
        "industry": Texts(industry.astype(np.int32), INDUSTRIES),
        "form": Texts(form.astype(np.int32), ("filled",)),
        "visits": visits.astype(float),
        "complaints": complaints.astype(float),
        "unsubscribed": unsubscribed.astype(float),
        "since_unsubscribed": np.where(unsubscribed > 0, rng.uniform(0, 90, count), np.nan),
        "silent_days": silent,
        "calls": calls.astype(float),
        "since_call": np.where(calls > 0, 5.0, np.nan),
        "age": np.arange(count) % 50.0,
    }
    lead = (np.arange(count) // 2).astype(np.int32)
    moment = 1_700_000_000_000 + np.arange(count, dtype=np.int64) * DAY // 20
    examples = Examples(
        lead,
        moment,
        moment + 10 * DAY,
        np.zeros(count, np.float32),
        lead,
        rng.random(count) < 1 / (1 + np.exp(-odds)),
        np.full(count, np.nan),
        ordered,
    )
    return Dataset(table=TABLE, columns=columns, examples=examples, card=card or blank_card())


def conditions(card: Scorecard, feature: str) -> list[tuple[Condition, int]]:
    """The single conditions on a feature, with their points."""
    rows = card.rows.values()
    return [(r.when[0], r.points) for r in rows if len(r.when) == 1 and r.when[0].feature == feature]
