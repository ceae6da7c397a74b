"""Logging: one line of JSON per record, to stderr, from every logger of the process."""

from __future__ import annotations

import logging
import sys
import threading
import warnings
from contextlib import suppress
from types import TracebackType
from typing import TextIO

from serving.observability.log_format import OURS, JsonFormatter, format_location


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
    """Switch off other access logs: they contain full paths, and the middleware has its own."""
    for name in ("uvicorn.access", "bentoml.access", "bentoml_monitor_data"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


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
