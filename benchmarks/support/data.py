"""The demo CRM at scale as Parquet files, generated once and stored in .benchmarks/."""

from __future__ import annotations

import re
from pathlib import Path

from demo.crm import generate, write_parquet
from demo.run import CRM_TOML

FOLDER = Path(".benchmarks")


def crm_toml(name: str, leads: int, activities_per_lead: float) -> Path:
    """The crm.toml of a demo CRM with this number of leads, generated if it does not exist yet."""
    folder = FOLDER / name
    path = folder / "crm.toml"
    if not path.exists():
        print(f"making {leads:,} leads in {folder} ...", flush=True)
        write_parquet(generate(leads, 7, activities_per_lead), folder)
        path.write_text(use_parquet_sources(CRM_TOML.read_text(encoding="utf-8")), encoding="utf-8")
    return path


def use_parquet_sources(text: str) -> str:
    return re.sub(r'source = "sqlite:///crm.db"\ntable = "(\w+)"', r'source = "\1.parquet"', text)
