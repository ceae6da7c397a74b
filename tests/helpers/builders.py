"""Builds small CRMs for tests: as arrays, as files, and one lead as in a request."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from features.clock import MS_PER_DAY, NEVER, to_ms
from features.columns import Column, Texts, encode_texts
from features.crm.load import Loaded, load
from features.crm_data import Activities, Changes, Crm, Outcomes
from features.kinds import Feature
from features.many_leads import Histories, ManyLeads
from features.one_lead import OneLead
from features.settings import CrmSettings, parse_settings
from features.table import FeatureTable

DAY = MS_PER_DAY
NOON = to_ms(datetime(2026, 3, 1, 12, tzinfo=UTC))

ActivityRow = tuple[int, str, int, float]
"""An activity: row of the lead, type, ms, value."""
ChangeRow = tuple[int, str, int, object]
"""A change: row of the lead, column, ms, new value."""


def ms(*date_parts: int) -> int:
    """Milliseconds of a UTC time: ms(2026, 3, 1, 12)."""
    return to_ms(datetime(*date_parts, tzinfo=UTC))  # type: ignore[arg-type,misc]


def make_crm(
    leads: int = 1,
    activities: Sequence[ActivityRow] = (),
    changes: Sequence[ChangeRow] = (),
    attributes: Mapping[str, Sequence[object]] | None = None,
    accounts: Sequence[int] | None = None,
    closed: Mapping[int, tuple[int, bool]] | None = None,
    created: Sequence[int] | int = 0,
    snapshot: int = NEVER,
) -> Crm:
    """A CRM in arrays; `closed` maps a lead to its close (ms UTC) and whether it was won."""
    account = np.array(range(leads) if accounts is None else accounts, dtype=np.int32)
    columns = {name: _column(values) for name, values in (attributes or {}).items()}
    closed_at, won_at = np.full(leads, NEVER), np.full(leads, NEVER)
    for lead, (close_ms, won) in (closed or {}).items():
        closed_at[lead] = close_ms
        won_at[lead] = close_ms if won else NEVER
    return Crm(
        lead_ids=np.array([f"L{i}" for i in range(leads)], dtype=object),
        order="date",
        created=np.full(leads, created, dtype=np.int64),
        account=account,
        group=account,
        attributes=columns,
        activities=_activities(activities),
        outcomes=Outcomes(closed_at, won_at, np.full(leads, np.nan)),
        snapshot=snapshot,
        dated_outcomes=True,
        changes={c: _changes(changes, c) for c in dict.fromkeys(c for _, c, _, _ in changes)},
    )


def both_views(
    table: FeatureTable,
    crm: Crm,
    leads: Sequence[int],
    moments: Sequence[int],
    activities: Sequence[ActivityRow],
    changes: Sequence[ChangeRow] = (),
    attributes: Mapping[str, Sequence[object]] | None = None,
) -> tuple[list[list[float | str | None]], list[list[float | str | None]]]:
    """The values of a table by `OneLead` and by `ManyLeads`: one list per lead, in table order."""
    one = [
        table.compute_one(one_lead(crm, lead, moment, activities, changes, attributes))
        for lead, moment in zip(leads, moments, strict=True)
    ]
    return one, many_values(table, crm, leads, moments)


def one_lead(
    crm: Crm,
    lead: int,
    moment: int,
    activities: Sequence[ActivityRow],
    changes: Sequence[ChangeRow] = (),
    attributes: Mapping[str, Sequence[object]] | None = None,
) -> OneLead:
    """The view of a request for the same lead at the same moment."""
    mates = set(np.flatnonzero(crm.account == crm.account[lead]).tolist())
    return OneLead(
        moment,
        int(crm.created[lead]),
        {name: values[lead] for name, values in (attributes or {}).items()},
        [(kind, time_ms, value) for row_lead, kind, time_ms, value in activities if row_lead == lead],
        [(column, time_ms, value) for row_lead, column, time_ms, value in changes if row_lead == lead],
        [(kind, time_ms, value) for row_lead, kind, time_ms, value in activities if row_lead in mates],
    )


def many_values(
    table: FeatureTable, crm: Crm, leads: Sequence[int], moments: Sequence[int]
) -> list[list[float | str | None]]:
    """The values of a table by `ManyLeads`, one list per lead."""
    view = ManyLeads(Histories(crm), np.array(leads, dtype=np.int64), np.array(moments, dtype=np.int64))
    columns = [_plain(column) for column in table.compute_many(view).values()]
    return [list(row) for row in zip(*columns, strict=True)]


def value_of(
    feature: Feature,
    activities: Sequence[tuple[str, float, float] | tuple[str, float]],
    moment_days: float = 0.0,
    **crm: Any,
) -> float | str | None:
    """A feature of one lead; both views must agree. Times are in days from NOON."""
    activity_rows = [
        (0, a[0], NOON + round(a[1] * DAY), a[2] if len(a) > 2 else math.nan) for a in activities
    ]
    built_crm = make_crm(activities=activity_rows, created=NOON - 10 * DAY, **crm)
    one, many = both_views(
        FeatureTable({"f": feature}),
        built_crm,
        [0],
        [NOON + round(moment_days * DAY)],
        activity_rows,
        crm.get("changes", ()),
        crm.get("attributes"),
    )
    assert is_same(one, many), (one, many)
    return one[0][0]


def is_same(one: object, second: object) -> bool:
    """Whether two values are exactly equal; NaN equals NaN."""
    if isinstance(one, list) and isinstance(second, list):
        return len(one) == len(second) and all(is_same(a, b) for a, b in zip(one, second, strict=True))
    if isinstance(one, float) and isinstance(second, float) and math.isnan(one):
        return math.isnan(second)
    return one == second


def write_csv(path: Path, rows: Sequence[Sequence[object]], encoding: str = "utf-8") -> Path:
    """A CSV file; the first row is the header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def settings_of(folder: Path, **tables: Any) -> CrmSettings:
    """Settings of a crm.toml in `folder`, with one feature by default."""
    document = {"features": {"channel": {"kind": "attribute", "column": "channel"}}, **tables}
    return parse_settings(document, folder / "crm.toml")


