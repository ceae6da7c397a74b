"""The closed deals of a CRM, as rules are tried and learnt on."""

from __future__ import annotations

from pathlib import Path

from features.crm.audit import audit, left_out
from features.crm.load import Loaded, load
from features.settings import CrmSettings
from training.fitting.pipeline import Say, prepared
from training.fitting.recipe import Data


def closed_data(settings: CrmSettings, out: Path, say: Say) -> tuple[Data, Loaded]:
    """The examples of a CRM, without what the audit holds for leaks, and the CRM as it was read."""
    say("reading the CRM")
    loaded = load(settings, out / "rejects.csv")
    return prepared(loaded, left_out(audit(loaded), loaded), say), loaded
