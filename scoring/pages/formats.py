"""Numbers as people read them on pages and in reports."""

from __future__ import annotations

NONE = "–"
"""Stands for a value that does not exist: None or NaN."""


def format_number(value: float | None, digits: int = 0) -> str:
    """A number with thousands separators, such as 12,345."""
    return NONE if value is None or value != value else f"{value:,.{digits}f}"


def format_share(value: float | None, digits: int = 1) -> str:
    """A share between 0 and 1 in percent, such as 24.2%."""
    return NONE if value is None or value != value else f"{value:.{digits}%}"


def format_percentage_points(value: float) -> str:
    """A difference of shares in percentage points, with its sign."""
    return NONE if value != value else f"{value * 100:+z.1f}"
