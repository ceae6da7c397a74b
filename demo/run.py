"""Writes the demo's folder: a SQLite CRM, crm.toml, the scorecard, the channel costs and the truth."""

from __future__ import annotations

import shutil
from datetime import date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv

from demo.clock import JAPAN_AHEAD
from demo.crm import DemoCrm, generate, write_sqlite, write_truth

CRM_TOML = Path(__file__).with_name("crm.toml")
SCORECARD_TOML = Path(__file__).with_name("scorecard.toml")
_AS_OF = "as_of = 2026-10-01T00:00:00+09:00"


def make_demo(folder: Path, leads: int, seed: int, until: date | None = None) -> Path:
    """Write crm.db, crm.toml, scorecard.toml, costs.csv and the truth into `folder`; returns the crm.toml.

    The snapshot is the beginning of the day `until` in Japan, by default of 2026-10-01.
    """
    crm = generate(leads, seed)
    if until is not None:
        crm = crm.shift_days((until - today_in_japan(crm.as_of)).days)
    folder.mkdir(parents=True, exist_ok=True)
    write_sqlite(crm, folder / "crm.db")
    write_truth(crm, folder / "truth.parquet")
    pa_csv.write_csv(_costs(crm), folder / "costs.csv")
    shutil.copyfile(SCORECARD_TOML, folder / "scorecard.toml")
    text = CRM_TOML.read_text(encoding="utf-8")
    as_of = f"as_of = {today_in_japan(crm.as_of)}T00:00:00+09:00"
    (folder / "crm.toml").write_text(text.replace(_AS_OF, as_of), encoding="utf-8")
    return folder / "crm.toml"


def today_in_japan(now: datetime) -> date:
    """The date in Japan at an aware datetime."""
    return (now.replace(tzinfo=None) - (now.utcoffset() or timedelta()) + JAPAN_AHEAD).date()


def _costs(crm: DemoCrm) -> pa.Table:
    """The cost of each campaign in each month, in yen."""
    costs = crm.tables["campaigns"].select(["month", "channel", "campaign", "cost_jpy"])
    return costs.rename_columns({"cost_jpy": "amount"})
