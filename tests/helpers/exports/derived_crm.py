"""A CRM whose deals depend on what is derived from raw columns: mail, title, lists, an inquiry, dates."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from features.crm.load import Loaded
from tests.helpers.builders import loaded_of, write_csv

COLUMNS = (
    "id",
    "created",
    "mail",
    "title",
    "employees",
    "interests",
    "inquiry",
    "wanted",
    "outcome",
    "closed",
)
FEATURES: dict[str, dict[str, Any]] = {
    "mail": {"kind": "mail_domain", "column": "mail", "known": "at_creation"},
    "rank": {"kind": "job_rank", "column": "title", "known": "at_creation"},
    "department": {"kind": "department", "column": "title", "known": "at_creation"},
    "size": {"kind": "size_band", "column": "employees", "known": "at_creation"},
    "interests": {"kind": "multi_select", "column": "interests", "known": "at_creation"},
    "inquiry": {"kind": "free_text", "column": "inquiry", "known": "at_creation"},
    "days_to_start": {"kind": "days_between", "end": "wanted", "known": "at_creation"},
    "weekday": {"kind": "weekday"},
    "hour": {"kind": "hour"},
    "age": {"kind": "age"},
}
START = datetime(2025, 1, 6, tzinfo=UTC)
_RANKS = (
    "代表取締役社長",
    "営業部 部長",
    "Sales Director",
    "営業部 係長",
    "IT Manager",
    "営業担当",
    "社長秘書",
)
_INTERESTS = ("CRM", "分析", "Integration", "Support", "価格")
_GOOD = (
    "見積依頼をお願いします。",
    "We would like a quote for our team.",
    "導入時期と価格を教えてください。",
)
_BAD = ("資料だけください。", "I am writing a thesis about your product.", "採用について質問です。")
_FILLER = ("よろしくお願いいたします。", "お世話になっております。", "Thank you.", "Best regards,")


def write_leads(folder: Path, leads: int = 2_000, seed: int = 0) -> Path:
    """leads.csv, one lead every few hours; `chance` are the log-odds of a win."""
    rng = np.random.default_rng(seed)
    rows: list[list[object]] = [list(COLUMNS)]
    for number in range(leads):
        created = START + timedelta(hours=3.5 * number)
        is_free, rank = rng.random() < 0.5, int(rng.integers(len(_RANKS)))
        interests = [name for name in _INTERESTS if rng.random() < 0.4]
        is_good, days = rng.random() < 0.5, int(rng.integers(5, 300))
        chance = -0.6 - 1.8 * is_free + 1.8 * (rank < 3) + 1.6 * ("Integration" in interests)
        chance += 2.0 * (is_good - 0.5) - 1.8 * (days > 150)
        won = rng.random() < 1 / (1 + np.exp(-chance))
        domain = "gmail.com" if is_free else f"company{number}.co.jp"
        text = [rng.choice(_FILLER), rng.choice(_GOOD if is_good else _BAD), rng.choice(_FILLER)]
        rows.append(
            [
                f"L{number}",
                created.isoformat(),
                f"person{number}@{domain}",
                _RANKS[rank],
                int(rng.choice([5, 40, 70, 400, 3000])),
                ";".join(interests),
                " ".join(text),
                (created + timedelta(days=days)).date().isoformat(),
                "won" if won else "lost",
                (created + timedelta(days=3)).isoformat(),
            ]
        )
    return write_csv(folder / "leads.csv", rows)


def tables(names: tuple[str, ...] = tuple(FEATURES)) -> dict[str, Any]:
    """The tables of a crm.toml with some of the features."""
    return {
        "crm": {"time_zone": "Asia/Tokyo"},
        "leads": {"source": "leads.csv", "id": "id", "created_at": "created"},
        "deals": {"outcome": "outcome", "won": ["won"], "lost": ["lost"], "closed_at": "closed"},
        "target": {"horizon_days": 30, "landmarks": [0]},
        "features": {name: FEATURES[name] for name in names},
    }


def load_derived(folder: Path, leads: int = 2_000, seed: int = 0) -> Loaded:
    """The CRM as it is read, with all features."""
    write_leads(folder, leads, seed)
    return loaded_of(folder, **tables())
