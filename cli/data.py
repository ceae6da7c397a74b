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
    from demo.run import make, today_in_japan
    from features.settings import load_settings
    from scoring.scorecard.load import find_card
    from training.compare import compare, keep_comparison
    from training.lists.batch import Order
    from training.lists.score_crm import score_crm
    from training.registry.promotion import promote
    from training.train import train_and_register

    with console.told() as say:
        say(f"making a CRM of {leads:,} leads")
        today = today_in_japan(datetime.now(UTC))
        crm_toml, results = make(out, leads, seed, today), out / "hotlead-out"
        settings = load_settings(crm_toml)
        made = train_and_register(crm_toml, results, say, lang, 0)
        say("comparing model and rules")
        compared = compare(settings, results)
        pages = keep_comparison(compared, results)
        say("asking the gate")
        trial = promote(results, find_card(settings.folder, settings.table), None, None)
        order = Order(str(crm_toml.with_name("scores.csv")), 0, lang=lang)
        listed = score_crm(settings, results, order, None, say, lambda done, of: None)
        _lived(listed.loaded, crm_toml, results, say)
    console.training(made, lang)
    console.verdict(compared, lang)
    console.gate(trial, None, lang, False)
    console.calls(listed, lang)
    console.next_steps(
        f"open {made.report} and {pages[lang]}",
        f"hotlead rules show {crm_toml} --lang {lang}",
        f"hotlead serve {crm_toml} --open",
        f"hotlead score {crm_toml} --to scores.csv --lang {lang}",
    )


def _lived(loaded: Any, crm_toml: Path, out: Path, say: Any) -> None:
    """Fill the demo's service: half a year on the rules alone, what people did, and today's scores."""
    from dataclasses import asdict

    from demo.handling import handling
    from features.crm.extra_columns import besides
    from serving.jobs.crm_records import Export
    from serving.jobs.demo_history import live
    from serving.jobs.import_crm import import_crm
    from training.registry.follower import lay_out

    settings = service_settings(crm_toml, out)
    told = asdict(besides(loaded)) | {"first_contacts": [None] * len(loaded.crm)}  # `handling` has its own
    export = Export(loaded.crm, **told)
    live(settings, loaded.settings, export, handling, say)
    lay_out(settings.out, settings.bundles, say)
    import_crm(settings, loaded.settings, export, say)


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
    from features.files import whole_file

    if to.exists() and not force:
        raise SettingsError(f"{to}: exists already; choose another place or say --force.")
    with console.told() as say:
        say("looking at the data")
        folder = to.resolve().parent
        proposal = propose([_from(folder, f) for f in files], folder, outcome)
    with whole_file(to) as part:
        part.write_text(proposal.text, encoding="utf-8")
    console.findings(proposal.findings, "en")
    print(f"Wrote {to}.")
    console.next_steps(f"read {to} through, above all what is commented out", f"hotlead check {to}")


def _from(folder: Path, place: str) -> str:
    """A file's place as seen from the folder of crm.toml."""
    return place if "://" in place else os.path.relpath(Path(place).resolve(), folder)


def check(crm_toml: CrmToml, out: Out = None, lang: LangOption = "en", as_json: Json = False) -> None:
    """Say in plain words what would make a model lie."""
    from cli import console
    from features.crm.audit import audit, left_out
    from features.crm.load import load
    from features.moments import MIN_WINS
    from features.settings import load_settings
    from scoring.scorecard.load import find_card

    settings = load_settings(crm_toml)
    find_card(settings.folder, settings.table)
    with console.told(as_json) as say:
        say("reading the CRM")
        rejects = output_folder(out, crm_toml) / "rejects.csv"
        loaded = load(settings, rejects)
        say("looking for what would make a model lie")
        findings = audit(loaded)
    dropped = sorted(left_out(findings, loaded))
    won, closed = (int(a.sum()) for a in (loaded.crm.outcomes.won, loaded.crm.outcomes.closed))
    if as_json:
        told = [
            {"code": f.code, "severity": f.severity, "column": f.column, "used": f.used, "text": f.text(lang)}
            for f in findings
        ]
        console.as_json(leads=len(loaded.crm), won=won, closed=closed, left_out=dropped, findings=told)
        return
    print(f"{len(loaded.crm):,} leads, {closed:,} closed, {won:,} won.")
    console.rejects(loaded.rejects.summary(), rejects)
    console.findings(findings, lang)
    if dropped:
        print(f"Left out of training: {', '.join(dropped)}.")
    enough = f"hotlead train {crm_toml}"
    few = 'write a scorecard.toml (profile = "b2b_saas", …): the rules decide until more deals are won'
    console.next_steps(enough if won >= MIN_WINS else few)
