"""The `hotlead` command: its commands in the order of its help, and what a person reads when one fails."""

from __future__ import annotations

import os
import sys
from typing import Any

import typer

from cli import data, keys, models, rules, service
from cli.options import STOPPED

app = typer.Typer(
    help="Which leads to call now: learnt from your own won and lost deals, measured honestly.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(data.demo)
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
    """Run the command; what the user can mend is told in a sentence, without a traceback."""
    from features.errors import HotleadError

    # OpenMP threads that wait should sleep: spinning, two trainings on one machine take ten times as
    # long each, for every thread burns the core that the other needs.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    sys.unraisablehook = _interrupt_again
    try:
        app(standalone_mode=True)
    except HotleadError as problem:
        print(f"hotlead: {problem}", file=sys.stderr)
        sys.exit(problem.exit_code)
    except SystemExit as end:
        if end.code == STOPPED:  # typer's word for Ctrl-C
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


def _interrupt_again(unraisable: Any) -> None:
    """Python drops a Ctrl-C that falls into the clean-up of an object: press it once more."""
    import signal
    import threading

    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
    else:
        sys.__unraisablehook__(unraisable)
