"""Commands of the service: serve, follow, import, outcomes, monitor.

Imports inside the commands keep `hotlead --help` fast: each loads only what it runs.
"""

from __future__ import annotations

import os
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from cli.options import (
    DEFAULT_CRM_TOML,
    EXIT_ACTION_NEEDED,
    EXIT_STOPPED,
    Json,
    LangOption,
    Out,
    ServedToml,
    output_folder,
    service_settings,
)
from features.messages import Message, to_text

NewStore = Annotated[
    bool,
    typer.Option("--new-store", help="Confirm that a new store is made where the former one is missing."),
]


def serve(
    crm_toml: ServedToml = DEFAULT_CRM_TOML,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port.")] = 3000,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Number of worker processes.")] = 1,
    is_open: Annotated[
        bool, typer.Option("--open", help="Serve without API keys, to this machine only.")
    ] = False,
    is_new_store: NewStore = False,
    out: Out = None,
    lang: LangOption = "en",
) -> None:
    """Run the service: the API for the CRM, the review pages, and the follower of the champion."""
    from serving.runtime.address import ListenAddress
    from serving.runtime.serve import serve as serve_crm

    settings = service_settings(crm_toml, out)
    serve_crm(
        settings,
        ListenAddress(host, port),
        workers,
        is_open,
        lambda message: print(to_text(message, lang), flush=True),
        is_new_store,
    )


def import_export(
    crm_toml: ServedToml = DEFAULT_CRM_TOML,
    is_new_store: NewStore = False,
    out: Out = None,
    lang: LangOption = "en",
    as_json: Json = False,
) -> None:
    """Import a CRM's export into the service (leads, history, closed deals) and score the open leads."""
    from dataclasses import asdict

    from cli import console
    from features.bots.report import check_bots
    from features.crm.extra_columns import read_extra_columns
    from features.crm.load import load
    from features.settings import load_settings
    from scoring.scorecard.load import find_card
    from serving.jobs.crm_records import CrmExport
    from serving.jobs.import_crm import import_crm
    from training.registry.follower import deploy_champion

    settings, crm = service_settings(crm_toml, out), load_settings(crm_toml)
    find_card(crm.folder, crm.table)
    with console.step_printer(lang, as_json) as report_step:
        report_step(Message("reading the CRM"))
        loaded = load(crm, settings.out / "rejects.csv", lang=lang)
        deploy_champion(settings.out, settings.bundles, report_step)
        export = CrmExport(loaded.crm, **asdict(read_extra_columns(loaded)))
        result = import_crm(
            settings, loaded.settings, export, report_step, lang=lang, is_new_store=is_new_store
        )
    of_bots = [finding.text(lang) for finding in check_bots(loaded.crm)]
    console.emit(result.to_dict(), [*of_bots, *result.lines(lang)], as_json, lang)


def follow(crm_toml: ServedToml = DEFAULT_CRM_TOML, out: Out = None, lang: LangOption = "en") -> None:
    """Deploy the champion to the service whenever it changes (part of `hotlead serve`)."""
    from serving.jobs.audit_log import record_review_result
    from training.registry.follower import follow_until_stopped

    settings = service_settings(crm_toml, out)
    note_result = partial(record_review_result, settings)
    follow_until_stopped(settings.out, settings.bundles, settings.crm, note_result)


def outcomes(
    file: Annotated[Path, typer.Argument(help="Closed deals, as CSV or Parquet.")],
    crm_toml: ServedToml = DEFAULT_CRM_TOML,
    url: Annotated[str, typer.Option(help="The URL of the service.")] = "http://127.0.0.1:3000",
    key_file: Annotated[
        Path | None,
        typer.Option(
            help="A file with the API key. Default: the environment variable HOTLEAD_KEY. There is no "
            "option for the key itself, because other users of this machine can see arguments."
        ),
    ] = None,
    out: Out = None,
    lang: LangOption = "en",
    as_json: Json = False,
) -> None:
    """Send a file of closed deals to a running service. Sending it twice stores it once.

    The columns are those of the deals in crm.toml, or lead_id, outcome (won, lost), closed_at, amount,
    lost_reason; with `id` and `version` deals can be corrected later. Exit code 4: some deals
    contradict earlier ones and were not stored.
    """
    from cli import console
    from features.settings import load_settings
    from serving.client.send_outcomes import read_key, send_file

    settings, key = load_settings(crm_toml), read_key(key_file, os.environ)
    with (
        console.step_printer(lang, as_json) as report_step,
        console.progress_bar(as_json, lang, Message("sending")) as progress,
    ):
        result = send_file(
            file, settings, url, key, output_folder(out, crm_toml), report_step, progress, lang
        )
    if as_json:
        console.print_json(**result.to_dict())
    else:
        console.print_rejects(result.deals.rejects.summary(), result.rejects, lang)
        for line in result.lines():
            console.print_message(line, lang)
        console.print_next_steps(lang, *result.next_steps())
    if result.result.conflicts:
        raise typer.Exit(4)


def monitor(
    crm_toml: ServedToml = DEFAULT_CRM_TOML,
    html: Annotated[Path | None, typer.Option(help="Also write the page to this file.")] = None,
    since: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Only scores first served from this day on (UTC)."),
    ] = None,
    out: Out = None,
    lang: LangOption = "en",
    as_json: Json = False,
) -> None:
    """Monitor the served scores: calibration, model against rules, drift, and advice.

    Exit code 0: nothing to do, or too few outcomes yet; 7: action is advised (retrain,
    look_at_this_feature, the_world_moved); 5: the store does not exist or does not answer.
    """
    from datetime import UTC

    from cli import console
    from features.clock import now_ms, to_ms
    from features.files import atomic_file
    from features.settings import load_settings
    from scoring.evaluation.monitoring import QUIET
    from scoring.pages.page import to_html, to_terminal
    from scoring.to_json import to_jsonable
    from serving.monitoring.monitor import monitor_service
    from serving.monitoring.page import describe_advice, monitor_page

    settings, crm = service_settings(crm_toml, out), load_settings(crm_toml)
    start = None if since is None else to_ms(since.replace(tzinfo=UTC))
    with console.step_printer(lang, as_json) as report_step:
        report_step(Message("reading the served scores"))
        result = monitor_service(settings, crm, now_ms(), start)
    page = monitor_page(result, crm.table, crm.name, lang)
    if html is not None:
        with atomic_file(html) as part:
            part.write_text(to_html(page), encoding="utf-8")
    if as_json:
        console.print_json(**to_jsonable(result), text=describe_advice(result, crm.table, lang))
    else:
        to_terminal(page)
        if html is not None:
            console.print_written_files(lang, html)
    if result.advice not in QUIET:
        raise typer.Exit(EXIT_ACTION_NEEDED)


def prune(
    crm_toml: ServedToml = DEFAULT_CRM_TOML,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    out: Out = None,
    lang: LangOption = "en",
    as_json: Json = False,
) -> None:
    """Delete predictions older than HOTLEAD_RETENTION_DAYS, also where those of many days wait."""
    from cli import console
    from features.clock import now_ms
    from serving.jobs.prune_predictions import PruneResult, find_old_predictions, prune_predictions

    settings = service_settings(crm_toml, out)
    old = find_old_predictions(settings, now_ms())
    if old is not None and not yes and not console.confirm(old.question(settings).text(lang)):
        raise typer.Exit(EXIT_STOPPED)
    result = PruneResult(0, None) if old is None else prune_predictions(settings, old)
    console.emit(result.to_dict(), [result.line()], as_json, lang)
