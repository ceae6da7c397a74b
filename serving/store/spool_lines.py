"""The lines of a queue on disk: one of JSON a prediction. Torn and blanked ones are skipped."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

import orjson

from serving.store.records import Prediction

log = logging.getLogger(__name__)


def as_lines(predictions: Sequence[Prediction]) -> bytes | None:
    """A line each; None where one cannot be written as JSON."""
    try:
        return b"".join(orjson.dumps(p._asdict()) + b"\n" for p in predictions)
    except orjson.JSONEncodeError:
        return None


def read_lines(path: Path, at: int, most: int) -> tuple[list[Prediction], int, int]:
    """Predictions from a byte on, the byte after them, and how many lines these were."""
    told, lines = [], 0
    with path.open("rb") as opened:
        opened.seek(at)
        for line in opened:
            at += len(line)
            lines += 1
            if (prediction := _prediction(line)) is not None:
                told.append(prediction)
            if lines == most:
                break
    return told, at, lines


def _prediction(line: bytes) -> Prediction | None:
    """None for a line that was torn by a crash, or blanked out."""
    if not line.strip():
        return None
    try:
        return Prediction(**orjson.loads(line))
    except (orjson.JSONDecodeError, TypeError):
        log.warning("A line of the queue on disk is torn and was skipped")
        return None


def blank_lines(path: Path, lead_id: str) -> int:
    """Overwrite a lead's lines in place, so that nobody's position in the file moves."""
    at, blanked = 0, 0
    with path.open("r+b") as file:
        for line in file.read().splitlines(keepends=True):
            if _lead_of(line) == lead_id:
                file.seek(at)
                file.write(b" " * (len(line) - 1))
                blanked += 1
            at += len(line)
        file.flush()
        os.fsync(file.fileno())
    return blanked


def _lead_of(line: bytes) -> str | None:
    prediction = _prediction(line)
    return prediction.lead_id if prediction else None
