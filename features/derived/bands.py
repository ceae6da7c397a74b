"""Bands of numbers."""

from __future__ import annotations

from bisect import bisect_right

EMPLOYEES = (10.0, 50.0, 100.0, 300.0, 1000.0, 5000.0)
"""The numbers of employees at which the second and each later band begins."""


def find_band(number: float, edges: tuple[float, ...] = EMPLOYEES) -> str | None:
    """The band of a number, such as 10-49 or 5000+; None below 0 and for nan."""
    if not number >= 0:
        return None
    place = bisect_right(edges, number)
    low = edges[place - 1] if place else 0.0
    return f"{low:.15g}+" if place == len(edges) else f"{low:.15g}-{edges[place] - 1:.15g}"
