"""Features that `hotlead init` derives from columns which are none as they are: by their values."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import tomlkit
from tomlkit.items import Table

from features.columns import split_levels
from features.crm.profile import ColumnProfile, TableProfile
from features.crm.propose.no_features import NoFeature
from features.crm.propose.words import has_word
from features.derived.lists import to_levels_text
from features.derived.mail import find_mail_kind
from features.derived.titles import find_department, find_rank
from features.messages import Message

_SAMPLE, _MAIL_SHARE, _DEPARTMENT_SHARE, _RANK_SHARE = 500, 0.5, 0.4, 0.2
_MIN_FILLED, _MIN_TITLES = 0.1, 4
_SEPARATORS = ("\n", ";", "|", ",", "、")
_MIN_LISTS, _MAX_LEVELS, _MIN_PER_LEVEL = 0.1, 80, 5
_MIN_LENGTH, _SENTENCE_LENGTH, _MIN_SENTENCES = 10, 20, 40
_MAIL_COMMENT = Message("the kind of its mail domain only; no address is kept")
_RANK_COMMENT = Message("the rank in a job title")
_DEPARTMENT_COMMENT = Message("the department in a job title")
_LIST_COMMENT = Message("a list in which each value is one level")
_INQUIRY_COMMENT = Message("hashed n-grams only; no text is kept")
_TEXT_COMMENT = Message("hashed n-grams only, if the lead writes it and not sales later on; no text is kept")
_MAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


@dataclass(frozen=True, kw_only=True)
class DerivedFeature:
    """A feature of a column: its kind and keys, the end of its name, and what a comment says that it is.

    `is_all`: nothing else is made of the column. A feature that is not certain is proposed as a comment.
    """

    kind: str
    suffix: str = ""
    keys: Mapping[str, str] = field(default_factory=dict)
    comment: Message
    is_all: bool = True
    is_certain: bool = True

    def describe(self, column: str) -> Message:
        return Message("'{column}' is used as {use}.", column=" ".join(column.split()), use=self.comment)

    def add_to(self, table: Table, name: str, column: str, availability: str) -> None:
        """Add the feature to [features], as a comment where a person has to decide."""
        definition = tomlkit.inline_table()
        definition.update({"kind": self.kind, "column": column, **self.keys, "known": availability})
        if self.is_certain:
            table.add(name, definition)
        else:
            table.add(tomlkit.comment(tomlkit.dumps({name: definition}).strip()))


def propose_derived(
    column: ColumnProfile, table: TableProfile, no_feature: NoFeature | None, is_suspect: bool
) -> list[DerivedFeature]:
    """The features that are derived from a column; empty where it is used as it is, or not at all.

    Those of a suspect column are not certain.
    """
    return [
        replace(proposal, is_certain=proposal.is_certain and not is_suspect)
        for proposal in _derive(column, table, no_feature)
    ]


def _derive(column: ColumnProfile, table: TableProfile, no_feature: NoFeature | None) -> list[DerivedFeature]:
    code = no_feature.code if no_feature else None
    if column.kind != "text" or column.filled < _MIN_FILLED or code not in (None, "person", "id", "text"):
        return []
    values = [str(v) for v in table.texts(column.name).drop_null().slice(0, _SAMPLE).to_pylist()]
    if _share(values, lambda value: bool(_MAIL.search(value))) > _MAIL_SHARE:
        return [_mail()] if len({find_mail_kind(value) for value in values}) > 1 else []
    if code == "person":
        return []
    titles = list(_titles(column, values, code))
    if titles:
        return titles
    if code != "id" and (separator := _find_separator(values)):
        return [_multi_select(separator)]
    is_prose = code == "text" and _median_length(values) >= _MIN_LENGTH
    return [_free_text(column)] if is_prose or _is_inquiry(column, values) else []


def _share(values: Sequence[str], holds: Callable[[str], bool]) -> float:
    return float(np.mean([holds(value) for value in values])) if values else 0.0


def _mail() -> DerivedFeature:
    return DerivedFeature(kind="mail_domain", suffix="_kind", comment=_MAIL_COMMENT)


def _titles(column: ColumnProfile, values: Sequence[str], code: str | None) -> Iterator[DerivedFeature]:
    """Rank and department of job titles; a column with few different titles stays a feature too."""
    ranked = _share(values, lambda value: find_rank(value) != "other")
    in_department = _share(values, lambda value: find_department(value) != "other")
    is_title, is_department = has_word(column.name, "job_title"), has_word(column.name, "department")
    if column.distinct < _MIN_TITLES:
        return
    if is_title and ranked >= _RANK_SHARE:
        yield DerivedFeature(kind="job_rank", suffix="_rank", comment=_RANK_COMMENT, is_all=bool(code))
    if (is_title or is_department) and in_department >= _DEPARTMENT_SHARE:
        words = _DEPARTMENT_COMMENT
        yield DerivedFeature(kind="department", suffix="_department", comment=words, is_all=bool(code))


def _find_separator(values: Sequence[str]) -> str | None:
    """The sign between the values of a multi-select list: a few levels in many combinations."""
    for separator in _SEPARATORS:
        levels = [split_levels(to_levels_text(value, separator) or "") for value in values]
        if np.mean([float(len(names) > 1) for names in levels] or [0.0]) < _MIN_LISTS:
            continue
        counts = Counter(level for names in levels for level in names)
        combinations = len({tuple(sorted(names)) for names in levels})
        few = len(counts) <= _MAX_LEVELS and sum(counts.values()) >= _MIN_PER_LEVEL * len(counts)
        if few and len(counts) < combinations:
            return separator
    return None


def _multi_select(separator: str) -> DerivedFeature:
    return DerivedFeature(kind="multi_select", keys={"separator": separator}, comment=_LIST_COMMENT)


def _is_inquiry(column: ColumnProfile, values: Sequence[str]) -> bool:
    """Whether a column with fewer different texts than free text has holds sentences of the leads."""
    is_named = column.distinct > _MIN_SENTENCES and has_word(column.name, "inquiry")
    return is_named and _median_length(values) >= _SENTENCE_LENGTH


def _median_length(values: Sequence[str]) -> float:
    return float(np.median([len(value) for value in values] or [0]))


def _free_text(column: ColumnProfile) -> DerivedFeature:
    is_inquiry = has_word(column.name, "inquiry")
    comment = _INQUIRY_COMMENT if is_inquiry else _TEXT_COMMENT
    return DerivedFeature(kind="free_text", suffix="_words", comment=comment, is_certain=is_inquiry)
