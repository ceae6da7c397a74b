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
from scoring.texts import translate
from training.scorecard.suggest import Suggestion
from training.scorecard.summary import (
    gain_sentence,
    learnt_sentence,
    left_out_sentence,
    rule_sentences,
)

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_WIDTH: Mapping[Language, int] = {"en": 108, "ja": 56}


def suggestion_toml(suggestion: Suggestion, table: FeatureTable, lang: Language = "en") -> str:
    """The file; reading it gives the suggested card again."""
    text = "\n".join([*_head_lines(suggestion, lang), *_body_lines(suggestion, lang)])
    card = parse_card(tomllib.loads(text), "suggestion")
    check_features(card, table, "suggestion")
    assert card == suggestion.card, "the file must say what the card says"
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
        return "{ " + ", ".join(f"{_quote_key(k)} = {toml_value(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    return value.isoformat() if isinstance(value, time) else str(value)


def _head_lines(suggestion: Suggestion, lang: Language) -> Iterator[str]:
    sentences = (
        learnt_sentence(suggestion, lang),
        gain_sentence(suggestion, lang),
        left_out_sentence(suggestion, lang),
        translate("suggest_review", lang),
    )
    for sentence in filter(None, sentences):
        yield from _comment_lines(sentence, lang)
        yield "#"


def _body_lines(suggestion: Suggestion, lang: Language) -> Iterator[str]:
    values = suggestion.card.model_dump(exclude_none=True, exclude={"profile"})
    yield from (f"hot_is = {toml_value(values['hot_is'])}", "")
    yield from _table_lines("bands", values["bands"])
    for group in ("fit", "intent"):
        if group in values:
            cap = values[group].get("cap")
            yield from _table_lines(group, {"cap": cap}) if cap else ()
            yield from _rule_lines(suggestion, f"{group}.rows", values[group]["rows"], lang)
    for name in ("triggers", "exclusions"):
        yield from _rule_lines(suggestion, name, values[name], lang)
    yield from _table_group_lines("stages.", values["stages"])
    yield from _table_group_lines("", {k: values[k] for k in ("hand_over",) if k in values})
    yield from _table_group_lines("prompts.", values["prompts"])
    yield from _table_group_lines("", {k: values[k] for k in ("hours", "thresholds")})


def _rule_lines(
    suggestion: Suggestion, table: str, rules: Mapping[str, Mapping[str, Any]], lang: Language
) -> Iterator[str]:
    """Rules, each below what speaks for it: conditions first, the reason last."""
    for name, rule in rules.items():
        for sentence in rule_sentences(suggestion, table, name, lang):
            yield from _comment_lines(sentence, lang)
        order = [key for key in ("when", "points", "because") if key in rule]
        yield from _table_lines(f"{table}.{_quote_key(name)}", {key: rule[key] for key in order})


def _table_group_lines(path: str, tables: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for name, table in tables.items():
        yield from _table_lines(f"{path}{_quote_key(name)}", table)


def _table_lines(path: str, values: Mapping[str, Any]) -> Iterator[str]:
    """A table, a line a key, several conditions a line each; and an empty line."""
    yield f"[{path}]"
    for key, value in values.items():
        if key == "when" and len(value) > 1:
            yield from ("when = [", *(f"    {toml_value(one)}," for one in value), "]")
        else:
            yield f"{_quote_key(key)} = {toml_value(value)}"
    yield ""


def _comment_lines(text: str, lang: Language) -> list[str]:
    return [f"# {line}" for line in wrap(text, _WIDTH[lang])]


def _quote_key(name: str) -> str:
    return name if _BARE.fullmatch(name) else toml_value(name)
