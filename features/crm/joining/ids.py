"""Matching ids that two tables of a CRM write in different forms.

Ids that are equal match first. An id that is unknown as it stands is compared in its plain form:

- Salesforce writes an id with 15 characters in reports and with 18 through its API; the last three are a
  check sum of the first 15.
- A spreadsheet writes the number 123 as 123.0.
- GUIDs stand in upper or lower case, with or without braces.
- Zoho puts `zcrm_` before its numbers.
- An apostrophe keeps a spreadsheet from taking an id such as =7 or +49-1 for a formula.

Leading zeros belong to an id: 007 and 7 are two records. A plain form that two records share matches none.
"""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.columns import Ints
from features.crm.parsing import find_positions

_SALESFORCE = re.compile(r"([A-Za-z0-9]{15})[A-Z0-5]{3}")
_WITH_POINT = re.compile(r"([1-9]\d*|0)\.0+")
_GUID = re.compile(r"\{?([0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})\}?")
_ZOHO = re.compile(r"zcrm_(\d+)")
_ESCAPED = re.compile(r"'([=+\-@].*)")
_FORMS = (_SALESFORCE, _WITH_POINT, _ZOHO, _ESCAPED)
_ANY_FORM = "^(" + "|".join(form.pattern for form in (*_FORMS, _GUID)) + ")$"


def plain_id(text: str) -> str:
    """The form in which ids of one record are equal; the text itself where no other form is common."""
    for form in _FORMS:
        if match := form.fullmatch(text):
            return match[1]
    guid = _GUID.fullmatch(text)
    return guid[1].lower() if guid else text


def plain_ids(ids: pa.ChunkedArray) -> frozenset[str]:
    """The plain forms of ids (no nulls)."""
    texts = ids.to_pylist()
    return frozenset(map(plain_id, texts) if _has_other_forms(ids) else texts)


def match_ids(ids: pa.ChunkedArray, values: pa.Array) -> tuple[Ints, int]:
    """The position of each id among `values` (-1: unknown), and how many match in another form."""
    position = find_positions(ids, values)
    is_unmatched = (position < 0) & np.asarray(pc.is_valid(ids).to_numpy(zero_copy_only=False), dtype=bool)
    unmatched = np.flatnonzero(is_unmatched)
    if not len(unmatched):
        return position, 0
    texts = ids.take(pa.array(unmatched))
    if not _has_other_forms(texts) and not _has_other_forms(values):
        return position, 0
    plain = _unique_plain_ids(values)
    matched = np.array([plain.get(plain_id(text), -1) for text in texts.to_pylist()], np.int64)
    position[unmatched] = matched
    return position, int((matched >= 0).sum())


def _has_other_forms(ids: pa.Array | pa.ChunkedArray) -> bool:
    """Whether an id may be written in another form as well."""
    return bool(pc.any(pc.match_substring_regex(ids, _ANY_FORM)).as_py())


def _unique_plain_ids(values: pa.Array) -> dict[str, int]:
    """The position of each plain form that one id alone has."""
    plain = [None if value is None else plain_id(value) for value in values.to_pylist()]
    counts = Counter(plain)
    return {text: i for i, text in enumerate(plain) if text is not None and counts[text] == 1}
