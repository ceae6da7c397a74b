"""Small CSV tables of a CRM, and what was read from them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from features.clock import NEVER
from features.columns import Texts
from features.crm.load import Loaded
from features.many_leads import Histories, ManyLeads
from tests.helpers.builders import read_rejects, write_csv

LEADS: dict[str, Any] = {"source": "leads.csv", "id": "id", "created_at": "at"}


DEALS: dict[str, Any] = {
    "source": "deals.csv",
    "lead": "lead",
    "outcome": "outcome",
    "won": ["won"],
    "lost": ["lost"],
    "closed_at": "closed",
}


ACTIVITIES: dict[str, Any] = {"source": "acts.csv", "lead": "lead", "at": "at", "type": "type"}


HEAD = ("id", "at", "channel")


def iso_date(year: int, month: int, day: int) -> datetime:
    return datetime(year, month, day, tzinfo=UTC)


def leads(folder: Path, *rows: tuple[object, ...], head: tuple[str, ...] = HEAD) -> None:
    write_csv(folder / "leads.csv", [head, *rows])


def plain(loaded: Loaded, column: str = "channel") -> list[str | None]:
    values = loaded.crm.attributes[column]
    assert isinstance(values, Texts)
    return values.to_list()


def rejected(folder: Path) -> list[tuple[str, ...]]:
    keys = ("table", "file", "row", "column", "value", "reason")
    return [tuple(r[k] for k in keys) for r in read_rejects(folder)]


def counts(loaded: Loaded, activity: str = "*") -> list[float]:
    rows = np.arange(len(loaded.crm))
    view = ManyLeads(Histories(loaded.crm), rows, np.full(len(rows), NEVER // 2))
    return view.count(activity, None, "lead").tolist()
