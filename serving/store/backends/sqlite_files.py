"""What the store does to the files of an SQLite database themselves."""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def file_lock(path: Path, seconds: float) -> Iterator[None]:
    """Hold the lock on a file, which is made. Raises TimeoutError, or OSError."""
    with path.open("a") as file:
        until = time.monotonic() + seconds
        while not _try_lock(file.fileno()):
            if time.monotonic() > until:
                raise TimeoutError
            time.sleep(0.02)
        yield


def file_contains(path: Path, wanted: bytes, block_size: int = 2**20) -> bool:
    """Whether an id is in a file, which is read in pieces; L10 is not in L100. Raises OSError.

    What stands before it does not matter: SQLite puts a row's texts side by side, so that a lead's id
    follows the record's key with nothing between. After it comes a time, whose first byte is no letter.
    """
    pattern = re.compile(re.escape(wanted) + rb"(?![\w-])")
    tail = b""
    with path.open("rb") as file:
        while block := file.read(block_size):
            chunk = tail + block
            # One at the very end may go on in the next piece, which begins with it.
            if any(match.end() < len(chunk) for match in pattern.finditer(chunk)):
                return True
            tail = chunk[-len(wanted) :]
    return tail == wanted


def inode_of(path: Path) -> tuple[int, int]:
    """Which file is at a path now. Raises OSError."""
    stat_result = os.stat(path)
    return stat_result.st_dev, stat_result.st_ino


def size_of(path: Path) -> int:
    """Bytes of a file; 0 where there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
