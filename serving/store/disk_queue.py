"""Predictions that wait on disk while the database is away: a bounded folder of append-only files.

One line of JSON a prediction, one file a process. A file belongs to who holds its lock; what a dead
process left is taken over by another. The lock on the folder makes what processes do to files wait
for each other: for appending, draining and erasing.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from serving.store.records import Prediction
from serving.store.spool_lines import as_lines, blank_lines, read_lines

ENDING = ".spool"
log = logging.getLogger(__name__)


@dataclass(slots=True)
class _File:
    """A file that this process holds; all before `done` is in the database."""

    path: Path
    descriptor: int
    rows: int = 0
    drained: int = 0

    @property
    def size(self) -> int:
        return os.fstat(self.descriptor).st_size


class Spool:
    """A queue of predictions in `folder`, of at most `limit` bytes over all processes.

    Used by one thread at a time; `rows` and `waiting` may be read by any.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder, self._limit = folder, limit
        self._active: _File | None = None
        self._open_files: list[_File] = []
        self._reported: set[tuple[Path, str]] = set()

    @property
    def rows(self) -> int:
        """Predictions that this process has to bring to the database."""
        return sum(file.rows for file in self._open_files)

    @property
    def waiting(self) -> bool:
        """Whether there is something to drain, perhaps of a process that died."""
        return self.rows > 0 or bool(self._orphans())

    def append(self, lists: Sequence[Sequence[Prediction]], patience: float | None = None) -> list[bool]:
        """Append lists of predictions with one write; which of them could be taken, each whole.

        `patience`: how many seconds to wait for others that use the folder (None: until they end).
        """
        lines = [as_lines(predictions) for predictions in lists]
        try:
            with self._locked(patience):
                return self._append(lines)
        except OSError as problem:
            log.warning("The queue on disk cannot be written: %s", problem.strerror)
            return [False] * len(lists)

    @contextmanager
    def draining(self, limit: int) -> Iterator[list[Prediction]]:
        """The oldest predictions; where the block ends well they leave the queue.

        Nobody erases a lead meanwhile. Raises OSError.
        """
        with self._locked():
            self._adopt()
            oldest = self._oldest(limit)
            if oldest is None:
                yield []
                return
            file, (predictions, end, lines) = oldest
            yield predictions
            file.drained = end
            file.rows = max(0, file.rows - lines) if end < file.size else 0
            if not file.rows:
                self._empty(file)

    @contextmanager
    def erasing(self, lead_id: str) -> Iterator[list[int]]:
        """Blank out a lead's lines in all files after the block, in which nobody drains them.

        Yields a list that then holds how many lines these were. Raises OSError.
        """
        counted: list[int] = []
        if not self._folder.is_dir():
            yield counted
            return
        with self._locked():
            yield counted
            counted += [blank_lines(path, lead_id) for path in self._files()]

    def close(self) -> None:
        """Let go of the files; those with something left are another's to drain."""
        with suppress(OSError):
            if self._open_files:
                with self._locked():
                    for file in [open_file for open_file in self._open_files if not open_file.rows]:
                        file.path.unlink(missing_ok=True)
        for file in self._open_files:
            os.close(file.descriptor)
        self._open_files, self._active = [], None

    def _append(self, lines: Sequence[bytes | None]) -> list[bool]:
        room = self._limit - sum(_size(path) for path in self._files())
        taken = []
        for line in lines:
            fits = line is not None and len(line) <= room
            room -= len(line or b"") if fits else 0
            taken.append(fits)
        block = b"".join(line for line, fits in zip(lines, taken, strict=True) if fits and line)
        if block:
            self._write(block)
        return taken

    def _write(self, block: bytes) -> None:
        """All of it or nothing. Raises OSError."""
        file = self._active = self._active or self._new()
        before = file.size
        try:
            if os.write(file.descriptor, block) < len(block):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            os.ftruncate(file.descriptor, before)
            raise
        file.rows += block.count(b"\n")

    def _new(self) -> _File:
        path = self._folder / f"{os.getpid()}-{uuid.uuid4().hex[:12]}{ENDING}"
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND
        file = _File(path, os.open(path, flags, 0o600))
        fcntl.flock(file.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._open_files.append(file)
        return file

    def _oldest(self, limit: int) -> tuple[_File, tuple[list[Prediction], int, int]] | None:
        """The first file that has something left and can be read, and that."""
        for file in self._open_files:
            try:
                if file.rows:
                    return file, read_lines(file.path, file.drained, limit)
            except OSError as problem:
                self._passed_over(file.path, problem)
        return None

    def _adopt(self) -> None:
        """Take over what dead processes left, but for what cannot be read."""
        for path in self._orphans():
            try:
                self._take(path)
            except BlockingIOError:
                continue  # its process lives
            except OSError as problem:
                self._passed_over(path, problem)

    def _take(self, path: Path) -> None:
        """Raises BlockingIOError where another process holds it, OSError where it cannot be read."""
        descriptor = os.open(path, os.O_RDWR)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            rows = path.read_bytes().count(b"\n")
        except OSError:
            os.close(descriptor)
            raise
        self._open_files.append(_File(path, descriptor, max(rows, 1)))

    def _passed_over(self, path: Path, problem: OSError) -> None:
        """Say so, once of each: it is tried again every second."""
        error_key = (path, type(problem).__name__)
        if error_key not in self._reported:
            log.error("%s in the queue on disk cannot be read: %s", path.name, error_key[1])
        self._reported.add(error_key)

    def _empty(self, file: _File) -> None:
        """Own files are used again, others have done their service."""
        if file is self._active:
            os.ftruncate(file.descriptor, 0)
            file.drained = 0
            return
        file.path.unlink(missing_ok=True)
        os.close(file.descriptor)
        self._open_files.remove(file)

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob(f"*{ENDING}"))

    def _orphans(self) -> list[Path]:
        """Files that are not held by this process; some may be another's."""
        open_paths = {file.path for file in self._open_files}
        return [path for path in self._files() if path not in open_paths]

    @contextmanager
    def _locked(self, patience: float | None = None) -> Iterator[None]:
        """Raises OSError; TimeoutError where others hold it for longer than `patience` seconds."""
        self._folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _lock(descriptor, patience)
            yield
        finally:
            os.close(descriptor)


def _lock(descriptor: int, patience: float | None) -> None:
    if patience is None:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return
    until = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > until:
                raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT)) from None
            time.sleep(0.02)


def _size(path: Path) -> int:
    """Bytes; 0 where even that cannot be told, so that one bad entry does not keep all others out."""
    try:
        return path.stat().st_size
    except OSError:
        return 0
