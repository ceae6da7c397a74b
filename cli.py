"""The `hotlead` command: one thin function a command. Heavy imports happen inside them.

Exit codes: 0 done, 1 a fault of Hotlead, 2 wrong use of a command, 3 crm.toml or an option does not
hold, 4 the data cannot be used, 5 something outside failed (file, disk, database, MLflow), 130 stopped.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

app = typer.Typer(
    help="Which leads to call now: learnt from your own won and lost deals, measured honestly.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

_STOPPED = 130
Lang = Literal["en", "ja"]
CrmToml = Annotated[Path, typer.Argument(help="The crm.toml that says how your export reads.")]
Out = Annotated[
    Path | None,
    typer.Option(help="Folder for what is made. Default: hotlead-out beside crm.toml."),
]
LangOption = Annotated[Lang, typer.Option(help="Language of reports, reasons and findings.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
Seed = Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Seed of every random draw.")]


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the demo CRM.")] = Path("demo-crm"),
    leads: Annotated[int, typer.Option(min=500, help="How many leads the CRM has.")] = 24_000,
    seed: Seed = 7,
    lang: LangOption = "en",
) -> None:
    """Make a demo CRM, train on it, register the model and show whom to call."""
    from demo.run import make

    with _told() as say:
        say(f"making a CRM of {leads:,} leads")
        crm_toml = make(out, leads, seed)
        made, told = _train_and_score(crm_toml, out / "hotlead-out", say, lang, 0)
    _print_training(made, lang)
    _print_calls(told, lang)
    _next(
        f"open {made.report}",
        f"hotlead check {crm_toml}",
        f"hotlead score {crm_toml} --to scores.csv --lang {lang}",
    )


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
    from features.errors import SettingsError
    from features.files import whole_file
    from features.propose import propose

    if to.exists() and not force:
        raise SettingsError(f"{to}: exists already; choose another place or say --force.")
    with _told() as say:
        say("looking at the data")
        folder = to.resolve().parent
        proposal = propose([_from(folder, f) for f in files], folder, outcome)
    with whole_file(to) as part:
        part.write_text(proposal.text, encoding="utf-8")
    _print_findings(proposal.findings, "en")
    print(f"Wrote {to}.")
    _next(f"read {to} through, above all what is commented out", f"hotlead check {to}")


@app.command()
def check(
    crm_toml: CrmToml, out: Out = None, lang: LangOption = "en", as_json: Json = False
) -> None:
    """Say in plain words what would make a model lie."""
    from features.audit import audit, left_out
    from features.load import load
    from features.settings import load_settings

    settings = load_settings(crm_toml)
    with _told(as_json) as say:
        say("reading the CRM")
        rejects = _out(out, crm_toml) / "rejects.csv"
        loaded = load(settings, rejects)
        say("looking for what would make a model lie")
        findings = audit(loaded)
    dropped = sorted(left_out(findings, loaded))
    won, closed = (int(a.sum()) for a in (loaded.crm.outcomes.won, loaded.crm.outcomes.closed))
    if as_json:
        told = [
            {"code": f.code, "severity": f.severity, "column": f.column, "used": f.used,
             "text": f.text(lang)} for f in findings
        ]  # fmt: skip
        _json(leads=len(loaded.crm), won=won, closed=closed, left_out=dropped, findings=told)
        return
    print(f"{len(loaded.crm):,} leads, {closed:,} closed, {won:,} won.")
    _print_rejects(loaded.rejects.summary(), rejects)
    _print_findings(findings, lang)
    if dropped:
        print(f"Left out of training: {', '.join(dropped)}.")
    _next(f"hotlead train {crm_toml}")


@app.command()
def train(
    crm_toml: CrmToml,
    out: Out = None,
    lang: LangOption = "en",
    seed: Seed = 0,
    tune: Annotated[
        float, typer.Option(min=0, help="Seconds to spend on better trees; resumed when repeated.")
    ] = 0,
    as_json: Json = False,
) -> None:
    """Train on closed deals, measure on the newest, register the model as challenger."""
    from training.main_job import train_and_register

    with _told(as_json) as say:
        made = train_and_register(crm_toml, _out(out, crm_toml), say, lang, seed, tune)
    if as_json:
        about = dict(made.trained.model.about)
        _json(model=made.trained.model.version, registered=made.registered.version,
              run=made.registered.run_id, report=str(made.report), **about)  # fmt: skip
        return
    _print_training(made, lang)
    _next(f"open {made.report}", f"hotlead score {crm_toml} --to scores.csv")


@app.command()
def score(
    crm_toml: CrmToml,
    to: Annotated[str, typer.Option(help="A .parquet or .csv file, or a database URL.")],
    table: Annotated[str, typer.Option(help="The table, where --to is a database.")] = (
        "hotlead_scores"
    ),
    leads: Annotated[str | None, typer.Option(help="Read leads from this file instead.")] = None,
    activities: Annotated[
        str | None, typer.Option(help="Read activities from this file instead.")
    ] = None,
    as_of: Annotated[
        str | None, typer.Option(help="Score as of this moment (ISO 8601, or 'now').")
    ] = None,
    reasons: Annotated[
        Literal["top", "all", "none"], typer.Option(help="Which leads get reasons.")
    ] = "top",
    top: Annotated[int, typer.Option(min=0, help="How many leads 'top' means.")] = 1000,
    out: Out = None,
    lang: LangOption = "en",
    as_json: Json = False,
) -> None:
    """Score the open leads with the champion, else the challenger."""
    from features.clock import iso
    from features.settings import load_settings
    from training.batch import Order
    from training.main_job import score_crm, with_files
    from training.outputs import check_output

    check_output(to)
    settings = with_files(load_settings(crm_toml), leads, activities)
    order = Order(to, 0, reasons, top, lang, table)
    with _told(as_json) as say, _progress(as_json) as progress:
        told = score_crm(
            settings, _out(out, crm_toml), order, _moment(as_of, settings), say, progress
        )
    rows = told.scored.table.num_rows
    if as_json:
        _json(rows=rows, to=to, model=told.found.model.version, alias=told.found.alias,
              as_of=iso(told.as_of))  # fmt: skip
        return
    _print_rejects(told.loaded.rejects.summary(), _out(out, crm_toml) / "rejects.csv")
    _print_calls(told, lang)
    print(f"Wrote {rows:,} scored leads to {to}, likeliest first, as of {iso(told.as_of)}, "
          f"by the {told.found.alias} (model {told.found.model.version}).")  # fmt: skip


def main() -> None:
    """Run the command; what the user can mend is told in a sentence, without a traceback."""
    from features.errors import HotleadError

    # OpenMP threads that wait should sleep: spinning, two trainings on one machine take ten times as
    # long each, for every thread burns the core that the other needs.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
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
        print(
            "hotlead: out of memory. Use `since` in crm.toml, or a larger machine.", file=sys.stderr
        )
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


def _train_and_score(
    crm_toml: Path, out: Path, say: Callable[[str], None], lang: Lang, seed: int
) -> Any:
    """The whole of the demo's second half."""
    from features.settings import load_settings
    from training.batch import Order
    from training.main_job import score_crm, train_and_register

    made = train_and_register(crm_toml, out, say, lang, seed)
    order = Order(str(crm_toml.with_name("scores.csv")), 0, lang=lang)
    told = score_crm(load_settings(crm_toml), out, order, None, say, lambda done, of: None)
    return made, told


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


