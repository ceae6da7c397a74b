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


def read_lines(path: Path, offset: int, limit: int) -> tuple[list[Prediction], int, int]:
    """Predictions from a byte on, the byte after them, and how many lines these were."""
    predictions, lines = [], 0
    with path.open("rb") as opened:
        opened.seek(offset)
        for line in opened:
            offset += len(line)
            lines += 1
            if (prediction := _prediction(line)) is not None:
                predictions.append(prediction)
            if lines == limit:
                break
    return predictions, offset, lines


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
    offset, blanked = 0, 0
    with path.open("r+b") as file:
        for line in file.read().splitlines(keepends=True):
            if _lead_of(line) == lead_id:
                file.seek(offset)
                file.write(b" " * (len(line) - 1))
                blanked += 1
            offset += len(line)
        file.flush()
        os.fsync(file.fileno())
    return blanked


def _lead_of(line: bytes) -> str | None:
    prediction = _prediction(line)
    return prediction.lead_id if prediction else None
