"""Making the demo's folder: a SQLite CRM, crm.toml, the scorecard, and the truth, kept apart."""

from __future__ import annotations

import shutil
from pathlib import Path

from demo.crm import generate, write_sqlite, write_truth

CRM_TOML = Path(__file__).with_name("crm.toml")
SCORECARD_TOML = Path(__file__).with_name("scorecard.toml")


def make(folder: Path, leads: int, seed: int) -> Path:
    """Write crm.db, crm.toml, scorecard.toml and the truth into `folder`; returns the crm.toml."""
    crm = generate(leads, seed)
    folder.mkdir(parents=True, exist_ok=True)
    write_sqlite(crm, folder / "crm.db")
    write_truth(crm, folder / "truth.parquet")
    shutil.copyfile(SCORECARD_TOML, folder / "scorecard.toml")
    return Path(shutil.copyfile(CRM_TOML, folder / "crm.toml"))
