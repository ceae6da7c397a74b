"""Sentences about the days that leads take to be won."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from features.kinds import Language
from features.moments import MIN_WINS
from scoring.pages.formats import format_number, format_share
from scoring.texts import translate


def format_days(days: float, lang: Language) -> str:
    """A number of days as people say it, at least one: 12 days."""
    count = max(1, round(days))
    return translate("one_day" if count == 1 else "several_days", lang, count=f"{count:,}")


def describe_time_evaluation(evaluation: Mapping[str, Any], lang: Language) -> str:
    """How well the newest won leads kept to the predicted days; or that this cannot be measured yet.

    `evaluation` is `time_to_win` in the description of a model.
    """
    counts = {name: f"{evaluation[name]:,}" for name in ("leads", "learnt_from")}
    figures = evaluation["figures"]
    if figures is None:
        return translate("time_to_win_unmeasured", lang, least=MIN_WINS, **counts)
    median, p80 = (_format_interval(figures[name], format_share) for name in ("within_median", "within_p80"))
    error, gain = (_format_interval(figures[name], _format_tenths) for name in ("error", "gain"))
    measured = translate("time_to_win_measured", lang, median=median, p80=p80, error=error, **counts)
    key = "time_to_win_gain" if evaluation["has_weights"] else "time_to_win_constant"
    return f"{measured}{translate(key, lang, gain=gain)}"


def _format_tenths(days: float) -> str:
    return format_number(days, 1)


def _format_interval(figure: Mapping[str, float], form: Callable[[float], str]) -> str:
    value, low, high = (form(figure[name]) for name in ("value", "low", "high"))
    return f"{value} [{low} – {high}]"
