"""Demo CRMs that are made once and stored in .benchmarks/: at scale as Parquet files, or with models."""

from __future__ import annotations

import re
from pathlib import Path

from demo.crm import generate, write_parquet
from demo.run import CRM_TOML, make_demo
from features.settings import load_settings
from scoring.scorecard.load import find_card
from training.registry.promotion import promote
from training.train import train_and_register

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


def crm_with_models(name: str, leads: int, models: int = 1) -> Path:
    """The crm.toml of a demo CRM with this number of models, the first of which is the champion."""
    folder = FOLDER / name
    path = folder / "crm.toml"
    if not (folder / "ready").exists():
        print(f"making a demo CRM with {models} models ...", flush=True)
        make_demo(folder, leads, 7)
        for seed in range(models):
            train_and_register(path, folder / "hotlead-out", lambda _: None, "en", seed)
            if not seed:
                promote_challenger(path)
        (folder / "ready").touch()
    return path


def promote_challenger(path: Path) -> None:
    """Make the challenger of a CRM champion, whatever the gate says."""
    settings = load_settings(path)
    promote(path.parent / "hotlead-out", find_card(settings.folder, settings.table), "benchmark", None)


def use_parquet_sources(text: str) -> str:
    return re.sub(r'source = "sqlite:///crm.db"\ntable = "(\w+)"', r'source = "\1.parquet"', text)
