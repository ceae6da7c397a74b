"""The bundle: a model as it is served, in a folder that never changes, with checksums.

A pointer file next to the bundles names the one in use. One process (the follower) writes them; workers
only read them, and so do not depend on MLflow.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from features.errors import DataError
from features.files import FileVersion, atomic_file, atomic_folder, file_version
from scoring.model.evidence import Evidence
from scoring.model.model import EVIDENCE_FILE, MODEL_FILE, TREES_FILE, Model

BUNDLE_FILE, POINTER = "bundle.json", "current"
_FILES = (MODEL_FILE, TREES_FILE, EVIDENCE_FILE)
MAX_BUNDLES = 3
"""Bundles that are kept: the one in use, and earlier ones for workers that still read them."""


@dataclass(frozen=True)
class Origin:
    """The origin of a bundle's model: its version, its registered version and run in MLflow, and since when
    it is champion (ms UTC)."""

    version: str
    registered: str
    run_id: str
    since: int

    @property
    def name(self) -> str:
        return f"{self.registered}-{self.version}"


@dataclass(frozen=True)
class Bundle:
    """A bundle whose checksums hold."""

    origin: Origin
    model: Model
    folder: Path

    @cached_property
    def evidence(self) -> Evidence:
        """The newest deals that the model was evaluated on. Raises DataError if the table is damaged."""
        return Evidence.load(self.folder / EVIDENCE_FILE)


def write_bundle(root: Path, model_folder: Path, origin: Origin) -> None:
    """Copy a model folder into a bundle, make it the current one, and remove all but the last few.

    Raises OutsideError if it cannot be written; the pointer is then unchanged.
    """
    root.mkdir(parents=True, exist_ok=True)
    with atomic_folder(root / origin.name) as part:
        _write_files(part, model_folder, origin)
    _set_current(root, origin.name)
    _remove_old(root, origin.name)


def rewrite_evidence(root: Path, change: Callable[[Path], object]) -> None:
    """Replace the bundle in use by a copy whose evidence file `change` has edited (given its path).

    Readers see the complete old or the complete new bundle. Raises DataError if there is no undamaged
    bundle, OutsideError if the new one cannot be written.
    """
    current = current_name(root)
    origin = check_bundle(root / (current or POINTER))
    name = f"{origin.name}-{secrets.token_hex(3)}"
    with atomic_folder(root / name) as part:
        _write_files(part, root / str(current), origin, change)
    if current_name(root) == current:  # otherwise a newer bundle was written meanwhile
        _set_current(root, name)
    for old in {current, name} - {current_name(root)}:
        shutil.rmtree(root / str(old), ignore_errors=True)


def _write_files(
    part: Path, source: Path, origin: Origin, change: Callable[[Path], object] = lambda path: None
) -> None:
    for name in _FILES:
        shutil.copyfile(source / name, part / name)
    change(part / EVIDENCE_FILE)
    sums = {name: _sha256(part / name) for name in _FILES}
    text = json.dumps({**asdict(origin), "sha256": sums}, indent=1)
    (part / BUNDLE_FILE).write_text(text, encoding="utf-8")
    for name in (*_FILES, BUNDLE_FILE):
        _flush(part / name)


def _set_current(root: Path, name: str) -> None:
    with atomic_file(root / POINTER) as pointer:
        pointer.write_text(name, encoding="utf-8")


def current_name(root: Path) -> str | None:
    """The name of the bundle in use; None if there is none, or the pointer cannot be read."""
    try:
        return (root / POINTER).read_text(encoding="utf-8").strip() or None
    except (OSError, ValueError):
        return None


def pointer_stamp(root: Path) -> FileVersion | None:
    """A value that changes whenever the pointer is written; cheap to read."""
    try:
        return file_version(root / POINTER)
    except OSError:
        return None


def origin_of(root: Path) -> Origin | None:
    """The origin of the bundle in use; None if there is none, or it is damaged."""
    name = current_name(root)
    try:
        return None if name is None else check_bundle(root / name)
    except DataError:
        return None if current_name(root) == name else origin_of(root)


def load_bundle(root: Path) -> Bundle | None:
    """The bundle in use; None if there is none. Raises DataError if it is damaged."""
    name = current_name(root)
    if name is None:
        return None
    try:
        origin = check_bundle(root / name)
        bundle = Bundle(origin, Model.load(root / name), root / name)
        _ = bundle.evidence  # read now, while the folder exists
    except DataError:
        if current_name(root) == name:
            raise
        return load_bundle(root)  # it was replaced while it was read
    return bundle


def check_bundle(folder: Path) -> Origin:
    """The origin of a bundle. Raises DataError if a checksum differs or a file is missing."""
    try:
        content = json.loads((folder / BUNDLE_FILE).read_text(encoding="utf-8"))
        sums = content.pop("sha256")
        changed = [name for name, expected in sums.items() if _sha256(folder / name) != expected]
        origin = Origin(**content)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as problem:
        raise DataError(
            "{folder}: is no whole bundle ({name}).", folder=folder, name=type(problem).__name__
        ) from None
    if changed or len(sums) < 3:
        raise DataError(
            "{folder}: {names} is not what was written (checksum).", folder=folder, names=[*changed]
        )
    return origin


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _remove_old(root: Path, current: str) -> None:
    folders = [path.parent for path in root.glob(f"*/{BUNDLE_FILE}") if path.parent.name != current]
    for old in sorted(folders, key=lambda folder: folder.stat().st_mtime)[: -(MAX_BUNDLES - 1) or None]:
        shutil.rmtree(old, ignore_errors=True)
