"""From crm.toml to a `Crm`: read the tables, set bad rows aside, put all in UTC and in arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features.clock import NEVER, iso, now_ms, to_ms
from features.columns import Bools, Column, Floats, Ints
from features.crm import Activities, Changes, Crm, Order, Outcomes, no_activities
from features.errors import DataError, SettingsError
from features.parsing import as_numbers, as_texts, as_times, encoded, plain, positions
from features.reading import Rows, check_columns, read_rows
from features.rejects import Rejects, rejects_at
from features.settings import ActivitiesTable, ChangesTable, CrmSettings, DealsTable, Source

_MOST_TYPES = 30_000
_DROPPED = -2
"""The place of a lead that is known but left out (before `since`, or rejected)."""


@dataclass(frozen=True)
class Loaded:
    """A CRM as it was read: arrays for the views, raw tables for the audit, and what was set aside.

    `leads` has a row for each lead of `crm`, in its order; `deals` a row a deal with a known
    outcome, `deal_leads` the rows of their leads.
    """

    settings: CrmSettings
    crm: Crm
    rejects: Rejects
    leads: pa.Table
    deals: pa.Table
    deal_leads: Ints


def load(settings: CrmSettings, rejects_path: Path, write: bool = True) -> Loaded:
    """Read all that crm.toml names. Bad rows go to `rejects_path` (unless not to `write`).

    Raises DataError where more rows are bad than max_reject_share allows; then only the rejects
    file is written.
    """
    loaded = _Loading(settings).run()
    loaded.rejects.check(settings.max_reject_share, rejects_path)
    if write:
        loaded.rejects.write(rejects_path)
    return loaded


@dataclass(frozen=True)
class _Leads:
    rows: Rows
    ids: pa.Array
    created: Ints
    account: NDArray[np.int32]
    group: NDArray[np.int32]


class _Loading:
    """One reading. The steps stand in the order in which they run."""

    def __init__(self, settings: CrmSettings) -> None:
        self.settings = settings
        self.rejects = Rejects()
        self.missing = frozenset({"", *settings.missing})
        self.latest = to_ms(_aware(settings.as_of, settings)) if settings.as_of else now_ms()

    def run(self) -> Loaded:
        leads = self._leads()
        self.places = self._places(leads)
        deals, deal_leads, outcomes = self._deals(leads)
        activities = self._activities()
        crm = Crm(
            lead_ids=np.array(leads.ids.to_pylist(), dtype=object),
            order=_order(self.settings),
            created=leads.created,
            account=leads.account,
            group=leads.group,
            attributes=self._attributes(leads.rows),
            activities=activities,
            outcomes=outcomes,
            snapshot=self._snapshot(leads, outcomes, activities),
            dated_outcomes=bool(self.settings.deals and self.settings.deals.closed_at),
            changes=self._changes(),
        )
        return Loaded(self.settings, crm, self.rejects, leads.rows.table, deals, deal_leads)

    # -- leads ------------------------------------------------------------------------------

    def _leads(self) -> _Leads:
        told = self.settings.leads
        rows = self._read(told, None)
        self._needs(rows, [c for c in self._lead_columns() if c])
        rows = self._identified(rows)
        created = self._created(rows)
        kept = (created != NEVER) & (created >= self._since())
        self.all_ids = self._ids(rows)
        self.kept = kept
        rows, created = _taken(rows, kept), created[kept]
        if not rows.table.num_rows:
            raise DataError(f"{rows.name}: no lead is left to work with.\n{self.rejects.summary()}")
        account = self._accounts(rows)
        group = account if told.account else _repeated(rows.table, told.id == "row")
        return _Leads(rows, self._ids(rows), _ranked(created, self.settings), account, group)

    def _lead_columns(self) -> list[str | None]:
        s = self.settings
        order = s.order if s.order not in ("file", "none", "date") else None
        own = [
            None if s.leads.id == "row" else s.leads.id,
            s.leads.created_at,
            s.leads.account,
            order,
        ]
        deal = [] if s.deals is None or s.deals.source else _deal_columns(s.deals)
        return [*own, *deal, *self._base_columns(), *s.segments.values()]

    def _base_columns(self) -> list[str]:
        """The columns whose value is taken from the leads' table."""
        features = self.settings.table.attributes.values()
        return list(dict.fromkeys(f.column for f in features if f.known != "history"))

    def _identified(self, rows: Rows) -> Rows:
        """The rows that have an id; of rows repeated to the letter, the first."""
        column = self.settings.leads.id
        if column == "row":
            return rows
        ids = as_texts(rows.table[column], self.missing)
        there = pc.is_valid(ids).to_numpy(zero_copy_only=False).astype(bool)
        self._reject(rows, ~there, column, "a lead needs an id")
        rows = _taken(rows, there)
        return self._once(rows, as_texts(rows.table[column], self.missing), column)

    def _once(self, rows: Rows, ids: pa.ChunkedArray, column: str) -> Rows:
        """The first row of each id; a later one with other content is rejected."""
        first = positions(ids, pc.unique(ids))
        _, first_row = np.unique(first, return_index=True)
        repeated = np.ones(len(first), dtype=bool)
        repeated[first_row] = False
        if not repeated.any():
            return rows
        original = first_row[first[repeated]]
        later = np.flatnonzero(repeated)
        same = _rows_of(rows.table, later) == _rows_of(rows.table, original)
        other = repeated.copy()
        other[later[same]] = False
        self._reject(rows, other, column, "the same id stands earlier with other content")
        return _taken(rows, ~repeated)

    def _created(self, rows: Rows) -> Ints:
        """The time or order value of each row; NEVER where the row is rejected."""
        s, count = self.settings, rows.table.num_rows
        if _order(s) == "date" and s.leads.created_at:
            return self._times(
                rows, s.leads, s.leads.created_at, "a lead needs the date it was created"
            )
        if s.order in (None, "none"):
            return np.zeros(count, dtype=np.int64)
        if s.order == "file":
            return np.arange(count, dtype=np.int64)
        return self._order_values(rows, str(s.order))

    def _order_values(self, rows: Rows, column: str) -> Ints:
        parsed = as_numbers(rows.table[column], self.missing)
        if parsed.unreadable.any():
            parsed = as_times(rows.table[column], self.missing, self.settings.zone, None)
            unknown = parsed.values == NEVER
        else:
            unknown = np.isnan(parsed.values)
        self._reject(rows, unknown, column, "the order needs a number or a date")
        ranks = np.unique(parsed.values, return_inverse=True)[1].astype(np.int64)
        return np.where(unknown, NEVER, ranks)

    def _accounts(self, rows: Rows) -> NDArray[np.int32]:
        """Account numbers; a lead without an account is one of its own."""
        count = rows.table.num_rows
        if not self.settings.leads.account:
            return np.arange(count, dtype=np.int32)
        told = encoded(rows.table[self.settings.leads.account], self.missing)
        own = np.arange(count) + len(told.categories)
        return np.where(told.codes >= 0, told.codes, own).astype(np.int32)

    def _attributes(self, rows: Rows) -> dict[str, Column]:
        kinds = self.settings.columns
        wanted = dict.fromkeys((*self._base_columns(), *self.settings.segments.values()))
        return {c: self._column(rows, c, kinds[c], c) for c in wanted}

    def _column(self, rows: Rows, source: str, kind: str, shown: str) -> Column:
        if kind == "category":
            return encoded(rows.table[source], self.missing)
        parsed = as_numbers(rows.table[source], self.missing)
        self._reject(
            rows, parsed.unreadable, source, "is not a number", value_only=True, shown=shown
        )
        return np.asarray(parsed.values, dtype=np.float64)

    # -- deals ------------------------------------------------------------------------------

    def _deals(self, leads: _Leads) -> tuple[pa.Table, Ints, Outcomes]:
        told = self.settings.deals
        if told is None:
            nothing = np.empty(0, dtype=np.int64)
            return leads.rows.table.slice(0, 0), nothing, _outcomes(len(leads.ids), *[nothing] * 4)
        if told.source:
            rows = self._read(told, None)
            self._needs(rows, [c for c in (told.lead, *_deal_columns(told)) if c])
            lead = self._of_leads(rows, str(told.lead), "deal")
        else:
            rows, lead = leads.rows, np.arange(len(leads.ids), dtype=np.int64)
        rows, lead, won = self._decided(rows, lead, told)
        at, amount = self._closes(rows, told)
        good = at != NEVER
        rows, lead = _taken(rows, good), lead[good]
        found = _outcomes(len(leads.ids), lead, at[good], won[good], amount[good])
        return rows.table, lead, found

    def _decided(
        self, rows: Rows, lead: Ints, told: DealsTable
    ) -> tuple[Rows, Ints, NDArray[np.bool_]]:
        """The deals of kept leads that are won or lost; an unknown outcome is rejected."""
        if told.outcome is None:
            won = np.ones(len(lead), dtype=bool)
            return _taken(rows, lead >= 0), lead[lead >= 0], won[lead >= 0]
        outcome = encoded(rows.table[told.outcome], self.missing - {*told.won, *told.lost})
        meaning = np.array([_meaning(value, told) for value in (*outcome.categories, None)])
        decided = meaning[outcome.codes]
        allowed = (
            f"is not among won {list(told.won)}, lost {list(told.lost)}, ignore {list(told.ignore)}"
        )
        self._reject(rows, decided == "unknown", told.outcome, allowed)
        use = np.isin(decided, ("won", "lost")) & (lead >= 0)
        return _taken(rows, use), lead[use], decided[use] == "won"

    def _closes(self, rows: Rows, told: DealsTable) -> tuple[Ints, Floats]:
        count = rows.table.num_rows
        at = np.zeros(count, dtype=np.int64)
        if told.closed_at:
            at = self._times(
                rows, told, told.closed_at, "a won or lost deal needs the date of its close"
            )
        if not told.amount:
            return at, np.full(count, np.nan)
        parsed = as_numbers(rows.table[told.amount], self.missing)
        self._reject(rows, parsed.unreadable, told.amount, "is not a number", value_only=True)
        return at, np.asarray(parsed.values, dtype=np.float64)

    # -- activities and changes -------------------------------------------------------------

    def _activities(self) -> Activities:
        told = self.settings.activities
        if told is None:
            return no_activities()
        columns = [c for c in (told.lead, told.at, told.type, told.value, told.id) if c]
        rows = self._read(told, columns)
        if told.id:
            rows = self._once(rows, as_texts(rows.table[told.id], self.missing), told.id)
        lead, rows = self._known(rows, told.lead, "activity")
        at = self._times(rows, told, told.at, "an activity needs its time")
        kind, types = self._types(rows, told)
        good = (at != NEVER) & (kind >= 0)
        value = None
        if told.value:
            value = np.asarray(self._column(rows, told.value, "number", told.value))[good]
        return Activities(lead[good].astype(np.int32), kind[good], at[good], value, types)

    def _types(
        self, rows: Rows, told: ActivitiesTable
    ) -> tuple[NDArray[np.int16], tuple[str, ...]]:
        if not told.type:
            return np.zeros(rows.table.num_rows, dtype=np.int16), ("activity",)
        found = encoded(rows.table[told.type], self.missing)
        if len(found.categories) > _MOST_TYPES:
            raise SettingsError(
                f"{rows.name}, column {told.type}: {len(found.categories):,} different activity "
                "types; this looks like an id. Name the column that tells the kind of activity."
            )
        self._reject(rows, found.codes < 0, told.type, "an activity needs a type")
        return found.codes.astype(np.int16), found.categories

    def _changes(self) -> dict[str, Changes]:
        told = self.settings.changes
        if told is None:
            return {}
        columns = [c for c in (told.lead, told.at, told.column, told.value, *told.columns) if c]
        rows = self._read(told, list(dict.fromkeys(columns)))
        lead, rows = self._known(rows, told.lead, "change")
        at = self._times(rows, told, told.at, "a change needs its time")
        rows, lead, at = _taken(rows, at != NEVER), lead[at != NEVER], at[at != NEVER]
        wide = {column: column for column in told.columns}
        found = {
            c: self._history(rows, told, lead, at, c, wide.get(c)) for c in self.settings.columns
        }
        return {c: history for c, history in found.items() if history is not None}

    def _history(
        self, rows: Rows, told: ChangesTable, lead: Ints, at: Ints, column: str, wide: str | None
    ) -> Changes | None:
        """The history of one column, from a column of its own or from the rows that name it."""
        source = wide
        if source is None and told.column and told.value:
            named = pc.fill_null(pc.equal(as_texts(rows.table[told.column], ()), column), False)
            here = named.to_numpy(zero_copy_only=False).astype(bool)
            rows, lead, at, source = _taken(rows, here), lead[here], at[here], told.value
        if source is None or (not len(lead) and column in self._base_columns()):
            return None
        value = self._column(rows, source, self.settings.columns[column], column)
        return Changes(lead.astype(np.int32), at, value)

    # -- what the steps share ---------------------------------------------------------------

    def _read(self, source: Source, columns: Sequence[str] | None) -> Rows:
        rows = read_rows(source, self.settings.folder, columns)
        self.rejects.rows.extend(rows.rejects)
        self.rejects.read[rows.name] += rows.read
        return rows

    def _needs(self, rows: Rows, columns: list[str]) -> None:
        check_columns(columns, rows.table.column_names, rows.name)

    def _ids(self, rows: Rows) -> pa.Array:
        if self.settings.leads.id == "row":
            return pa.array([str(n) for n in rows.numbers], pa.string())
        return as_texts(rows.table[self.settings.leads.id], self.missing).combine_chunks()

    def _places(self, leads: _Leads) -> Ints:
        """For each identified lead its row among the kept ones, _DROPPED where left out."""
        place = np.full(len(self.kept) + 1, _DROPPED, dtype=np.int64)
        place[:-1][self.kept] = np.arange(len(leads.ids))
        place[-1] = -1
        return place

    def _of_leads(self, rows: Rows, column: str, what: str) -> Ints:
        """The kept lead of each row; below 0 where there is none. An unknown one is rejected."""
        found = positions(as_texts(rows.table[column], self.missing), self.all_ids)
        self._reject(rows, found < 0, column, f"{what} of a lead that is not in the leads' table")
        return self.places[found]

    def _known(self, rows: Rows, column: str, what: str) -> tuple[Ints, Rows]:
        lead = self._of_leads(rows, column, what)
        known = lead >= 0
        return (lead, rows) if known.all() else (lead[known], _taken(rows, known))

    def _times(self, rows: Rows, source: Source, column: str, need: str) -> Ints:
        """The times of a column; NEVER where the row is rejected."""
        parsed = as_times(rows.table[column], self.missing, self.settings.zone, source.time_format)
        at = np.asarray(parsed.values, dtype=np.int64)
        empty = (at == NEVER) & ~parsed.unreadable
        future = (at > self.latest) & (at != NEVER)
        unreadable = "is not a date such as 2026-10-01 09:30 (set time_format for other forms)"
        self._reject(rows, parsed.unreadable, column, unreadable)
        self._reject(rows, empty, column, f"is empty; {need}")
        self._reject(rows, future, column, f"lies in the future (after {iso(self.latest)})")
        return np.where(future, NEVER, at)

    def _since(self) -> int:
        since = self.settings.since
        if since is None or _order(self.settings) != "date":
            return -NEVER
        at = since if isinstance(since, datetime) else datetime.combine(since, time())
        return to_ms(_aware(at, self.settings))

    def _snapshot(self, leads: _Leads, outcomes: Outcomes, activities: Activities) -> int:
        """The moment of the export: as crm.toml says, else the latest time in the data."""
        if self.settings.as_of or _order(self.settings) != "date":
            return self.latest
        closes = outcomes.closed_at[outcomes.closed & (outcomes.closed_at > 0)]
        wins = outcomes.won_at[outcomes.won & (outcomes.won_at > 0)]
        return max(int(a.max()) for a in (leads.created, closes, wins, activities.at) if len(a)) + 1

    def _reject(
        self, rows: Rows, bad: Bools, column: str, reason: str, *,
        value_only: bool = False, shown: str | None = None,
    ) -> None:  # fmt: skip
        at = np.flatnonzero(bad)
        if not len(at):
            return
        found = rejects_at(
            rows.name, rows.numbers[at], shown or column, plain(rows.table[column], at), reason
        )
        (self.rejects.values if value_only else self.rejects.rows).extend(found)


