from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter
from typing import Any

import pytest

from scoring import texts
from scoring.statistics.metrics import MEASURES
from scoring.texts import translate
from serving.review.web.translations import page_texts

ROOT = Path(__file__).parents[2]
CODE = [*(p for f in ("scoring", "training", "serving", "cli") for p in (ROOT / f).rglob("*.py"))]
TEMPLATES = [p for f in ("scoring", "serving") for p in (ROOT / f).rglob("*.html")]
FIGURES = ("calibration", "gains", "scores", "importance", "win_rate")
TRANSLATORS = ("translate", "translate_page", "said", "redirect")
"""Functions whose first argument, or whose argument `message_key`, is the key of a text."""
JAPANESE = re.compile("[\u3040-\u30ff\u4e00-\u9fff]")


def all_texts() -> dict[str, Any]:
    """Every text, those of the pages too."""
    return {**texts.all_texts(), **page_texts()}


def find_constants() -> set[str]:
    """Every text constant of the code."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in CODE]
    nodes = (node for tree in trees for node in ast.walk(tree))
    return {n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)}


def find_say_keys() -> Iterator[str]:
    """The keys that `translate("…")` names in code, and `say("…")` in templates."""
    names = "|".join(("say", *TRANSLATORS))
    for path in (*CODE, *TEMPLATES):
        yield from re.findall(rf"""\b(?:{names})\(\s*["'](\w+)["']\s*[,)]""", path.read_text("utf-8"))


def _key_pattern(template: ast.JoinedStr) -> re.Pattern[str]:
    parts = [re.escape(str(p.value)) if isinstance(p, ast.Constant) else r"\w+" for p in template.values]
    return re.compile("".join(parts))


def find_key_patterns() -> list[re.Pattern[str]]:
    """The shapes of composed keys: `translate(f"stage_{stage}", …)` means stage_ and any word."""
    shapes = []
    for path in CODE:
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call):
                name = getattr(call.func, "id", getattr(call.func, "attr", ""))
                arguments = [*call.args[:1], *(k.value for k in call.keywords if k.arg == "message_key")]
                shapes += [
                    _key_pattern(argument)
                    for argument in arguments
                    if isinstance(argument, ast.JoinedStr) and name in TRANSLATORS
                ]
    for path in TEMPLATES:
        shown = path.read_text(encoding="utf-8")
        shapes += [re.compile(start + r"\w+") for start in re.findall(r"""say\("(\w+_)" ~""", shown)]
        shapes += [
            re.compile(rf"{a}\w+{b}") for a, b in re.findall(r"""say\("(\w+_)" ~ \w+ ~ "(\w+)"\)""", shown)
        ]
    return shapes


def places(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("key", all_texts())
def test_text_stands_in_both_languages_with_the_same_places(key: str) -> None:
    text = all_texts()[key]
    assert set(text) == {"en", "ja"}
    assert all(t.strip() for t in text.values())
    assert places(text["en"]) == places(text["ja"])
    assert not JAPANESE.search(text["en"])


def test_every_key_in_use_exists() -> None:
    keys = set(find_say_keys())
    assert len(keys) > 20
    assert keys <= set(all_texts())


def test_every_measure_and_figure_has_its_words() -> None:
    assert {*MEASURES, *(f"report_{name}" for name in FIGURES)} <= set(all_texts())


def test_every_text_is_in_use() -> None:
    used_keys = {*find_say_keys(), *find_constants(), *MEASURES, *(f"report_{name}" for name in FIGURES)}
    shapes = find_key_patterns()
    idle = {k for k in all_texts() if k not in used_keys and not any(s.fullmatch(k) for s in shapes)}
    assert idle == set()


def test_unknown_key_and_unfilled_place_are_errors() -> None:
    with pytest.raises(KeyError):
        translate("no_such_text", "en")
    with pytest.raises(KeyError):
        translate("call_by", "en")
