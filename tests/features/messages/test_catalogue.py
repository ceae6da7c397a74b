"""Every template of a message or an error has a Japanese one with the same placeholders."""

from __future__ import annotations

import ast
import inspect
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from string import Formatter
from typing import Any

import pytest
from typer.main import get_command

from cli.main import app
from features.messages.catalogue import FOLDER, LIBRARIES, read_pairs

ROOT = Path(__file__).parents[3]
PACKAGES = ("features", "scoring", "training", "serving", "cli")
PAGES = ROOT / "serving" / "review"
"""The pages for people have texts of their own."""
HELP = FOLDER / "help.toml"
FILES = [path for path in sorted(FOLDER.glob("*.toml")) if path not in (LIBRARIES, HELP)]
BASES = {"Message", "MessageError"}
JAPANESE = re.compile("[\u3040-\u30ff\u4e00-\u9fff]")
HALF_WIDTH = re.compile("[\u3040-\u30ff\u4e00-\u9fff][,:;?!]")


def source_files() -> Iterator[Path]:
    for package in PACKAGES:
        yield from (path for path in (ROOT / package).rglob("*.py") if PAGES not in path.parents)


@cache
def message_types() -> frozenset[str]:
    """Message and all kinds of errors with a message, found by their bases."""
    classes = [
        node
        for folder in PACKAGES
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    ]
    names = set(BASES)
    for _ in range(4):  # as deep as errors are derived from each other
        names |= {c.name for c in classes if any(isinstance(b, ast.Name) and b.id in names for b in c.bases)}
    return frozenset(names)


def templates(path: Path) -> Iterator[tuple[str, ast.expr]]:
    """The place and the template of every message that a file makes."""
    for place, call in message_calls(path):
        yield from ((place, branch) for branch in branches(call.args[0]))


def message_calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """The place and the call of every message that a file makes."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args):
            continue
        if node.func.id in message_types():
            yield f"{path.relative_to(ROOT)}:{node.lineno}", node


def branches(node: ast.expr) -> Iterator[ast.expr]:
    """Both sides of `a if condition else b`, or the expression itself."""
    if isinstance(node, ast.IfExp):
        yield from branches(node.body)
        yield from branches(node.orelse)
    else:
        yield node


@cache
def catalogue() -> dict[str, str]:
    return {en: ja for path in FILES for en, ja in read_pairs(path)}


def places(template: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(template) if name is not None}


def is_filled(template: str) -> bool:
    """Whether the template has placeholders; without them braces are text."""
    try:
        return bool(places(template))
    except ValueError:
        return False


def test_every_template_is_one_text_with_a_translation() -> None:
    missing = [
        f"{place}: {ast.unparse(node)}"
        for path in source_files()
        for place, node in templates(path)
        if isinstance(node, ast.JoinedStr | ast.BinOp)
        or (isinstance(node, ast.Constant) and node.value not in catalogue())
    ]
    assert missing == [], "add them to features/messages/ja/"


def test_every_placeholder_has_its_value() -> None:
    differing = [
        f"{place}: {ast.unparse(call.args[0])}"
        for path in source_files()
        for place, call in message_calls(path)
        if call.keywords and all(isinstance(node, ast.Constant) for node in branches(call.args[0]))
        if wanted_values(call) != {keyword.arg for keyword in call.keywords}
    ]
    assert differing == []


def wanted_values(call: ast.Call) -> set[str]:
    """The placeholders of the templates of a call."""
    nodes = [node for node in branches(call.args[0]) if isinstance(node, ast.Constant)]
    return set[str]().union(*(places(node.value) for node in nodes))


def test_the_catalogue_has_no_template_that_nothing_uses() -> None:
    current = {
        node.value for path in source_files() for _, node in templates(path) if isinstance(node, ast.Constant)
    }
    assert sorted(catalogue().keys() - current) == []


@pytest.mark.parametrize("path", [*FILES, LIBRARIES], ids=lambda path: path.name)
def test_both_languages_have_the_same_placeholders(path: Path) -> None:
    differing = [en for en, ja in read_pairs(path) if is_filled(en) and not places(ja) <= places(en)]
    assert differing == []
    if path != LIBRARIES:
        assert [en for en, ja in read_pairs(path) if is_filled(en) and places(ja) != places(en)] == []


def test_every_help_has_its_japanese() -> None:
    texts = set(help_texts(get_command(app)))
    assert sorted(texts ^ {en for en, _ in read_pairs(HELP)}) == []


def help_texts(command: Any) -> Iterator[str]:
    """The help of a command, of its options and arguments, and of all commands below it."""
    yield inspect.cleandoc(command.help)
    yield from (param.help for param in command.params if getattr(param, "help", None))
    for inner in getattr(command, "commands", {}).values():
        yield from help_texts(inner)


def test_no_template_is_translated_twice() -> None:
    counts = Counter(en for path in [*FILES, LIBRARIES, HELP] for en, _ in read_pairs(path))
    assert [en for en, count in counts.items() if count > 1] == []


@pytest.mark.parametrize("path", [*FILES, LIBRARIES], ids=lambda path: path.name)
def test_japanese_is_japanese(path: Path) -> None:
    """Sentences have Japanese letters and its punctuation: no half-width comma or colon after a letter."""
    for en, ja in read_pairs(path):
        assert JAPANESE.search(ja) or not re.search("[a-z]", re.sub(r"\{.*?\}", "", ja)), (en, ja)
        assert not HALF_WIDTH.search(ja), ja
