"""The files of an SQLite database: searched, compared, and the write-ahead log emptied."""

from __future__ import annotations

import os
import re
import sqlite3
import time
from pathlib import Path

CHECKPOINT_SECONDS = 5.0


def file_contains(path: Path, wanted: bytes, block_size: int = 2**20) -> bool:
    """Whether a file contains an id as a whole (L10 is not in L100). Raises OSError.

    Any byte may precede the id: SQLite stores a row's texts one after another, so that a lead's id follows
    the record's key directly. After it comes a time, whose first byte is no letter. `block_size` is how
    many bytes are read at a time.
    """
    pattern = re.compile(re.escape(wanted) + rb"(?![\w-])")
    tail = b""
    with path.open("rb") as file:
        while block := file.read(block_size):
            chunk = tail + block
            # A match at the very end may continue in the next block, which begins with it.
            if any(match.end() < len(chunk) for match in pattern.finditer(chunk)):
                return True
            tail = chunk[-len(wanted) :]
    return tail == wanted


def inode_of(path: Path) -> tuple[int, int]:
    """Device and inode of the file that is at a path now. Raises OSError."""
    stat_result = os.stat(path)
    return stat_result.st_dev, stat_result.st_ino


def size_of(path: Path) -> int:
    """The size of a file in bytes; 0 when it does not exist or cannot be read."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def truncate_wal(connection: sqlite3.Connection) -> None:
    """Empty the write-ahead log, and wait while another checkpoint runs. Raises sqlite3.Error."""
    deadline = time.monotonic() + CHECKPOINT_SECONDS
    while connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
        if time.monotonic() > deadline:
            raise sqlite3.OperationalError("the write-ahead log is in use")
        time.sleep(0.02)
