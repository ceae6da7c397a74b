"""What people read about the days to the win."""

from __future__ import annotations

import pytest

from scoring.pages.time_to_win import describe_time_evaluation, format_days

FIGURES = {
    "within_median": {"value": 0.5, "low": 0.4, "high": 0.6},
    "within_p80": {"value": 0.79, "low": 0.7, "high": 0.85},
    "error": {"value": 9.96, "low": 8, "high": 12},
    "gain": {"value": 1.25, "low": 0.5, "high": 2},
}
MEASURED = {"leads": 1_200, "learnt_from": 5_000, "has_weights": True, "figures": FIGURES}


@pytest.mark.parametrize(
    ("days", "english", "japanese"),
    [
        (0.01, "1 day", "1日"),
        (1.4, "1 day", "1日"),
        (1.6, "2 days", "2日"),
        (1_234.5, "1,234 days", "1,234日"),
    ],
)
def test_days_are_whole_and_at_least_one(days: float, english: str, japanese: str) -> None:
    assert (format_days(days, "en"), format_days(days, "ja")) == (english, japanese)


def test_figures_stand_with_their_intervals_and_counts() -> None:
    text = describe_time_evaluation(MEASURED, "en")
    for part in ("1,200", "5,000", "50.0% [40.0% – 60.0%]", "79.0% [70.0% – 85.0%]", "10.0 [8.0 – 12.0]"):
        assert part in text
    assert "1.2 [0.5 – 2.0] days more" in text
    assert "1.2 [0.5 – 2.0]" in describe_time_evaluation(MEASURED, "ja")


def test_without_weights_no_gain_is_named() -> None:
    text = describe_time_evaluation({**MEASURED, "has_weights": False}, "en")
    assert "all leads have the same" in text
    assert "1.2" not in text


def test_too_few_winners_are_counted() -> None:
    unmeasured = {"leads": 7, "learnt_from": 120, "has_weights": False, "figures": None}
    assert "The older ones have 120, the newest 7." in describe_time_evaluation(unmeasured, "en")
    assert "最新の案件は7件" in describe_time_evaluation(unmeasured, "ja")
