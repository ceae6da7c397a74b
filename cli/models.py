"""Commands on models: train, score, compare, promote, rollback, backtest.

Imports inside the commands keep `hotlead --help` fast: each loads only what it runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from cli.options import (
    HERE,
    REFUSED,
    By,
    CrmToml,
    Json,
    LangOption,
    Out,
    Seed,
    output_folder,
    parse_moment,
    service_settings,
)


def train(
    crm_toml: CrmToml,
    out: Out = None,
    lang: LangOption = "en",
    seed: Seed = 0,
    tune: Annotated[
        float, typer.Option(min=0, help="Seconds to spend on better trees; resumed when repeated.")
    ] = 0,
    from_store: Annotated[
        bool, typer.Option(help="Learn from what the service collected, not from the CRM's export.")
    ] = False,
    sent_back_as_lost: Annotated[
        bool, typer.Option(help="With --from-store: leads that sales sent back count as lost.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Train on closed deals, measure on the newest, register the model as challenger."""
    from cli import console
    from training.train import train_and_register

    with console.told(as_json) as say:
        source = _exported(crm_toml, out, sent_back_as_lost, say) if from_store else crm_toml
        made = train_and_register(source, output_folder(out, crm_toml), say, lang, seed, tune)
    if as_json:
        about = dict(made.trained.model.about)
        console.as_json(
            model=made.trained.model.version,
            registered=made.registered.version,
            run=made.registered.run_id,
            report=str(made.report),
            **about,
        )
        return
    console.training(made, lang)
    console.next_steps(
        f"open {made.report}",
        f"hotlead compare {crm_toml}",
        f"hotlead score {crm_toml} --to scores.csv",
    )


def _exported(crm_toml: Path, out: Path | None, sent_back: bool, say: Any) -> Path:
    """The crm.toml of what the service collected."""
    from features.clock import now_ms
    from features.settings import load_settings
    from serving.jobs.export_training_data import export_store
    from serving.store.store import Store

    settings = service_settings(crm_toml, out)
    store = Store.open(settings.store_url, settings.spool)
    try:
        say("laying out what the service collected")
        told = export_store(store, load_settings(crm_toml), crm_toml, settings.out, now_ms(), sent_back)
    finally:
        store.close()
    more = f", {told.sent_back:,} sent back counted as lost" if sent_back else ""
    say(f"the store holds {told.leads:,} leads, {told.won:,} won, {told.lost:,} lost{more}")
    return told.crm_toml


def score(
    crm_toml: CrmToml,
    to: Annotated[str, typer.Option(help="A .parquet or .csv file, or a database URL.")],
    table: Annotated[str, typer.Option(help="The table, where --to is a database.")] = ("hotlead_scores"),
    leads: Annotated[str | None, typer.Option(help="Read leads from this file instead.")] = None,
    activities: Annotated[str | None, typer.Option(help="Read activities from this file instead.")] = None,
    as_of: Annotated[str | None, typer.Option(help="Score as of this moment (ISO 8601, or 'now').")] = None,
    reasons: Annotated[Literal["top", "all", "none"], typer.Option(help="Which leads get reasons.")] = "top",
    top: Annotated[int, typer.Option(min=0, help="How many leads 'top' means.")] = 1000,
    overrides: Annotated[
        Path | None, typer.Option(help="A CSV of persons' verdicts: see docs/scorecard.md.")
    ] = None,
    out: Out = None,
    lang: LangOption = "en",
    as_json: Json = False,
) -> None:
    """Score the open leads by rules and model: the champion, else the challenger."""
    from cli import console
    from features.clock import iso
    from features.settings import load_settings
    from training.lists.batch import Order
    from training.lists.output import check_output
    from training.lists.score_crm import score_crm, with_files

    check_output(to)
    settings = with_files(load_settings(crm_toml), leads, activities)
    order, results = Order(to, 0, reasons, top, lang, table), output_folder(out, crm_toml)
    with console.told(as_json) as say, console.progress(as_json) as progress:
        at = parse_moment(as_of, settings)
        told = score_crm(settings, results, order, at, say, progress, overrides)
    rows, found = told.scored.table.num_rows, told.found
    if as_json:
        console.as_json(
            rows=rows,
            to=to,
            model=found and found.model.version,
            alias=found and found.alias,
            scorecard=told.scorer.card.version,
            fallback=told.fallback,
            as_of=iso(told.as_of),
        )
        return
    console.rejects(told.loaded.rejects.summary(), results / "rejects.csv")
    console.calls(told, lang)
    by = f"the {found.alias} (model {found.model.version})" if found else "the rules alone"
    print(
        f"Wrote {rows:,} scored leads to {to}, highest score first, as of {iso(told.as_of)}, by {by}, "
        f"scorecard {told.scorer.card.version}."
    )


