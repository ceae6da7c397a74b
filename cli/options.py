"""Options that several commands share, exit codes, and from options to settings.

Imports inside functions keep `hotlead --help` fast.
"""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:  # at run time a command imports only what it needs
    from features.settings import CrmSettings
    from serving.settings import ServiceSettings

REFUSED, ACT, STOPPED = 6, 7, 130
Lang = Literal["en", "ja"]
CrmToml = Annotated[Path, typer.Argument(help="The crm.toml that says how your export reads.")]
HERE = Path("crm.toml")
Out = Annotated[
    Path | None,
    typer.Option(help="Folder for what is made. Default: hotlead-out beside crm.toml."),
]
LangOption = Annotated[Lang, typer.Option(help="Language of reports, reasons and findings.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
By = Annotated[str | None, typer.Option(help="Who decides; the user's name by default.")]
Seed = Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Seed of every random draw.")]
ServedToml = Annotated[Path, typer.Argument(envvar="HOTLEAD_CRM", help="The crm.toml that is served.")]


def service_settings(crm_toml: Path, out: Path | None) -> ServiceSettings:
    """Settings of the service: the environment, with this crm.toml and, if given, this output folder.

    Raises SettingsError where there is no such file or a setting is wrong.
    """
    from features.errors import SettingsError
    from serving.settings import ServiceSettings

    if not crm_toml.is_file():
        raise SettingsError(f"{crm_toml}: there is no such file. Say which crm.toml is served.")
    options = {"HOTLEAD_CRM": str(crm_toml)} | ({"HOTLEAD_OUT": str(out)} if out else {})
    return ServiceSettings.from_environment({**os.environ, **options})


def output_folder(out: Path | None, crm_toml: Path) -> Path:
    """The folder for results: the one given, else hotlead-out beside crm.toml."""
    return out if out is not None else crm_toml.parent / "hotlead-out"


def parse_moment(as_of: str | None, settings: CrmSettings) -> int | None:
    """--as-of in ms UTC; None where it is not given. Without an offset it is in crm.toml's time zone.

    Raises SettingsError for what is no ISO 8601 time.
    """
    from features.clock import now_ms, to_ms
    from features.errors import SettingsError

    if as_of in (None, "now"):
        return None if as_of is None else now_ms()
    try:
        moment = datetime.fromisoformat(str(as_of))
    except ValueError:
        raise SettingsError(
            f"--as-of {as_of!r} is no moment; say for example 2026-10-01T09:00+09:00, or now."
        ) from None
    return to_ms(moment if moment.tzinfo else moment.replace(tzinfo=settings.zone))
