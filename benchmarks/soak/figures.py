"""The figures of the soak test, and the table that ends it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Figure:
    """A figure with its limit (None: it is only reported), and the load of the machine when it was taken."""

    name: str
    value: float
    limit: float | None
    unit: str
    load: float = field(default_factory=lambda: os.getloadavg()[0])

    @property
    def holds(self) -> bool:
        return self.limit is None or self.value <= self.limit


def print_table(figures: Sequence[Figure]) -> bool:
    """Print all figures with their limits; whether all are within them."""
    width = max((len(figure.name) for figure in figures), default=0)
    print(f"\n     {'':{width}}  {'value':>10}  {'at most':>10}  {'':9}  load")
    for figure in figures:
        limit = "" if figure.limit is None else f"{figure.limit:,.4g}"
        verdict, value = "ok  " if figure.holds else "MISS", f"{figure.value:,.4g}"
        named = f"{verdict} {figure.name:{width}}"
        print(f"{named}  {value:>10}  {limit:>10}  {figure.unit:9}  {figure.load:.1f}")
    return all(figure.holds for figure in figures)