def loaded_of(folder: Path, **tables: Any) -> Loaded:
    """The loaded CRM of a crm.toml in `folder`; rejected rows go to rejects.csv."""
    return load(settings_of(folder, **tables), folder / "rejects.csv")


def read_rejects(folder: Path) -> list[dict[str, str]]:
    """The rows of the rejects file."""
    with (folder / "rejects.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def _column(values: Sequence[object]) -> Column:
    if any(isinstance(v, float | int) for v in values):
        return np.array([math.nan if v is None else v for v in values], dtype=np.float64)
    return encode_texts([None if v is None else str(v) for v in values])


def _activities(rows: Sequence[ActivityRow]) -> Activities:
    types = tuple(dict.fromkeys(kind for _, kind, _, _ in rows))
    return Activities(
        np.array([lead for lead, *_ in rows], dtype=np.int32),
        np.array([types.index(kind) for _, kind, _, _ in rows], dtype=np.int16),
        np.array([time_ms for _, _, time_ms, _ in rows], dtype=np.int64),
        np.array([value for *_, value in rows], dtype=np.float64),
        types,
    )


def _changes(rows: Sequence[ChangeRow], column: str) -> Changes:
    column_rows = [t for t in rows if t[1] == column]
    return Changes(
        np.array([lead for lead, *_ in column_rows], dtype=np.int32),
        np.array([time_ms for _, _, time_ms, _ in column_rows], dtype=np.int64),
        _column([value for *_, value in column_rows]),
    )


def _plain(column: Column) -> list[Any]:
    return column.to_list() if isinstance(column, Texts) else [float(v) for v in column]
