"""A first scorecard for a company with too few won deals to learn one: what is new and active comes first.

It is no evidence, only the usual advice to answer quickly, and is replaced by a learnt card or a profile.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tomlkit

from features.files import atomic_file
from features.kinds import Age, Count, Language
from features.table import FeatureTable
from scoring.scorecard.load import blank_card, check_features, parse_card
from scoring.scorecard.scorecard import Scorecard
from scoring.texts import translate
from training.scorecard.toml import toml_item

_POINTS, _MAX_ROWS = 10, 8
_NEW_DAYS = (1, 7)
_RECENT_DAYS = 30


def starter_card(table: FeatureTable) -> Scorecard | None:
    """A card of the features for age and recent activities; None if the table has neither."""
    rows = dict(_rows(table))
    if not rows:
        return None
    max_points = _POINTS * len(rows)
    bands = {"warm": _POINTS, "hot": min(3 * _POINTS, max(max_points, _POINTS + 1))}
    return Scorecard.model_validate({**blank_card().to_dict(), "bands": bands, "intent": {"rows": rows}})


def write_starter_card(table: FeatureTable, path: Path, lang: Language) -> Scorecard | None:
    """Write the card of `starter_card` as a scorecard.toml; None, and no file, if there is none."""
    card = starter_card(table)
    if card is None:
        return None
    text = _to_toml(card, lang)
    check_features(parse_card(tomllib.loads(text), str(path)), table, str(path))
    with atomic_file(path) as part:
        part.write_text(text, encoding="utf-8")
    return card


def _rows(table: FeatureTable) -> Iterator[tuple[str, dict[str, Any]]]:
    age = next((name for name, feature in table if isinstance(feature, Age)), None)
    for days in _NEW_DAYS if age else ():
        because = {"en": translate(f"starter_new_{days}", "en"), "ja": translate(f"starter_new_{days}", "ja")}
        condition = {"feature": age, "at_most": days}
        yield f"new_{days}d", {"when": [condition], "points": _POINTS, "because": because}
    counts = [name for name, f in table if isinstance(f, Count) and f.days and f.days <= _RECENT_DAYS]
    for name in counts[:_MAX_ROWS]:
        because = {"en": table.label(name, "en"), "ja": table.label(name, "ja")}
        yield name, {"when": [{"feature": name, "at_least": 1}], "points": _POINTS, "because": because}


def _to_toml(card: Scorecard, lang: Language) -> str:
    values = card.model_dump(exclude_none=True, include={"bands", "intent", "stages", "thresholds"})
    document = tomlkit.document()
    for line in translate("starter_comment", lang).splitlines():
        document.add(tomlkit.comment(line))
    document.add(tomlkit.nl())
    for key, table in values.items():
        document.add(key, _nested(table, 2 if key == "intent" else 1 if key == "stages" else 0))
    return tomlkit.dumps(document)


def _nested(values: Mapping[str, Any], depth: int) -> tomlkit.items.Table:
    """Tables within tables down to `depth`, and values on one line below."""
    table = tomlkit.table(is_super_table=depth > 0)
    for key, value in values.items():
        table.add(key, _nested(value, depth - 1) if depth else toml_item(value))
    return table
