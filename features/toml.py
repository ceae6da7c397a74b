"""What crm.toml and scorecard.toml share: reading the file, and the types of its values."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

from features.columns import to_text
from features.errors import InvalidValue, MessageError, SettingsError, suggest_nearest
from features.messages import Message, as_message

TextValue = Annotated[str, BeforeValidator(lambda value: to_text(value))]
"""A value of a column; a number or a boolean in TOML is converted to text."""


def _check_zone(name: str) -> str:
    if name not in available_timezones():
        hint = suggest_nearest(name, sorted(available_timezones()))
        raise InvalidValue("no such time zone; {hint}", hint=hint)
    return name


TimeZone = Annotated[str, AfterValidator(_check_zone)]
"""The name of a time zone, such as Asia/Tokyo."""


class Strict(BaseModel):
    """A table of a TOML file: frozen; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def explain_invalid(error: Mapping[str, Any]) -> Message:
    """What is wrong with a value, of one of the errors of a pydantic ValidationError."""
    cause = error.get("ctx", {}).get("error")
    if isinstance(cause, MessageError):
        return cause.message
    return as_message(error["msg"].removeprefix("Value error, "))


def describe_invalid(place: str, problem: Message, value: object) -> Message:
    """A sentence on a value that is invalid: where it stands, why, and the value if it is short."""
    if not place:
        return Message("{problem}.", problem=problem)
    if isinstance(value, Mapping | BaseModel | list | tuple):
        return Message("{place}: {problem}.", place=place, problem=problem)
    return Message("{place}: {problem} (got {value!r}).", place=place, problem=problem, value=value)


def read_toml(path: Path, if_missing: Message) -> dict[str, Any]:
    """The content of a TOML file in UTF-8.

    Raises SettingsError if it does not exist (the message ends with the advice `if_missing`), cannot be
    read, or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise SettingsError(
            "{path}: there is no such file. {if_missing}", path=path, if_missing=if_missing
        ) from None
    except (OSError, UnicodeDecodeError) as problem:
        raise SettingsError(
            "{path}: cannot be read ({problem}). It must be UTF-8.",
            path=path,
            problem=as_message(getattr(problem, "strerror", None) or str(problem)),
        ) from None
    except tomllib.TOMLDecodeError as problem:
        raise SettingsError("{path}: is not TOML: {problem}.", path=path, problem=problem) from None
