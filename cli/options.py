"""Shared options of the commands, exit codes, and the settings that follow from options.

Imports inside functions keep `hotlead --help` fast.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from features.settings import CrmSettings
    from serving.settings import ServiceSettings

EXIT_REFUSED, EXIT_ACTION_NEEDED, EXIT_STOPPED = 6, 7, 130
Lang = Literal["en", "ja"]
CrmToml = Annotated[Path, typer.Argument(help="The crm.toml that describes your export.")]
DEFAULT_CRM_TOML = Path("crm.toml")
Out = Annotated[Path | None, typer.Option(help="Output folder. Default: hotlead-out beside crm.toml.")]
LangOption = Annotated[Lang, typer.Option(envvar="HOTLEAD_LANG", help="Language of everything printed.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
ByOption = Annotated[str | None, typer.Option("--by", help="Who decides. Default: the current user.")]
Seed = Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Seed of all random numbers.")]
ServedToml = Annotated[Path, typer.Argument(envvar="HOTLEAD_CRM", help="The crm.toml of the service.")]


def find_language(arguments: Sequence[str], environ: Mapping[str, str]) -> Lang:
    """The language of the output: --lang, else the environment variable HOTLEAD_LANG, else English.

    Errors need it where the options of a command could not be read.
    """
    lang: Lang = "ja" if environ.get("HOTLEAD_LANG") == "ja" else "en"
    for option, following in pairwise([*arguments, ""]):
        name, _, joined = option.partition("=")
        value = joined or following
        if name == "--lang" and value in ("en", "ja"):
            lang = "ja" if value == "ja" else "en"
    return lang


def service_settings(crm_toml: Path, out: Path | None) -> ServiceSettings:
    """The settings of the service, from the environment, this crm.toml and, if given, this output folder.

    Raises SettingsError if the file does not exist or a setting is invalid.
    """
    from features.errors import SettingsError
    from serving.settings import ServiceSettings

    if not crm_toml.is_file():
        raise SettingsError("{path}: there is no such file. Name the crm.toml of the service.", path=crm_toml)
    options = {"HOTLEAD_CRM": str(crm_toml)} | ({"HOTLEAD_OUT": str(out)} if out else {})
    return ServiceSettings.from_environment({**os.environ, **options})


def output_folder(out: Path | None, crm_toml: Path) -> Path:
    """The output folder: `out` if given, else hotlead-out beside crm.toml."""
    return out if out is not None else crm_toml.parent / "hotlead-out"


def parse_moment(as_of: str | None, settings: CrmSettings) -> int | None:
    """--as-of in ms UTC, None if it is not given; a time without offset is in the time zone of crm.toml.

    Raises SettingsError if it is not an ISO 8601 time.
    """
    from features.clock import now_ms, to_ms
    from features.errors import SettingsError

    if as_of in (None, "now"):
        return None if as_of is None else now_ms()
    try:
        moment = datetime.fromisoformat(str(as_of))
    except ValueError:
        raise SettingsError(
            "--as-of {value!r} is not a time; write for example 2026-10-01T09:00+09:00, or now.", value=as_of
        ) from None
    return to_ms(moment if moment.tzinfo else moment.replace(tzinfo=settings.zone))
