"""`hotlead init`: look at a company's tables and propose a crm.toml that a person can mend."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.compute as pc

from features.clock import MS_PER_DAY
from features.crm.audit import audit
from features.crm.findings import Finding
from features.crm.load import Loaded, load
from features.crm.profile import ColumnProfile, TableProfile, profile_tables
from features.errors import DataError, nearest
from features.settings import MISSING, Source, parse_settings

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
_HORIZONS = (30, 60, 90, 120, 180, 270, 365, 545, 730)
_FEW, _MOST_TYPES, _TEXT_VALUES = 12, 20, 400


@dataclass(frozen=True)
class _Found:
    """Which table is what; columns by their part in crm.toml."""

    leads: TableProfile
    lead_id: str
    deals: TableProfile | None
    deal_lead: str | None
    outcome: ColumnProfile | None
    activities: TableProfile | None = None
    activity_lead: str | None = None
    changes: TableProfile | None = None
    change_lead: str | None = None

    @property
    def deal_table(self) -> TableProfile:
        return self.deals or self.leads


@dataclass(frozen=True)
class Proposal:
    """The text of a crm.toml, and what the audit says of the columns it proposes or leaves out."""

    text: str
    findings: list[Finding]


def propose(places: list[str], folder: Path, outcome: str | None = None) -> Proposal:
    """Propose a crm.toml (to lie in `folder`) for the tables at `places`.

    Raises DataError where no outcome can be found; `outcome` names its column then.
    """
    tables = [t for place in places for t in profile_tables(place, folder)]
    found = _find(tables, outcome)
    draft = _write(found, 90, {})
    loaded = _loaded(draft, folder)
    suspects = {f.column: f for f in audit(loaded) if f.column and f.severity in ("leak", "suspect")}
    text = _write(found, _horizon(loaded), suspects)
    return Proposal(text, audit(_loaded(text, folder)))


def _loaded(text: str, folder: Path) -> Loaded:
    settings = parse_settings(tomllib.loads(text), folder / "crm.toml")
    lenient = settings.model_copy(update={"max_reject_share": 1.0})
    return load(lenient, folder / ".hotlead-init-rejects.csv", write=False)


# -- which table is what ------------------------------------------------------------------------


def _find(tables: list[TableProfile], outcome: str | None) -> _Found:
    leads, lead_id = _leads_table(tables)
    linked = _linked(tables, leads, lead_id)
    deals = _deals_table([t for t in tables if t is leads or t.name in linked], leads, outcome)
    if deals is None:
        deals = _table_of_wins(tables, linked) if outcome is None else None
        if deals is None:
            raise _no_outcome(tables, outcome)
    changes = next((t for t in tables if t.name in linked and _field_column(t)), None)
    events = [t for t in tables if t.name in linked and t not in (deals, changes)]
    activities = next((t for t in sorted(events, key=_length, reverse=True) if _time_column(t)), None)
    return _Found(
        leads,
        lead_id,
        None if deals is leads else deals,
        linked.get(deals.name),
        _outcome(deals, outcome),
        activities,
        linked.get(activities.name) if activities else None,
        changes,
        linked.get(changes.name) if changes else None,
    )


def _linked(tables: list[TableProfile], leads: TableProfile, lead_id: str) -> dict[str, str]:
    """The tables that point to leads, and by which column."""
    links = {t.name: _link(t, leads, lead_id) for t in tables if t is not leads}
    return {name: column for name, column in links.items() if column is not None}


def _deals_table(tables: list[TableProfile], leads: TableProfile, outcome: str | None) -> TableProfile | None:
    """The table with the outcome: that of the leads where it has one."""
    decided = [t for t in tables if _outcome(t, outcome)]
    return leads if leads in decided else next(iter(decided), None)


def _table_of_wins(tables: list[TableProfile], linked: dict[str, str]) -> TableProfile | None:
    """A table with a date of the close and at most one row a lead: the won ones."""
    for table in tables:
        column = linked.get(table.name)
        if column and _named(table, _CLOSED, "time") and table.column(column).unique:
            return table
    return None


def _no_outcome(tables: list[TableProfile], outcome: str | None) -> DataError:
    names = [c.name for t in tables for c in t.columns]
    if outcome is not None and outcome not in names:
        return DataError(f"--outcome: there is no column {outcome!r}; {nearest(outcome, names)}.")
    why = (
        "No column looks like an outcome (won or lost)"
        if outcome is None
        else f"--outcome: the table with {outcome!r} has no column with the ids of the leads"
    )
    return DataError(f"{why}. Name it with --outcome COLUMN. Columns: {', '.join(names)[:600]}")


def _length(table: TableProfile) -> int:
    return int(table.rows.table.num_rows)


def _leads_table(tables: list[TableProfile]) -> tuple[TableProfile, str]:
    """The table that the others point to, by a column whose values are all different."""
    best = (-1.0, tables[0], "row")
    for table in tables:
        for column in (c for c in table.columns if c.unique and c.sort != "time"):
            pointing = sum(bool(_link(t, table, column.name)) for t in tables if t is not table)
            named = bool(re.search(r"(^|_| )id$|id\b|番号|コード", column.name, re.I)) + (
                column.sort == "text"
            )
            score = 10 * pointing + named + bool(re.search("lead|リード", table.name, re.I))
            if score > best[0]:
                best = (score, table, column.name)
    return best[1], best[2]


def _link(table: TableProfile, leads: TableProfile, lead_id: str) -> str | None:
    """The column of `table` whose values are ids of leads."""
    if lead_id == "row":
        return None
    ids = leads.texts(lead_id).combine_chunks()
    for column in sorted(table.columns, key=lambda c: c.name != lead_id):
        if column.sort in ("text", "number") and column.filled > 0.9 and column.distinct > _FEW:
            known = pc.is_in(table.texts(column.name), value_set=ids.unique())
            if pc.mean(known.cast("int8")).as_py() > 0.9:
                return column.name
    return None


def _outcome(table: TableProfile | None, named: str | None) -> ColumnProfile | None:
    """The column that tells won from lost: its values must, its name helps."""
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


def _named(table: TableProfile, pattern: re.Pattern[str], *sorts: str) -> ColumnProfile | None:
    return next((c for c in table.columns if c.sort in sorts and pattern.search(c.name)), None)


def _time_column(table: TableProfile) -> ColumnProfile | None:
    return next((c for c in table.columns if c.sort == "time" and c.filled > 0.95), None)


def _created(found: _Found) -> ColumnProfile | None:
    return _named(found.leads, _CREATED, "time") or _time_column(found.leads)


def _order(found: _Found) -> str | None:
    """Where there is no date: a running number, else the order of the file."""
    if _created(found):
        return None
    numbered = (c for c in found.leads.columns if c.unique and c.sort == "number")
    return next((c.name for c in numbered), "file")


def _horizon(loaded: Loaded) -> int:
    """A round number of days within which nine in ten of the won deals were won."""
    crm = loaded.crm
    won = crm.outcomes.won
    if not crm.horizon_applies or not won.any():
        return 90
    took = (crm.outcomes.won_at[won] - crm.created[won]) / MS_PER_DAY
    needed = float(np.quantile(took[took >= 0], 0.9)) if (took >= 0).any() else 90.0
    return next((h for h in _HORIZONS if h >= needed), _HORIZONS[-1])


# -- writing it down ------------------------------------------------------------------------------


def _write(found: _Found, horizon: int, suspects: dict[str, Finding]) -> str:
    sections = [
        _head(found),
        _leads(found),
        _deals(found),
        _activities(found),
        _changes(found),
        _target(found, horizon),
        _segments(found),
        _features(found, suspects),
    ]
    return "\n".join(section for section in sections if section)


def _head(found: _Found) -> str:
    order = _order(found)
    note = '  # oldest first? If the order means nothing, say "none"' if order == "file" else ""
    lines = [
        "# How Hotlead reads this export. Proposed by `hotlead init`: read it through, above all",
        "# the lines that are commented out. `hotlead check` says what would make a model lie.",
        "",
        "[crm]",
        f"name = {_q(found.leads.name)}",
        'time_zone = "UTC"  # the zone of times without an offset, such as "Asia/Tokyo"',
        *([f"order = {_q(order)}{note}"] if order else []),
        f"missing = {_list(_missing(found))}  # values that mean: nothing is known",
    ]
    return "\n".join(lines) + "\n"


def _missing(found: _Found) -> list[str]:
    """The usual words for a missing value that stand in these tables."""
    tables = (found.leads, found.deals, found.activities, found.changes)
    raw = {
        str(v).strip()
        for t in tables
        if t
        for c in t.columns
        for v in pc.unique(t.rows.table[c.name].slice(0, 100_000)).to_pylist()
    }
    return sorted({w for w in (*MISSING, "Select") if w and w in raw})


def _source(source: Source) -> Iterator[str]:
    yield f"source = {_q(source.source)}"
    if source.table:
        yield f"table = {_q(source.table)}"
    if source.separator != ",":
        yield f"separator = {_q(source.separator)}"
    if source.encoding != "utf-8":
        yield f"encoding = {_q(source.encoding)}"


def _leads(found: _Found) -> str:
    lines = ["[leads]", *_source(found.leads.source), f"id = {_q(found.lead_id)}"]
    if created := _created(found):
        lines.append(f"created_at = {_q(created.name)}")
    if account := _account(found):
        lines.append(f"account = {_q(account.name)}  # leads of one account stay together in every split")
    return "\n".join(lines) + "\n"


def _account(found: _Found) -> ColumnProfile | None:
    account = _named(found.leads, _ACCOUNT, "text", "number")
    if account is None or account.unique or account.name == found.lead_id:
        return None
    return account if account.distinct > 0.05 * account.rows else None


def _deals(found: _Found) -> str:
    lines = ["[deals]"]
    if found.deals:
        lines += [*_source(found.deals.source), f"lead = {_q(found.deal_lead)}"]
    if found.outcome:
        won, lost, other = _values(found.outcome)
        if not won:
            raise DataError(
                f"{found.outcome.name}: no value looks like won. Values: "
                f"{', '.join(found.outcome.common[:12])}. Name another column with --outcome, or "
                "write `won` and `lost` into a crm.toml by hand."
            )
        lines += [
            f"outcome = {_q(found.outcome.name)}",
            f"won = {_list(won)}",
            f"lost = {_list(lost)}",
        ]
        lines += [f"ignore = {_list(other)}  # neither won nor lost"] if other else []
    elif found.deals:
        lines.append("# Without an outcome column every row counts as a won deal.")
    if _created(found) and (closed := _named(found.deal_table, _CLOSED, "time")):
        lines.append(f"closed_at = {_q(closed.name)}")
    if amount := _named(found.deal_table, _AMOUNT, "number"):
        lines.append(f"amount = {_q(amount.name)}")
    return "\n".join(lines) + "\n"


def _values(outcome: ColumnProfile) -> tuple[list[str], list[str], list[str]]:
    lost = [v for v in outcome.common if _LOST.search(v)]
    won = [v for v in outcome.common if _WON.search(v) and v not in lost]
    return won, lost, [v for v in outcome.common if v not in (*won, *lost)]


def _activities(found: _Found) -> str:
    at = _time_column(found.activities) if found.activities else None
    if not found.activities or not at or not _created(found):
        return ""
    lines = ["[activities]", *_source(found.activities.source), f"lead = {_q(found.activity_lead)}"]
    lines.append(f"at = {_q(at.name)}")
    if kind := _type_column(found):
        lines.append(f"type = {_q(kind.name)}")
    if value := _named(found.activities, re.compile("value|amount|minutes|count|値"), "number"):
        lines.append(f"value = {_q(value.name)}")
    return "\n".join(lines) + "\n"


def _type_column(found: _Found) -> ColumnProfile | None:
    table = found.activities
    fitting = [c for c in (table.columns if table else ()) if c.sort == "text" and c.distinct <= 200]
    return next((c for c in fitting if _TYPE.search(c.name)), None)


def _changes(found: _Found) -> str:
    if not found.changes or not _created(found):
        return ""
    at, field = _time_column(found.changes), _field_column(found.changes)
    value = _named(found.changes, re.compile(r"value|new|値"), "text", "number")
    if not at or not field or not value:
        return ""
    return (
        "\n".join(
            [
                "[changes]",
                *_source(found.changes.source),
                f"lead = {_q(found.change_lead)}",
                f"column = {_q(field.name)}",
                f"value = {_q(value.name)}",
                f"at = {_q(at.name)}",
            ]
        )
        + "\n"
    )


def _target(found: _Found, horizon: int) -> str:
    if not _created(found) or not _named(found.deal_table, _CLOSED, "time"):
        return ""
    return f"[target]\nhorizon_days = {horizon}  # nine in ten wins came within this time\n"


def _segments(found: _Found) -> str:
    channel = next(
        (c for c in found.leads.columns if c.sort == "text" and _CHANNEL.search(c.name) and c.distinct <= 50),
        None,
    )
    return f"[segments]\nchannel = {_q(channel.name)}\n" if channel else ""


def _features(found: _Found, suspects: dict[str, Finding]) -> str:
    lines = ["[features]"]
    history = _history_columns(found)
    names: set[str] = set()
    for column in _attributes(found):
        known = "history" if column.name in history else ("at_creation" if not _created(found) else "today")
        name = _name(column.name, names)
        row = _attribute(name, column, known)
        if column.name in suspects and known != "history":
            lines += [f"# {' '.join(suspects[column.name].en.split())}", f"# {row}"]
        else:
            lines.append(row)
    return "\n".join([*lines, *_behaviour(found, names)]) + "\n"


def _history_columns(found: _Found) -> set[str]:
    field = _field_column(found.changes) if found.changes else None
    return set(field.common) if field else set()


def _attributes(found: _Found) -> Iterable[ColumnProfile]:
    """The columns of a lead that may tell something: no ids, dates, free texts or single values."""
    used = {found.lead_id, found.outcome.name if found.outcome and not found.deals else None}
    used |= {c.name for c in (_created(found), _account(found)) if c} | {_order(found)}
    for column in found.leads.columns:
        free_text = column.sort == "text" and (
            column.unique or column.distinct > max(_TEXT_VALUES, 0.1 * column.rows)
        )
        if column.name not in used and column.sort != "time" and column.distinct > 1 and not free_text:
            yield column


def _attribute(name: str, column: ColumnProfile, known: str) -> str:
    number = column.sort == "number" and column.distinct > _FEW
    values = ', values = "number"' if number else ""
    return f'{name} = {{ kind = "attribute", column = {_q(column.name)}{values}, known = "{known}" }}'


def _behaviour(found: _Found, names: set[str]) -> Iterator[str]:
    if not _created(found):
        return
    yield f'{_name("age", names)} = {{ kind = "age" }}'
    if not found.activities:
        return
    kind = _type_column(found)
    for value in (kind.common if kind else ("activity",))[:_MOST_TYPES]:
        count, since = (_name(f"{value}{what}", names) for what in ("_30d", "_days_since"))
        yield f'{count} = {{ kind = "count", activity = {_q(value)}, days = 30 }}'
        yield f'{since} = {{ kind = "days_since", activity = {_q(value)} }}'
    yield f'{_name("activities_7d", names)} = {{ kind = "count", activity = "*", days = 7 }}'
    yield f'{_name("kinds_30d", names)} = {{ kind = "distinct", days = 30 }}'


def _name(column: str, taken: set[str]) -> str:
    """A name for a feature that no other has, as TOML writes it."""
    plain = re.sub(r"[^0-9a-z]+", "_", column.lower()).strip("_")
    name = plain if re.search("[a-z]", plain) and column.isascii() else column
    while name in taken:
        name = f"{name}_"
    taken.add(name)
    return name if re.fullmatch("[0-9a-z_]+", name) else _q(name)


def _q(value: object) -> str:
    return json.dumps(str(value), ensure_ascii=False)


def _list(values: Iterable[str]) -> str:
    return "[" + ", ".join(_q(v) for v in values) + "]"
