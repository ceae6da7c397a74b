"""Tells all processes of a machine at once that what they mirror in memory was changed in the store."""

from __future__ import annotations

import logging
import os
import secrets
from pathlib import Path

from features.files import file_version
from serving.observability.limited_log import LimitedLog

SIGNAL_FILE = "changes"
_LENGTH = 8
log = logging.getLogger(__name__)


class ChangeSignal:
    """A few random bytes in a file that all processes share, others after each change.

    Looking costs less than a microsecond: the file is read from memory, and no database is asked. It is a
    hint alone: where the file cannot be used, processes find changes when they next look at the database.
    """

    def __init__(self, folder: Path) -> None:
        self._path, self._descriptor = folder / SIGNAL_FILE, -1
        self._limited_log = LimitedLog(log)
        self.reopen()

    @property
    def value(self) -> bytes:
        """Another one whenever something was changed; empty when the file cannot be read."""
        try:
            return os.pread(self._descriptor, _LENGTH, 0)
        except OSError:
            return b""

    def announce(self) -> None:
        """Tell all processes that something was changed, once it is committed and before its sender knows."""
        try:
            os.pwrite(self._descriptor, secrets.token_bytes(_LENGTH), 0)
        except OSError as problem:
            self._limited_log.warning("Changes cannot be announced to other workers: %s", problem.strerror)

    def reopen(self) -> None:
        """Open the file, also when it was replaced or deleted since."""
        try:
            if self._descriptor >= 0 and _inode(self._path) == os.fstat(self._descriptor).st_ino:
                return
            self._path.parent.mkdir(parents=True, exist_ok=True)
            opened = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o660)
        except OSError as problem:
            self._limited_log.warning("Changes cannot be announced to other workers: %s", problem.strerror)
            return
        self.close()
        self._descriptor = opened

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def _inode(path: Path) -> int | None:
    version = file_version(path)
    return None if version is None else version[2]
