"""Commands on a company's data: demo, init, check.

Imports inside the commands keep `hotlead --help` fast: each loads only what it runs.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.options import CrmToml, Json, LangOption, Out, Seed, output_folder, service_settings


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the demo CRM.")] = Path("demo-crm"),
    leads: Annotated[int, typer.Option(min=500, help="How many leads the CRM has.")] = 24_000,
    seed: Seed = 7,
    lang: LangOption = "en",
) -> None:
    """Make a demo CRM, train, compare model and rules, and show whom to call."""
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
        report_step(f"making a CRM of {leads:,} leads")
        today = today_in_japan(datetime.now(UTC))
        crm_toml, results = make_demo(out, leads, seed, today), out / "hotlead-out"
        settings = load_settings(crm_toml)
        training_run = train_and_register(crm_toml, results, report_step, lang, 0)
        report_step("comparing model and rules")
        comparison = compare(settings, results)
        pages = save_comparison(comparison, results)
        report_step("asking the gate")
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


def _fill_demo_service(loaded: Any, crm_toml: Path, out: Path, report_step: Any) -> None:
    """Fill the demo's service: half a year on the rules alone, what people did, and today's scores."""
    from dataclasses import asdict

    from demo.handling import simulate_handling
    from features.crm.extra_columns import read_extra_columns
    from serving.jobs.crm_records import CrmExport
    from serving.jobs.demo_history import simulate_history
    from serving.jobs.import_crm import import_crm
    from training.registry.follower import deploy_champion

    settings = service_settings(crm_toml, out)
    extra_columns = asdict(read_extra_columns(loaded)) | {
        "first_contacts": [None] * len(loaded.crm)
    }  # `handling` has its own
    export = CrmExport(loaded.crm, **extra_columns)
    simulate_history(settings, loaded.settings, export, simulate_handling, report_step)
    deploy_champion(settings.out, settings.bundles, report_step)
    import_crm(settings, loaded.settings, export, report_step)


def init(
    files: Annotated[list[str], typer.Argument(help="CSV or Parquet files, or a database URL.")],
    to: Annotated[Path, typer.Option(help="Where to write.")] = Path("crm.toml"),
    outcome: Annotated[
        str | None, typer.Option(help="The column that tells won from lost, if it is not found.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Look at an export and propose a crm.toml."""
    from cli import console
    from features.crm.propose import propose
    from features.errors import SettingsError
    from features.files import atomic_file

    if to.exists() and not force:
        raise SettingsError(f"{to}: exists already; choose another place or say --force.")
    with console.step_printer() as report_step:
        report_step("looking at the data")
        folder = to.resolve().parent
        proposal = propose([_relative_source(folder, f) for f in files], folder, outcome)
    with atomic_file(to) as part:
        part.write_text(proposal.text, encoding="utf-8")
    console.print_findings(proposal.findings, "en")
    print(f"Wrote {to}.")
    console.print_next_steps(f"read {to} through, above all what is commented out", f"hotlead check {to}")


def _relative_source(folder: Path, place: str) -> str:
    """A file's place as seen from the folder of crm.toml."""
    return place if "://" in place else os.path.relpath(Path(place).resolve(), folder)


def check(crm_toml: CrmToml, out: Out = None, lang: LangOption = "en", as_json: Json = False) -> None:
    """Say in plain words what would make a model lie."""
    from cli import console
    from features.crm.audit import audit, leaking_features
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
        report_step("looking for what would make a model lie")
        findings = audit(loaded)
    dropped = sorted(leaking_features(findings, loaded))
    won, closed = (int(a.sum()) for a in (loaded.crm.outcomes.won, loaded.crm.outcomes.closed))
    if as_json:
        finding_rows = [
            {
                "code": f.code,
                "severity": f.severity,
                "column": f.column,
                "used": f.is_used,
                "text": f.text(lang),
            }
            for f in findings
        ]
        console.print_json(
            leads=len(loaded.crm), won=won, closed=closed, left_out=dropped, findings=finding_rows
        )
        return
    print(f"{len(loaded.crm):,} leads, {closed:,} closed, {won:,} won.")
    console.print_rejects(loaded.rejects.summary(), rejects)
    console.print_findings(findings, lang)
    if dropped:
        print(f"Left out of training: {', '.join(dropped)}.")
    enough = f"hotlead train {crm_toml}"
    few = 'write a scorecard.toml (profile = "b2b_saas", …): the rules decide until more deals are won'
    console.print_next_steps(enough if won >= MIN_WINS else few)
