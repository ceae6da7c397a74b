"""The closed deals of a CRM, as rules are tried and learnt on."""

from __future__ import annotations

from pathlib import Path

from features.crm.audit import audit, leaking_features
from features.crm.load import Loaded, load
from features.settings import CrmSettings
from training.fitting.pipeline import StepReporter, build_dataset
from training.fitting.recipe import Dataset


def load_dataset(settings: CrmSettings, out: Path, report_step: StepReporter) -> tuple[Dataset, Loaded]:
    """The examples of a CRM, without what the audit holds for leaks, and the CRM as it was read."""
    report_step("reading the CRM")
    loaded = load(settings, out / "rejects.csv")
    return build_dataset(loaded, leaking_features(audit(loaded), loaded), report_step), loaded
