"""What reviewers ask of a model, and what became of it: files between the pages and the one who may do it.

The pages write a request; the follower, which alone reaches MLflow, carries it out and answers. Both are
files beside the bundles, written whole: nothing is lost where either is stopped.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from features.files import whole_file
from features.kinds import Language

Action: TypeAlias = Literal["approve", "reject", "promote", "rollback"]
FOLDER, ANSWERED, MODELS_FILE = "requests", ".done.json", "models.json"
KEPT = 100
"""So many answers stay."""


@dataclass(frozen=True)
class Request:
    """What is asked of the model with a registered version; `override`: against the gate. `at` is ms UTC."""

    action: Action
    registered: str
    by: str
    note: str
    at: int
    override: bool = False
    id: str = ""


@dataclass(frozen=True)
class Done:
    """What became of a request, in both languages, and when (ms UTC)."""

    request: Request
    ok: bool
    told: Mapping[Language, str]
    at: int


def ask(root: Path, request: Request) -> str:
    """Write a request, on the disk when this returns; its id. Raises OutsideError."""
    told_id = f"{time.time_ns():020}-{secrets.token_hex(4)}"  # in the order asked
    folder = root / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / f"{told_id}.json", {**asdict(request), "id": told_id})
    return told_id


def waiting(root: Path) -> list[Request]:
    """The requests that nobody has answered, the oldest first. What cannot be read is passed over."""
    paths = sorted(path for path in _files(root) if not path.name.endswith(ANSWERED))
    return [request for path in paths if (request := _request(_read(path))) is not None]


def answer(root: Path, done: Done) -> None:
    """Say what became of a request; it waits no longer. Raises OutsideError."""
    folder = root / FOLDER
    _write(folder / f"{done.request.id}{ANSWERED}", asdict(done))
    (folder / f"{done.request.id}.json").unlink(missing_ok=True)
    for old in sorted(folder.glob(f"*{ANSWERED}"))[:-KEPT]:
        old.unlink(missing_ok=True)


def answers(root: Path) -> list[Done]:
    """What became of the last requests, the newest first."""
    paths = sorted((path for path in _files(root) if path.name.endswith(ANSWERED)), reverse=True)
    return [done for path in paths if (done := _answer(_read(path))) is not None]


def write_models(root: Path, told: Mapping[str, Any]) -> None:
    """Write what the pages show of the models. Raises OutsideError."""
    root.mkdir(parents=True, exist_ok=True)
    _write(root / MODELS_FILE, told)


def read_models(root: Path) -> dict[str, Any] | None:
    """What the follower wrote last; None where it has written nothing yet."""
    return _read(root / MODELS_FILE)


def _request(told: Any) -> Request | None:
    """A request as it was written; None for what is none, such as one of another version of Hotlead."""
    try:
        return Request(**told)
    except TypeError:
        return None


def _answer(told: Any) -> Done | None:
    try:
        request = _request(told["request"])
        return None if request is None else Done(**{**told, "request": request})
    except (TypeError, KeyError):
        return None


def _files(root: Path) -> list[Path]:
    folder = root / FOLDER
    return [*folder.glob("*.json")] if folder.is_dir() else []


def _write(path: Path, told: Mapping[str, Any]) -> None:
    with whole_file(path) as part:
        part.write_text(json.dumps(told, ensure_ascii=False, indent=1), encoding="utf-8")
        with part.open("rb") as file:
            os.fsync(file.fileno())


def _read(path: Path) -> dict[str, Any] | None:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return told if isinstance(told, dict) else None
