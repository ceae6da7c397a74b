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
from features.errors import DataError, suggest_nearest
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
class _DetectedTables:
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
    detected = _detect_tables(tables, outcome)
    draft = _write(detected, 90, {})
    loaded = _load_draft(draft, folder)
    suspects = {f.column: f for f in audit(loaded) if f.column and f.severity in ("leak", "suspect")}
    text = _write(detected, _suggest_horizon(loaded), suspects)
    return Proposal(text, audit(_load_draft(text, folder)))


def _load_draft(text: str, folder: Path) -> Loaded:
    settings = parse_settings(tomllib.loads(text), folder / "crm.toml")
    lenient = settings.model_copy(update={"max_reject_share": 1.0})
    return load(lenient, folder / ".hotlead-init-rejects.csv", write=False)


# -- which table is what ------------------------------------------------------------------------


def _detect_tables(tables: list[TableProfile], outcome: str | None) -> _DetectedTables:
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
    return _DetectedTables(
        leads,
        lead_id,
        None if deals is leads else deals,
        linked.get(deals.name),
        _find_outcome(deals, outcome),
        activities,
        linked.get(activities.name) if activities else None,
        changes,
        linked.get(changes.name) if changes else None,
    )


def _find_links(tables: list[TableProfile], leads: TableProfile, lead_id: str) -> dict[str, str]:
    """The tables that point to leads, and by which column."""
    links = {t.name: _find_link(t, leads, lead_id) for t in tables if t is not leads}
    return {name: column for name, column in links.items() if column is not None}


def _deals_table(tables: list[TableProfile], leads: TableProfile, outcome: str | None) -> TableProfile | None:
    """The table with the outcome: that of the leads where it has one."""
    decided = [t for t in tables if _find_outcome(t, outcome)]
    return leads if leads in decided else next(iter(decided), None)


def _table_of_wins(tables: list[TableProfile], linked: dict[str, str]) -> TableProfile | None:
    """A table with a date of the close and at most one row a lead: the won ones."""
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
    """The table that the others point to, by a column whose values are all different."""
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
    """The column of `table` whose values are ids of leads."""
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


def _find_column(table: TableProfile, pattern: re.Pattern[str], *sorts: str) -> ColumnProfile | None:
    return next((c for c in table.columns if c.kind in sorts and pattern.search(c.name)), None)


def _time_column(table: TableProfile) -> ColumnProfile | None:
    return next((c for c in table.columns if c.kind == "time" and c.filled > 0.95), None)


def _created_column(detected: _DetectedTables) -> ColumnProfile | None:
    return _find_column(detected.leads, _CREATED, "time") or _time_column(detected.leads)


def _order_column(detected: _DetectedTables) -> str | None:
    """Where there is no date: a running number, else the order of the file."""
    if _created_column(detected):
        return None
    numbered = (c for c in detected.leads.columns if c.unique and c.kind == "number")
    return next((c.name for c in numbered), "file")


def _suggest_horizon(loaded: Loaded) -> int:
    """A round number of days within which nine in ten of the won deals were won."""
    crm = loaded.crm
    won = crm.outcomes.won
    if not crm.horizon_applies or not won.any():
        return 90
    days_to_win = (crm.outcomes.won_at[won] - crm.created[won]) / MS_PER_DAY
    needed = float(np.quantile(days_to_win[days_to_win >= 0], 0.9)) if (days_to_win >= 0).any() else 90.0
    return next((h for h in _HORIZONS if h >= needed), _HORIZONS[-1])


# -- writing it down ------------------------------------------------------------------------------


def _write(detected: _DetectedTables, horizon: int, suspects: dict[str, Finding]) -> str:
    sections = [
        _write_head(detected),
        _write_leads(detected),
        _write_deals(detected),
        _write_activities(detected),
        _write_changes(detected),
        _write_target(detected, horizon),
        _write_segments(detected),
        _write_features(detected, suspects),
    ]
    return "\n".join(section for section in sections if section)


def _write_head(detected: _DetectedTables) -> str:
    order = _order_column(detected)
    note = '  # oldest first? If the order means nothing, say "none"' if order == "file" else ""
    lines = [
        "# How Hotlead reads this export. Proposed by `hotlead init`: read it through, above all",
        "# the lines that are commented out. `hotlead check` says what would make a model lie.",
        "",
        "[crm]",
        f"name = {_quote(detected.leads.name)}",
        'time_zone = "UTC"  # the zone of times without an offset, such as "Asia/Tokyo"',
        *([f"order = {_quote(order)}{note}"] if order else []),
        f"missing = {_quote_list(_missing_words(detected))}  # values that mean: nothing is known",
    ]
    return "\n".join(lines) + "\n"


