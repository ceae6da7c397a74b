"""Requests of reviewers about a model and their results: files between the pages and the follower.

The pages write a request; the follower, the only process that reaches MLflow, carries it out and writes the
result. Both are files next to the bundles, written atomically: nothing is lost if a process stops.
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
"""The newest results that are kept."""


@dataclass(frozen=True, kw_only=True)
class ReviewRequest:
    """An action on the model with a registered version; `override`: against the gate. `at` is ms UTC."""

    action: ReviewAction
    registered: str
    by: str
    note: str
    at: int
    override: bool = False
    id: str = ""


@dataclass(frozen=True)
class ReviewResult:
    """The result of a request, with a message in both languages. `at` is ms UTC."""

    request: ReviewRequest
    ok: bool
    message: Mapping[Language, str]
    at: int


def write_request(root: Path, request: ReviewRequest) -> str:
    """Write a request to the disk and return its id. Raises OutsideError."""
    request_id = f"{time.time_ns():020}-{secrets.token_hex(4)}"  # ids sort by time
    folder = root / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / f"{request_id}.json", {**asdict(request), "id": request_id})
    return request_id


def read_waiting(root: Path) -> list[ReviewRequest]:
    """The requests without a result, oldest first. Unreadable files are skipped."""
    paths = sorted(path for path in _files(root) if not path.name.endswith(RESULT_SUFFIX))
    return [request for path in paths if (request := _parse_request(_read(path))) is not None]


def write_result(root: Path, result: ReviewResult) -> None:
    """Write the result of a request and remove the request. Raises OutsideError."""
    folder = root / FOLDER
    _write(folder / f"{result.request.id}{RESULT_SUFFIX}", asdict(result))
    (folder / f"{result.request.id}.json").unlink(missing_ok=True)
    for old in sorted(folder.glob(f"*{RESULT_SUFFIX}"))[:-MAX_RESULTS]:
        old.unlink(missing_ok=True)


def read_results(root: Path) -> list[ReviewResult]:
    """The results of the last requests, newest first."""
    paths = sorted((path for path in _files(root) if path.name.endswith(RESULT_SUFFIX)), reverse=True)
    return [result for path in paths if (result := _parse_result(_read(path))) is not None]


def write_models(root: Path, snapshot: Mapping[str, Any]) -> None:
    """Write the figures of the models for the pages. Raises OutsideError."""
    root.mkdir(parents=True, exist_ok=True)
    _write(root / MODELS_FILE, snapshot)


def read_models(root: Path) -> dict[str, Any] | None:
    """The figures that the follower wrote last; None before the first time."""
    return _read(root / MODELS_FILE)


def _parse_request(values: Any) -> ReviewRequest | None:
    """A request from its JSON; None if it is not one, such as one of another version of Hotlead."""
    try:
        return ReviewRequest(**values)
    except TypeError:
        return None


def _parse_result(values: Any) -> ReviewResult | None:
    try:
        request = _parse_request(values.pop("request"))
        message = values.pop("told") if "told" in values else values.pop("message")  # its former name
        return None if request is None else ReviewResult(request=request, message=message, **values)
    except (TypeError, KeyError, AttributeError):
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
