"""Questions of `hotlead init` and `hotlead start` on a terminal.

Imports inside functions keep `hotlead --help` fast.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import typer

from cli.console import print_labelled
from features.language import Language
from scoring.texts import translate

if TYPE_CHECKING:
    from features.crm.propose.questions import Ask, Question


def find_asker(lang: Language, is_silent: bool) -> Ask | None:
    """A function that asks on the terminal; None without a terminal, in CI, or if `is_silent`."""
    is_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    if is_silent or not is_terminal or os.environ.get("CI"):
        return None
    return lambda question: _ask(question, lang)


def _ask(question: Question, lang: Language) -> int:
    print(translate(f"question_{question.kind}", lang, **question.values))
    for number, option in enumerate(question.options, start=1):
        print(f"  {number}. {_option_text(question, option, lang)}")
    while True:
        answer = str(typer.prompt(translate("question_answer", lang), default="1")).strip()
        if answer.isdecimal() and 1 <= int(answer) <= len(question.options):
            return int(answer) - 1
        print(translate("question_answer_invalid", lang, count=len(question.options)))


def _option_text(question: Question, option: str, lang: Language) -> str:
    is_code = question.has_codes or option == "no_more"
    return translate(f"answer_{option}", lang) if is_code else option


def print_open_questions(questions: tuple[Question, ...], lang: Language) -> None:
    """What nobody was asked, and what to set."""
    for question in questions:
        print_labelled("question", open_question(question, lang), lang)


def open_question(question: Question, lang: Language) -> str:
    """What a question leaves open, and what to set, as one or two sentences."""
    options = translate("open_question_joint", lang).join(question.options)
    return translate(f"open_question_{question.kind}", lang, **question.values, options=options)
