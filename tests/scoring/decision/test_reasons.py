from __future__ import annotations

import math

import numpy as np
import pytest

from features.kinds import Attribute, Count, Language
from features.table import FeatureTable, Vocabulary
from scoring.decision.reasons import Contribution, format_value, rank_contributions

TABLE = FeatureTable(
    {
        "budget": Attribute("budget"),
        "employees": Attribute("employees", values="number"),
        "prices": Count("price_page", days=30),
    },
    Vocabulary(
        {
            "budget": {"en": "Budget", "ja": "予算"},
            "budget=approved": {"en": "approved", "ja": "承認済み"},
            "price_page": {"en": "Price page viewed", "ja": "料金ページ閲覧"},
        }
    ),
)


def test_strongest_first_whatever_the_sign_and_idle_ones_left_out() -> None:
    contributions = np.array([[0.2, -0.9, 0.005, 0.5, -0.3]])
    assert rank_contributions(contributions, limit=3) == [[(1, -0.9), (3, 0.5), (4, -0.3)]]
    assert rank_contributions(contributions, limit=5) == [[(1, -0.9), (3, 0.5), (4, -0.3), (0, 0.2)]]
    assert rank_contributions(np.array([[0.001]])) == [[]]


def test_each_lead_has_its_own_order() -> None:
    contributions = np.array([[0.2, -0.9, 0.0], [-0.3, 0.02, 1e-6], [0.0, 0.0, 0.0]])
    assert rank_contributions(contributions, limit=1) == [[(1, -0.9)], [(0, -0.3)], []]
    assert rank_contributions(contributions, None, 1e-9)[1] == [(0, -0.3), (1, 0.02), (2, 1e-6)]


@pytest.mark.parametrize(
    ("reason", "lang", "text"),
    [
        (Contribution("budget", "approved", 1), "en", "Budget: approved"),
        (Contribution("budget", "approved", 1), "ja", "予算：承認済み"),
        (Contribution("budget", "some", 1), "ja", "予算：some"),
        (Contribution("budget", None, 1), "en", "Budget: not known"),
        (Contribution("prices", 3.0, 1), "en", "Price page viewed in the last 30 days: 3"),
        (Contribution("prices", 3.0, 1), "ja", "過去30日間の料金ページ閲覧の回数：3"),
        (Contribution("employees", math.nan, 1), "ja", "employees：未確認"),
    ],
)
def test_reasons_read_in_both_languages(reason: Contribution, lang: Language, text: str) -> None:
    assert reason.text(TABLE, lang) == text


@pytest.mark.parametrize(
    ("value", "text"), [(1234567.0, "1,234,567"), (0.12345, "0.123"), (45.64, "45.6"), (0.0, "0")]
)
def test_numbers_are_shown_without_idle_digits(value: float, text: str) -> None:
    assert format_value(TABLE, "employees", value, "en") == text
