"""The settings of the service, read from environment variables and checked before anything starts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Self, TypeAlias
from urllib.parse import urlsplit

from pydantic import AliasGenerator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from features.errors import InvalidValue, SettingsError
from features.messages import Message, as_message
from features.toml import explain_invalid
from scoring.model.pseudonyms import KEY_FILE

MIB = 2**20
LEVELS = ("debug", "info", "warning", "error")
STORE_URL: Final = "HOTLEAD_STORE_URL"
STORE_URL_FILE: Final = "HOTLEAD_STORE_URL_FILE"
_SCHEMES = ("sqlite", "postgresql", "postgresql+psycopg", "postgres")
_BOOLEANS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}

Environ = Mapping[str, str]


def _parse_path(value: str | Path) -> Path:
    if "\0" in str(value):
        raise InvalidValue("the path of a file or folder")
    return Path(value).expanduser().absolute()


def _parse_boolean(value: str | bool) -> bool:
    if isinstance(value, bool):
        return value
    if value.lower() not in _BOOLEANS:
        raise InvalidValue("1 (yes) or 0 (no)")
    return _BOOLEANS[value.lower()]


def _number(low: float, high: float, is_whole: bool = False) -> BeforeValidator:
    def parse_number(value: str | float) -> float:
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not low <= number <= high:  # NaN is in no range
            raise InvalidValue(
                "a number from {low:,} to {high:,}, written without commas", low=low, high=high
            )
        if is_whole and number != int(number):
            raise InvalidValue("a whole number from {low:,} to {high:,}", low=low, high=high)
        return number

    return BeforeValidator(parse_number)


def _parse_level(value: str) -> str:
    if value.lower() not in LEVELS:
        raise InvalidValue("one of {names}", names=[*LEVELS])
    return value.lower()


def _parse_store_url(url: str) -> str:
    scheme, colon, rest = url.partition("://")
    if not colon or scheme not in _SCHEMES:
        raise InvalidValue("sqlite:////PATH or postgresql://USER:PASSWORD@HOST/NAME")
    return url if scheme == "sqlite" else f"postgresql+psycopg://{rest}"


AbsolutePath: TypeAlias = Annotated[Path, BeforeValidator(_parse_path)]


class ServiceSettings(BaseModel):
    """Where the service reads and writes its files, and its limits. All paths are absolute.

    Each field is the variable HOTLEAD_<FIELD> (`open_on_loopback`: HOTLEAD_OPEN). `body_limit` is in bytes,
    `rate_limit` in requests per second for one key in one worker (0: no limit), `retention_days` in days.
    """

    model_config = ConfigDict(
        frozen=True,
        validate_default=True,
        alias_generator=AliasGenerator(validation_alias=lambda name: f"HOTLEAD_{name.upper()}"),
    )

    crm: AbsolutePath = Path("crm.toml")
    out: AbsolutePath = Field(default_factory=lambda data: data["crm"].parent / "hotlead-out")
    # May contain a password; `shown_store` does not.
    store_url: Annotated[str, BeforeValidator(_parse_store_url)] = Field(
        default_factory=lambda data: f"sqlite:///{data['out'] / 'store.db'}", repr=False
    )
    keys_file: AbsolutePath = Field(default_factory=lambda data: data["out"] / "keys.json")
    pseudonym_key_file: AbsolutePath = Field(default_factory=lambda data: data["out"] / KEY_FILE)
    bundles: AbsolutePath = Field(default_factory=lambda data: data["out"] / "bundles")
    open_on_loopback: Annotated[bool, BeforeValidator(_parse_boolean)] = Field(
        default=False, validation_alias="HOTLEAD_OPEN"
    )
    body_limit: Annotated[int, _number(1024, 1024 * MIB, is_whole=True)] = 32 * MIB
    rate_limit: Annotated[float, _number(0, 1_000_000)] = 1000.0
    retention_days: Annotated[int, _number(1, 36_500, is_whole=True)] = 730
    log_level: Annotated[str, BeforeValidator(_parse_level)] = "info"

    @classmethod
    def from_environment(cls, environ: Environ) -> Self:
        """The settings in `environ`; an empty variable counts as one that is not set.

        Raises SettingsError naming the variable, its value and what is allowed.
        """
        values = {name: value for name, value in environ.items() if value}
        url_variable = STORE_URL_FILE if STORE_URL_FILE in values else STORE_URL
        if STORE_URL_FILE in values:
            values[STORE_URL] = _read_url_file(values)
        try:
            return cls.model_validate(values)
        except ValidationError as problem:
            error = problem.errors()[0]
            name, value = str(error["loc"][0]), str(error["input"])
            if name == STORE_URL:
                name, value = url_variable, shown_url(value)
            raise _settings_error(name, value, explain_invalid(error)) from None

    @property
    def spool(self) -> Path:
        """Where rows wait while the store is unavailable."""
        return self.out / "spool"

    @property
    def session_key(self) -> Path:
        """What signs the sessions of the review pages; made when the service first runs."""
        return self.out / "session.key"

    @property
    def shown_store(self) -> str:
        """The store's URL without user, password and options: fit for a log or a screen."""
        return shown_url(self.store_url)


def shown_url(url: str) -> str:
    """A database's URL without user, password and options (which may contain a password too)."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "a URL that cannot be read"
    if not parts.scheme:
        return "a text without ://"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _settings_error(name: str, value: str, allowed: Message) -> SettingsError:
    return SettingsError(
        "{name}: {value!r} is not allowed. Allowed: {allowed}. Set it or leave it out.",
        name=name,
        value=value,
        allowed=allowed,
    )


def _read_url_file(values: Environ) -> str:
    """The store's URL from the file that HOTLEAD_STORE_URL_FILE names."""
    if STORE_URL in values:
        raise SettingsError(
            "{first} and {second} are both set. Set one of them.", first=STORE_URL, second=STORE_URL_FILE
        )
    file = values[STORE_URL_FILE]
    try:
        url = Path(file).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as problem:
        why = as_message(getattr(problem, "strerror", None) or Message("it is not UTF-8"))
        allowed = Message("a file that can be read ({why})", why=why)
        raise _settings_error(STORE_URL_FILE, file, allowed) from None
    if not url:
        allowed = Message("a file that holds the store's URL (this one is empty)")
        raise _settings_error(STORE_URL_FILE, file, allowed)
    return url
