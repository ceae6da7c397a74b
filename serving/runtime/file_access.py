"""Who else on this machine may read what Hotlead writes: by default nobody, on request the group."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from features.errors import SettingsError

GROUP_ACCESS = "HOTLEAD_GROUP_ACCESS"
"""The environment variable that lets the group of a file read and write it."""
_MASKS = {"": 0o077, "0": 0o077, "1": 0o007}


@dataclass(frozen=True)
class AccessChange:
    """The number of files and folders that others could use: restricted now, or not, as they belong to
    another user."""

    restricted: int
    refused: int


def find_mask(environ: Mapping[str, str]) -> int:
    """The permissions that files of Hotlead do not have, as a umask: 0o077, with the group's access 0o007.

    Raises SettingsError when the variable is neither 0 nor 1.
    """
    value = environ.get(GROUP_ACCESS, "")
    if value not in _MASKS:
        raise SettingsError(
            "{name}: {value!r} is not allowed. Allowed: 1 (the group may read and write what Hotlead writes) "
            "or 0 (nobody else may).",
            name=GROUP_ACCESS,
            value=value,
        )
    return _MASKS[value]


def restrict_new_files(environ: Mapping[str, str]) -> None:
    """Let this process, and those that it starts, create files without access for others: 0600 and folders
    0700, with the group's access 0660 and 0770. Raises SettingsError as `find_mask`."""
    os.umask(find_mask(environ))


def restrict_files(paths: Iterable[Path], mask: int) -> AccessChange:
    """Take the permissions of `mask` from files and from folders with all that they contain.

    Symbolic links inside are not followed; missing paths are no error.
    """
    restricted = refused = 0
    for path in (entry for root in paths for entry in _walk(root)):
        try:
            status = path.lstat()
            if stat.S_ISLNK(status.st_mode) or not status.st_mode & mask:
                continue
            path.chmod(stat.S_IMODE(status.st_mode) & ~mask)
            restricted += 1
        except FileNotFoundError:
            continue
        except PermissionError:
            refused += 1
    return AccessChange(restricted, refused)


def _walk(root: Path) -> Iterator[Path]:
    root = root.resolve()
    yield root
    for folder, folders, files in os.walk(root):
        yield from (Path(folder, name) for name in (*folders, *files))