def _missing_words(detected: _DetectedTables) -> list[str]:
    """The usual words for a missing value that stand in these tables."""
    tables = (detected.leads, detected.deals, detected.activities, detected.changes)
    raw = {
        str(v).strip()
        for t in tables
        if t
        for c in t.columns
        for v in pc.unique(t.rows.table[c.name].slice(0, 100_000)).to_pylist()
    }
    return sorted({w for w in (*MISSING, "Select") if w and w in raw})


def _source(source: Source) -> Iterator[str]:
    yield f"source = {_quote(source.source)}"
    if source.table:
        yield f"table = {_quote(source.table)}"
    if source.separator != ",":
        yield f"separator = {_quote(source.separator)}"
    if source.encoding != "utf-8":
        yield f"encoding = {_quote(source.encoding)}"


def _write_leads(detected: _DetectedTables) -> str:
    lines = ["[leads]", *_source(detected.leads.source), f"id = {_quote(detected.lead_id)}"]
    if created := _created_column(detected):
        lines.append(f"created_at = {_quote(created.name)}")
    if account := _account_column(detected):
        lines.append(f"account = {_quote(account.name)}  # leads of one account stay together in every split")
    return "\n".join(lines) + "\n"


def _account_column(detected: _DetectedTables) -> ColumnProfile | None:
    account = _find_column(detected.leads, _ACCOUNT, "text", "number")
    if account is None or account.unique or account.name == detected.lead_id:
        return None
    return account if account.distinct > 0.05 * account.rows else None


def _write_deals(detected: _DetectedTables) -> str:
    lines = ["[deals]"]
    if detected.deals:
        lines += [*_source(detected.deals.source), f"lead = {_quote(detected.deal_lead)}"]
    if detected.outcome:
        won, lost, undecided = _values(detected.outcome)
        if not won:
            raise DataError(
                f"{detected.outcome.name}: no value looks like won. Values: "
                f"{', '.join(detected.outcome.common[:12])}. Name another column with --outcome, or "
                "write `won` and `lost` into a crm.toml by hand."
            )
        lines += [
            f"outcome = {_quote(detected.outcome.name)}",
            f"won = {_quote_list(won)}",
            f"lost = {_quote_list(lost)}",
        ]
        lines += [f"ignore = {_quote_list(undecided)}  # neither won nor lost"] if undecided else []
    elif detected.deals:
        lines.append("# Without an outcome column every row counts as a won deal.")
    if _created_column(detected) and (closed := _find_column(detected.deal_table, _CLOSED, "time")):
        lines.append(f"closed_at = {_quote(closed.name)}")
    if amount := _find_column(detected.deal_table, _AMOUNT, "number"):
        lines.append(f"amount = {_quote(amount.name)}")
    return "\n".join(lines) + "\n"


def _values(outcome: ColumnProfile) -> tuple[list[str], list[str], list[str]]:
    lost = [v for v in outcome.common if _LOST.search(v)]
    won = [v for v in outcome.common if _WON.search(v) and v not in lost]
    return won, lost, [v for v in outcome.common if v not in (*won, *lost)]


def _write_activities(detected: _DetectedTables) -> str:
    time_column = _time_column(detected.activities) if detected.activities else None
    if not detected.activities or not time_column or not _created_column(detected):
        return ""
    lines = ["[activities]", *_source(detected.activities.source), f"lead = {_quote(detected.activity_lead)}"]
    lines.append(f"at = {_quote(time_column.name)}")
    if kind := _type_column(detected):
        lines.append(f"type = {_quote(kind.name)}")
    if value := _find_column(detected.activities, re.compile("value|amount|minutes|count|値"), "number"):
        lines.append(f"value = {_quote(value.name)}")
    return "\n".join(lines) + "\n"


def _type_column(detected: _DetectedTables) -> ColumnProfile | None:
    table = detected.activities
    fitting = [c for c in (table.columns if table else ()) if c.kind == "text" and c.distinct <= 200]
    return next((c for c in fitting if _TYPE.search(c.name)), None)


