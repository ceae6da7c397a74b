"""The `hotlead` command: one thin function a command. Heavy imports happen inside them.

Exit codes: 0 done, 1 a fault of Hotlead, 2 wrong use of a command, 3 crm.toml, scorecard.toml or an
option does not hold, 4 the data cannot be used, 5 something outside failed (file, disk, database, MLflow),
6 the gate refused the model, 7 `monitor` advises to act, 130 stopped.
"""

from __future__ import annotations

import os
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

app = typer.Typer(
    help="Which leads to call now: learnt from your own won and lost deals, measured honestly.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

rules = typer.Typer(
    help="The definition of a hot lead: show it, try a change, learn one.", no_args_is_help=True
)
app.add_typer(rules, name="rules")

REFUSED, ACT, _STOPPED = 6, 7, 130
Lang = Literal["en", "ja"]
CrmToml = Annotated[Path, typer.Argument(help="The crm.toml that says how your export reads.")]
HERE = Path("crm.toml")
Out = Annotated[
    Path | None,
    typer.Option(help="Folder for what is made. Default: hotlead-out beside crm.toml."),
]
LangOption = Annotated[Lang, typer.Option(help="Language of reports, reasons and findings.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
By = Annotated[str | None, typer.Option(help="Who decides; the user's name by default.")]
Seed = Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Seed of every random draw.")]


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the demo CRM.")] = Path("demo-crm"),
    leads: Annotated[int, typer.Option(min=500, help="How many leads the CRM has.")] = 24_000,
    seed: Seed = 7,
    lang: LangOption = "en",
) -> None:
    """Make a demo CRM, train, compare model and rules, and show whom to call."""
    from datetime import UTC, datetime

    from demo.run import make, today_in_japan
    from features.settings import load_settings
    from scoring.scorecard.load import find_card
    from training import console
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

    settings = _service(crm_toml, out)
    told = asdict(besides(loaded)) | {"first_contacts": [None] * len(loaded.crm)}  # `handling` has its own
    export = Export(loaded.crm, **told)
    live(settings, loaded.settings, export, handling, say)
    lay_out(settings.out, settings.bundles, say)
    import_crm(settings, loaded.settings, export, say)


@app.command()
def init(
    files: Annotated[list[str], typer.Argument(help="CSV or Parquet files, or a database URL.")],
    to: Annotated[Path, typer.Option(help="Where to write.")] = Path("crm.toml"),
    outcome: Annotated[
        str | None, typer.Option(help="The column that tells won from lost, if it is not found.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Look at an export and propose a crm.toml."""
    from features.crm.propose import propose
    from features.errors import SettingsError
    from features.files import whole_file
    from training import console

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


@app.command()
def check(crm_toml: CrmToml, out: Out = None, lang: LangOption = "en", as_json: Json = False) -> None:
    """Say in plain words what would make a model lie."""
    from features.crm.audit import audit, left_out
    from features.crm.load import load
    from features.moments import MIN_WINS
    from features.settings import load_settings
    from scoring.scorecard.load import find_card
    from training import console

    settings = load_settings(crm_toml)
    find_card(settings.folder, settings.table)
    with console.told(as_json) as say:
        say("reading the CRM")
        rejects = _out(out, crm_toml) / "rejects.csv"
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


@app.command()
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
    from training import console
    from training.train import train_and_register

    with console.told(as_json) as say:
        source = _exported(crm_toml, out, sent_back_as_lost, say) if from_store else crm_toml
        made = train_and_register(source, _out(out, crm_toml), say, lang, seed, tune)
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

    settings = _service(crm_toml, out)
    store = Store.open(settings.store_url, settings.spool)
    try:
        say("laying out what the service collected")
        told = export_store(store, load_settings(crm_toml), crm_toml, settings.out, now_ms(), sent_back)
    finally:
        store.close()
    more = f", {told.sent_back:,} sent back counted as lost" if sent_back else ""
    say(f"the store holds {told.leads:,} leads, {told.won:,} won, {told.lost:,} lost{more}")
    return told.crm_toml


@app.command()
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
    from features.clock import iso
    from features.settings import load_settings
    from training import console
    from training.lists.batch import Order
    from training.lists.output import check_output
    from training.lists.score_crm import score_crm, with_files

    check_output(to)
    settings = with_files(load_settings(crm_toml), leads, activities)
    order, results = Order(to, 0, reasons, top, lang, table), _out(out, crm_toml)
    with console.told(as_json) as say, console.progress(as_json) as progress:
        at = _moment(as_of, settings)
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


@app.command()
def compare(
    crm_toml: CrmToml = HERE, out: Out = None, lang: LangOption = "en", as_json: Json = False
) -> None:
    """Compare model and rules on the newest closed deals."""
    from features.settings import load_settings
    from scoring.pages.page import to_terminal
    from training import console
    from training.compare import compare as compare_crm
    from training.compare import keep_comparison

    results = _out(out, crm_toml)
    told = compare_crm(load_settings(crm_toml), results)
    pages = keep_comparison(told, results)
    if as_json:
        console.as_json(**told.plain(lang))
        return
    to_terminal(told.page(lang))
    console.wrote(*pages.values())
    console.next_steps(f"open {pages[lang]}", f"hotlead promote {crm_toml}")


@app.command()
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
    from features.settings import load_settings
    from scoring.scorecard.load import find_card
    from training import console
    from training.registry.promotion import promote as promote_model

    settings = load_settings(crm_toml)
    card = find_card(settings.folder, settings.table)
    told = promote_model(_out(out, crm_toml), card, override, by)
    console.gate(told, override, lang, as_json)
    if not told.promoted:
        raise typer.Exit(REFUSED)
    if not as_json:
        back = [f"hotlead rollback {crm_toml}"] if told.champion else []
        console.next_steps(f"hotlead score {crm_toml} --to scores.csv", *back)


@app.command()
def rollback(
    crm_toml: CrmToml = HERE,
    why: Annotated[str, typer.Option(help="The reason; it is recorded.")] = "rolled back",
    by: By = None,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Make the previous champion the champion again."""
    from training import console
    from training.registry.promotion import rollback as roll_back

    told = roll_back(_out(out, crm_toml), why, by)
    if as_json:
        console.as_json(champion=told.now, previous=told.before)
        return
    print(f"hotlead version {told.now} is the champion again, in the place of version {told.before}.")
    console.next_steps(f"hotlead score {crm_toml} --to scores.csv")


@app.command()
def backtest(
    crm_toml: CrmToml = HERE,
    months: Annotated[int, typer.Option(min=1, max=60, help="How many months.")] = 6,
    out: Out = None,
    lang: LangOption = "en",
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Retrain month by month on past deals, model against rules."""
    from features.settings import load_settings
    from scoring.to_json import plain
    from training import console
    from training.backtest import backtest as test_back
    from training.fitting.dataset import closed_data
    from training.reports.backtest_page import backtest_page

    settings, results = load_settings(crm_toml), _out(out, crm_toml)
    with console.told(as_json) as say:
        data, _ = closed_data(settings, results, say)
        told = test_back(data, months, seed, say)
    if as_json:
        console.as_json(**plain(told))
        return
    console.page(results, "backtest", lambda it: backtest_page(told, settings.name, it), lang)


ServedToml = Annotated[Path, typer.Argument(envvar="HOTLEAD_CRM", help="The crm.toml that is served.")]


@app.command()
def serve(
    crm_toml: ServedToml = HERE,
    host: Annotated[str, typer.Option(help="The address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port.")] = 3000,
    workers: Annotated[int, typer.Option(min=1, max=64, help="How many workers answer.")] = 1,
    is_open: Annotated[
        bool, typer.Option("--open", help="Serve without keys, to this machine alone.")
    ] = False,
    out: Out = None,
) -> None:
    """Serve the scores: the API for the CRM, and the follower of the champion."""
    from serving.runtime.serve import serve as serve_crm
    from serving.runtime.supervisor import Place

    settings = _service(crm_toml, out)
    serve_crm(settings, Place(host, port), workers, is_open, lambda told: print(told, flush=True))


@app.command("import")
def import_export(
    crm_toml: ServedToml = HERE, out: Out = None, lang: LangOption = "en", as_json: Json = False
) -> None:
    """Bring a CRM's export into the service: leads, their history, closed deals; score the open leads."""
    from dataclasses import asdict

    from features.crm.extra_columns import besides
    from features.crm.load import load
    from features.settings import load_settings
    from serving.jobs.crm_records import Export
    from serving.jobs.import_crm import import_crm
    from training import console
    from training.registry.follower import lay_out

    settings = _service(crm_toml, out)
    with console.told(as_json) as say:
        say("reading the CRM")
        loaded = load(load_settings(crm_toml), settings.out / "rejects.csv")
        lay_out(settings.out, settings.bundles, say)
        export = Export(loaded.crm, **asdict(besides(loaded)))
        told = import_crm(settings, loaded.settings, export, say)
    if as_json:
        console.as_json(**told.plain())
        return
    print("\n".join(told.lines(lang)))


@app.command()
def follow(crm_toml: ServedToml = HERE, out: Out = None) -> None:
    """Lay out the champion to be served, whenever it changes (`hotlead serve` runs this itself)."""
    from training.registry.follower import follow_until_stopped

    settings = _service(crm_toml, out)
    follow_until_stopped(settings.out, settings.bundles, settings.crm)


@rules.command()
def show(crm_toml: CrmToml = HERE, out: Out = None, lang: LangOption = "en", as_json: Json = False) -> None:
    """Show the definition of a hot lead as a table, and write it as a page."""
    from features.settings import load_settings
    from scoring.pages.rules import rules_page
    from scoring.scorecard.load import card_in_use
    from training import console

    settings = load_settings(crm_toml)
    card = card_in_use(settings.folder, settings.table)
    if as_json:
        console.as_json(version=card.version, **card.plain())
        return
    console.page(_out(out, crm_toml), "rules", lambda it: rules_page(card, it), lang)


@rules.command()
def replay(
    new: Annotated[Path, typer.Argument(help="The new scorecard.toml, not yet in use.")],
    crm_toml: CrmToml = HERE,
    out: Out = None,
    lang: LangOption = "en",
    as_json: Json = False,
) -> None:
    """Try a new scorecard on closed deals before it is published."""
    from features.settings import load_settings
    from scoring.pages.replay import replay_page
    from training import console
    from training.compare import replay as replay_card

    results = _out(out, crm_toml)
    with console.told(as_json) as say:
        told = replay_card(new, load_settings(crm_toml), results, say)
    if as_json:
        console.as_json(**told.plain())
        return
    console.page(results, "replay", lambda it: replay_page(told, it), lang)
    console.next_steps(
        f"let marketing and sales both sign the change off, then put {new} in the place of "
        f"{crm_toml.with_name('scorecard.toml')} and run hotlead train {crm_toml}"
    )


@rules.command()
def suggest(
    crm_toml: CrmToml = HERE,
    to: Annotated[Path, typer.Option(help="Where to write.")] = Path("suggested-scorecard.toml"),
    oldest: Annotated[
        float, typer.Option(min=0.3, max=0.95, help="Learn from this oldest share of the deals.")
    ] = 0.8,
    rows: Annotated[int, typer.Option(min=2, max=40, help="The most rows.")] = 16,
    out: Out = None,
    lang: LangOption = "en",
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Learn points and thresholds from closed deals; written for review, never applied by itself."""
    from features.settings import load_settings
    from training import console
    from training.scorecard.command import suggested

    with console.told(as_json) as say:
        settings = load_settings(crm_toml)
        told = suggested(settings, _out(out, crm_toml), to, oldest, rows, seed, say, lang)
    if as_json:
        console.suggestion_json(told, to)
        return
    console.suggestion(told, lang)
    print(f"Wrote {to}; nothing is applied.")
    console.next_steps(f"read {to} through", f"hotlead rules replay {to} {crm_toml}")


# Running the service: its keys, outcomes that it learns of, leads that it forgets.

keys = typer.Typer(help="API keys: who may ask the service, and for what.", no_args_is_help=True)
app.add_typer(keys, name="keys")

KeyId = Annotated[str, typer.Argument(metavar="ID", help="The key's id, as `keys list` shows it.")]


@keys.command("add")
def add_key(
    role: Annotated[
        Literal["crm", "reviewer", "admin"],
        typer.Option(help="crm: sends and asks; reviewer: asks and overrides; admin: all."),
    ],
    name: Annotated[str, typer.Option(help="Whose key it is, in 1 to 80 characters.")],
    expires: Annotated[
        float | None, typer.Option(min=0.001, max=36_500, help="Days until it ends; else never.")
    ] = None,
    crm_toml: ServedToml = HERE,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Make a key; its token is printed once, alone on stdout: KEY=$(hotlead keys add ...)."""
    from serving.jobs import manage_keys as key_commands

    key_commands.add(_service(crm_toml, out), role, name, expires, as_json)


@keys.command("list")
def list_keys(crm_toml: ServedToml = HERE, out: Out = None, as_json: Json = False) -> None:
    """List the keys; no token is shown, as none is stored."""
    from serving.jobs import manage_keys as key_commands

    key_commands.show(_service(crm_toml, out), as_json)


@keys.command("rotate")
def rotate_key(
    key_id: KeyId,
    crm_toml: ServedToml = HERE,
    grace: Annotated[
        float, typer.Option(min=0, max=8_760, help="Hours for which the former token holds.")
    ] = 24,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Give a key a new token, printed once, alone on stdout; the former one holds for a while."""
    from serving.jobs import manage_keys as key_commands

    key_commands.rotate(_service(crm_toml, out), key_id, grace, as_json)


@keys.command("revoke")
def revoke_key(key_id: KeyId, crm_toml: ServedToml = HERE, out: Out = None, as_json: Json = False) -> None:
    """End a key at once, with all of its tokens."""
    from serving.jobs import manage_keys as key_commands

    key_commands.revoke(_service(crm_toml, out), key_id, as_json)


@app.command()
def outcomes(
    file: Annotated[Path, typer.Argument(help="Closed deals, as CSV or Parquet.")],
    crm_toml: ServedToml = HERE,
    url: Annotated[str, typer.Option(help="Where the service is.")] = "http://127.0.0.1:3000",
    key_file: Annotated[
        Path | None,
        typer.Option(
            help="A file that holds the API key; else the environment variable HOTLEAD_KEY does. There "
            "is no option for the key itself: others on this machine can see arguments."
        ),
    ] = None,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Send a file of closed deals to the service that runs. Sending it twice stores it once.

    Columns are those of crm.toml's table of deals, or lead_id, outcome (won, lost), closed_at, amount,
    lost_reason; with `id` and `version` deals can be corrected later. Exit code 4: some deals are
    at odds with what was sent before, and were not taken.
    """
    from features.settings import load_settings
    from serving.client.send_outcomes import read_key, send_file
    from training import console

    settings, key = load_settings(crm_toml), read_key(key_file, os.environ)
    with console.told(as_json) as say, console.progress(as_json, "sending") as progress:
        told = send_file(file, settings, url, key, _out(out, crm_toml), say, progress)
    if as_json:
        console.as_json(**told.plain())
    else:
        console.rejects(told.deals.rejects.summary(), told.rejects)
        print("\n".join(told.lines()))
        console.next_steps(*told.next_steps())
    if told.sent.at_odds:
        raise typer.Exit(4)


@app.command()
def monitor(
    crm_toml: ServedToml = HERE,
    html: Annotated[Path | None, typer.Option(help="Write the page here, too.")] = None,
    since: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Only answers first given from this day (UTC) on."),
    ] = None,
    out: Out = None,
    lang: LangOption = "en",
    as_json: Json = False,
) -> None:
    """Look at what was served: calibration, model against rules, drift, and what to do.

    Exit code 0: all is well, or too little is known yet; 7: there is something to do (retrain,
    look_at_this_feature, the_world_moved); 5: the store is away, or there is none.
    """
    from datetime import UTC

    from features.clock import now_ms, to_ms
    from features.files import whole_file
    from features.settings import load_settings
    from scoring.evaluation.monitoring import QUIET
    from scoring.pages.page import to_html, to_terminal
    from scoring.to_json import plain
    from serving.monitoring.monitor import watched
    from serving.monitoring.page import advice_in_words, monitor_page
    from training import console

    settings, crm = _service(crm_toml, out), load_settings(crm_toml)
    start = None if since is None else to_ms(since.replace(tzinfo=UTC))
    with console.told(as_json) as say:
        say("reading what was served")
        told = watched(settings, crm, now_ms(), start)
    page = monitor_page(told, crm.table, crm.name, lang)
    if html is not None:
        with whole_file(html) as part:
            part.write_text(to_html(page), encoding="utf-8")
    if as_json:
        console.as_json(**plain(told), text=advice_in_words(told, crm.table, lang))
    else:
        to_terminal(page)
        if html is not None:
            console.wrote(html)
    if told.advice not in QUIET:
        raise typer.Exit(ACT)


@app.command()
def forget(
    lead_id: Annotated[str, typer.Argument(help="The lead's id.")],
    crm_toml: ServedToml = HERE,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    also: Annotated[
        list[Path] | None,
        typer.Option(help="Look below this folder too, such as the artifacts of an MLflow server."),
    ] = None,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Erase a lead: from the service's store, and from the evidence that models are judged on."""
    from serving.jobs.forget_lead import forget as forget_lead

    settings = _service(crm_toml, out)
    question = f"Erase all that {settings.shown_store} and {settings.out} hold of lead {lead_id!r}?"
    if not yes and not _agreed(question):
        raise typer.Exit(_STOPPED)
    told = forget_lead(settings, lead_id, also or [], os.environ)
    if as_json:
        from training import console

        console.as_json(**told.plain())
        return
    print("\n".join(told.lines()))


def _agreed(question: str) -> bool:
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _service(crm_toml: Path, out: Path | None) -> Any:
    """The service's settings: of the environment, of a crm.toml, and of an output folder where told."""
    from features.errors import SettingsError
    from serving.settings import ServiceSettings

    if not crm_toml.is_file():
        raise SettingsError(f"{crm_toml}: there is no such file. Say which crm.toml is served.")
    told = {"HOTLEAD_CRM": str(crm_toml)} | ({"HOTLEAD_OUT": str(out)} if out else {})
    return ServiceSettings.from_environment({**os.environ, **told})


def main() -> None:
    """Run the command; what the user can mend is told in a sentence, without a traceback."""
    from features.errors import HotleadError

    # OpenMP threads that wait should sleep: spinning, two trainings on one machine take ten times as
    # long each, for every thread burns the core that the other needs.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    sys.unraisablehook = _stop_again
    try:
        app(standalone_mode=True)
    except HotleadError as problem:
        print(f"hotlead: {problem}", file=sys.stderr)
        sys.exit(problem.exit_code)
    except SystemExit as end:
        if end.code == _STOPPED:  # typer's word for Ctrl-C
            print("hotlead: stopped. Nothing is half-written; run again to go on.", file=sys.stderr)
        raise
    except MemoryError:
        print("hotlead: out of memory. Use `since` in crm.toml, or a larger machine.", file=sys.stderr)
        sys.exit(5)
    except OSError as problem:
        print(
            f"hotlead: {problem.filename or 'a file'}: {problem.strerror or problem}. See to it, then "
            "run again.",
            file=sys.stderr,
        )
        sys.exit(5)


def _stop_again(unraisable: Any) -> None:
    """Python drops a Ctrl-C that falls into the clean-up of an object: press it once more."""
    import signal
    import threading

    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
    else:
        sys.__unraisablehook__(unraisable)


def _out(out: Path | None, crm_toml: Path) -> Path:
    return out if out is not None else crm_toml.parent / "hotlead-out"


def _from(folder: Path, place: str) -> str:
    """A file's place as seen from the folder of crm.toml."""
    return place if "://" in place else os.path.relpath(Path(place).resolve(), folder)


def _moment(as_of: str | None, settings: Any) -> int | None:
    from datetime import datetime

    from features.clock import now_ms, to_ms
    from features.errors import SettingsError

    if as_of in (None, "now"):
        return None if as_of is None else now_ms()
    try:
        at = datetime.fromisoformat(str(as_of))
    except ValueError:
        raise SettingsError(
            f"--as-of {as_of!r} is no moment; say for example 2026-10-01T09:00+09:00, or now."
        ) from None
    return to_ms(at if at.tzinfo else at.replace(tzinfo=settings.zone))


if __name__ == "__main__":
    main()
