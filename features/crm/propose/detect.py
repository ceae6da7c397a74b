"""Detecting which table and which column of an export plays which part in crm.toml."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import pyarrow.compute as pc

from features.crm.profile import ColumnProfile, TableProfile
from features.errors import DataError, suggest_nearest

_WON = re.compile(
    r"^(won|win|yes|y|1|true|converted|customer|closed[ _-]?won|成約|受注)$|won\b|成約|受注", re.I
)
_LOST = re.compile(r"^(no|n|0|false)$|lost|loss|not won|失注|未成約|不成約|未受注", re.I)
_OUTCOME = re.compile(
    r"outcome|result|won|convert|label|^y$|closed|stage|status|成約|受注|結果|ステータス", re.I
)
_CREATED = re.compile(r"creat|first|regist|entry|登録|作成|発生|初回", re.I)
_CLOSED = re.compile(r"clos|won|lost|end|finish|成約日|受注日|失注日|クローズ|終了", re.I)
_AMOUNT = re.compile(r"amount|revenue|deal.?value|金額|売上|受注額", re.I)
_ACCOUNT = re.compile(r"account|company|organi[sz]ation|会社|企業|法人|取引先", re.I)
_TYPE = re.compile(r"type|kind|event|action|activity|種別|種類|行動", re.I)
_FIELD = re.compile(r"^(column|field|property|attribute)(_?name)?$|項目", re.I)
_CHANNEL = re.compile(r"channel|source|origin|route|media|流入|チャネル|経路|媒体", re.I)
_ACTIVITY_VALUE = re.compile(r"value|amount|minutes|count|値")
_CHANGE_VALUE = re.compile(r"value|new|値")
_FEW, _TEXT_VALUES = 12, 400


@dataclass(frozen=True, kw_only=True)
class DetectedTables:
    """The tables by their part in crm.toml, with the columns that hold the ids of leads.

    `deals` is None if the outcome stands in the leads' table. The properties are further columns,
    None where no column fits.
    """

    leads: TableProfile
    lead_id: str
    deals: TableProfile | None
    deal_lead: str | None
    outcome: ColumnProfile | None
    activities: TableProfile | None
    activity_lead: str | None
    changes: TableProfile | None
    change_lead: str | None

    @property
    def tables(self) -> list[TableProfile]:
        tables = (self.leads, self.deals, self.activities, self.changes)
        return [table for table in tables if table]

    @cached_property
    def created_at(self) -> ColumnProfile | None:
        return _find_column(self.leads, _CREATED, "time") or _time_column(self.leads)

    @cached_property
    def account(self) -> ColumnProfile | None:
        account = _find_column(self.leads, _ACCOUNT, "text", "number")
        if account is None or account.unique or account.name == self.lead_id:
            return None
        return account if account.distinct > 0.05 * account.rows else None

    @cached_property
    def order(self) -> str | None:
        """For leads without a date: the column of a running number, else "file"."""
        if self.created_at:
            return None
        numbered = (c for c in self.leads.columns if c.unique and c.kind == "number")
        return next((c.name for c in numbered), "file")

    @cached_property
    def closed_at(self) -> ColumnProfile | None:
        return _find_column(self.deals or self.leads, _CLOSED, "time") if self.created_at else None

    @cached_property
    def amount(self) -> ColumnProfile | None:
        return _find_column(self.deals or self.leads, _AMOUNT, "number")

    @cached_property
    def channel(self) -> ColumnProfile | None:
        texts = (c for c in self.leads.columns if c.kind == "text" and c.distinct <= 50)
        return next((c for c in texts if _CHANNEL.search(c.name)), None)

    @cached_property
    def activity_time(self) -> ColumnProfile | None:
        return _time_column(self.activities) if self.activities and self.created_at else None

    @cached_property
    def activity_type(self) -> ColumnProfile | None:
        columns = self.activities.columns if self.activities else ()
        fitting = (c for c in columns if c.kind == "text" and c.distinct <= 200)
        return next((c for c in fitting if _TYPE.search(c.name)), None)

    @cached_property
    def activity_value(self) -> ColumnProfile | None:
        return _find_column(self.activities, _ACTIVITY_VALUE, "number") if self.activities else None

    @cached_property
    def change_columns(self) -> tuple[ColumnProfile, ColumnProfile, ColumnProfile] | None:
        """The time, the name of the changed column and its value; None if one of them is missing."""
        if not self.changes or not self.created_at:
            return None
        time_column, field = _time_column(self.changes), _field_column(self.changes)
        value = _find_column(self.changes, _CHANGE_VALUE, "text", "number")
        return (time_column, field, value) if time_column and field and value else None

    @cached_property
    def columns_with_history(self) -> frozenset[str]:
        field = _field_column(self.changes) if self.changes else None
        return frozenset(field.common) if field else frozenset()

    def attributes(self) -> Iterator[ColumnProfile]:
        """The columns of the leads' table that can be features: no ids, dates, free texts or constants."""
        skipped = {self.lead_id, self.order}
        skipped |= {c.name for c in (self.created_at, self.account) if c}
        skipped |= {self.outcome.name} if self.outcome and not self.deals else set()
        for column in self.leads.columns:
            free_text = column.kind == "text" and (
                column.unique or column.distinct > max(_TEXT_VALUES, 0.1 * column.rows)
            )
            if column.name not in skipped and column.kind != "time" and column.distinct > 1 and not free_text:
                yield column


