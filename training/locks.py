"""A lock for processes that write to the same folder."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from features.files import write_error


@contextmanager
def lock_folder(folder: Path, name: str = ".lock") -> Iterator[None]:
    """Hold an exclusive lock on `folder`, which is created if necessary; other processes wait."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / name).open("w")
    except OSError as problem:
        raise write_error(folder, problem) from problem
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
