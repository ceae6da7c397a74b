"""Tables and sentences that several pages share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from features.kinds import Language
from scoring.pages import cells as to_cells
from scoring.pages.cells import count_cell, difference_cell, figure_cell, rate_cell, stage_names
from scoring.pages.formats import format_share
from scoring.pages.page import Cell, CellValue, Table
from scoring.statistics.paired_differences import Difference
from scoring.statistics.rates import Rate
from scoring.texts import translate


def verdict(page: str, rates: Difference, lang: Language, **more: object) -> str:
    """The better side at equal volume, or that it is open: the text `page`_verdict_new, _old or _open."""
    return translate(
        f"{page}_verdict_{rates.better}",
        lang,
        new=format_share(rates.new.value),
        old=format_share(rates.old.value),
        difference=to_cells.points_with_interval(rates.difference),
        **more,
    )


def figures_table(differences: Mapping[str, Difference], new: str, old: str, lang: Language) -> Table:
    """Every metric of both sides, and the difference."""
    rows: list[tuple[Cell, ...]] = [
        (translate(name, lang), figure_cell(name, d.new), figure_cell(name, d.old), difference_cell(name, d))
        for name, d in differences.items()
    ]
    return Table((translate("figure", lang), new, old, translate("difference", lang)), tuple(rows))


def agreement_table(cells: Sequence[Sequence[Rate]], corner: str, lang: Language) -> Table:
    """By pair of stages: the number of leads, of won ones, and the win rate."""
    names = stage_names(lang)
    rows: list[tuple[Cell, ...]] = [
        (names[code], *(_count_with_rate(cell, lang) for cell in row)) for code, row in enumerate(cells)
    ]
    return Table((corner, *names), tuple(rows))


def rates_table(
    head: str, names: Sequence[str], sides: Mapping[str, Sequence[Rate]], lang: Language
) -> Table:
    """By name and side, the win rate with interval and counts; the last name first."""
    rows: list[tuple[Cell, ...]] = [
        (name, *(_with_count(rates[place], lang) for rates in sides.values()))
        for place, name in reversed(list(enumerate(names)))
    ]
    return Table((head, *sides), tuple(rows))


def band_names() -> list[str]:
    """0–9, 10–19, … 90–100."""
    return [f"{band * 10}–{band * 10 + 9 if band < 9 else 100}" for band in range(10)]


def _count_with_rate(rate: Rate, lang: Language) -> CellValue:
    return CellValue(count_cell(rate, lang), rate_cell(rate).text if rate.count else "")


def _with_count(rate: Rate, lang: Language) -> CellValue:
    shown = rate_cell(rate)
    return CellValue(shown.text, f"{shown.small} {count_cell(rate, lang)}") if rate.count else shown
