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
_BOOLEANS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}

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
            open_on_loopback=_boolean(environ, "HOTLEAD_OPEN"),
            body_limit=_integer(environ, "HOTLEAD_BODY_LIMIT", 32 * MIB, 1024, 1024 * MIB),
            rate_limit=_number(environ, "HOTLEAD_RATE_LIMIT", 1000, 0, 1_000_000),
            retention_days=_integer(environ, "HOTLEAD_RETENTION_DAYS", 730, 1, 36_500),
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


def _error(name: str, got: str, allowed: str) -> SettingsError:
    return SettingsError(f"{name}: {got!r} is not allowed. Allowed: {allowed}. Set it or leave it out.")


def _path(environ: Environ, name: str, default: Path) -> Path:
    value = environ.get(name) or default
    if "\0" in str(value):
        raise _error(name, str(value), "the path of a file or folder")
    return Path(value).expanduser().absolute()


def _boolean(environ: Environ, name: str) -> bool:
    value = environ.get(name) or "0"
    if value.lower() not in _BOOLEANS:
        raise _error(name, value, "1 (yes) or 0 (no)")
    return _BOOLEANS[value.lower()]


def _number(environ: Environ, name: str, default: float, low: float, high: float) -> float:
    text = environ.get(name) or str(default)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:  # not-a-number is in no range
        raise _error(name, text, f"a number from {low:,} to {high:,}, written without commas")
    return value


def _integer(environ: Environ, name: str, default: int, low: int, high: int) -> int:
    value = _number(environ, name, default, low, high)
    if value != int(value):
        raise _error(name, environ[name], f"a whole number from {low:,} to {high:,}")
    return int(value)


def _level(environ: Environ) -> str:
    value = environ.get("HOTLEAD_LOG_LEVEL") or "info"
    if value.lower() not in LEVELS:
        raise _error("HOTLEAD_LOG_LEVEL", value, f"one of {', '.join(LEVELS)}")
    return value.lower()


def _store_url(environ: Environ, out: Path) -> str:
    name, url = _configured_url(environ)
    if not url:
        return f"sqlite:///{out / 'store.db'}"
    scheme, colon, rest = url.partition("://")
    if not colon or scheme not in _SCHEMES:
        allowed = "sqlite:////PATH or postgresql://USER:PASSWORD@HOST/NAME"
        raise _error(name, shown_url(url), allowed)
    return url if scheme == "sqlite" else f"postgresql+psycopg://{rest}"


def _configured_url(environ: Environ) -> tuple[str, str]:
    """The variable that gives the store's URL, and the URL ("" where none does)."""
    name, by_file = "HOTLEAD_STORE_URL", "HOTLEAD_STORE_URL_FILE"
    url, file = environ.get(name), environ.get(by_file)
    if url and file:
        raise SettingsError(f"{name} and {by_file} are both set. Set one of them.")
    if not file:
        return name, url or ""
    try:
        text = Path(file).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as problem:
        why = getattr(problem, "strerror", None) or "it is not UTF-8"
        raise _error(by_file, file, f"a file that can be read ({why})") from None
    if not text:
        raise _error(by_file, file, "a file that holds the store's URL (this one is empty)")
    return by_file, text
