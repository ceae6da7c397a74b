"""Commands for the data of a company: demo, init, check.

Imports inside the commands keep `hotlead --help` fast: each loads only what it runs.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import (
    DEFAULT_CRM_TOML,
    EXIT_ACTION_NEEDED,
    CrmToml,
    Json,
    LangOption,
    Out,
    Seed,
    output_folder,
    service_settings,
)
from features.messages import Message, all_of

if TYPE_CHECKING:
    from features.crm.load import Loaded
    from features.crm.propose import Proposal
    from features.language import Language
    from features.messages import ReportStep


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the demo CRM.")] = Path("demo-crm"),
    leads: Annotated[int, typer.Option(min=500, help="Number of leads.")] = 24_000,
    seed: Seed = 7,
    lang: LangOption = "en",
) -> None:
    """Create a demo CRM, train, compare model and rules, and list the leads to call."""
    from datetime import UTC, datetime

    from cli import console
    from demo.run import make_demo, today_in_japan
    from features.settings import load_settings
    from scoring.scorecard.load import find_card
    from training.compare import compare, save_comparison
    from training.lists.batch import ListRequest
    from training.lists.score_crm import score_crm
    from training.registry.promotion import promote
    from training.train import train_and_register

    with console.step_printer(lang) as report_step:
        report_step(Message("creating a CRM of {leads:,} leads", leads=leads))
        today = today_in_japan(datetime.now(UTC))
        crm_toml, results = make_demo(out, leads, seed, today), out / "hotlead-out"
        settings = load_settings(crm_toml)
        training_run = train_and_register(crm_toml, results, report_step, lang, 0)
        report_step(Message("comparing model and rules"))
        comparison = compare(settings, results)
        pages = save_comparison(comparison, results)
        report_step(Message("checking the gate"))
        promotion = promote(results, find_card(settings.folder, settings.table), None, None)
        request = ListRequest(str(crm_toml.with_name("scores.csv")), 0, lang=lang)
        scored_list = score_crm(settings, results, request, None, report_step, lambda completed, total: None)
        _fill_demo_service(scored_list.loaded, crm_toml, results, report_step, lang)
    console.print_training(training_run, lang)
    console.print_verdict(comparison, lang)
    console.print_gate(promotion, None, lang, False)
    console.print_calls(scored_list, lang)
    console.print_next_steps(
        lang,
        Message("open {pages}", pages=all_of([training_run.report, pages[lang]])),
        f"hotlead rules show {crm_toml} --lang {lang}",
        f"hotlead serve {crm_toml} --open",
        f"hotlead score {crm_toml} --to scores.csv --lang {lang}",
    )


def _fill_demo_service(
    loaded: Loaded, crm_toml: Path, out: Path, report_step: ReportStep, lang: Language
) -> None:
    """Fill the store of the demo's service: half a year of rules and sales steps, and today's scores."""
    from dataclasses import asdict

    from demo.handling import simulate_handling
    from features.crm.extra_columns import read_extra_columns
    from serving.jobs.crm_records import CrmExport
    from serving.jobs.demo_history import simulate_history
    from serving.jobs.import_crm import import_crm
    from training.registry.follower import deploy_champion

    settings = service_settings(crm_toml, out)
    extra_columns = asdict(read_extra_columns(loaded))
    extra_columns["first_contacts"] = [None] * len(loaded.crm)  # the simulated sales steps have their own
    export = CrmExport(loaded.crm, **extra_columns)
    simulate_history(settings, loaded.settings, export, simulate_handling, report_step)
    deploy_champion(settings.out, settings.bundles, report_step)
    import_crm(settings, loaded.settings, export, report_step, lang=lang)


Outcome = Annotated[str | None, typer.Option(help="The column with won or lost, if it is not detected.")]
Won = Annotated[
    list[str] | None, typer.Option(help="A value of that column that means won; may be repeated.")
]
Lost = Annotated[
    list[str] | None, typer.Option(help="A value of that column that means lost; may be repeated.")
]
Tables = Annotated[
    list[str] | None, typer.Option(help="A table of the database to look at; may be repeated.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Ask nothing on the terminal: take what is proposed.")]


def init(
    files: Annotated[list[str], typer.Argument(help="CSV, Excel, JSON or Parquet files, or a database URL.")],
    to: Annotated[Path, typer.Option(help="The file to write.")] = DEFAULT_CRM_TOML,
    outcome: Outcome = None,
    won: Won = None,
    lost: Lost = None,
    table: Tables = None,
    yes: Yes = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
    lang: LangOption = "en",
) -> None:
    """Inspect an export and propose a crm.toml; on a terminal, ask what the data leave open.

    Exit code 7: a date or a number can be read in two ways, and a person has to decide in crm.toml.
    """
    from cli import console
    from features.errors import SettingsError

    if to.exists() and not force:
        raise SettingsError("{path}: exists already. Choose another --to, or use --force.", path=to)
    proposal = propose_settings(files, to, (outcome, won or [], lost or [], table or []), lang, yes)
    review = Message("review {path}, above all the lines that are commented out", path=to)
    console.print_next_steps(lang, review, f"hotlead check {to}")
    if any(question.is_blocking for question in proposal.questions):
        raise typer.Exit(EXIT_ACTION_NEEDED)


def propose_settings(
    files: list[str],
    to: Path,
    named: tuple[str | None, list[str], list[str], list[str]],
    lang: Language,
    is_silent: bool,
    is_quiet: bool = False,
) -> Proposal:
    """Write a proposed crm.toml, print what a person should know of it, and return it.

    `named` are the column of the outcome, its values for won and lost, and the tables of a database;
    `is_silent`: nothing is asked; `is_quiet`: nothing is printed.
    """
    from cli import console
    from cli.questions import find_asker, print_open_questions
    from features.crm.propose import propose
    from features.files import atomic_file

    with console.step_printer(lang, is_quiet) as report_step:
        report_step(Message("inspecting the data"))
        folder = to.resolve().parent
        sources = [_relative_source(folder, file) for file in files]
        proposal = propose(sources, folder, *named, ask=find_asker(lang, is_silent), lang=lang)
    with atomic_file(to) as part:
        part.write_text(proposal.text, encoding="utf-8")
    if is_quiet:
        return proposal
    for note in proposal.notes:
        console.print_labelled("note", note, lang)
    print_open_questions(proposal.questions, lang)
    console.print_findings(proposal.findings, lang)
    print(proposal.summary.text(lang))
    console.print_written_files(lang, to)
    return proposal


def _relative_source(folder: Path, source: str) -> str:
    """The path of a file relative to the folder of crm.toml; a URL as it is."""
    return source if "://" in source else os.path.relpath(Path(source).resolve(), folder)


def check(
    crm_toml: CrmToml = DEFAULT_CRM_TOML, out: Out = None, lang: LangOption = "en", as_json: Json = False
) -> None:
    """Check the data for everything that would mislead a model."""
    from cli import console
    from features.crm.audit import Audit
    from features.crm.load import load
    from features.moments import MIN_WINS
    from features.settings import load_settings
    from scoring.pages.feature_gaps import describe_gap
    from scoring.scorecard.load import find_card
    from training.export_gaps import find_export_gaps

    settings = load_settings(crm_toml)
    find_card(settings.folder, settings.table)
    with console.step_printer(lang, as_json) as report_step:
        report_step(Message("reading the CRM"))
        rejects = output_folder(out, crm_toml) / "rejects.csv"
        loaded = load(settings, rejects, lang=lang)
        report_step(Message("auditing the data"))
        audit = Audit.from_loaded(loaded)
        gaps = find_export_gaps(loaded.crm, settings.table, output_folder(out, crm_toml))
    won, closed = (int(a.sum()) for a in (loaded.crm.outcomes.won, loaded.crm.outcomes.closed))
    if as_json:
        findings = [finding.to_dict(lang) for finding in audit.findings]
        console.print_json(
            leads=len(loaded.crm),
            won=won,
            closed=closed,
            left_out=audit.left_out,
            findings=findings,
            gaps=[{**vars(gap), "text": describe_gap(gap, settings.table, lang)} for gap in gaps],
        )
        return
    counts = Message(
        "{leads:,} leads, {closed:,} closed, {won:,} won.", leads=len(loaded.crm), closed=closed, won=won
    )
    console.print_message(counts, lang)
    console.print_rejects(loaded.rejects.summary(), rejects, lang)
    console.print_findings(audit.findings, lang)
    for gap in gaps:
        console.print_labelled("warning", describe_gap(gap, settings.table, lang), lang)
    if audit.left_out:
        console.print_message(Message("Left out of training: {names}.", names=audit.left_out), lang)
    use_rules = Message(
        'write a scorecard.toml (profile = "b2b_saas", …): the rules decide until more deals are won'
    )
    console.print_next_steps(lang, f"hotlead train {crm_toml}" if won >= MIN_WINS else use_rules)
