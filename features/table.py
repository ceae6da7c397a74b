"""The feature table: features by name, in a fixed order."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

from features.columns import Column, normalize_text
from features.derived.text_words import TextWords
from features.kinds import (
    Attribute,
    Availability,
    DaysBetween,
    Edge,
    Feature,
    FreeText,
    FromColumn,
    Language,
    MultiSelect,
    ValueType,
    activities_of,
)
from features.many_leads import ManyLeads
from features.one_lead import OneLead

SHOWN_SEPARATOR = "; "
"""The sign between the levels of a text in answers and stored reasons."""


@dataclass(frozen=True)
class Vocabulary:
    """The company's words for columns, activity types and values, in English and Japanese."""

    words: Mapping[str, Mapping[Language, str]] = field(default_factory=dict)

    def word(self, name: str, lang: Language) -> str:
        """The word for `name`; without one the name itself in readable form."""
        translations = self.words.get(name, {})
        return translations.get(lang) or name.replace("_", " ").strip()

    def value(self, column: str, value: str, lang: Language) -> str:
        """The word for a value of a column; the value itself where the company gave none."""
        words = self._of_values.get((column, normalize_text(value)), {})
        return words.get(lang) or value

    @cached_property
    def _of_values(self) -> dict[tuple[str, str], Mapping[Language, str]]:
        """The words of values by column and normal form."""
        keys = ((key, key.partition("=")) for key in self.words if "=" in key)
        return {(column, normalize_text(value)): self.words[key] for key, (column, _, value) in keys}

    def values(self, column: str) -> list[str]:
        """The values of a column that the company has words for."""
        start = f"{column}="
        return [key.removeprefix(start) for key in self.words if key.startswith(start)]


@dataclass(frozen=True, kw_only=True)
class ColumnUse:
    """A column of the lead that a feature uses: how it is read, when it was known, whether crm.toml insists
    on it, and what its texts become where they come in (None: they stay)."""

    feature: str
    column: str
    values: ValueType
    availability: Availability
    insist: bool
    edge: Edge | None


@dataclass(frozen=True)
class FeatureTable:
    """Features by name, in the order of crm.toml, with the company's words.

    `text_words` has, for features of free text, the words that a model knows, with their n-grams.
    """

    rows: Mapping[str, Feature]
    vocabulary: Vocabulary = field(default_factory=Vocabulary)
    text_words: Mapping[str, TextWords] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[tuple[str, Feature]]:
        return iter(self.rows.items())

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.rows)

    @cached_property
    def texts(self) -> frozenset[str]:
        """The names of the features whose values are texts."""
        return frozenset(name for name, feature in self if feature.is_text)

    @cached_property
    def attributes(self) -> dict[str, Attribute]:
        """The features that are columns of the lead as they are."""
        return {name: feature for name, feature in self if isinstance(feature, Attribute)}

    @cached_property
    def free_texts(self) -> frozenset[str]:
        """The names of the features whose values are the n-grams of a free text."""
        return frozenset(name for name, feature in self if isinstance(feature, FreeText))

    @cached_property
    def column_uses(self) -> tuple[ColumnUse, ...]:
        """The columns of the lead that features use, one entry for each feature and column."""
        return tuple(
            ColumnUse(
                feature=name,
                column=column,
                values=values,
                availability=feature.known,
                insist=feature.insist,
                edge=feature.edge,
            )
            for name, feature in self
            if isinstance(feature, Attribute | FromColumn | DaysBetween)
            for column, values in feature.column_types.items()
        )

    @cached_property
    def activities(self) -> frozenset[str]:
        """The activity types that the features count."""
        return frozenset().union(*(activities_of(feature) for _, feature in self))

    @cached_property
    def fingerprint(self) -> str:
        """A digest of the names, definitions and order of the features, without words."""
        payload = json.dumps(self.to_dict(), sort_keys=False, ensure_ascii=False)
        return hashlib.sha256(payload.encode()).hexdigest()[:16]

    def label(self, name: str, lang: Language) -> str:
        """The label of a feature: its word, else a label made by its kind."""
        if name in self.vocabulary.words and name not in self._parts:
            return self.vocabulary.word(name, lang)
        return self.rows[name].label(self.vocabulary, lang)

    def value_word(self, name: str, value: str, lang: Language) -> str:
        """The words for a text of a feature: the company's, else those of its kind; of several levels, for
        each of them."""
        feature, columns = self.rows[name], [use.column for use in self.column_uses if use.feature == name]

        def word(level: str) -> str:
            of_company = (self.vocabulary.value(column, level, lang) for column in (*columns, name))
            return next((word for word in of_company if word != level), feature.level_word(level, lang))

        levels = value.split(SHOWN_SEPARATOR) if isinstance(feature, FreeText | MultiSelect) else [value]
        return ("、" if lang == "ja" else ", ").join(map(word, levels))

    @cached_property
    def _parts(self) -> frozenset[str]:
        """Words of columns and activity types, apart from those of features with the same name."""
        return self.activities | {use.column for use in self.column_uses}

    def without(self, names: set[str]) -> FeatureTable:
        """The table without some features."""
        remaining = {name: f for name, f in self if name not in names}
        return replace(self, rows=remaining)

    def compute_one(self, view: OneLead) -> list[float | str | None]:
        """The values of one lead, in the order of the table."""
        return [feature(view) for feature in self.rows.values()]

    def compute_many(self, view: ManyLeads) -> dict[str, Column]:
        """The values of many leads: one column per feature."""
        return {name: feature(view) for name, feature in self}

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """The table as JSON; `parse_features` reads it back."""
        return {name: asdict(feature) for name, feature in self}
