"""Files on the disk: written completely or not at all, locked, and watched for changes."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeAlias

from features.errors import OutsideError
from features.messages import as_message

FileVersion: TypeAlias = tuple[int, int, int]
"""Modification time (ns), size (bytes) and inode of a file: another one after each atomic_file."""
LOCK_POLL_SECONDS = 0.02


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a path in the same folder to write to; the file replaces `path` when the block ends.

    When the block or the disk fails, `path` stays as it was. Raises OutsideError when the disk refuses.
    """
    with _unfinished(path) as part:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(part, path)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a new folder to fill; it replaces the folder `path` when the block ends.

    When the block or the disk fails, `path` stays as it was. Raises OutsideError when the disk refuses.
    """
    with _unfinished(path) as part:
        part.mkdir()
        yield part
        _replace_folder(path, part)


@contextmanager
def _unfinished(path: Path) -> Iterator[Path]:
    """A new path beside `path`; what is there in the end is removed."""
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
    except OSError as problem:
        raise write_error(path, problem) from problem
    finally:
        shutil.rmtree(part, ignore_errors=True)
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _replace_folder(path: Path, part: Path) -> None:
    """Rename `part` to `path`; when that fails, the former folder `path` is restored."""
    old = part.with_suffix(".old")
    if path.exists():
        path.rename(old)
    try:
        part.rename(path)
    except BaseException:
        if old.exists():
            old.rename(path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def write_private(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Create a file, by default for its owner alone, and flush it. Raises OSError, also when it exists."""
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
    with open(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def load_or_make_secret(path: Path) -> bytes:
    """The content of a file of 32 random bytes in hex, mode 0600, made once, whichever process comes first.

    Raises OutsideError when it can be neither read nor written.
    """
    try:
        if not path.exists():
            _make_secret(path)
        return path.read_bytes()
    except OSError as problem:
        raise write_error(path, problem) from None


def _make_secret(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    write_private(part, secrets.token_hex(32).encode())
    try:
        os.link(part, path)  # fails where another was first
    except FileExistsError:
        pass
    finally:
        part.unlink()


@contextmanager
def file_lock(path: Path, timeout: float | None = None) -> Iterator[None]:
    """Hold the lock (flock) on a file, which is created without access for others if it does not exist.

    `timeout` is in seconds; None waits until the lock is free. Raises TimeoutError, or OutsideError when
    the file cannot be opened.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o660)
    except OSError as problem:
        raise write_error(path, problem) from problem
    try:
        _lock(descriptor, timeout)
        yield
    finally:
        os.close(descriptor)  # which unlocks


def _lock(descriptor: int, timeout: float | None) -> None:
    if timeout is None:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return
    deadline = time.monotonic() + timeout
    while not _try_lock(descriptor):
        if time.monotonic() >= deadline:
            raise TimeoutError("the lock is held by another process")
        time.sleep(LOCK_POLL_SECONDS)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def file_version(path: Path) -> FileVersion | None:
    """What changes whenever the file is replaced; None when it does not exist. Raises OSError."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def write_error(path: Path, problem: OSError) -> OutsideError:
    """The error for a path that cannot be written, with the cause and what to do."""
    why = as_message(problem.strerror or str(problem))
    return OutsideError(
        "{path}: cannot be written ({why}). Free some space or choose another place.", path=path, why=why
    )
