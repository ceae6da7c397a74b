"""What the registered model knows otherwise than an export has it, before anything is scored."""

from __future__ import annotations

from pathlib import Path

from features.crm_data import Crm
from features.errors import DataError, OutsideError, SettingsError
from features.table import FeatureTable
from scoring.evaluation.feature_gaps import FeatureGap, find_gaps_of_export
from training.registry.mlflow_store import find_model


def find_export_gaps(crm: Crm, table: FeatureTable, out: Path) -> list[FeatureGap]:
    """The gaps of the open leads of an export; none without a model that can be used."""
    try:
        registered_model = find_model(out)
        registered_model.evidence.check_not_empty()
    except (SettingsError, OutsideError, DataError):
        return []
    return find_gaps_of_export(registered_model.evidence, registered_model.model, table, crm)
