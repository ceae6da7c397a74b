"""Commands for the data of a company: demo, init, check.

Imports inside the commands keep `hotlead --help` fast: each loads only what it runs.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import CrmToml, Json, LangOption, Out, Seed, output_folder, service_settings

if TYPE_CHECKING:
    from features.crm.load import Loaded


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

    with console.step_printer() as report_step:
        report_step(f"creating a CRM of {leads:,} leads")
        today = today_in_japan(datetime.now(UTC))
        crm_toml, results = make_demo(out, leads, seed, today), out / "hotlead-out"
        settings = load_settings(crm_toml)
        training_run = train_and_register(crm_toml, results, report_step, lang, 0)
        report_step("comparing model and rules")
        comparison = compare(settings, results)
        pages = save_comparison(comparison, results)
        report_step("checking the gate")
        promotion = promote(results, find_card(settings.folder, settings.table), None, None)
        request = ListRequest(str(crm_toml.with_name("scores.csv")), 0, lang=lang)
        scored_list = score_crm(settings, results, request, None, report_step, lambda completed, total: None)
        _fill_demo_service(scored_list.loaded, crm_toml, results, report_step)
    console.print_training(training_run, lang)
    console.print_verdict(comparison, lang)
    console.print_gate(promotion, None, lang, False)
    console.print_calls(scored_list, lang)
    console.print_next_steps(
        f"open {training_run.report} and {pages[lang]}",
        f"hotlead rules show {crm_toml} --lang {lang}",
        f"hotlead serve {crm_toml} --open",
        f"hotlead score {crm_toml} --to scores.csv --lang {lang}",
    )


def _fill_demo_service(loaded: Loaded, crm_toml: Path, out: Path, report_step: Callable[[str], None]) -> None:
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
    import_crm(settings, loaded.settings, export, report_step)


def init(
    files: Annotated[list[str], typer.Argument(help="CSV, Excel, JSON or Parquet files, or a database URL.")],
    to: Annotated[Path, typer.Option(help="The file to write.")] = Path("crm.toml"),
    outcome: Annotated[
        str | None, typer.Option(help="The column with won or lost, if it is not detected.")
    ] = None,
    won: Annotated[
        list[str] | None, typer.Option(help="A value of that column that means won; may be repeated.")
    ] = None,
    lost: Annotated[
        list[str] | None, typer.Option(help="A value of that column that means lost; may be repeated.")
    ] = None,
    table: Annotated[
        list[str] | None, typer.Option(help="A table of the database to look at; may be repeated.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
    lang: LangOption = "en",
) -> None:
    """Inspect an export and propose a crm.toml."""
    from cli import console
    from features.crm.propose import propose
    from features.errors import SettingsError
    from features.files import atomic_file

    if to.exists() and not force:
        raise SettingsError(f"{to}: exists already. Choose another --to, or use --force.")
    with console.step_printer() as report_step:
        report_step("inspecting the data")
        folder = to.resolve().parent
        proposal = propose(
            [_relative_source(folder, f) for f in files], folder, outcome, won or (), lost or (), table or ()
        )
    with atomic_file(to) as part:
        part.write_text(proposal.text, encoding="utf-8")
    for note in proposal.notes:
        print(f"  {'note':8s} {note}")
    console.print_findings(proposal.findings, lang)
    print(proposal.summary.text(lang))
    print(f"Wrote {to}.")
    console.print_next_steps(
        f"review {to}, above all the lines that are commented out", f"hotlead check {to}"
    )


def _relative_source(folder: Path, source: str) -> str:
    """The path of a file relative to the folder of crm.toml; a URL as it is."""
    return source if "://" in source else os.path.relpath(Path(source).resolve(), folder)


def check(crm_toml: CrmToml, out: Out = None, lang: LangOption = "en", as_json: Json = False) -> None:
    """Check the data for everything that would mislead a model."""
    from cli import console
    from features.crm.audit import Audit
    from features.crm.load import load
    from features.moments import MIN_WINS
    from features.settings import load_settings
    from scoring.scorecard.load import find_card

    settings = load_settings(crm_toml)
    find_card(settings.folder, settings.table)
    with console.step_printer(as_json) as report_step:
        report_step("reading the CRM")
        rejects = output_folder(out, crm_toml) / "rejects.csv"
        loaded = load(settings, rejects)
        report_step("auditing the data")
        audit = Audit.from_loaded(loaded)
    won, closed = (int(a.sum()) for a in (loaded.crm.outcomes.won, loaded.crm.outcomes.closed))
    if as_json:
        findings = [finding.to_dict(lang) for finding in audit.findings]
        console.print_json(
            leads=len(loaded.crm), won=won, closed=closed, left_out=audit.left_out, findings=findings
        )
        return
    print(f"{len(loaded.crm):,} leads, {closed:,} closed, {won:,} won.")
    console.print_rejects(loaded.rejects.summary(), rejects)
    console.print_findings(audit.findings, lang)
    if audit.left_out:
        print(f"Left out of training: {', '.join(audit.left_out)}.")
    train = f"hotlead train {crm_toml}"
    use_rules = 'write a scorecard.toml (profile = "b2b_saas", …): the rules decide until more deals are won'
    console.print_next_steps(train if won >= MIN_WINS else use_rules)
