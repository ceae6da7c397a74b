"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeAlias

from features.errors import OutsideError

FileVersion: TypeAlias = tuple[int, int, int]
"""Modification time (ns), size (bytes) and inode of a file: another one after each atomic_file."""


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """A neighbour of `path` to write to; it takes the place of `path` when the block ends well.

    Raises OutsideError where the disk does not take it; `path` is then as it was before.
    """
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        _flush(part)
        os.replace(part, path)
    except OSError as problem:
        raise write_error(path, problem) from problem
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """A neighbour of the folder `path` to fill; it takes the place of `path` when all went well.

    Raises OutsideError where the disk does not take it; `path` is then as it was before.
    """
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        part.mkdir(parents=True)
        yield part
        _replace_folder(path, part)
    except OSError as problem:
        raise write_error(path, problem) from problem
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _replace_folder(path: Path, part: Path) -> None:
    """Put `part` in the place of the folder `path`; when that fails `path` comes back."""
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


def file_version(path: Path) -> FileVersion | None:
    """What changes whenever the file is replaced; None when it does not exist. Raises OSError."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def write_error(path: Path, problem: OSError) -> OutsideError:
    """The sentence for a disk that does not take `path`."""
    why = problem.strerror or str(problem)
    return OutsideError(f"{path}: cannot be written ({why}). Free some space or choose another place.")


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
