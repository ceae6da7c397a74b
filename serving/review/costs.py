"""What channels, campaigns, keywords and landing pages cost: a file that marketing keeps."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from features.errors import DataError, nearest

SOURCES = ("channel", "campaign", "keyword", "landing_page")
_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")


@dataclass(frozen=True)
class Cost:
    """What was paid in a month (2026-09) for a source; the columns that are empty are for all."""

    month: str
    source: dict[str, str]
    amount: float


def read_costs(path: Path) -> list[Cost]:
    """The file: a CSV with the columns month and amount, and of channel, campaign, keyword and landing_page
    those that costs are told by. Raises DataError naming file, row and column."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            _check_columns(path, rows.fieldnames or ())
            return [_cost(path, number, row) for number, row in enumerate(rows, 2)]
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        raise DataError(
            f"{path}: cannot be read ({type(problem).__name__}). It must be CSV in UTF-8."
        ) from None


def cost_by(costs: Iterable[Cost], column: str, months: Sequence[str]) -> dict[str, float]:
    """What each value of a column cost in some months; rows that do not tell the column are left out."""
    told: dict[str, float] = {}
    for cost in costs:
        name = cost.source.get(column)
        if name and cost.month in months:
            told[name] = told.get(name, 0.0) + cost.amount
    return told


def _check_columns(path: Path, names: Sequence[str]) -> None:
    lacking = {"month", "amount"} - {*names}
    if lacking:
        raise DataError(f"{path}: lacks the column {min(lacking)}; needed are month and amount.")
    strange = next((name for name in names if name not in ("month", "amount", *SOURCES)), None)
    if strange is not None:
        raise DataError(
            f"{path}: there is no column {strange!r}; {nearest(strange, list(SOURCES))}."
        )


def _cost(path: Path, number: int, row: dict[str, str | None]) -> Cost:
    month, amount = (row["month"] or "").strip(), (row["amount"] or "").strip()
    if not _MONTH.fullmatch(month):
        raise DataError(f"{path}, row {number}, month: {month!r} must be such as 2026-09.")
    try:
        paid = float(amount.replace(",", ""))
    except ValueError:
        paid = math.nan
    if not 0 <= paid < math.inf:
        raise DataError(f"{path}, row {number}, amount: {amount!r} must be a number of 0 or more.")
    source = {name: str(row[name]).strip() for name in SOURCES if row.get(name)}
    return Cost(month, source, paid)
