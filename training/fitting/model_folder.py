"""The folder of a model: written whole or not at all, by one process at a time."""

from __future__ import annotations

from pathlib import Path

from features.files import atomic_folder, file_lock
from scoring.model.evidence import Evidence
from scoring.model.model import EVIDENCE_FILE, Model


def save_model(model: Model, table: Evidence, folder: Path) -> None:
    """Write the model folder, whole or not at all."""
    with file_lock(folder.parent / ".lock"), atomic_folder(folder) as part:
        model.save(part)
        table.save(part / EVIDENCE_FILE)
