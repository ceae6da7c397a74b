"""A suggested scorecard as a scorecard.toml: complete, with what speaks for each row beside it."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from datetime import time
from textwrap import wrap
from typing import Any

from features.kinds import Language
from features.table import FeatureTable
from scoring.scorecard.load import check_features, parse_card
from scoring.texts import say
from training.scorecard.suggest import Suggestion
from training.scorecard.summary import (
    gain_sentence,
    learnt_sentence,
    left_out_sentence,
    rule_sentences,
)

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_WIDTH: Mapping[Language, int] = {"en": 108, "ja": 56}


def suggestion_toml(found: Suggestion, table: FeatureTable, lang: Language = "en") -> str:
    """The file; reading it gives the suggested card again."""
    text = "\n".join([*_head(found, lang), *_body(found, lang)])
    card = parse_card(tomllib.loads(text), "suggestion")
    check_features(card, table, "suggestion")
    assert card == found.card, "the file must say what the card says"
    return text


def toml_value(value: Any) -> str:
    """A value as TOML writes it on one line."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(k)} = {toml_value(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    return value.isoformat() if isinstance(value, time) else str(value)


def _head(found: Suggestion, lang: Language) -> Iterator[str]:
    told = (
        learnt_sentence(found, lang),
        gain_sentence(found, lang),
        left_out_sentence(found, lang),
        say("suggest_review", lang),
    )
    for sentence in filter(None, told):
        yield from _comment(sentence, lang)
        yield "#"


def _body(found: Suggestion, lang: Language) -> Iterator[str]:
    told = found.card.model_dump(exclude_none=True, exclude={"profile"})
    yield from (f"hot_is = {toml_value(told['hot_is'])}", "")
    yield from _table("bands", told["bands"])
    for group in ("fit", "intent"):
        if group in told:
            cap = told[group].get("cap")
            yield from _table(group, {"cap": cap}) if cap else ()
            yield from _rules(found, f"{group}.rows", told[group]["rows"], lang)
    for name in ("triggers", "exclusions"):
        yield from _rules(found, name, told[name], lang)
    yield from _tables("stages.", told["stages"])
    yield from _tables("", {k: told[k] for k in ("hand_over",) if k in told})
    yield from _tables("prompts.", told["prompts"])
    yield from _tables("", {k: told[k] for k in ("hours", "thresholds")})


def _rules(
    found: Suggestion, table: str, rules: Mapping[str, Mapping[str, Any]], lang: Language
) -> Iterator[str]:
    """Rules, each below what speaks for it: conditions first, the reason last."""
    for name, rule in rules.items():
        for sentence in rule_sentences(found, table, name, lang):
            yield from _comment(sentence, lang)
        order = [key for key in ("when", "points", "because") if key in rule]
        yield from _table(f"{table}.{_key(name)}", {key: rule[key] for key in order})


def _tables(path: str, tables: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for name, told in tables.items():
        yield from _table(f"{path}{_key(name)}", told)


def _table(path: str, told: Mapping[str, Any]) -> Iterator[str]:
    """A table, a line a key, several conditions a line each; and an empty line."""
    yield f"[{path}]"
    for key, value in told.items():
        if key == "when" and len(value) > 1:
            yield from ("when = [", *(f"    {toml_value(one)}," for one in value), "]")
        else:
            yield f"{_key(key)} = {toml_value(value)}"
    yield ""


def _comment(text: str, lang: Language) -> list[str]:
    return [f"# {line}" for line in wrap(text, _WIDTH[lang])]


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else toml_value(name)
