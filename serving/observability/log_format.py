"""A line of the log: JSON that never holds what a lead said or is.

An exception is told as its type and where it came from. Its message, its values and its traceback
stay out, whoever logs it: they are where personal data leak.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The request that is being answered; every line logged meanwhile tells it."""

OURS = ("serving", "scoring", "features", "hotlead")
FRAMES = 3
LONGEST = 500

_LEVELS = {10: "debug", 20: "info", 30: "warning", 40: "error", 50: "critical"}
_RECORD_ATTRIBUTES = frozenset(
    {
        *vars(logging.LogRecord("", 0, "", 0, "", (), None)),
        "message",
        "asctime",
        "taskName",
    }
)


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {k: v for k, v in vars(record).items() if k not in _RECORD_ATTRIBUTES}
        if record.exc_info and record.exc_info[1]:
            fields |= describe_exception(record.exc_info[1])
        return format_line(record.created, record.levelno, record.name, _message(record), fields)


def format_line(timestamp: float, level: int, logger: str, message: str, fields: Mapping[str, Any]) -> str:
    """One line of the log; `at` in seconds since 1970."""
    return orjson.dumps(
        {
            "time": datetime.fromtimestamp(timestamp, UTC),
            "level": _LEVELS.get(level, "other"),
            "logger": logger,
            "message": message,
            "request_id": request_id.get(),
            **fields,
        },
        default=_redacted,
        option=orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z,
    ).decode()


def describe_exception(problem: BaseException) -> dict[str, Any]:
    """What a log may say of an exception: its types down to the first cause, and the last frames."""
    return {"error": [_exception_name(p) for p in _exception_chain(problem)], "at": _frame_locations(problem)}


def _message(record: logging.LogRecord) -> str:
    """The message; its template alone where an exception would get into it, or perhaps did."""
    others = record.name.partition(".")[0] not in OURS
    if _holds_exception(record.args) or (record.exc_info and others):
        # Some write values into their template: asyncio the arguments of a callback, for one.
        return str(record.msg).partition("\n")[0].partition("(")[0][:LONGEST]
    try:
        return record.getMessage()[:LONGEST]
    except (TypeError, ValueError, KeyError):
        return str(record.msg)[:LONGEST]


def _holds_exception(args: object) -> bool:
    values = args if isinstance(args, tuple) else args.values() if isinstance(args, dict) else ()
    return any(isinstance(value, BaseException) for value in values)


def _exception_chain(problem: BaseException) -> Iterator[BaseException]:
    """The exception and its causes, at most five."""
    next_one: BaseException | None = problem
    for _ in range(5):
        if next_one is None:
            return
        yield next_one
        next_one = next_one.__cause__ or next_one.__context__


def _frame_locations(problem: BaseException) -> list[str]:
    """file.py:12 of the last frames, the innermost first."""
    frames, step = [], problem.__traceback__
    while step is not None:
        frames.append((step.tb_frame.f_code.co_filename, step.tb_lineno))
        step = step.tb_next
    return [format_location(*frame) for frame in reversed(frames[-FRAMES:])]


def _exception_name(problem: BaseException) -> str:
    kind = type(problem)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def _redacted(value: object) -> str:
    """What stands for a value that JSON does not know: its type, never its content."""
    return f"<{type(value).__name__}>"


def format_location(file: str, line: int) -> str:
    """A line of code, with the last folder of its file: serving/door.py:12."""
    return f"{'/'.join(Path(file).parts[-2:])}:{line}"
