"""`hotlead rules suggest`: a scorecard learnt from closed deals, as a complete scorecard.toml.

The evidence for each rule stands in it as comments.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from textwrap import wrap
from typing import Any

import tomlkit
from tomlkit.items import Item, Table

from features.errors import SettingsError
from features.files import atomic_file
from features.kinds import Language
from features.messages import Message
from features.settings import CrmSettings
from features.table import FeatureTable
from scoring.scorecard.load import SCORECARD_FILE, check_features, parse_card
from scoring.texts import translate
from training.fitting.dataset import load_dataset
from training.progress import StepReporter
from training.scorecard.suggest import Suggestion, suggest
from training.scorecard.summary import gain_sentence, learnt_sentence, left_out_sentence, rule_sentences

OLDEST, MAX_ROWS = 0.8, 16
"""The share of the deals to learn from, oldest first, and the maximum number of rows, by default."""
_WIDTH: Mapping[Language, int] = {"en": 108, "ja": 56}


def suggest_scorecard(
    settings: CrmSettings,
    out: Path,
    to: Path,
    oldest: float,
    rows: int,
    seed: int,
    report_step: StepReporter,
    lang: Language,
) -> Suggestion:
    """Learn a scorecard from the closed deals and write it to `to`, ready for review."""
    if to.resolve() == (settings.folder / SCORECARD_FILE).resolve() and to.exists():
        raise SettingsError(
            "{to}: is the scorecard in use. A suggestion is reviewed before it is used: give another --to.",
            to=to,
        )
    data, _ = load_dataset(settings, out, report_step, lang)
    report_step(Message("choosing rows and points on the older deals, judging on the newer"))
    suggestion = suggest(data, oldest, rows, seed)
    with atomic_file(to) as part:
        part.write_text(suggestion_toml(suggestion, data.table, lang), encoding="utf-8")
    return suggestion


def suggestion_toml(suggestion: Suggestion, table: FeatureTable, lang: Language = "en") -> str:
    """The text of the file; parsing it gives the suggested card again."""
    document = tomlkit.document()
    sentences = (
        learnt_sentence(suggestion, lang),
        gain_sentence(suggestion, lang),
        left_out_sentence(suggestion, lang),
        translate("suggest_review", lang),
    )
    for sentence in filter(None, sentences):
        _add_comment(document, sentence, lang)
        document.add(tomlkit.comment(""))
    for key, value in _card_items(suggestion, lang).items():
        document.add(key, value)
    text = tomlkit.dumps(document)
    card = parse_card(tomllib.loads(text), "suggestion")
    check_features(card, table, "suggestion")
    assert card == suggestion.card, "the file must say what the card says"
    return text


def toml_item(value: Any) -> Item:
    """A value on one line: tables inline, whole numbers without a decimal point."""
    if isinstance(value, Mapping):
        inline = tomlkit.inline_table()
        for key, member in value.items():
            inline.add(key, toml_item(member))
        return inline
    if isinstance(value, list | tuple):
        array = tomlkit.array()
        for member in value:
            array.append(toml_item(member))
        return array
    is_whole = isinstance(value, float) and value.is_integer() and abs(value) < 1e15
    return tomlkit.item(int(value) if is_whole else value)


def _card_items(suggestion: Suggestion, lang: Language) -> dict[str, Item]:
    """The keys and tables of the card, in the order of the file."""
    values = suggestion.card.model_dump(exclude_none=True, exclude={"profile"})
    items: dict[str, Item] = {n: toml_item(values[n]) for n in ("hot_is", "learnt_through") if n in values}
    items["bands"] = _table(values["bands"])
    for name in ("fit", "intent"):
        if name in values:
            items[name] = group = tomlkit.table(is_super_table="cap" not in values[name])
            if "cap" in values[name]:
                group.add("cap", values[name]["cap"])
            group.add("rows", _rule_tables(suggestion, f"{name}.rows", values[name]["rows"], lang))
    for name in ("triggers", "exclusions"):
        items[name] = _rule_tables(suggestion, name, values[name], lang)
    items["stages"] = _tables(values["stages"])
    items |= {name: _table(values[name]) for name in ("hand_over",) if name in values}
    items["prompts"] = _tables(values["prompts"])
    return items | {name: _table(values[name]) for name in ("hours", "thresholds")}


def _rule_tables(
    suggestion: Suggestion, path: str, rules: Mapping[str, Mapping[str, Any]], lang: Language
) -> Table:
    """Rules, each with its evidence as comments: conditions first, the reason last."""
    tables = tomlkit.table(is_super_table=True)
    for name, rule in rules.items():
        order = [key for key in ("when", "points", "because") if key in rule]
        sentences = rule_sentences(suggestion, path, name, lang)
        tables.add(name, _table({key: rule[key] for key in order}, sentences, lang))
    return tables


def _tables(tables: Mapping[str, Mapping[str, Any]]) -> Table:
    parent = tomlkit.table(is_super_table=True)
    for name, values in tables.items():
        parent.add(name, _table(values))
    return parent


def _table(values: Mapping[str, Any], comments: Iterable[str] = (), lang: Language = "en") -> Table:
    """A table with one line per key; several conditions have one line each."""
    table = tomlkit.table()
    for comment in comments:
        _add_comment(table, comment, lang)
    for key, value in values.items():
        item = toml_item(value)
        if key == "when" and isinstance(item, tomlkit.items.Array) and len(item) > 1:
            item.multiline(True)
        table.add(key, item)
    table.add(tomlkit.nl())
    return table


def _add_comment(container: tomlkit.TOMLDocument | Table, text: str, lang: Language) -> None:
    for line in wrap(text, _WIDTH[lang]):
        container.add(tomlkit.comment(line))
