"""Errors for users: what is wrong, where, what is allowed, and the next step."""

from __future__ import annotations


class HotleadError(Exception):
    """An error that the user can correct. `exit_code` is that of the command."""

    exit_code = 1


class SettingsError(HotleadError):
    """crm.toml, scorecard.toml or an option is invalid."""

    exit_code = 3


class DataError(HotleadError):
    """The data cannot be used."""

    exit_code = 4


class OutsideError(HotleadError):
    """Something outside Hotlead failed: a file, a disk, a database, a tracking server."""

    exit_code = 5


def suggest_nearest(name: str, candidates: list[str], limit: int = 3) -> str:
    """A hint with the candidates most similar to `name`, or with all of them if none is similar."""
    import difflib  # rarely needed, so the start of the command does not wait for it

    matches = difflib.get_close_matches(name, candidates, n=limit, cutoff=0.5)
    listed = ", ".join(repr(k) for k in (matches or sorted(candidates)[:12]))
    return f"nearest: {listed}" if matches else f"known: {listed or 'none'}"
