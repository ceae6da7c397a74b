"""Commands on models: train, score, compare, promote, rollback, backtest.

Imports inside the commands keep `hotlead --help` fast: each loads only what it runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from cli.options import (
    DEFAULT_CRM_TOML,
    EXIT_REFUSED,
    ByOption,
    CrmToml,
    Json,
    LangOption,
    Out,
    Seed,
    output_folder,
    parse_moment,
    service_settings,
)
from features.messages import Message


def train(
    crm_toml: CrmToml = DEFAULT_CRM_TOML,
    out: Out = None,
    lang: LangOption = "en",
    seed: Seed = 0,
    tune: Annotated[
        float, typer.Option(min=0, help="Seconds to tune the trees; repeating the command continues.")
    ] = 0,
    from_store: Annotated[
        bool, typer.Option(help="Train on the data of the service instead of the CRM's export.")
    ] = False,
    sent_back_as_lost: Annotated[
        bool, typer.Option(help="With --from-store: count leads that sales sent back as lost.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Train on closed deals, evaluate on the newest, register the model as challenger."""
    from cli import console
    from training.train import train_and_register

    with console.step_printer(lang, as_json) as report_step:
        source = (
            _export_training_data(crm_toml, out, sent_back_as_lost, report_step) if from_store else crm_toml
        )
        training_run = train_and_register(source, output_folder(out, crm_toml), report_step, lang, seed, tune)
    if as_json:
        console.print_json(**training_run.to_dict())
        return
    console.print_training(training_run, lang)
    console.print_next_steps(
        lang,
        Message("open {pages}", pages=training_run.report),
        f"hotlead compare {crm_toml}",
        f"hotlead score {crm_toml} --to scores.csv",
    )


def _export_training_data(crm_toml: Path, out: Path | None, sent_back: bool, report_step: Any) -> Path:
    """Export the data of the service for training; returns the crm.toml of the export."""
    from features.clock import now_ms
    from features.settings import load_settings
    from serving.jobs.export_training_data import export_store
    from serving.store.store import Store

    settings = service_settings(crm_toml, out)
    store = Store.open(settings.store_url, settings.spool, key_file=settings.pseudonym_key_file)
    try:
        report_step(Message("exporting the data of the service"))
        export = export_store(store, load_settings(crm_toml), crm_toml, settings.out, now_ms(), sent_back)
    finally:
        store.close()
    report_step(
        Message(
            "the store holds {leads:,} leads, {won:,} won, {lost:,} lost, {sent_back:,} sent back counted as "
            "lost"
            if sent_back
            else "the store holds {leads:,} leads, {won:,} won, {lost:,} lost",
            leads=export.leads,
            won=export.won,
            lost=export.lost,
            sent_back=export.sent_back,
        )
    )
    return export.crm_toml


def score(
    to: Annotated[str, typer.Option(help="A .parquet or .csv file, or a database URL.")],
    crm_toml: CrmToml = DEFAULT_CRM_TOML,
    table: Annotated[str, typer.Option(help="The table, if --to is a database.")] = "hotlead_scores",
    leads: Annotated[str | None, typer.Option(help="Read leads from this file instead.")] = None,
    activities: Annotated[str | None, typer.Option(help="Read activities from this file instead.")] = None,
    as_of: Annotated[str | None, typer.Option(help="Score as of this moment (ISO 8601, or 'now').")] = None,
    reasons: Annotated[Literal["top", "all", "none"], typer.Option(help="Leads that get reasons.")] = "top",
    top: Annotated[int, typer.Option(min=0, help="Number of leads of --reasons top.")] = 1000,
    overrides: Annotated[Path | None, typer.Option(help="A CSV of overrides: see docs/scorecard.md.")] = None,
    sort: Annotated[
        Literal["score", "expected_value"],
        typer.Option(help="What the list is sorted by. The expected value is probability × amount."),
    ] = "score",
    bom: Annotated[
        bool | None,
        typer.Option("--bom/--no-bom", help="Byte order mark for Excel in a CSV. Default: with --lang ja."),
    ] = None,
    out: Out = None,
    lang: LangOption = "en",
    as_json: Json = False,
) -> None:
    """Score the open leads by rules and model (the champion, else the challenger)."""
    from cli import console
    from features.bots.report import check_bots
    from features.settings import load_settings
    from training.lists.batch import ListRequest
    from training.lists.output import check_output
    from training.lists.score_crm import score_crm, with_files

    check_output(to)
    settings = with_files(load_settings(crm_toml), leads, activities)
    request = ListRequest(to, 0, reasons, top, lang, table, has_mark=bom, sort=sort)
    results = output_folder(out, crm_toml)
    with console.step_printer(lang, as_json) as report_step, console.progress_bar(as_json, lang) as progress:
        moment_ms = parse_moment(as_of, settings)
        scored_list = score_crm(settings, results, request, moment_ms, report_step, progress, overrides)
    if as_json:
        console.print_json(to=to, **scored_list.to_dict())
        return
    console.print_rejects(scored_list.loaded.rejects.summary(), results / "rejects.csv", lang)
    console.print_findings([*check_bots(scored_list.loaded.crm)], lang)
    console.print_calls(scored_list, lang)
    console.print_list_summary(scored_list, to, lang, sort)


