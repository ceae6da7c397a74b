"""The help of the commands in Japanese."""

from __future__ import annotations

import inspect
from typing import Any

from features.messages import to_japanese

_TITLES = {
    "ARGUMENTS_PANEL_TITLE": "引数",
    "OPTIONS_PANEL_TITLE": "オプション",
    "COMMANDS_PANEL_TITLE": "コマンド",
    "DEFAULT_STRING": "[既定値：{}]",
    "ENVVAR_STRING": "[環境変数：{}]",
    "REQUIRED_LONG_STRING": "[必須]",
}
"""The texts of Typer around the help."""


def translate_help(command: Any) -> None:
    """Put the Japanese texts into a Typer command, its options, and all commands below it."""
    from typer import rich_utils  # rarely needed, so the start of the command does not wait for it

    for name, title in _TITLES.items():
        setattr(rich_utils, name, title)
    make_text: Any = rich_utils._make_rich_text

    def make_folding_text(**options: Any) -> Any:
        text = make_text(**options)
        text.overflow = "fold"  # Japanese has no spaces to wrap at, and would be cut
        return text

    rich_utils._make_rich_text = make_folding_text
    _translate(command)


def _translate(command: Any) -> None:
    if command.help:
        command.help = to_japanese(inspect.cleandoc(command.help))
    for option in (*command.params, command.get_help_option(command.context_class(command))):
        if getattr(option, "help", None):
            option.help = to_japanese(option.help)
    for inner in getattr(command, "commands", {}).values():
        _translate(inner)