def _write_changes(detected: _DetectedTables) -> str:
    if not detected.changes or not _created_column(detected):
        return ""
    time_column, field = _time_column(detected.changes), _field_column(detected.changes)
    value = _find_column(detected.changes, re.compile(r"value|new|値"), "text", "number")
    if not time_column or not field or not value:
        return ""
    return (
        "\n".join(
            [
                "[changes]",
                *_source(detected.changes.source),
                f"lead = {_quote(detected.change_lead)}",
                f"column = {_quote(field.name)}",
                f"value = {_quote(value.name)}",
                f"at = {_quote(time_column.name)}",
            ]
        )
        + "\n"
    )


def _write_target(detected: _DetectedTables, horizon: int) -> str:
    if not _created_column(detected) or not _find_column(detected.deal_table, _CLOSED, "time"):
        return ""
    return f"[target]\nhorizon_days = {horizon}  # nine in ten wins came within this time\n"


def _write_segments(detected: _DetectedTables) -> str:
    channel = next(
        (
            c
            for c in detected.leads.columns
            if c.kind == "text" and _CHANNEL.search(c.name) and c.distinct <= 50
        ),
        None,
    )
    return f"[segments]\nchannel = {_quote(channel.name)}\n" if channel else ""


def _write_features(detected: _DetectedTables, suspects: dict[str, Finding]) -> str:
    lines = ["[features]"]
    history = _history_columns(detected)
    names: set[str] = set()
    for column in _attribute_columns(detected):
        availability = (
            "history"
            if column.name in history
            else ("at_creation" if not _created_column(detected) else "today")
        )
        name = _feature_name(column.name, names)
        row = _write_attribute(name, column, availability)
        if column.name in suspects and availability != "history":
            lines += [f"# {' '.join(suspects[column.name].en.split())}", f"# {row}"]
        else:
            lines.append(row)
    return "\n".join([*lines, *_write_behaviour(detected, names)]) + "\n"


def _history_columns(detected: _DetectedTables) -> set[str]:
    field = _field_column(detected.changes) if detected.changes else None
    return set(field.common) if field else set()


def _attribute_columns(detected: _DetectedTables) -> Iterable[ColumnProfile]:
    """The columns of a lead that may tell something: no ids, dates, free texts or single values."""
    excluded = {detected.lead_id, detected.outcome.name if detected.outcome and not detected.deals else None}
    excluded |= {c.name for c in (_created_column(detected), _account_column(detected)) if c} | {
        _order_column(detected)
    }
    for column in detected.leads.columns:
        free_text = column.kind == "text" and (
            column.unique or column.distinct > max(_TEXT_VALUES, 0.1 * column.rows)
        )
        if column.name not in excluded and column.kind != "time" and column.distinct > 1 and not free_text:
            yield column


def _write_attribute(name: str, column: ColumnProfile, availability: str) -> str:
    number = column.kind == "number" and column.distinct > _FEW
    values = ', values = "number"' if number else ""
    return (
        f'{name} = {{ kind = "attribute", column = {_quote(column.name)}{values}, known = "{availability}" }}'
    )


def _write_behaviour(detected: _DetectedTables, names: set[str]) -> Iterator[str]:
    if not _created_column(detected):
        return
    yield f'{_feature_name("age", names)} = {{ kind = "age" }}'
    if not detected.activities:
        return
    kind = _type_column(detected)
    for value in (kind.common if kind else ("activity",))[:_MOST_TYPES]:
        count, since = (_feature_name(f"{value}{suffix}", names) for suffix in ("_30d", "_days_since"))
        yield f'{count} = {{ kind = "count", activity = {_quote(value)}, days = 30 }}'
        yield f'{since} = {{ kind = "days_since", activity = {_quote(value)} }}'
    yield f'{_feature_name("activities_7d", names)} = {{ kind = "count", activity = "*", days = 7 }}'
    yield f'{_feature_name("kinds_30d", names)} = {{ kind = "distinct", days = 30 }}'


def _feature_name(column: str, taken: set[str]) -> str:
    """A name for a feature that no other has, as TOML writes it."""
    plain = re.sub(r"[^0-9a-z]+", "_", column.lower()).strip("_")
    name = plain if re.search("[a-z]", plain) and column.isascii() else column
    while name in taken:
        name = f"{name}_"
    taken.add(name)
    return name if re.fullmatch("[0-9a-z_]+", name) else _quote(name)


def _quote(value: object) -> str:
    return json.dumps(str(value), ensure_ascii=False)


def _quote_list(values: Iterable[str]) -> str:
    return "[" + ", ".join(_quote(v) for v in values) + "]"
