"""The format of the log: lines of JSON without personal data.

An exception is written as its type and the place that raised it. Its message, values and traceback are left
out, whichever logger writes it, because they may contain values of a lead.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path

import orjson

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The id of the current request; every line of the log has it."""

OURS = ("serving", "scoring", "features", "hotlead")
FRAMES = 3
LONGEST = 500

_LEVELS = {10: "debug", 20: "info", 30: "warning", 40: "error", 50: "critical"}
_RECORD_ATTRIBUTES = frozenset(
    {*vars(logging.LogRecord("", 0, "", 0, "", (), None)), "message", "asctime", "taskName"}
)


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON; a value that JSON does not know becomes its type."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {k: v for k, v in vars(record).items() if k not in _RECORD_ATTRIBUTES}
        if record.exc_info and record.exc_info[1]:
            fields |= describe_exception(record.exc_info[1])
        return orjson.dumps(
            {
                "time": datetime.fromtimestamp(record.created, UTC),
                "level": _LEVELS.get(record.levelno, "other"),
                "logger": record.name,
                "message": _message(record),
                "request_id": request_id.get(),
                **fields,
            },
            default=_redacted,
            option=orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z,
        ).decode()


def describe_exception(problem: BaseException) -> dict[str, list[str]]:
    """The types of an exception and of its causes, and the places of its last frames."""
    return {"error": [_exception_name(p) for p in _exception_chain(problem)], "at": _frame_locations(problem)}


def _message(record: logging.LogRecord) -> str:
    """The message; only its template when an exception is, or may be, formatted into it."""
    others = record.name.partition(".")[0] not in OURS
    if _holds_exception(record.args) or (record.exc_info and others):
        # Some loggers put values into the template, such as asyncio the arguments of a callback.
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
    """The type of a value that JSON does not know, never its content."""
    return f"<{type(value).__name__}>"


def format_location(file: str, line: int) -> str:
    """A line of code with the last folder of its file: web/middleware.py:12."""
    return f"{'/'.join(Path(file).parts[-2:])}:{line}"
