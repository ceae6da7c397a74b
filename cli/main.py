"""The `hotlead` command: its commands in the order of the help, and its error messages.

Imports inside functions keep `hotlead --help` fast.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer

from cli import data, keys, models, rules, service
from cli.options import EXIT_STOPPED
from cli.start import start

app = typer.Typer(
    help="Which leads to call now, learnt from your own won and lost deals.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        from importlib.metadata import version

        print(f"hotlead {version('hotlead')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """The options of the command itself."""


app.command()(data.demo)
app.command()(start)
app.command()(data.init)
app.command()(data.check)
app.command()(models.train)
app.command()(models.score)
app.command()(models.compare)
app.command()(models.promote)
app.command()(models.rollback)
app.command()(models.backtest)
app.command()(service.serve)
app.command("import")(service.import_export)
app.command()(service.follow)
app.command()(service.outcomes)
app.command()(service.monitor)
app.command()(service.forget)
app.add_typer(rules.app, name="rules")
app.add_typer(keys.app, name="keys")


def main() -> None:
    """Run the command. Errors that the user can correct are one sentence, without a traceback."""
    from features.errors import HotleadError

    # Waiting OpenMP threads should sleep: if they spin, two trainings on one machine take ten times as
    # long, because each occupies the cores that the other needs.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    sys.unraisablehook = _interrupt_again
    try:
        app(standalone_mode=True)
    except HotleadError as problem:
        print(f"hotlead: {problem}", file=sys.stderr)
        sys.exit(problem.exit_code)
    except SystemExit as end:
        if end.code == EXIT_STOPPED:  # the exit code of typer after Ctrl-C
            print("hotlead: stopped. No file is half-written; run again to continue.", file=sys.stderr)
        raise
    except MemoryError:
        print("hotlead: out of memory. Use `since` in crm.toml, or a larger machine.", file=sys.stderr)
        sys.exit(5)
    except OSError as problem:
        print(
            f"hotlead: {problem.filename or 'a file'}: {problem.strerror or problem}. Correct this, then run "
            "the command again.",
            file=sys.stderr,
        )
        sys.exit(5)


def _interrupt_again(unraisable: Any) -> None:
    """Send Ctrl-C again: Python drops one that arrives during the clean-up of an object."""
    import signal
    import threading

    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
    else:
        sys.__unraisablehook__(unraisable)
