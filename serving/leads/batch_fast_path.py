"""A batch parsed by column: a thousand leads with twenty thousand activities in a few hundredths of a second.

Lead by lead takes several times as long. Only plain and valid batches are supported; any other is parsed lead
by lead, which finds the errors. A test holds that both give the same leads.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.bots.many_bursts import split_bots
from features.clock import CLOCKS_DIFFER_MS, NEVER
from features.columns import Column, Floats, Ints
from features.crm_data import Activities
from serving.leads import bodies
from serving.leads.batch_columns import BatchLeads, build_amounts, build_column
from serving.leads.field_types import (
    MAX_ATTRIBUTES,
    MAX_NUMBER,
    MAX_TEXT_LENGTH,
    YEARS,
    AttributeSchema,
    JsonValue,
)

_Value: TypeAlias = str | float | None
_LEAD_KEYS = frozenset(bodies.Lead.model_fields)
_NAME_PATTERN = re.compile(r"[^\x00-\x1f\x7f]{1,200}")
_TIME_PATTERN = rf"^{YEARS}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{{1,6}})?(Z|[+-]\d\d:\d\d)$"


class Unsupported(Exception):
    """Something in the batch is not plain and valid."""


def parse_columns(
    leads: Sequence[Any], schema: AttributeSchema, now: int | None, as_of: int | None = None
) -> BatchLeads:
    """The leads of a batch, from parsed JSON. Raises Unsupported if they must be parsed lead by lead.

    `now` (ms UTC) is None for a score as of an earlier moment, `as_of` (ms UTC).
    """
    try:
        return _build_leads(leads, schema, now, as_of)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, pa.ArrowException):
        raise Unsupported from None


def _build_leads(
    rows: Sequence[dict[str, Any]], schema: AttributeSchema, now: int | None, as_of: int | None
) -> BatchLeads:
    _require(0 < len(rows) <= bodies.MAX_BATCH)
    for lead in rows:
        _require(lead.keys() <= _LEAD_KEYS and len(lead) > 1 and lead.get("changes", []) == [])
    ids = [lead["lead_id"] for lead in rows]
    _require(all(map(_NAME_PATTERN.fullmatch, ids)))
    activities = _get_lists(rows, "activities")
    others = _get_lists(rows, "colleagues_activities")
    unlimited = _build_activities(activities + others, now)
    events = _limit_times(unlimited, now)
    created = _parse_created(rows, now)
    first = np.full(2 * len(rows), NEVER)
    np.minimum.at(first, events.lead, events.time_ms)
    first = first[: len(rows)]  # the activities of colleagues do not date this lead
    columns, ignored = _build_columns([lead.get("attributes", _EMPTY) for lead in rows], schema)
    created_or_first = np.where(created == NEVER, first, created)
    return BatchLeads(
        ids=ids,
        created=created_or_first,
        attributes=columns,
        changes={},
        activities=_limit_times(_select_people(unlimited, as_of), now)
        if schema.leaves_out_bursts
        else events,
        ignored=ignored,
        unknown_types=_find_unknown_types(events, schema, len(rows)),
        amounts=_parse_amounts(rows),
    )


def _select_people(activities: Activities, as_of: int | None) -> Activities:
    """The activities that people made, by all that was known before `as_of` (ms UTC)."""
    if as_of is not None:
        activities = activities.select(activities.time_ms < as_of)
    return split_bots(activities)[0]


def _limit_times(activities: Activities, now: int | None) -> Activities:
    """Times of the next minutes, from a clock ahead of ours, count as now."""
    if now is None:
        return activities
    return replace(activities, time_ms=np.minimum(activities.time_ms, now))


def _find_unknown_types(events: Activities, schema: AttributeSchema, count: int) -> list[tuple[str, ...]]:
    """The activity types of each lead that no feature names."""
    unknown: list[tuple[str, ...]] = [()] * count
    for kind in schema.find_unknown_types(events.types):
        lead_rows = events.lead[events.type == events.types.index(kind)] % count
        for lead in np.unique(lead_rows).tolist():
            unknown[lead] += (kind,)
    return unknown


_EMPTY: Mapping[str, JsonValue] = {}
_NUMBER_TYPES = frozenset({int, float, type(None)})


def _get_lists(rows: Sequence[Mapping[str, Any]], key: str) -> list[list[dict[str, Any]]]:
    lists = [lead.get(key, []) for lead in rows]
    _require(all(type(items) is list and len(items) <= bodies.MAX_ACTIVITIES for items in lists))
    return lists


def _build_activities(lists: Sequence[list[dict[str, Any]]], now: int | None) -> Activities:
    activities = list(chain.from_iterable(lists))
    lead = np.repeat(np.arange(len(lists), dtype=np.int32), [len(items) for items in lists])
    kinds, times = [a["type"] for a in activities], [a["at"] for a in activities]
    present_values = [a["value"] for a in activities if "value" in a]
    _require(sum(map(len, activities)) == len(kinds) + len(times) + len(present_values))  # and no other key
    values = (
        present_values if len(present_values) == len(activities) else [a.get("value") for a in activities]
    )
    code_by_type = {kind: code for code, kind in enumerate(dict.fromkeys(kinds))}
    _require(all(map(_NAME_PATTERN.fullmatch, code_by_type)))
    codes = np.fromiter(map(code_by_type.__getitem__, kinds), np.int16, len(kinds))
    return Activities(lead, codes, _parse_times(times, now), _parse_numbers(values), tuple(code_by_type))


def _parse_times(values: list[str], now: int | None) -> Ints:
    texts = pa.array(values, pa.string())
    _require(pc.all(pc.match_substring_regex(texts, _TIME_PATTERN), min_count=0).as_py())
    times_ms: Ints = texts.cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy() // 1000
    _require(now is None or not len(times_ms) or times_ms.max() <= now + CLOCKS_DIFFER_MS)
    return times_ms


def _parse_created(rows: Sequence[Mapping[str, Any]], now: int | None) -> Ints:
    texts = [lead.get("created_at") for lead in rows]
    is_present = np.array([text is not None for text in texts])
    times_ms = np.full(len(texts), NEVER)
    times_ms[is_present] = _parse_times([text for text in texts if text is not None], now)
    if now is not None:
        times_ms[is_present] = np.minimum(times_ms[is_present], now)
    return times_ms


def _parse_numbers(numbers: list[float | None]) -> Floats:
    _require({*map(type, numbers)} <= _NUMBER_TYPES)  # Arrow would take true for 1
    values = np.asarray(pa.array(numbers, pa.float64()).to_numpy(zero_copy_only=False), np.float64)
    _require(not len(values) or not (np.abs(values) > MAX_NUMBER).any())
    return values


def _parse_amounts(rows: Sequence[Mapping[str, Any]]) -> Floats | None:
    amounts = [lead.get("amount") for lead in rows]
    values = _parse_numbers(amounts)
    _require(not (values < 0).any())
    return build_amounts(amounts)


def _build_columns(
    attributes: Sequence[Mapping[str, JsonValue]], schema: AttributeSchema
) -> tuple[dict[str, Column], list[tuple[str, ...]]]:
    """The attributes by column, and those of each lead that no feature uses."""
    values_by_column: dict[str, list[_Value]] = {name: [None] * len(attributes) for name in schema.columns}
    ignored: list[tuple[str, ...]] = [()] * len(attributes)
    readers = {name: _make_reader(name, schema) for name in schema.columns}
    for row, lead_attributes in enumerate(attributes):
        _require(len(lead_attributes) <= MAX_ATTRIBUTES)
        for name, value in lead_attributes.items():
            if name in values_by_column:
                values_by_column[name][row] = readers[name](value)
            else:
                _require(_is_plain(value) and _NAME_PATTERN.fullmatch(name))
                ignored[row] += (name,)
    return {
        name: build_column(values, schema.columns[name]) for name, values in values_by_column.items()
    }, ignored


def _make_reader(column: str, schema: AttributeSchema) -> Callable[[JsonValue], _Value]:
    """A parser for the values of a column; it remembers texts, which many leads share."""
    cache = dict[str, _Value]()

    def read(value: JsonValue) -> _Value:
        if type(value) is str and value in cache:
            return cache[value]
        _require(_is_plain(value))
        parsed = schema.parse_value(column, value)
        if type(value) is str:
            cache[value] = parsed
        return parsed

    return read


def _is_plain(value: object) -> bool:
    kind = type(value)
    if kind is str:
        return len(value) <= MAX_TEXT_LENGTH and "\x00" not in value  # type: ignore[arg-type,operator]
    if kind is int or kind is float:
        return -MAX_NUMBER <= value <= MAX_NUMBER  # type: ignore[operator]
    return value is None or kind is bool


def _require(holds: object) -> None:
    if not holds:
        raise Unsupported
