"""An export of a CRM with innocent columns of many kinds, and leaks of each kind to plant into it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.crm.load import Loaded, load
from features.settings import parse_settings
from tests.helpers.builders import write_csv

START = datetime(2024, 1, 1, tzinfo=UTC)
DAYS = 700
Values = NDArray[Any]


@dataclass(frozen=True)
class Export:
    """Leads, oldest first: creation and close (days since `START`), whether they are won and open, the days
    until a meeting (nan: none yet), and innocent columns."""

    created: Values
    closed: Values
    won: Values
    is_open: Values
    meeting: Values
    innocent: Mapping[str, Values]
    seed: int

    @property
    def random(self) -> np.random.Generator:
        return np.random.default_rng(self.seed + 1_000)

    def __len__(self) -> int:
        return len(self.created)

    def dates(self, days: Values) -> Values:
        """Days since `START` as texts, empty for nan."""
        texts = [day_text(value) if value == value else "" for value in days.tolist()]
        return np.array(texts, dtype=object)


def day_text(days: float) -> str:
    return (START + timedelta(days=days)).strftime("%Y-%m-%d %H:%M")


def make_export(count: int = 2_000, seed: int = 0) -> Export:
    """Partners' leads are won more often and close sooner, big ones close later; campaigns and owners come
    and go; phones are known from the start for those who are called."""
    rng = np.random.default_rng(seed)
    created = np.sort(rng.uniform(0, DAYS, count))
    source = rng.choice(["web", "fair", "partner"], count)
    size = np.round(rng.lognormal(4, 1, count))
    meets = rng.random(count) < np.where(source == "partner", 0.7, 0.4)
    odds = 1.2 * (source == "partner") + 1.0 * meets + 0.3 * (np.log(size) - 4) - 1.6
    won = rng.random(count) < 1 / (1 + np.exp(-odds))
    slow = np.where(source == "partner", 0.6, 1.0) * (size / 55) ** 0.15
    closed = created + 3 + rng.gamma(2, 40, count) * slow
    met_at = created + rng.uniform(1, 25, count)
    meeting = np.where(meets & (met_at < closed) & (met_at < DAYS), met_at, np.nan)
    return Export(
        created, closed, won, closed >= DAYS, meeting, _innocent(rng, created, source, size, won), seed
    )


def _innocent(
    rng: np.random.Generator, created: Values, source: Values, size: Values, won: Values
) -> dict[str, Values]:
    count, period = len(created), (created // 100).astype(int)
    phone = np.where(rng.random(count) < 0.6, [f"03-{i:04d}" for i in range(count)], "")
    return {
        "source": source,
        "size": size,
        "campaign": np.array([f"{p}-{v}" for p, v in zip(period, rng.integers(0, 3, count), strict=True)]),
        "owner": np.array([f"rep {p + v}" for p, v in zip(period, rng.integers(0, 4, count), strict=True)]),
        "phone": phone,
        "interest": np.where(rng.random(count) < np.where(won, 0.6, 0.3), "high", "low"),
        "score": np.round(rng.normal(50, 20, count) + 8 * won),
        "comment": np.where(rng.random(count) < 0.3, "see mail", ""),
        "new field": np.where((created > 500) & (rng.random(count) < 0.3), rng.choice(["a", "b"], count), ""),
    }


def load_export(export: Export, folder: Path, planted: Mapping[str, Values], **document: Any) -> Loaded:
    """The export with more columns, of which features use the innocent ones; `document` replaces tables of
    its crm.toml."""
    columns = {**export.innocent, **planted}
    stage = np.where(export.is_open, "open", np.where(export.won, "won", "lost"))
    closes = export.dates(np.where(export.is_open, np.nan, export.closed))
    rows = zip(
        range(len(export)), export.dates(export.created), stage, closes, *columns.values(), strict=True
    )
    write_csv(folder / "leads.csv", [("id", "created", "stage", "closed", *columns), *rows])
    write_csv(folder / "acts.csv", [("lead", "type", "at"), *_activities(export)])
    settings: dict[str, Any] = {
        "as_of": START + timedelta(days=DAYS),
        "leads": {"source": "leads.csv", "id": "id", "created_at": "created"},
        "deals": {
            "outcome": "stage",
            "won": ["won"],
            "lost": ["lost"],
            "ignore": ["open"],
            "closed_at": "closed",
        },
        "activities": {"source": "acts.csv", "lead": "lead", "type": "type", "at": "at"},
        "features": {
            name.replace(" ", "_"): attribute(
                name, values="number" if name in ("size", "score") else "category"
            )
            for name in export.innocent
        },
    }
    return load(parse_settings({**settings, **document}, folder / "crm.toml"), folder / "rejects.csv")


def attribute(column: str, availability: str = "today", **more: Any) -> dict[str, Any]:
    return {"kind": "attribute", "column": column, "known": availability, **more}


def _activities(export: Export) -> list[tuple[object, ...]]:
    """A visit of each lead before its creation, its meeting, and calls of some of those with a phone."""
    rng = export.random
    end = np.minimum(export.closed, DAYS)
    rows: list[tuple[object, ...]] = []
    for i, day in enumerate(export.created.tolist()):
        rows.append((i, "visit", day_text(day - 0.01)))
        if export.meeting[i] == export.meeting[i]:
            rows.append((i, "meeting", day_text(export.meeting[i])))
        call = day + rng.uniform(0.1, 20)
        if export.innocent["phone"][i] and call < end[i]:
            rows.append((i, "call", day_text(call)))
    return rows


def plant_leaks(export: Export, share: float) -> dict[str, Values]:
    """Leaks of each kind, in about this share of the leads that they can be in."""
    rng, count, is_open = export.random, len(export), export.is_open
    chosen = ~is_open & (rng.random(count) < share)
    words = rng.choice(["red", "green", "blue"], count)
    numbers = np.round(rng.lognormal(3, 1, count), 2)
    texts = np.array([f"note {i}" for i in range(count)], dtype=object)
    met_at = (export.meeting == export.meeting) & (rng.random(count) < share)
    close_dates = export.dates(export.closed + rng.normal(0, 0.4, count))
    past = export.dates(
        export.created + rng.uniform(0, 1, count) * (np.minimum(export.closed, DAYS) - export.created)
    )
    return {
        "filled at close, words": np.where(chosen, words, ""),
        "filled at close, numbers": np.where(chosen, numbers, np.nan).astype(object),
        "filled at close, texts": np.where(chosen, texts, ""),
        "filled at close, dates": np.where(chosen, close_dates, ""),
        "filled at meeting, words": np.where(met_at, words, ""),
        "filled at meeting, numbers": np.where(met_at, numbers, "").astype(object),
        "emptied at close": np.where(is_open & (rng.random(count) < share), texts, ""),
        "word at close": np.where(chosen, "done", words),
        "stage of open": np.where(is_open & (rng.random(count) < share), "quote", words),
        "flag at close": chosen.astype(int),
        "number at close": np.where(chosen, 100.0, rng.integers(0, 100, count)),
        "range at close": np.where(chosen, 500 + numbers, numbers),
        "date at close": np.where(chosen, close_dates, past),
    }
