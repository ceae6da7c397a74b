"""Commands of data protection: forget, export-lead.

Imports inside the commands keep `hotlead --help` fast: each loads only what it runs.
"""

from __future__ import annotations

import os
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


LeadArgument = Annotated[str | None, typer.Argument(help="The lead's id; not with --file or --inactive.")]
FileOption = Annotated[
    Path | None, typer.Option(help="Erase the leads of this CSV file, or text of one id a line.")
]
ColumnOption = Annotated[
    str | None, typer.Option(help="The column of --file. Default: lead_id, that of crm.toml, else the first.")
]
InactiveOption = Annotated[
    int | None,
    typer.Option(min=1, max=36_500, help="Erase leads to which nothing has happened for so many days."),
]
MayReturn = Annotated[bool, typer.Option("--may-return", help="Let later records of the erased leads in.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Erase nothing; say how many leads it would be.")]
Lift = Annotated[bool, typer.Option("--lift", help="Erase nothing: let erased leads be stored again.")]


def forget(
    lead_id: LeadArgument = None,
    crm_toml: ServedToml = DEFAULT_CRM_TOML,
    file: FileOption = None,
    column: ColumnOption = None,
    inactive: InactiveOption = None,
    may_return: MayReturn = False,
    dry_run: DryRun = False,
    is_lifted: Lift = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    also: AlsoFolders = None,
    out: Out = None,
    lang: LangOption = "en",
    as_json: Json = False,
) -> None:
    """Erase leads from the store of the service and from the evidence of the models."""
    from cli import console
    from serving.jobs.forget_lead import forget as forget_leads

    lists = [chosen_list for chosen_list in (file, inactive) if chosen_list is not None]
    chosen, crm_toml = _split_arguments(lead_id, crm_toml, len(lists))
    settings = service_settings(crm_toml, out)
    lead_ids, total = _find_leads(settings, chosen, file, column, inactive)
    if is_lifted:
        _lift(settings, lead_ids, as_json, lang)
        return
    if dry_run or not lead_ids:
        counts = {"would_erase": len(lead_ids), "inactive": total}
        sentence = _describe_dry_run(len(lead_ids), is_known=inactive is not None)
        console.emit(counts, [sentence, *_rest(len(lead_ids), total)], as_json, lang)
        return
    if not yes and not console.confirm(_question(lead_ids, settings).text(lang)):
        raise typer.Exit(EXIT_STOPPED)
    result = forget_leads(settings, lead_ids, also or [], os.environ, may_return=may_return)
    lines = [*result.lines(), *_rest(len(lead_ids), total)]
    console.emit(result.to_dict(), lines, as_json, lang)


def _find_leads(
    settings: ServiceSettings, lead_id: str | None, file: Path | None, column: str | None, days: int | None
) -> tuple[list[str], int]:
    """The leads to erase: one, those of a file, or the inactive ones; and the number of all of them."""
    if lead_id is not None:
        return [lead_id], 1
    if file is not None:
        from features.settings import load_settings
        from serving.jobs.lead_ids import read_lead_ids

        lead_ids = read_lead_ids(file, column, load_settings(settings.crm).leads.id)
        return lead_ids, len(lead_ids)
    from features.clock import now_ms
    from serving.jobs.forget_lead import find_inactive

    inactive = find_inactive(settings, days or 0, now_ms())
    return inactive.lead_ids, inactive.total


def _describe_dry_run(count: int, is_known: bool) -> Message:
    """What would be erased; only of inactive leads is it certain that the store knows them."""
    if is_known:
        return Message("{count:,} leads would be erased.", count=count)
    return Message("{count:,} leads are named; those that are known would be erased.", count=count)


def _rest(count: int, total: int) -> list[Message]:
    """How many inactive leads are left to the next run."""
    if total <= count:
        return []
    return [Message("{count:,} more inactive leads: run this again.", count=total - count)]


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


def _split_arguments(lead_id: str | None, crm_toml: Path, lists: int) -> tuple[str | None, Path]:
    """The lead and the crm.toml: with a list of leads, the first argument is the crm.toml.

    `lists` is the number of lists. Raises SettingsError.
    """
    from features.errors import SettingsError

    is_toml_named = str(crm_toml) not in (str(DEFAULT_CRM_TOML), os.environ.get("HOTLEAD_CRM"))
    if lists > 1 or (lists == 1 and lead_id is not None and is_toml_named):
        raise SettingsError("Name one of these: a lead, --file, --inactive.")
    if lists == 1:
        return None, crm_toml if lead_id is None else Path(lead_id)
    if not lead_id:
        raise SettingsError("Name the lead to erase, a file of leads with --file, or days with --inactive.")
    return lead_id, crm_toml


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