def compare(
    crm_toml: CrmToml = HERE, out: Out = None, lang: LangOption = "en", as_json: Json = False
) -> None:
    """Compare model and rules on the newest closed deals."""
    from cli import console
    from features.settings import load_settings
    from scoring.pages.page import to_terminal
    from training.compare import compare as compare_crm
    from training.compare import keep_comparison

    results = output_folder(out, crm_toml)
    told = compare_crm(load_settings(crm_toml), results)
    pages = keep_comparison(told, results)
    if as_json:
        console.as_json(**told.plain(lang))
        return
    to_terminal(told.page(lang))
    console.wrote(*pages.values())
    console.next_steps(f"open {pages[lang]}", f"hotlead promote {crm_toml}")


def promote(
    crm_toml: CrmToml = HERE,
    override: Annotated[
        str | None, typer.Option(help="Promote against the gate, for this reason; it is recorded.")
    ] = None,
    by: By = None,
    out: Out = None,
    lang: LangOption = "en",
    as_json: Json = False,
) -> None:
    """Make the challenger champion, if it passes the gate."""
    from cli import console
    from features.settings import load_settings
    from scoring.scorecard.load import find_card
    from training.registry.promotion import promote as promote_model

    settings = load_settings(crm_toml)
    card = find_card(settings.folder, settings.table)
    told = promote_model(output_folder(out, crm_toml), card, override, by)
    console.gate(told, override, lang, as_json)
    if not told.promoted:
        raise typer.Exit(REFUSED)
    if not as_json:
        back = [f"hotlead rollback {crm_toml}"] if told.champion else []
        console.next_steps(f"hotlead score {crm_toml} --to scores.csv", *back)


def rollback(
    crm_toml: CrmToml = HERE,
    why: Annotated[str, typer.Option(help="The reason; it is recorded.")] = "rolled back",
    by: By = None,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Make the previous champion the champion again."""
    from cli import console
    from training.registry.promotion import rollback as roll_back

    told = roll_back(output_folder(out, crm_toml), why, by)
    if as_json:
        console.as_json(champion=told.now, previous=told.before)
        return
    print(f"hotlead version {told.now} is the champion again, in the place of version {told.before}.")
    console.next_steps(f"hotlead score {crm_toml} --to scores.csv")


def backtest(
    crm_toml: CrmToml = HERE,
    months: Annotated[int, typer.Option(min=1, max=60, help="How many months.")] = 6,
    out: Out = None,
    lang: LangOption = "en",
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Retrain month by month on past deals, model against rules."""
    from cli import console
    from features.settings import load_settings
    from scoring.to_json import plain
    from training.backtest import backtest as test_back
    from training.fitting.dataset import closed_data
    from training.reports.backtest_page import backtest_page

    settings, results = load_settings(crm_toml), output_folder(out, crm_toml)
    with console.told(as_json) as say:
        data, _ = closed_data(settings, results, say)
        told = test_back(data, months, seed, say)
    if as_json:
        console.as_json(**plain(told))
        return
    console.page(results, "backtest", lambda it: backtest_page(told, settings.name, it), lang)