def _order(settings: CrmSettings) -> Order:
    if settings.order == "none":
        return "none"
    if settings.order in (None, "date"):
        return "date" if settings.leads.created_at else "none"
    return "rank"


def _ranked(created: Ints, settings: CrmSettings) -> Ints:
    if _order(settings) != "rank":
        return created
    return np.unique(created, return_inverse=True)[1].astype(np.int64)


def _aware(at: datetime, settings: CrmSettings) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=settings.zone)


def _deal_columns(deals: DealsTable) -> list[str | None]:
    return [deals.outcome, deals.closed_at, deals.amount, deals.lost_reason]


def _meaning(value: str | None, told: DealsTable) -> str:
    if value is None or value in told.ignore:
        return "open"
    if value in told.won:
        return "won"
    # Without a list of lost values everything that is not won or ignored is lost.
    return "lost" if value in told.lost or not told.lost else "unknown"


def _taken(rows: Rows, mask: Bools) -> Rows:
    if mask.all():
        return rows
    table = rows.table.filter(pa.array(mask))
    return Rows(rows.name, table, rows.numbers[mask], rows.read, rows.rejects)


def _rows_of(table: pa.Table, rows: NDArray[np.integer]) -> NDArray[np.object_]:
    told = table.take(pa.array(rows))
    columns = [told[name].to_pylist() for name in told.column_names]
    found = np.empty(len(rows), dtype=object)
    found[:] = [repr(row) for row in zip(*columns, strict=True)]
    return found


def _repeated(table: pa.Table, by_row: bool) -> NDArray[np.int32]:
    """Groups of rows that are the same to the letter; without repeats a group a row."""
    if not by_row:
        return np.arange(table.num_rows, dtype=np.int32)
    content = _rows_of(table, np.arange(table.num_rows))
    return np.unique(content.astype(str), return_inverse=True)[1].astype(np.int32)


def _outcomes(leads: int, lead: Ints, at: Ints, won: NDArray[np.bool_], amount: Floats) -> Outcomes:
    """The first close and the first win of each lead, with the amount of the win, else the last."""
    closed_at, won_at = np.full(leads, NEVER), np.full(leads, NEVER)
    np.minimum.at(closed_at, lead, at)
    np.minimum.at(won_at, lead[won], at[won])
    amounts = np.full(leads, np.nan)
    lost_by_age = np.flatnonzero(~won)[np.argsort(at[~won], kind="stable")]
    won_newest_first = np.flatnonzero(won)[np.argsort(-at[won], kind="stable")]
    for rows in (lost_by_age, won_newest_first):
        amounts[lead[rows]] = amount[rows]  # of several rows of a lead the last one stays
    return Outcomes(closed_at, won_at, amounts)
