"""Overrides: a person's verdict on a lead, hot or not, accepted or sent back, with reason and end."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, TypeAlias, get_args
from zoneinfo import ZoneInfo

from features.clock import NEVER, to_ms
from features.crm.values.csv_output import unescape_formula
from features.errors import DataError
from features.messages import Message

Verdict: TypeAlias = Literal["hot", "not_hot", "accepted", "sent_back"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
_COLUMNS = ("lead_id", "verdict", "reason", "by", "at", "expires")


@dataclass(frozen=True, slots=True)
class Override:
    """A person's verdict on a lead.

    hot / not_hot: set by hand. accepted: a sales qualified lead (SQL); sent_back: handed back to
    marketing. It is in force from `at` until `expires` (ms UTC; NEVER: without end).
    """

    lead_id: str
    verdict: Verdict
    reason: str
    by: str
    at: int
    expires: int = NEVER

    @property
    def hot(self) -> bool:
        return self.verdict in ("hot", "accepted")


def select_in_force(overrides: Sequence[Override], as_of: int) -> Mapping[str, Override]:
    """The newest override in force on each lead; `as_of` is ms UTC."""
    by_lead = group_by_lead(overrides).items()
    newest = ((lead_id, newest_in_force(group, as_of)) for lead_id, group in by_lead)
    return {lead_id: override for lead_id, override in newest if override is not None}


def group_by_lead(overrides: Iterable[Override]) -> dict[str, Sequence[Override]]:
    """By lead, its overrides in their order."""
    grouped = defaultdict(list)
    for override in overrides:
        grouped[override.lead_id].append(override)
    return dict(grouped)


def newest_in_force(overrides: Iterable[Override], as_of: int, live: bool = False) -> Override | None:
    """The newest override in force of those on one lead; of equal times the last. With `live`, overrides
    from a clock ahead of ours are in force already."""
    newest, since = None, -NEVER
    for override in overrides:
        valid_from = min(override.at, as_of) if live else override.at
        if since <= valid_from <= as_of < override.expires:
            newest, since = override, valid_from
    return newest


def read_overrides(path: Path, zone: ZoneInfo) -> list[Override]:
    """A CSV file with the columns lead_id, verdict, reason, by, at, expires (may be empty).

    Times without an offset are those of `zone`. Raises DataError naming file, row, column and value.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise DataError(
                    "{path}: lacks the column {missing}; needed are {names}.",
                    path=path,
                    missing=missing[0],
                    names=[*_COLUMNS],
                )
            return [
                _parse_row(row, Message("{path}, row {row}", path=path, row=i), zone)
                for i, row in enumerate(reader, start=2)
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        raise DataError(
            "{path}: cannot be read ({problem}). It must be a CSV in UTF-8.", path=path, problem=problem
        ) from None


def _parse_row(row: Mapping[str, str | None], location: Message, zone: ZoneInfo) -> Override:
    values = {name: unescape_formula((row.get(name) or "").strip()) for name in _COLUMNS}
    for name in ("lead_id", "reason", "by"):
        if not values[name]:
            raise DataError(
                "{location}: {name} is empty; an override names its lead, reason and person.",
                location=location,
                name=name,
            )
    verdict = next((v for v in VERDICTS if v == values["verdict"]), None)
    if verdict is None:
        raise DataError(
            "{location}: verdict must be one of {allowed} (got {value!r}).",
            location=location,
            allowed=VERDICTS,
            value=values["verdict"],
        )
    moment_ms = _parse_time(values["at"], Message("{place}: {key}", place=location, key="at"), zone)
    expires = (
        _parse_time(values["expires"], Message("{place}: {key}", place=location, key="expires"), zone)
        if values["expires"]
        else NEVER
    )
    if expires <= moment_ms:
        raise DataError(
            "{location}: expires {expires} is not after at {at}.",
            location=location,
            expires=values["expires"],
            at=values["at"],
        )
    return Override(values["lead_id"], verdict, values["reason"], values["by"], moment_ms, expires)


def _parse_key(key: str, values: Mapping[str, str], location: Message, zone: ZoneInfo) -> int:
    return _parse_time(values[key], Message("{place}: {key}", place=location, key=key), zone)


def _parse_time(text: str, location: Message, zone: ZoneInfo) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise DataError(
            "{location} must be a time such as 2026-10-01T09:00+09:00 (got {text!r}).",
            location=location,
            text=text,
        ) from None
    return to_ms(moment if moment.tzinfo else moment.replace(tzinfo=zone))