def compare(
    crm_toml: CrmToml = DEFAULT_CRM_TOML, out: Out = None, lang: LangOption = "en", as_json: Json = False
) -> None:
    """Compare model and rules on the newest closed deals."""
    from cli import console
    from features.settings import load_settings
    from scoring.pages.page import to_terminal
    from training.compare import compare as compare_crm
    from training.compare import save_comparison

    results = output_folder(out, crm_toml)
    comparison = compare_crm(load_settings(crm_toml), results)
    pages = save_comparison(comparison, results)
    if as_json:
        console.print_json(**comparison.to_dict(lang))
        return
    to_terminal(comparison.page(lang))
    console.print_written_files(lang, *pages.values())
    console.print_next_steps(lang, Message("open {pages}", pages=pages[lang]), f"hotlead promote {crm_toml}")


def promote(
    crm_toml: CrmToml = DEFAULT_CRM_TOML,
    override: Annotated[
        str | None, typer.Option(help="Promote despite the gate, for this recorded reason.")
    ] = None,
    user: ByOption = None,
    out: Out = None,
    lang: LangOption = "en",
    as_json: Json = False,
) -> None:
    """Make the challenger champion if it passes the gate."""
    from cli import console
    from features.settings import load_settings
    from scoring.scorecard.load import find_card
    from training.registry.promotion import promote as promote_model

    settings = load_settings(crm_toml)
    card = find_card(settings.folder, settings.table)
    promotion = promote_model(output_folder(out, crm_toml), card, override, user)
    console.print_gate(promotion, override, lang, as_json)
    if not promotion.promoted:
        raise typer.Exit(EXIT_REFUSED)
    if not as_json:
        back = [f"hotlead rollback {crm_toml}"] if promotion.champion else []
        console.print_next_steps(lang, f"hotlead score {crm_toml} --to scores.csv", *back)


def rollback(
    crm_toml: CrmToml = DEFAULT_CRM_TOML,
    why: Annotated[str, typer.Option(help="The reason, which is recorded.")] = "rolled back",
    user: ByOption = None,
    out: Out = None,
    lang: LangOption = "en",
    as_json: Json = False,
) -> None:
    """Make the previous champion the champion again."""
    from cli import console
    from training.registry.promotion import rollback as roll_back

    result = roll_back(output_folder(out, crm_toml), why, user)
    message = Message(
        "hotlead version {champion} is the champion again, in the place of version {previous}.",
        champion=result.champion,
        previous=result.previous,
    )
    console.emit({"champion": result.champion, "previous": result.previous}, [message], as_json, lang)
    if not as_json:
        console.print_next_steps(lang, f"hotlead score {crm_toml} --to scores.csv")


def backtest(
    crm_toml: CrmToml = DEFAULT_CRM_TOML,
    months: Annotated[int, typer.Option(min=1, max=60, help="Number of months.")] = 6,
    out: Out = None,
    lang: LangOption = "en",
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Retrain month by month on past deals and compare model and rules."""
    from cli import console
    from features.settings import load_settings
    from scoring.to_json import to_jsonable
    from training.backtest import backtest as test_back
    from training.fitting.dataset import load_dataset
    from training.reports.backtest_page import backtest_page

    settings, results = load_settings(crm_toml), output_folder(out, crm_toml)
    with console.step_printer(lang, as_json) as report_step:
        data, _ = load_dataset(settings, results, report_step, lang)
        result = test_back(data, months, seed, report_step)
    if as_json:
        console.print_json(**to_jsonable(result))
        return
    console.show_page(
        results, "backtest", lambda language: backtest_page(result, settings.name, language), lang
    )
