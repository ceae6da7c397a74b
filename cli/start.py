"""`hotlead start`: from the files of an export to the first list of calls, in one command.

Imports inside the command keep `hotlead --help` fast.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.audit_log import note_change
from cli.data import Lost, Outcome, Tables, Won, Yes, propose_settings
from cli.options import (
    DEFAULT_CRM_TOML,
    EXIT_REFUSED,
    Json,
    LangOption,
    Out,
    Seed,
    output_folder,
    service_settings,
)
from features.errors import DataError, SettingsError
from features.language import Language
from scoring.texts import translate

if TYPE_CHECKING:
    from features.crm.propose import Proposal
    from training.start.first_list import FirstList


def start(
    files: Annotated[
        list[str] | None, typer.Argument(help="The files of an export, or a database URL, as for init.")
    ] = None,
    to: Annotated[
        Path, typer.Option(help="The crm.toml to write, or to use if it exists.")
    ] = DEFAULT_CRM_TOML,
    scores: Annotated[
        str | None, typer.Option(help="The list to write. Default: scores.csv beside crm.toml.")
    ] = None,
    outcome: Outcome = None,
    won: Won = None,
    lost: Lost = None,
    table: Tables = None,
    yes: Yes = False,
    force: Annotated[
        bool, typer.Option("--force", help="Propose crm.toml and learn scorecard.toml anew.")
    ] = False,
    out: Out = None,
    lang: LangOption = "en",
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """From an export to the first list of calls: init, check, rules, train, compare, promote, score.

    What exists already (crm.toml, scorecard.toml, a model of the same data) is used as it is. Exit code 6:
    the gate refused the model, and the rules decide on the list.
    """
    from cli import console
    from training.lists.batch import ListRequest
    from training.start.first_list import StartRequest, make_first_list

    if force or not to.exists():
        if not files:
            raise SettingsError("{text}", text=translate("start_needs_files", lang, crm=to))
        named = (outcome, won or [], lost or [], table or [])
        _check_decided(propose_settings(files, to, named, lang, yes or as_json, as_json), to, lang)
    else:
        _check_files(files or [], to, lang)
        if not as_json:
            print(translate("start_reuses", lang, crm=to))
    listed = ListRequest(scores or str(to.with_name("scores.csv")), 0, lang=lang)
    results = output_folder(out, to)
    request = StartRequest(settings_file=to, out=results, request=listed, seed=seed, renews_card=force)
    with console.step_printer(lang, as_json) as report_step, console.progress_bar(as_json, lang) as progress:
        first_list = make_first_list(request, report_step, progress)
    _note_promotion(first_list, to, lang)
    _report(first_list, lang, as_json)
    if first_list.is_refused:
        raise typer.Exit(EXIT_REFUSED)


def _check_decided(proposal: Proposal, to: Path, lang: Language) -> None:
    """Raise DataError if a date or a number can be read in two ways."""
    from cli.questions import open_question

    blocking = [open_question(q, lang) for q in proposal.questions if q.is_blocking]
    if blocking:
        raise DataError(
            "{text}", text=translate("start_undecided", lang, crm=to, question="\n".join(blocking))
        )


def _check_files(files: list[str], to: Path, lang: Language) -> None:
    """Raise SettingsError if the crm.toml that exists does not read one of the files."""
    text = to.read_text(encoding="utf-8-sig")
    others = [file for file in files if Path(file).name not in text]
    if others:
        raise SettingsError(
            "{text}", text=translate("start_other_files", lang, crm=to, files=", ".join(others))
        )


def _note_promotion(first_list: FirstList, crm_toml: Path, lang: Language) -> None:
    """Note in the audit log that the model was promoted, if it was and a service has a store."""
    promotion = first_list.promotion
    if promotion is not None and promotion.promoted:
        settings = service_settings(crm_toml, first_list.request.out)
        note_change(settings, "model_promoted", promotion.challenger.version, {}, None, lang)


def _report(first_list: FirstList, lang: Language, as_json: bool) -> None:
    """Write the page in both languages, and print it in one, or the result as JSON."""
    from cli import console
    from training.reports.html_files import render_pages, write_pages
    from training.start.page import start_page

    out = first_list.request.out
    pages = write_pages(out, "start", render_pages(lambda language: start_page(first_list, language)))
    if as_json:
        console.print_json(**first_list.to_dict(), page=str(pages[lang]))
        return
    from scoring.pages.page import to_terminal

    to_terminal(start_page(first_list, lang))
    console.print_written_files(lang, *pages.values())
