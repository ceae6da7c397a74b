"""Leads rated by the shipped profiles."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

from features.one_lead import OneLead
from features.settings import load_settings, parse_features
from features.table import FeatureTable, Vocabulary
from scoring.scorecard.load import parse_card, profile_features
from scoring.scorecard.rating import OneRater, Rating
from scoring.scorecard.scorecard import STAGES, Scorecard
from tests.helpers.builders import DAY, NOON

PROFILES = ("b2b_saas", "online_shop", "real_estate")
DEMO = load_settings(Path(__file__).parents[3] / "demo" / "crm.toml")
PastActivity = tuple[str, float] | tuple[str, float, float]
"""An activity: type, days ago, value."""


@cache
def card_of(profile: str) -> Scorecard:
    return parse_card({"profile": profile}, profile)


@cache
def table_of(profile: str) -> FeatureTable:
    definition = profile_features(profile)
    words = definition.get("words", DEMO.words)  # the demo is a B2B company, and has the words
    return FeatureTable(parse_features(definition["features"]), Vocabulary(words))


def values_of(profile: str, *activities: PastActivity, **attributes: object) -> dict[str, float | str | None]:
    """The features of one lead: what it did before NOON, and its attributes."""
    events = [(d[0], NOON - round(d[1] * DAY), d[2] if len(d) > 2 else math.nan) for d in activities]
    table = table_of(profile)
    values = table.compute_one(OneLead(NOON, NOON - 400 * DAY, attributes, events))
    return dict(zip(table.names, values, strict=True))


def rate_lead(profile: str, *activities: PastActivity, **attributes: object) -> Rating:
    """One lead by the profile."""
    return OneRater(card_of(profile))(values_of(profile, *activities, **attributes))


b2b, home, shop = (partial(rate_lead, p) for p in ("b2b_saas", "real_estate", "online_shop"))


def stage(rating: Rating) -> str:
    return STAGES[int(rating.stage[0])]


def triggers(rating: Rating) -> set[str]:
    names = rating.card.triggers
    return {name for name, fires in zip(names, rating.triggers[0], strict=True) if fires}


def rows(rating: Rating) -> set[str]:
    names = rating.card.rows
    return {name for name, fires in zip(names, rating.fired[0], strict=True) if fires}


def shift_back(days: float, *activities: PastActivity) -> list[PastActivity]:
    """The same, so many days earlier."""
    return [(d[0], d[1] + days, *d[2:]) for d in activities]


def conditions(profile: str) -> Iterator[Any]:
    return (c for _, _, rule in card_of(profile).rules() for c in rule.when)