@contextmanager
def _told(quiet: bool = False) -> Iterator[Callable[[str], None]]:
    """Each step on stderr as it begins, with the seconds that have passed."""
    import time

    began = time.monotonic()

    def say(step: str) -> None:
        if not quiet:
            print(f"[{time.monotonic() - began:5.1f} s] {step}", file=sys.stderr, flush=True)

    yield say


@contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """A bar with rows and time left, on stderr."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = ("scoring", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=quiet, transient=True) as bar:
        task = bar.add_task("scoring", total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)


def _print_training(made: Any, lang: Lang) -> None:
    from training.report import summary, verdict

    trained = made.trained
    out = made.report.parent
    _print_rejects(trained.loaded.rejects.summary(), out / "rejects.csv")
    _print_findings([f for f in trained.findings if f.severity != "note"], lang)
    print(summary(trained, lang))
    print(verdict(trained.measured.figures, lang))
    registered = made.registered
    print(
        f"Wrote {out / 'model'} (model {trained.model.version}) and {made.report}; registered as "
        f"hotlead version {registered.version}, challenger, at {registered.tracking_uri}."
    )


def _print_calls(told: Any, lang: Lang, most: int = 10) -> None:
    from scoring.texts import say
    from training.main_job import call_list

    for place, call in enumerate(call_list(told, most, lang), start=1):
        print(f"{place:3d}. {call.lead_id}  {call.probability:.0%}")
        for key, reasons in (("raised", call.raised), ("lowered", call.lowered)):
            if reasons:
                print(f"       {say(key, lang)}: {' / '.join(reasons)}")
        print(f"       → {call.next_step}")


def _print_findings(findings: list[Any], lang: Lang) -> None:
    for finding in findings:
        print(f"  {finding.severity:8s} {finding.text(lang)}")


def _print_rejects(summary: str, path: Path) -> None:
    if summary:
        print(f"Set aside (each named in {path}):\n{summary}")


def _next(*steps: str) -> None:
    print("Next:\n" + "\n".join(f"  {step}" for step in steps))


def _json(**told: Any) -> None:
    print(json.dumps(told, ensure_ascii=False, default=str))


if __name__ == "__main__":
    main()
