"""A small CRM in CSV files, the same for the same seed, and the command run on it."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

START = datetime(2025, 1, 1, tzinfo=UTC)

CRM_TOML = """
[crm]
name = "small"

[leads]
source = "leads.csv"
id = "lead_id"
created_at = "created_at"

[deals]
source = "deals.csv"
lead = "lead_id"
outcome = "outcome"
won = ["won"]
lost = ["lost"]
closed_at = "closed_at"
amount = "amount"

[activities]
source = "activities.csv"
lead = "lead_id"
type = "type"
at = "at"

[target]
horizon_days = 30
landmarks = [0, 7]

[features]
channel   = { kind = "attribute", column = "channel", known = "at_creation" }
employees = { kind = "attribute", column = "employees", values = "number", known = "at_creation" }
visits    = { kind = "count", activity = "visit", days = 30 }
age       = { kind = "age" }
"""


CARD = """
[bands]
warm = 5
hot = 20

[fit.rows.referral]
when = [{ feature = "channel", one_of = ["referral"] }]
points = 15
because = { en = "Came by referral", ja = "紹介で来訪" }

[intent.rows.visits]
when = [{ feature = "visits", at_least = 2 }]
points = 10
because = { en = "Visited twice", ja = "2回以上訪問" }

[stages.cold]
kind = "inform"
owner = "marketing"
text = { en = "Inform.", ja = "情報を届けてください。" }

[stages.warm]
kind = "nurture"
owner = "inside_sales"
text = { en = "Nurture.", ja = "フォローしてください。" }

[stages.hot]
kind = "call"
owner = "inside_sales"
text = { en = "Call.", ja = "電話してください。" }
hours = 1
"""
"""A scorecard for it."""


def small_crm(folder: Path, leads: int = 300, seed: int = 0, win_rate: float = 0.3) -> Path:
    """Write leads.csv, deals.csv, activities.csv and the crm.toml that reads them; returns the last."""
    rng = np.random.default_rng(seed)
    created = [START + timedelta(days=300 * i / leads) for i in range(leads)]
    referred, employees = rng.random(leads) < 0.5, rng.integers(5, 500, leads)
    visits = rng.poisson(2, leads)
    odds = np.log(win_rate / (1 - win_rate)) + 1.5 * (referred - 0.5) + 0.5 * (visits - 2)
    won = rng.random(leads) < 1 / (1 + np.exp(-odds))
    ids = [f"L{i:04d}" for i in range(leads)]
    _write(
        folder / "leads.csv",
        ("lead_id", "created_at", "channel", "employees"),
        (
            (ids[i], _iso(created[i]), "referral" if referred[i] else "ads", employees[i])
            for i in range(leads)
        ),
    )
    _write(
        folder / "deals.csv",
        ("lead_id", "outcome", "closed_at", "amount"),
        (
            (ids[i], "won" if won[i] else "lost", _iso(created[i] + timedelta(days=8 + i % 15)), 100 + i)
            for i in range(leads - 10)
        ),
    )
    _write(
        folder / "activities.csv",
        ("lead_id", "type", "at"),
        (
            (ids[i], "visit", _iso(created[i] - timedelta(hours=1 + n)))
            for i in range(leads)
            for n in range(visits[i])
        ),
    )
    (folder / "crm.toml").write_text(CRM_TOML, encoding="utf-8")
    return folder / "crm.toml"


def replace_text(path: Path, old: str, new: str) -> None:
    """Replace a text in a file that must hold it."""
    text = path.read_text(encoding="utf-8")
    assert old in text, f"{path} does not hold {old!r}"
    path.write_text(text.replace(old, new), encoding="utf-8")


def listing(folder: Path) -> set[str]:
    """Everything below a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def command(*arguments: object) -> list[str]:
    """The real `hotlead` command."""
    return [sys.executable, "-m", "cli", *map(str, arguments)]


def run(
    *arguments: object, cwd: Path | None = None, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the real command to its end."""
    return subprocess.run(
        command(*arguments),
        cwd=cwd,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def start(
    arguments: Sequence[object], cwd: Path | None = None, env: dict[str, str] | None = None
) -> subprocess.Popen[str]:
    """Start the real command; Ctrl-C reaches it even where the tests run in the background."""
    return subprocess.Popen(
        command(*arguments),
        cwd=cwd,
        env={**os.environ, **(env or {})},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL) and None,
    )


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def _iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S")
