"""Warnings that would come with every request: each is logged once a minute, with the number left out."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable

LIMIT_SECONDS = 60.0


class LimitedLog:
    """Logs each message at most once in some seconds; a message is its template, whatever its values.

    The field `omitted` of a line is how many like it were left out since the one before. Thread-safe.
    `clock` returns monotonic seconds.
    """

    def __init__(
        self,
        logger: logging.Logger,
        seconds: float = LIMIT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._logger, self._seconds, self._clock = logger, seconds, clock
        self._due: dict[str, float] = {}
        self._omitted: Counter[str] = Counter()
        self._lock = threading.Lock()

    def warning(self, template: str, *values: object) -> None:
        self._log(logging.WARNING, template, values, None)

    def error(self, template: str, *values: object, exc_info: BaseException | None = None) -> None:
        self._log(logging.ERROR, template, values, exc_info)

    def _log(
        self, level: int, template: str, values: tuple[object, ...], exc_info: BaseException | None
    ) -> None:
        with self._lock:
            now = self._clock()
            if now < self._due.get(template, now):
                self._omitted[template] += 1
                return
            self._due[template] = now + self._seconds
            omitted = self._omitted.pop(template, 0)
        extra = {"omitted": omitted} if omitted else None
        self._logger.log(level, template, *values, exc_info=exc_info, extra=extra, stacklevel=3)
