"""Cells of tables: rates, figures and differences with their intervals."""

from __future__ import annotations

from collections.abc import Sequence

from features.kinds import Language
from scoring.pages.formats import NONE, format_percentage_points, format_share
from scoring.pages.page import CellValue
from scoring.scorecard.scorecard import STAGES
from scoring.statistics.metrics import Estimate
from scoring.statistics.paired_differences import Difference
from scoring.statistics.rates import Rate
from scoring.texts import translate

SHARES = ("win_rate", "won_amount")


def rate_cell(rate: Rate) -> CellValue:
    interval = f"[{format_share(rate.low)} – {format_share(rate.high)}]"
    return CellValue(format_share(rate.value), interval) if rate.count else CellValue(NONE)


def count_cell(rate: Rate, lang: Language) -> str:
    """52 won of 180."""
    if not rate.count:
        return NONE
    return translate("compare_won_of_closed", lang, won=f"{rate.won:,}", count=f"{rate.count:,}")


def figure_cell(name: str, figure: Estimate) -> CellValue:
    if figure.value != figure.value:
        return CellValue(NONE)
    form = format_share if name in SHARES else lambda v: f"{v:.3f}"
    return CellValue(form(figure.value), f"[{form(figure.low)} – {form(figure.high)}]")


def difference_cell(name: str, difference: Difference) -> CellValue:
    figure = difference.difference
    if figure.value != figure.value:
        return CellValue(NONE)
    form = format_percentage_points if name in SHARES else lambda v: f"{v:+z.3f}"
    return CellValue(form(figure.value), f"[{form(figure.low)}, {form(figure.high)}]")


def points_with_interval(figure: Estimate) -> str:
    """+7.0 [+5.6, +9.1], in percentage points."""
    value, low, high = map(format_percentage_points, (figure.value, figure.low, figure.high))
    return f"{value} [{low}, {high}]"


def points_cell(figure: Estimate) -> CellValue:
    """A difference of shares in percentage points with its interval."""
    value, low, high = map(format_percentage_points, (figure.value, figure.low, figure.high))
    return CellValue(value, f"[{low}, {high}]")


def stage_names(lang: Language) -> list[str]:
    return [translate(f"stage_{stage}", lang) for stage in STAGES]


def titles(keys: Sequence[str], lang: Language) -> tuple[str, ...]:
    """The titles of columns by the keys of their texts."""
    return tuple(translate(key, lang) for key in keys)


def outcome_text(won: bool, lang: Language) -> str:
    return translate("won" if won else "not_won", lang)


def lift_cell(rate: Rate) -> CellValue:
    if rate.lift != rate.lift:
        return CellValue(NONE)
    return CellValue(f"{rate.lift:.2f}", f"[{rate.lift_low:.2f} – {rate.lift_high:.2f}]")


def signed_cell(figure: Estimate) -> CellValue:
    """A small gain with its interval, such as +0.0012."""
    return CellValue(f"{figure.value:+z.4f}", f"[{figure.low:+z.4f}, {figure.high:+z.4f}]")