def is_number_feature(column: ColumnProfile) -> bool:
    """Whether a column is read as a number; a few different numbers without a unit are categories."""
    has_format = column.numbers is not None and bool(column.numbers.number_format)
    return column.kind == "number" and (column.distinct > _FEW or has_format)


def sort_outcomes(outcome: ColumnProfile) -> tuple[list[str], list[str], list[str]]:
    """The values of the outcome that mean won, lost, and neither. Raises DataError if none means won."""
    lost = [v for v in outcome.common if _LOST.search(v)]
    won = [v for v in outcome.common if _WON.search(v) and v not in lost]
    if not won:
        raise DataError(
            f"{outcome.name}: no value looks like won. Values: {', '.join(outcome.common[:12])}. Name "
            "another column with --outcome, or write `won` and `lost` into a crm.toml by hand."
        )
    return won, lost, [v for v in outcome.common if v not in (*won, *lost)]


def detect_tables(tables: list[TableProfile], outcome: str | None) -> DetectedTables:
    """Detect the parts of the tables; `outcome` names the column of the outcome if it is known.

    Raises DataError if no column looks like an outcome.
    """
    leads, lead_id = _leads_table(tables)
    linked = _find_links(tables, leads, lead_id)
    deals = _deals_table([t for t in tables if t is leads or t.name in linked], leads, outcome)
    if deals is None:
        deals = _table_of_wins(tables, linked) if outcome is None else None
        if deals is None:
            raise _no_outcome(tables, outcome)
    changes = next((t for t in tables if t.name in linked and _field_column(t)), None)
    events = [t for t in tables if t.name in linked and t not in (deals, changes)]
    activities = next((t for t in sorted(events, key=_length, reverse=True) if _time_column(t)), None)
    return DetectedTables(
        leads=leads,
        lead_id=lead_id,
        deals=None if deals is leads else deals,
        deal_lead=linked.get(deals.name),
        outcome=_find_outcome(deals, outcome),
        activities=activities,
        activity_lead=linked.get(activities.name) if activities else None,
        changes=changes,
        change_lead=linked.get(changes.name) if changes else None,
    )


def _find_links(tables: list[TableProfile], leads: TableProfile, lead_id: str) -> dict[str, str]:
    """The tables that refer to leads, with the column that holds the ids."""
    links = {t.name: _find_link(t, leads, lead_id) for t in tables if t is not leads}
    return {name: column for name, column in links.items() if column is not None}


