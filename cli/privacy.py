"""Commands of data protection: forget, export-lead.

Imports inside the commands keep `hotlead --help` fast: each loads only what it runs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import (
    DEFAULT_CRM_TOML,
    EXIT_STOPPED,
    Json,
    Lang,
    LangOption,
    Out,
    ServedToml,
    service_settings,
)
from features.messages import Message

if TYPE_CHECKING:
    from serving.settings import ServiceSettings


AlsoFolders = Annotated[
    list[Path] | None,
    typer.Option(help="Also search this folder, for example the artifacts of an MLflow server."),
]


def forget(
    lead_id: Annotated[str | None, typer.Argument(help="The lead's id; not with --file.")] = None,
    crm_toml: ServedToml = DEFAULT_CRM_TOML,
    file: Annotated[
        Path | None, typer.Option(help="Erase the leads of this CSV file, or text of one id a line.")
    ] = None,
    column: Annotated[
        str | None,
        typer.Option(help="The column of --file. Default: lead_id, that of crm.toml, else the first."),
    ] = None,
    is_lifted: Annotated[
        bool, typer.Option("--lift", help="Erase nothing: let erased leads be stored again.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    also: AlsoFolders = None,
    out: Out = None,
    lang: LangOption = "en",
    as_json: Json = False,
) -> None:
    """Erase leads from the store of the service and from the evidence of the models."""
    from cli import console
    from features.settings import load_settings
    from serving.jobs.forget_lead import forget as forget_leads
    from serving.jobs.lead_ids import read_lead_ids

    chosen, crm_toml = _split_arguments(lead_id, crm_toml, is_list=file is not None)
    settings = service_settings(crm_toml, out)
    if chosen is not None:
        lead_ids = [chosen]
    else:
        lead_ids = read_lead_ids(Path(str(file)), column, load_settings(crm_toml).leads.id)
    if is_lifted:
        _lift(settings, lead_ids, as_json, lang)
        return
    if not yes and not _confirm(_question(lead_ids, settings).text(lang)):
        raise typer.Exit(EXIT_STOPPED)
    result = forget_leads(settings, lead_ids, also or [], os.environ)
    console.emit(result.to_dict(), result.lines(), as_json, lang)


def export_lead(
    lead_id: Annotated[str, typer.Argument(help="The lead's id.")],
    crm_toml: ServedToml = DEFAULT_CRM_TOML,
    to: Annotated[
        Path | None, typer.Option(help="Write the document to this file instead of printing it.")
    ] = None,
    also: AlsoFolders = None,
    out: Out = None,
    lang: LangOption = "en",
) -> None:
    """Write everything that is known of a lead as one JSON document, for a person who asks for it."""
    import json

    from cli import console
    from features.clock import now_ms
    from features.files import atomic_file
    from features.settings import load_settings
    from serving.jobs.export_lead import export_lead as export

    settings, crm = service_settings(crm_toml, out), load_settings(crm_toml)
    document = export(settings, crm, lead_id, now_ms(), lang, also or [])
    text = json.dumps(document, ensure_ascii=False, indent=2)
    if to is None:
        print(text)
        return
    with atomic_file(to) as part:
        part.touch(mode=0o600)
        part.write_text(text + "\n", encoding="utf-8")
    console.print_written_files(lang, to)


def _lift(settings: ServiceSettings, lead_ids: Sequence[str], as_json: bool, lang: Lang) -> None:
    from cli import console
    from serving.jobs.forget_lead import lift

    count = lift(settings, lead_ids)
    sentence = Message(
        "{count:,} of {leads:,} leads were erased, and are stored again from now on.",
        count=count,
        leads=len(lead_ids),
    )
    console.emit({"lifted": count}, iter([sentence]), as_json, lang)


def _split_arguments(lead_id: str | None, crm_toml: Path, is_list: bool) -> tuple[str | None, Path]:
    """The lead and the crm.toml: with a list, the first argument is the crm.toml. Raises SettingsError."""
    from features.errors import SettingsError

    if not is_list:
        if not lead_id:
            raise SettingsError("Name the lead to erase, or a file of leads with --file.")
        return lead_id, crm_toml
    if lead_id is not None and str(crm_toml) not in (str(DEFAULT_CRM_TOML), os.environ.get("HOTLEAD_CRM")):
        raise SettingsError("Name either a lead or --file, not both.")
    return None, crm_toml if lead_id is None else Path(lead_id)


def _question(lead_ids: Sequence[str], settings: ServiceSettings) -> Message:
    if len(lead_ids) == 1:
        return Message(
            "Erase all data of lead {lead_id!r} from {store} and {folder}?",
            lead_id=lead_ids[0],
            store=settings.shown_store,
            folder=settings.out,
        )
    return Message(
        "Erase all data of {count:,} leads from {store} and {folder}?",
        count=len(lead_ids),
        store=settings.shown_store,
        folder=settings.out,
    )


def _confirm(question: str) -> bool:
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
