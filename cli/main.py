"""The `hotlead` command: its commands in the order of the help, and its error messages.

Imports inside functions keep `hotlead --help` fast.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any, NoReturn

import typer
from typer.exceptions import TyperException
from typer.main import get_command

from cli import data, keys, models, privacy, rules, service
from cli.audit_log import audit_log
from cli.help import translate_help
from cli.options import EXIT_STOPPED, find_language
from cli.start import start
from features.language import Language
from features.messages import Message, MessageText, as_message

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
app.command()(privacy.forget)
app.command("export-lead")(privacy.export_lead)
app.command()(audit_log)
app.command()(service.prune)
app.add_typer(rules.app, name="rules")
app.add_typer(keys.app, name="keys")


def main() -> None:
    """Run the command. Errors that the user can correct are one sentence, without a traceback."""
    from features.errors import HotleadError
    from serving.runtime.file_access import restrict_new_files

    # Waiting OpenMP threads should sleep: if they spin, two trainings on one machine take ten times as
    # long, because each occupies the cores that the other needs.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    sys.unraisablehook = _interrupt_again
    lang = find_language(sys.argv[1:], os.environ)
    try:
        restrict_new_files(os.environ)
        command = get_command(app)
        if lang == "ja" and ("--help" in sys.argv or len(sys.argv) < 3):
            translate_help(command)
        exit_code = command(standalone_mode=False)
    except HotleadError as problem:
        _stop(problem, problem.exit_code, lang)
    except TyperException as problem:
        _stop_wrong_use(problem, lang)
    except MemoryError:
        _stop(Message("out of memory. Use `since` in crm.toml, or a larger machine."), 5, lang)
    except OSError as problem:
        _stop(_describe_os_error(problem), 5, lang)
    if exit_code == EXIT_STOPPED:  # the exit code of typer after Ctrl-C
        _stop(Message("stopped. No file is half-written; run again to continue."), EXIT_STOPPED, lang)
    sys.exit(exit_code)


def _stop(message: MessageText, exit_code: int, lang: Language) -> NoReturn:
    print(f"hotlead: {message.text(lang)}", file=sys.stderr)
    sys.exit(exit_code)


def _stop_wrong_use(problem: TyperException, lang: Language) -> NoReturn:
    """Name a wrong option or command; the help of a command without arguments is printed already."""
    context = getattr(problem, "ctx", None)
    if type(problem).__name__ == "NoArgsIsHelpError":
        sys.exit(problem.exit_code)
    command = context.command_path if context is not None else "hotlead"
    _stop(
        Message(
            "{problem}\nTry `{command} --help`.",
            problem=as_message(problem.format_message()),
            command=command,
        ),
        problem.exit_code,
        lang,
    )


def _describe_os_error(problem: OSError) -> Message:
    """What the system refused, and of which file."""
    reason = as_message(problem.strerror or str(problem))
    if problem.filename is None:
        return Message("{reason}. Correct this, then run the command again.", reason=reason)
    return Message(
        "{file}: {reason}. Correct this, then run the command again.", file=problem.filename, reason=reason
    )


def _interrupt_again(unraisable: Any) -> None:
    """Send Ctrl-C again: Python drops one that arrives during the clean-up of an object."""
    import signal
    import threading

    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
    else:
        sys.__unraisablehook__(unraisable)
