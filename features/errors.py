"""Errors for the person who reads them: what, where, what is allowed, what to do next."""

from __future__ import annotations


class HotleadError(Exception):
    """Something that the user can mend. `exit_code` is what the command ends with."""

    exit_code = 1


class SettingsError(HotleadError):
    """crm.toml, or an option of a command, does not hold."""

    exit_code = 3


class DataError(HotleadError):
    """The data cannot be used as they are."""

    exit_code = 4


class OutsideError(HotleadError):
    """Something outside Hotlead failed: a file, a disk, a database, a tracking server."""

    exit_code = 5


def suggest_nearest(name: str, candidates: list[str], limit: int = 3) -> str:
    """A hint that lists the known names nearest to `name`, or all of them where none is near."""
    import difflib

    matches = difflib.get_close_matches(name, candidates, n=limit, cutoff=0.5)
    listed = ", ".join(repr(k) for k in (matches or sorted(candidates)[:12]))
    return f"nearest: {listed}" if matches else f"known: {listed or 'none'}"
