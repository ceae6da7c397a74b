"""The time zone that a proposed crm.toml names, from what the files and this machine tell."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.clock import NEVER, from_ms
from features.crm.parsing import as_times, has_offsets
from features.crm.profile import ColumnProfile, TableProfile
from features.crm.propose.formats import is_japanese
from features.messages import Message

_UTC = ZoneInfo("UTC")
_SAMPLE = 2_000
_COMMON = (
    "Asia/Tokyo",
    "Europe/London",
    "Europe/Berlin",
    "America/New_York",
    "America/Chicago",
    "America/Denver",
    "America/Los_Angeles",
    "America/Sao_Paulo",
    "Asia/Kolkata",
    "Asia/Shanghai",
    "Australia/Sydney",
)
_LOCAL_TIME = Path("/etc/localtime")
_NAMED = {
    **dict.fromkeys(("EST", "EDT"), "America/New_York"),
    **dict.fromkeys(("CST", "CDT"), "America/Chicago"),
    **dict.fromkeys(("MST", "MDT"), "America/Denver"),
    **dict.fromkeys(("PST", "PDT"), "America/Los_Angeles"),
    **dict.fromkeys(("CET", "CEST"), "Europe/Berlin"),
    "JST": "Asia/Tokyo",
    "KST": "Asia/Seoul",
}
_ZONE_NAME = rf"\d\s?(?:[AaPp]\.?[Mm]\.?)?\s?(?P<name>{'|'.join(_NAMED)})$"
_OFFSET = r"(?P<sign>[+-])(?P<hours>\d{2}):?(?P<minutes>\d{2})?$"


@dataclass(frozen=True)
class ProposedZone:
    """The name of a time zone, and the reason to propose it."""

    name: str
    reason: Message


def propose_zone(tables: Sequence[TableProfile]) -> ProposedZone:
    """The zone of times without an offset: of Japanese text, of offsets in the data, or of this machine."""
    if any(is_japanese(table) for table in tables):
        return ProposedZone("Asia/Tokyo", Message("proposed because the text is Japanese"))
    if zone := _zone_of_names(tables):
        return ProposedZone(zone, Message("proposed from the names of zones in the data"))
    if zone := _zone_of_offsets(tables):
        return ProposedZone(zone, Message("proposed from the offsets in the data"))
    return ProposedZone(machine_zone(), Message("proposed because this machine has it"))


def machine_zone() -> str:
    """The time zone of this machine; UTC if it is not known."""
    linked = str(_LOCAL_TIME.resolve()).rpartition("zoneinfo/")[2] if _LOCAL_TIME.exists() else ""
    names = (os.environ.get("TZ", "").removeprefix(":"), linked)
    zones = available_timezones()
    zone = next((name for name in names if name in zones), "UTC")
    return "UTC" if zone in ("Etc/UTC", "Etc/UCT", "UCT", "Zulu", "Universal", "Etc/Universal") else zone


def _zone_of_names(tables: Sequence[TableProfile]) -> str | None:
    """The zone that names such as EST after most of the times of the columns stand for."""
    for table in tables:
        for column in table.columns:
            array = table.rows.table[column.name].slice(0, _SAMPLE)
            if column.kind == "time" and pa.types.is_string(array.type):
                matches = pc.extract_regex(array, _ZONE_NAME).combine_chunks().drop_null()
                names = [str(match["name"]) for match in matches.to_pylist()]
                if names and len(names) >= 0.5 * (len(array) - array.null_count) * column.filled:
                    return _NAMED[max(names, key=names.count)]
    return None


def _zone_of_offsets(tables: Sequence[TableProfile]) -> str | None:
    """A zone whose offsets are those of the data at their times; None without offsets."""
    offsets = [pair for table in tables for c in table.columns for pair in _column_offsets(table, c)]
    if not offsets:
        return None
    candidates = dict.fromkeys(("UTC", machine_zone(), *_COMMON))
    fixed = {offset for _, offset in offsets}
    fitting = (zone for zone in candidates if _fits(ZoneInfo(zone), offsets))
    return next(fitting, None) or (_fixed_zone(next(iter(fixed))) if len(fixed) == 1 else None)


def _fits(zone: ZoneInfo, offsets: Iterable[tuple[int, int]]) -> bool:
    return all(
        from_ms(ms).astimezone(zone).utcoffset() == timedelta(minutes=offset) for ms, offset in offsets
    )


def _fixed_zone(offset: int) -> str | None:
    hours, rest = divmod(abs(offset), 60)
    name = f"Etc/GMT{'-' if offset > 0 else '+'}{hours}"
    return name if not rest and name in available_timezones() else None


def _column_offsets(table: TableProfile, column: ColumnProfile) -> list[tuple[int, int]]:
    """Times (ms UTC) with their offsets in minutes."""
    array = table.rows.table[column.name].slice(0, _SAMPLE)
    if column.kind != "time" or not (pa.types.is_string(array.type) or pa.types.is_large_string(array.type)):
        return []
    aware = has_offsets(array)
    if not aware.any():
        return []
    texts = pc.utf8_trim_whitespace(array.filter(pa.array(aware)).cast(pa.string()))
    times_ms = as_times(texts, (), _UTC, column.times.formats if column.times else None).values
    offsets = [_minutes(text) for text in texts.to_pylist()]
    pairs = zip(np.asarray(times_ms).tolist(), offsets, strict=True)
    return [(ms, offset) for ms, offset in pairs if ms != NEVER]


def _minutes(text: str) -> int:
    match = re.search(_OFFSET, text)
    if not match:
        return 0
    total = int(match["hours"]) * 60 + int(match["minutes"] or 0)
    return total if match["sign"] == "+" else -total
