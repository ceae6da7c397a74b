"""Undoes what the service and the commands change for their whole process."""

from __future__ import annotations

import logging
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def preserve_process_state() -> Iterator[None]:
    """Restore the logging handlers, the hooks for exceptions and warnings, the environment and the umask."""
    umask = os.umask(0o077)
    os.umask(umask)
    root, environment = logging.root, dict(os.environ)
    handlers, level, show_warning = root.handlers[:], root.level, warnings.showwarning
    hooks = (sys.excepthook, sys.unraisablehook, threading.excepthook)
    try:
        yield
    finally:
        root.handlers[:], root.level, warnings.showwarning = handlers, level, show_warning
        sys.excepthook, sys.unraisablehook, threading.excepthook = hooks
        os.umask(umask)
        os.environ.clear()
        os.environ.update(environment)
