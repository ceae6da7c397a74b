"""What channels, campaigns, keywords and landing pages cost: a file that marketing keeps."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from features.errors import DataError
from features.kinds import Language
from serving.review.web.translations import translate_page

SOURCES = ("channel", "campaign", "keyword", "landing_page")
_AMOUNT = re.compile(r"([0-9]{1,15}|[0-9]{1,3}(,[0-9]{3}){1,4})(\.[0-9]+)?")
"""A comma parts thousands: 1,5 would be read as 15."""
_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")


class CostFileError(DataError):
    """The file cannot be used; `describe` says why in a language, naming the file, row and column."""

    def __init__(self, key: str, path: Path, **values: object) -> None:
        self._key, self._values = key, {"file": path.name, **values}
        super().__init__(self.describe("en"))

    def describe(self, lang: Language) -> str:
        return translate_page(f"figures_costs_{self._key}", lang, **self._values)


@dataclass(frozen=True)
class Cost:
    """What was paid in a month (2026-09) for a source: the values of those of SOURCES that the file has."""

    month: str
    source: tuple[tuple[str, str], ...]
    amount: float


def read_costs(path: Path) -> tuple[Cost, ...]:
    """Read a CSV with the columns month and amount, and those of channel, campaign, keyword and landing_page
    by which costs are known. Raises CostFileError."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            _check_columns(path, rows.fieldnames or ())
            return tuple(_parse_cost(path, rows.line_num, row) for row in rows if any(row.values()))
    except FileNotFoundError:
        raise CostFileError("missing", path) from None
    except (OSError, UnicodeDecodeError, csv.Error):
        raise CostFileError("unreadable", path) from None


def cost_by_value(costs: Iterable[Cost], column: str, months: Sequence[str]) -> dict[str, float]:
    """What each value of a column cost in some months; rows without a value there are left out."""
    totals: dict[str, float] = {}
    for cost in costs:
        name = dict(cost.source).get(column)
        if name and cost.month in months:
            totals[name] = totals.get(name, 0.0) + cost.amount
    return totals


def _check_columns(path: Path, names: Sequence[str]) -> None:
    lacking = {"month", "amount"} - {*names}
    if lacking:
        raise CostFileError("lacks", path, column=min(lacking))
    unknown = next((name for name in names if name not in ("month", "amount", *SOURCES)), None)
    if unknown is not None:
        raise CostFileError("column", path, column=unknown, known=", ".join(SOURCES))


def _parse_cost(path: Path, number: int, row: Mapping[str | None, str | None]) -> Cost:
    if None in row:  # 1,000 without quotes would be read as 1
        raise CostFileError("cells", path, row=number)
    month, amount = (row["month"] or "").strip(), (row["amount"] or "").strip()
    if not _MONTH.fullmatch(month):
        raise CostFileError("month", path, row=number, value=month)
    if not _AMOUNT.fullmatch(amount):
        raise CostFileError("amount", path, row=number, value=amount)
    paid = float(amount.replace(",", ""))
    source = tuple((name, str(row[name]).strip()) for name in SOURCES if row.get(name))
    return Cost(month, source, paid)
