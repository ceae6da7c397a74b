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

from features.files import atomic_file
from features.kinds import Language

ReviewAction: TypeAlias = Literal["approve", "reject", "promote", "rollback"]
FOLDER, RESULT_SUFFIX, MODELS_FILE = "requests", ".done.json", "models.json"
MAX_RESULTS = 100
"""So many answers stay."""


@dataclass(frozen=True)
class ReviewRequest:
    """What is asked of the model with a registered version; `override`: against the gate. `at` is ms UTC."""

    action: ReviewAction
    registered: str
    by: str
    note: str
    at: int
    override: bool = False
    id: str = ""


@dataclass(frozen=True)
class ReviewResult:
    """What became of a request, in both languages, and when (ms UTC)."""

    request: ReviewRequest
    ok: bool
    told: Mapping[Language, str]
    at: int


def write_request(root: Path, request: ReviewRequest) -> str:
    """Write a request, on the disk when this returns; its id. Raises OutsideError."""
    request_id = f"{time.time_ns():020}-{secrets.token_hex(4)}"  # in the order asked
    folder = root / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / f"{request_id}.json", {**asdict(request), "id": request_id})
    return request_id


def read_waiting(root: Path) -> list[ReviewRequest]:
    """The requests that nobody has answered, the oldest first. What cannot be read is passed over."""
    paths = sorted(path for path in _files(root) if not path.name.endswith(RESULT_SUFFIX))
    return [request for path in paths if (request := _parse_request(_read(path))) is not None]


def write_result(root: Path, result: ReviewResult) -> None:
    """Say what became of a request; it waits no longer. Raises OutsideError."""
    folder = root / FOLDER
    _write(folder / f"{result.request.id}{RESULT_SUFFIX}", asdict(result))
    (folder / f"{result.request.id}.json").unlink(missing_ok=True)
    for old in sorted(folder.glob(f"*{RESULT_SUFFIX}"))[:-MAX_RESULTS]:
        old.unlink(missing_ok=True)


def read_results(root: Path) -> list[ReviewResult]:
    """What became of the last requests, the newest first."""
    paths = sorted((path for path in _files(root) if path.name.endswith(RESULT_SUFFIX)), reverse=True)
    return [result for path in paths if (result := _parse_result(_read(path))) is not None]


def write_models(root: Path, snapshot: Mapping[str, Any]) -> None:
    """Write what the pages show of the models. Raises OutsideError."""
    root.mkdir(parents=True, exist_ok=True)
    _write(root / MODELS_FILE, snapshot)


def read_models(root: Path) -> dict[str, Any] | None:
    """What the follower wrote last; None where it has written nothing yet."""
    return _read(root / MODELS_FILE)


def _parse_request(values: Any) -> ReviewRequest | None:
    """A request as it was written; None for what is none, such as one of another version of Hotlead."""
    try:
        return ReviewRequest(**values)
    except TypeError:
        return None


def _parse_result(values: Any) -> ReviewResult | None:
    try:
        request = _parse_request(values["request"])
        return None if request is None else ReviewResult(**{**values, "request": request})
    except (TypeError, KeyError):
        return None


def _files(root: Path) -> list[Path]:
    folder = root / FOLDER
    return [*folder.glob("*.json")] if folder.is_dir() else []


def _write(path: Path, content: Mapping[str, Any]) -> None:
    with atomic_file(path) as part:
        part.write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")
        with part.open("rb") as file:
            os.fsync(file.fileno())


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None
