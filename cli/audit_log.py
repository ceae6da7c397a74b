"""The audit log: the command that shows it, and how other commands note what they changed.

Imports inside functions keep `hotlead --help` fast.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import DEFAULT_CRM_TOML, Json, LangOption, Out, ServedToml, service_settings
from features.language import Language
from features.messages import Message

if TYPE_CHECKING:
    from serving.settings import ServiceSettings
    from serving.store.state.audit_log import AuditAction


def audit_log(
    crm_toml: ServedToml = DEFAULT_CRM_TOML,
    since: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Only changes from this day on (UTC).")
    ] = None,
    to: Annotated[Path | None, typer.Option(help="Write the log to this .csv or .jsonl file.")] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check that no entry was altered or removed.")
    ] = False,
    out: Out = None,
    lang: LangOption = "en",
    as_json: Json = False,
) -> None:
    """Show, export or verify the audit log: who changed the definition, models, keys and overrides."""
    from datetime import UTC

    from cli import console
    from features.clock import to_ms
    from serving.jobs import audit_log as jobs

    settings = service_settings(crm_toml, out)
    if verify:
        result = jobs.verify(settings)
        message = Message(
            "{count:,} entries, each as it was written. The last hash is {hash}: keep it elsewhere, because "
            "a log that is cut at its end still fits.",
            count=result.entries,
            hash=result.last_hash or "-",
        )
        values = {"entries": result.entries, "last_hash": result.last_hash}
        console.emit(values, [message], as_json, lang)
        return
    entries = jobs.read_entries(settings, None if since is None else to_ms(since.replace(tzinfo=UTC)))
    if to is not None:
        jobs.write_entries(entries, to)
    if as_json:
        console.print_json(entries=[jobs.to_dict(entry) for entry in entries])
    elif to is not None:
        console.print_written_files(lang, to)
    else:
        jobs.print_entries(entries, lang)


def note_change(
    settings: ServiceSettings,
    action: AuditAction,
    subject: str,
    detail: Mapping[str, object],
    user: str | None,
    lang: Language,
) -> None:
    """Note in the audit log what a command has changed; where that fails, say so on stderr."""
    from serving.jobs.audit_log import record_command

    warning = record_command(settings, action, subject, detail, user)
    if warning is not None:
        print(warning.text(lang), file=sys.stderr)
