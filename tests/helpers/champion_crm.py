"""A small CRM with two model versions in MLflow, of which the first is champion."""

from __future__ import annotations

from pathlib import Path

from features.settings import load_settings
from scoring.scorecard.load import find_card
from tests.helpers.small_crm import CARD, small_crm
from training.registry.promotion import promote
from training.train import train_and_register


def champion_crm(folder: Path) -> Path:
    """The crm.toml of the CRM; `promote_challenger` and `rollback` then swap the champion."""
    crm_toml = small_crm(folder, leads=400)
    (folder / "scorecard.toml").write_text(CARD, encoding="utf-8")
    for seed in (0, 1):
        train_and_register(crm_toml, out_of(crm_toml), lambda _: None, "en", seed)
        if not seed:
            promote_challenger(crm_toml)
    return crm_toml


def out_of(crm_toml: Path) -> Path:
    """The output folder of the CRM."""
    return crm_toml.parent / "hotlead-out"


def promote_challenger(crm_toml: Path) -> None:
    """Make the challenger the champion, even if the gate refuses it."""
    settings = load_settings(crm_toml)
    card = find_card(settings.folder, settings.table)
    promote(out_of(crm_toml), card, "for a test", "tests")
