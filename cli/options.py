"""Shared options of the commands, exit codes, and the settings that follow from options.

Imports inside functions keep `hotlead --help` fast.
"""

from __future__ import annotations

import os
from datetime import datetime
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
LangOption = Annotated[Lang, typer.Option(help="Language of reports, reasons and findings.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
ByOption = Annotated[str | None, typer.Option("--by", help="Who decides. Default: the current user.")]
Seed = Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Seed of all random numbers.")]
ServedToml = Annotated[Path, typer.Argument(envvar="HOTLEAD_CRM", help="The crm.toml of the service.")]


def service_settings(crm_toml: Path, out: Path | None) -> ServiceSettings:
    """The settings of the service, from the environment, this crm.toml and, if given, this output folder.

    Raises SettingsError if the file does not exist or a setting is invalid.
    """
    from features.errors import SettingsError
    from serving.settings import ServiceSettings

    if not crm_toml.is_file():
        raise SettingsError(f"{crm_toml}: there is no such file. Name the crm.toml of the service.")
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
            f"--as-of {as_of!r} is not a time; write for example 2026-10-01T09:00+09:00, or now."
        ) from None
    return to_ms(moment if moment.tzinfo else moment.replace(tzinfo=settings.zone))
