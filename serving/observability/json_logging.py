"""Logging: one line of JSON per record, to stderr, from every logger of the process; without personal data.

An exception is written as its type and the place that raised it. Its message, values and traceback are left
out, whichever logger writes it, because they may contain values of a lead.
"""

from __future__ import annotations

import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from traceback import walk_tb
from types import TracebackType
from typing import TextIO

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
            problem = record.exc_info[1]
            fields["error"] = [_exception_name(p) for p in _exception_chain(problem)]
            fields["at"] = _frame_locations(problem)
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


class JsonHandler(logging.StreamHandler[TextIO]):
    """Writes the lines; a record that cannot be written leaves no trace of its values."""

    def handleError(self, record: logging.LogRecord) -> None:
        with suppress(OSError, ValueError):  # the stream may be closed
            self.stream.write('{"level":"error","message":"a line of the log cannot be written"}\n')


def configure(level: str = "info", stream: TextIO | None = None) -> None:
    """Make every logger of this process write JSON; `level` is the level of Hotlead's own loggers.

    All others write warnings and errors only. Call it after BentoML has configured its logging.
    """
    handler = JsonHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter())
    handler.addFilter(_is_server_fault)
    for logger in map(logging.getLogger, list(logging.root.manager.loggerDict)):
        logger.handlers[:], logger.filters[:] = [], []
        logger.propagate, logger.disabled = True, False
        logger.setLevel(logging.NOTSET)
    wanted = logging.getLevelNamesMapping()[level.upper()]
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(max(wanted, logging.WARNING))
    for name in OURS:
        logging.getLogger(name).setLevel(wanted)
    # Other access logs contain full paths, and the middleware has its own. The reader of forms logs bytes of
    # a form that is none.
    for name in ("uvicorn.access", "bentoml.access", "bentoml_monitor_data", "python_multipart"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    _install_hooks()


def _is_server_fault(record: logging.LogRecord) -> bool:
    """Whether a record is not about a client's fault: a disconnect, or an invalid body.

    BentoML logs invalid bodies of its own endpoints; the access log has their status.
    """
    problem = record.exc_info[1] if record.exc_info else None
    kind = type(problem).__name__
    wrong_body = kind == "ValidationError" and record.name.startswith("bentoml")
    return kind != "ClientDisconnect" and not wrong_body


def _install_hooks() -> None:
    """Log warnings and uncaught exceptions, which Python would print with values."""
    warnings.showwarning = _log_warning
    sys.excepthook = _log_uncaught
    threading.excepthook = lambda args: _log_uncaught(args.exc_type, args.exc_value, args.exc_traceback)
    sys.unraisablehook = lambda args: _log_uncaught(args.exc_type, args.exc_value, args.exc_traceback)
    if "lightgbm" in sys.modules:
        quiet_lightgbm()


def _log_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    place = format_location(filename, lineno)
    logging.getLogger("warnings").warning(category.__name__, extra={"at": [place]})


def _log_uncaught(
    kind: type[BaseException], problem: BaseException | None, trace: TracebackType | None
) -> None:
    if issubclass(kind, SystemExit | KeyboardInterrupt):
        return
    shown = (kind, problem or kind(), trace)
    logging.getLogger("hotlead").critical("Uncaught exception", exc_info=shown)


def quiet_lightgbm() -> None:
    """Make LightGBM log instead of printing to stdout. Call it after a model is loaded."""
    import lightgbm  # at start-up it would cost a second or two

    lightgbm.register_logger(logging.getLogger("lightgbm"))


def _message(record: logging.LogRecord) -> str:
    """The message; only its template when an exception is, or may be, formatted into it."""
    others = record.name.partition(".")[0] not in OURS
    if (record.args and _holds_exception(record.args)) or (record.exc_info and others):
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
    frames = list(walk_tb(problem.__traceback__))[-FRAMES:]
    return [format_location(frame.f_code.co_filename, line) for frame, line in reversed(frames)]


def _exception_name(problem: BaseException) -> str:
    kind = type(problem)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def _redacted(value: object) -> str:
    """The type of a value that JSON does not know, never its content."""
    return f"<{type(value).__name__}>"


def format_location(file: str, line: int) -> str:
    """A line of code with the last folder of its file: web/middleware.py:12."""
    return f"{'/'.join(Path(file).parts[-2:])}:{line}"
