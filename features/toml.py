"""What crm.toml and scorecard.toml share: reading the file, and the types of its values."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

from features.columns import to_text
from features.errors import SettingsError, suggest_nearest

TextValue = Annotated[str, BeforeValidator(lambda value: to_text(value))]
"""A value of a column; a number or a boolean in TOML is converted to text."""


def _check_zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError(f"no such time zone; {suggest_nearest(name, sorted(available_timezones()))}")
    return name


TimeZone = Annotated[str, AfterValidator(_check_zone)]
"""The name of a time zone, such as Asia/Tokyo."""


class Strict(BaseModel):
    """A table of a TOML file: frozen; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def read_toml(path: Path, if_missing: str) -> dict[str, Any]:
    """The content of a TOML file in UTF-8.

    Raises SettingsError if it does not exist (the message ends with the advice `if_missing`), cannot be
    read, or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise SettingsError(f"{path}: there is no such file. {if_missing}") from None
    except (OSError, UnicodeDecodeError) as problem:
        raise SettingsError(f"{path}: cannot be read ({problem}). It must be UTF-8.") from None
    except tomllib.TOMLDecodeError as problem:
        raise SettingsError(f"{path}: is not TOML: {problem}.") from None
