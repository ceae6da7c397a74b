"""What the service is told by its environment, checked once at the door."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from features.errors import SettingsError

MIB = 2**20
LEVELS = ("debug", "info", "warning", "error")
_SCHEMES = ("sqlite", "postgresql", "postgresql+psycopg", "postgres")
_SAID = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}

Environ = Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceSettings:
    """Where the service finds and keeps things, and what it bears. All paths are absolute.

    `body_limit` is in bytes; `rate_limit` in requests a second, a key and worker (0: none).
    """

    crm: Path
    out: Path
    store_url: str = field(repr=False)  # it may hold a password; `shown_store` does not
    keys_file: Path
    bundles: Path
    spool: Path
    open_on_loopback: bool = False
    body_limit: int = 32 * MIB
    rate_limit: float = 1000.0
    retention_days: int = 730
    log_level: str = "info"

    @classmethod
    def from_environment(cls, environ: Environ) -> Self:
        """The settings that `environ` gives; an empty variable counts as one that is not set.

        Raises SettingsError naming the variable, its value and what is allowed.
        """
        crm = _path(environ, "HOTLEAD_CRM", Path("crm.toml"))
        out = _path(environ, "HOTLEAD_OUT", crm.parent / "hotlead-out")
        return cls(
            crm=crm,
            out=out,
            store_url=_store_url(environ, out),
            keys_file=_path(environ, "HOTLEAD_KEYS_FILE", out / "keys.json"),
            bundles=_path(environ, "HOTLEAD_BUNDLES", out / "bundles"),
            spool=out / "spool",
            open_on_loopback=_yes(environ, "HOTLEAD_OPEN"),
            body_limit=_whole(environ, "HOTLEAD_BODY_LIMIT", 32 * MIB, 1024, 1024 * MIB),
            rate_limit=_number(environ, "HOTLEAD_RATE_LIMIT", 1000, 0, 1_000_000),
            retention_days=_whole(environ, "HOTLEAD_RETENTION_DAYS", 730, 1, 36_500),
            log_level=_level(environ),
        )

    @property
    def shown_store(self) -> str:
        """The store's URL without user, password and options: fit for a log or a screen."""
        return shown_url(self.store_url)


def shown_url(url: str) -> str:
    """A database's URL without user, password and options (which may hold a password too)."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "a URL that cannot be read"
    if not parts.scheme:
        return "a text without ://"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _wrong(name: str, got: str, allowed: str) -> SettingsError:
    return SettingsError(f"{name}: {got!r} is not allowed. Allowed: {allowed}. Set it or leave it out.")


def _path(environ: Environ, name: str, default: Path) -> Path:
    told = environ.get(name) or default
    if "\0" in str(told):
        raise _wrong(name, str(told), "the path of a file or folder")
    return Path(told).expanduser().absolute()


def _yes(environ: Environ, name: str) -> bool:
    told = environ.get(name) or "0"
    if told.lower() not in _SAID:
        raise _wrong(name, told, "1 (yes) or 0 (no)")
    return _SAID[told.lower()]


def _number(environ: Environ, name: str, default: float, low: float, high: float) -> float:
    told = environ.get(name) or str(default)
    try:
        value = float(told)
    except ValueError:
        value = math.nan
    if not low <= value <= high:  # not-a-number is in no range
        raise _wrong(name, told, f"a number from {low:,} to {high:,}, written without commas")
    return value


def _whole(environ: Environ, name: str, default: int, low: int, high: int) -> int:
    value = _number(environ, name, default, low, high)
    if value != int(value):
        raise _wrong(name, environ[name], f"a whole number from {low:,} to {high:,}")
    return int(value)


def _level(environ: Environ) -> str:
    told = environ.get("HOTLEAD_LOG_LEVEL") or "info"
    if told.lower() not in LEVELS:
        raise _wrong("HOTLEAD_LOG_LEVEL", told, f"one of {', '.join(LEVELS)}")
    return told.lower()


def _store_url(environ: Environ, out: Path) -> str:
    name, url = _told_url(environ)
    if not url:
        return f"sqlite:///{out / 'store.db'}"
    scheme, colon, rest = url.partition("://")
    if not colon or scheme not in _SCHEMES:
        allowed = "sqlite:////PATH or postgresql://USER:PASSWORD@HOST/NAME"
        raise _wrong(name, shown_url(url), allowed)
    return url if scheme == "sqlite" else f"postgresql+psycopg://{rest}"


def _told_url(environ: Environ) -> tuple[str, str]:
    """The variable that gives the store's URL, and the URL ("" where none does)."""
    name, by_file = "HOTLEAD_STORE_URL", "HOTLEAD_STORE_URL_FILE"
    url, file = environ.get(name), environ.get(by_file)
    if url and file:
        raise SettingsError(f"{name} and {by_file} are both set. Set one of them.")
    if not file:
        return name, url or ""
    try:
        told = Path(file).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as problem:
        why = getattr(problem, "strerror", None) or "it is not UTF-8"
        raise _wrong(by_file, file, f"a file that can be read ({why})") from None
    if not told:
        raise _wrong(by_file, file, "a file that holds the store's URL (this one is empty)")
    return by_file, told
