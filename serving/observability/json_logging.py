"""Logs: one line of JSON an event, to stderr, from every logger of the process."""

from __future__ import annotations

import logging
import sys
import threading
import time
import warnings
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, TextIO

from serving.observability.log_format import OURS, JsonFormatter, format_line, format_location


def log_event(logger: logging.Logger, level: int, message: str, fields: Mapping[str, Any]) -> None:
    """Log what happens at every request.

    Where our handler alone would write it, it does so at once: making a LogRecord first would cost
    more than all else that the door does.
    """
    if not logger.isEnabledFor(level):
        return
    match logging.root.handlers:
        case [JsonHandler() as lines]:
            lines.write(format_line(time.time(), level, logger.name, message, fields))
        case _:
            logger.log(level, message, extra=fields)


class JsonHandler(logging.StreamHandler[TextIO]):
    """Writes the lines; a record that cannot be written leaves no trace of its values."""

    def write(self, line: str) -> None:
        """Write a line past the records; a stream that takes none is no reason to fail."""
        try:
            self.stream.write(f"{line}\n")
            self.stream.flush()
        except (OSError, ValueError):
            return

    def handleError(self, record: logging.LogRecord) -> None:
        with suppress(OSError, ValueError):  # perhaps nobody reads the log any more
            self.stream.write('{"level":"error","message":"a line of the log cannot be written"}\n')


def configure(level: str = "info", stream: TextIO | None = None) -> None:
    """Make every logger of this process write lines of JSON; `level` is that of our own loggers.

    Others tell warnings and worse only. Call it after BentoML has set its own logging up.
    """
    handler = JsonHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter())
    handler.addFilter(_is_server_fault)
    for logger in map(logging.getLogger, list(logging.root.manager.loggerDict)):
        _reset_logger(logger)
    wanted = logging.getLevelNamesMapping()[level.upper()]
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(max(wanted, logging.WARNING))
    for name in OURS:
        logging.getLogger(name).setLevel(wanted)
    _mute_access_logs()
    _install_hooks()


def _reset_logger(logger: logging.Logger) -> None:
    logger.handlers[:] = []
    logger.filters[:] = []
    logger.propagate, logger.disabled = True, False
    logger.setLevel(logging.NOTSET)


def _mute_access_logs() -> None:
    """The access logs of others: they tell whole paths, and the door has its own."""
    for name in ("uvicorn.access", "bentoml.access", "bentoml_monitor_data"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def _is_server_fault(record: logging.LogRecord) -> bool:
    """Faults of a client are no errors of ours: one that went away, or a body that does not hold.

    BentoML logs the latter for its own endpoints; the access log has the status.
    """
    problem = record.exc_info[1] if record.exc_info else None
    kind = type(problem).__name__
    wrong_body = kind == "ValidationError" and record.name.startswith("bentoml")
    return kind != "ClientDisconnect" and not wrong_body


def _install_hooks() -> None:
    """What Python would print by itself, with values: warnings and exceptions nobody caught."""
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
    logging.getLogger("hotlead").critical("Nobody caught this", exc_info=shown)


def quiet_lightgbm() -> None:
    """Make LightGBM log what it prints to stdout by default.

    Call it when a model is loaded: importing LightGBM at start would cost a second or two.
    """
    import lightgbm

    lightgbm.register_logger(logging.getLogger("lightgbm"))