def _deals_table(tables: list[TableProfile], leads: TableProfile, outcome: str | None) -> TableProfile | None:
    """The table with the outcome, preferably that of the leads."""
    decided = [t for t in tables if _find_outcome(t, outcome)]
    return leads if leads in decided else next(iter(decided), None)


def _table_of_wins(tables: list[TableProfile], linked: dict[str, str]) -> TableProfile | None:
    """A table with a date of the close and at most one row per lead, taken as that of the won deals."""
    for table in tables:
        column = linked.get(table.name)
        if column and _find_column(table, _CLOSED, "time") and table.column(column).unique:
            return table
    return None


def _no_outcome(tables: list[TableProfile], outcome: str | None) -> DataError:
    names = [c.name for t in tables for c in t.columns]
    if outcome is not None and outcome not in names:
        return DataError(f"--outcome: there is no column {outcome!r}; {suggest_nearest(outcome, names)}.")
    why = (
        "No column looks like an outcome (won or lost)"
        if outcome is None
        else f"--outcome: the table with {outcome!r} has no column with the ids of the leads"
    )
    return DataError(f"{why}. Name it with --outcome COLUMN. Columns: {', '.join(names)[:600]}")


def _length(table: TableProfile) -> int:
    return int(table.rows.table.num_rows)


def _leads_table(tables: list[TableProfile]) -> tuple[TableProfile, str]:
    """The table of the leads and its id: the column with unique values that most other tables refer to."""
    best = (-1.0, tables[0], "row")
    for table in tables:
        for column in (c for c in table.columns if c.unique and c.kind != "time"):
            pointing = sum(bool(_find_link(t, table, column.name)) for t in tables if t is not table)
            named = bool(re.search(r"(^|_| )id$|id\b|番号|コード", column.name, re.I)) + (
                column.kind == "text"
            )
            score = 10 * pointing + named + bool(re.search("lead|リード", table.name, re.I))
            if score > best[0]:
                best = (score, table, column.name)
    return best[1], best[2]


def _find_link(table: TableProfile, leads: TableProfile, lead_id: str) -> str | None:
    """The column of `table` that holds ids of leads."""
    if lead_id == "row":
        return None
    ids = leads.texts(lead_id).combine_chunks()
    for column in sorted(table.columns, key=lambda c: c.name != lead_id):
        if column.kind in ("text", "number") and column.filled > 0.9 and column.distinct > _FEW:
            is_lead_id = pc.is_in(table.texts(column.name), value_set=ids.unique())
            if pc.mean(is_lead_id.cast("int8")).as_py() > 0.9:
                return column.name
    return None


def _find_outcome(table: TableProfile | None, named: str | None) -> ColumnProfile | None:
    """The column whose values mean won or lost; its name is a further hint."""
    best: tuple[float, ColumnProfile | None] = (0.0, None)
    for column in table.columns if table else ():
        if named is not None:
            if column.name == named:
                return column
            continue
        won, lost = ([v for v in column.common if p.search(v)] for p in (_WON, _LOST))
        if not 2 <= column.distinct <= 30 or not won or not lost or column.filled < 0.3:
            continue
        plain = bool(set(won) - set("1yY") - {"yes", "Yes", "true", "True"})
        score = 2 * bool(_OUTCOME.search(column.name)) + plain + (column.distinct == 2) / 2
        best = max(best, (score, column), key=lambda b: b[0])
    return best[1] if best[0] >= 2 else None


def _field_column(table: TableProfile) -> ColumnProfile | None:
    return next((c for c in table.columns if _FIELD.search(c.name) and c.distinct < _TEXT_VALUES), None)


def _find_column(table: TableProfile, pattern: re.Pattern[str], *sorts: str) -> ColumnProfile | None:
    return next((c for c in table.columns if c.kind in sorts and pattern.search(c.name)), None)


def _time_column(table: TableProfile) -> ColumnProfile | None:
    return next((c for c in table.columns if c.kind == "time" and c.filled > 0.95), None)
