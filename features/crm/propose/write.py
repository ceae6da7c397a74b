"""Writing the proposed crm.toml, with comments for the person who reviews it."""

from __future__ import annotations

import re

import pyarrow.compute as pc
import tomlkit
from tomlkit.items import InlineTable, Table

from features.crm.findings import Finding
from features.crm.profile import ColumnProfile, TableProfile
from features.crm.propose.detect import DetectedTables, is_number_feature, sort_outcomes
from features.crm.propose.formats import add_formats, add_unread_dates
from features.crm.propose.zone import propose_zone
from features.crm.table_settings import Source
from features.settings import MISSING

_MAX_TYPES = 20
_HEADER = (
    "How Hotlead reads this export. Proposed by `hotlead init`: read it through, above all",
    "the lines that are commented out. `hotlead check` says what would make a model lie.",
)


def write_crm_toml(detected: DetectedTables, horizon_days: int, suspects: dict[str, Finding]) -> str:
    """The text of a crm.toml; features of `suspects` (findings by column) are commented out."""
    document = tomlkit.document()
    for line in _HEADER:
        document.add(tomlkit.comment(line))
    sections = {
        "crm": _crm_table(detected),
        "leads": _leads_table(detected),
        "deals": _deals_table(detected),
        "activities": _activities_table(detected),
        "changes": _changes_table(detected),
        "target": _target_table(detected, horizon_days),
        "segments": _segments_table(detected),
        "features": _features_table(detected, suspects),
    }
    for name, table in sections.items():
        if table is not None:
            document.add(tomlkit.nl())
            document.add(name, table)
    return tomlkit.dumps(document)


def _crm_table(detected: DetectedTables) -> Table:
    table = tomlkit.table()
    table.add("name", detected.leads.name)
    zone = propose_zone(detected.tables)
    table.add("time_zone", zone.name)
    table["time_zone"].comment(f'the zone of times without an offset, such as "Asia/Tokyo"; {zone.reason}')
    if detected.order:
        table.add("order", detected.order)
        if detected.order == "file":
            table["order"].comment('oldest first? If the order means nothing, say "none"')
    table.add("missing", _missing_words(detected))
    table["missing"].comment("values that mean: nothing is known")
    return table


def _missing_words(detected: DetectedTables) -> list[str]:
    """The usual words for a missing value that occur in these tables."""
    values = {
        str(value).strip()
        for table in detected.tables
        for column in table.columns
        for value in pc.unique(table.rows.table[column.name].slice(0, 100_000)).to_pylist()
    }
    return sorted({word for word in (*MISSING, "Select") if word and word in values})


def _source_table(profile: TableProfile) -> Table:
    source, table = profile.source, tomlkit.table()
    table.add("source", source.source)
    if source.table:
        table.add("table", source.table)
    defaults = Source(source="-").file_format
    for key, value in source.file_format.items():
        if value != defaults[key]:
            table.add(key, list(value) if isinstance(value, tuple) else value)
            if key in profile.comments:
                table[key].comment(profile.comments[key])
    return table


def _add_column(table: Table, key: str, column: ColumnProfile | None) -> None:
    if column is not None:
        table.add(key, column.name)


def _leads_table(detected: DetectedTables) -> Table:
    table = _source_table(detected.leads)
    table.add("id", detected.lead_id)
    _add_column(table, "created_at", detected.created_at)
    if detected.account:
        table.add("account", detected.account.name)
        table["account"].comment("leads of one account stay together in every split")
    order = [c for c in detected.leads.columns if c.name == detected.order]
    deal_columns = [] if detected.deals else [detected.closed_at, detected.amount]
    numbers = (c for c in detected.attributes() if is_number_feature(c))
    if not detected.created_at:
        add_unread_dates(table, "leads", detected.leads)
    add_formats(table, "leads", [detected.created_at, *order, *deal_columns, *numbers])
    return table


def _deals_table(detected: DetectedTables) -> Table:
    table = _source_table(detected.deals) if detected.deals else tomlkit.table()
    if detected.deals:
        table.add("lead", detected.deal_lead)
    if detected.outcome:
        won, lost, undecided = sort_outcomes(detected.outcome)
        table.add("outcome", detected.outcome.name)
        table.add("won", won)
        table.add("lost", lost)
        if undecided:
            table.add("ignore", undecided)
            table["ignore"].comment("neither won nor lost")
    else:
        table.add(tomlkit.comment("Without an outcome column every row counts as a won deal."))
    _add_column(table, "closed_at", detected.closed_at)
    _add_column(table, "amount", detected.amount)
    if detected.deals:
        add_formats(table, "deals", [detected.closed_at, detected.amount])
    return table


def _activities_table(detected: DetectedTables) -> Table | None:
    if not detected.activities or not detected.activity_time:
        return None
    table = _source_table(detected.activities)
    table.add("lead", detected.activity_lead)
    table.add("at", detected.activity_time.name)
    _add_column(table, "type", detected.activity_type)
    _add_column(table, "value", detected.activity_value)
    add_formats(table, "activities", [detected.activity_time, detected.activity_value])
    return table


def _changes_table(detected: DetectedTables) -> Table | None:
    if not detected.changes or not detected.change_columns:
        return None
    time_column, field, value = detected.change_columns
    table = _source_table(detected.changes)
    table.add("lead", detected.change_lead)
    table.add("column", field.name)
    table.add("value", value.name)
    table.add("at", time_column.name)
    add_formats(table, "changes", [time_column])
    return table


def _target_table(detected: DetectedTables, horizon_days: int) -> Table | None:
    if not detected.closed_at:
        return None
    table = tomlkit.table()
    table.add("horizon_days", horizon_days)
    table["horizon_days"].comment("nine in ten wins came within this time")
    return table


def _segments_table(detected: DetectedTables) -> Table | None:
    if not detected.channel:
        return None
    table = tomlkit.table()
    table.add("channel", detected.channel.name)
    return table


def _features_table(detected: DetectedTables, suspects: dict[str, Finding]) -> Table:
    table, names = tomlkit.table(), set[str]()
    for column in detected.attributes():
        name, feature = _feature_name(column.name, names), _attribute(column, detected)
        suspect = suspects.get(column.name)
        if suspect and feature["known"] != "history":
            table.add(tomlkit.comment(" ".join(suspect.en.split())))
            table.add(tomlkit.comment(tomlkit.dumps({name: feature}).strip()))
        else:
            table.add(name, feature)
    for name, feature in _behaviour_features(detected, names):
        table.add(name, feature)
    return table


def _attribute(column: ColumnProfile, detected: DetectedTables) -> InlineTable:
    known_kind = "today" if detected.created_at else "at_creation"
    if column.name in detected.columns_with_history:
        known_kind = "history"
    values = {"values": "number"} if is_number_feature(column) else {}
    return _inline(kind="attribute", column=column.name, **values, known=known_kind)


def _behaviour_features(detected: DetectedTables, names: set[str]) -> list[tuple[str, InlineTable]]:
    """The age of a lead, and counts of its activities."""
    if not detected.created_at:
        return []
    features = [(_feature_name("age", names), _inline(kind="age"))]
    if not detected.activities:
        return features
    types = detected.activity_type.common if detected.activity_type else ("activity",)
    for value in types[:_MAX_TYPES]:
        count, since = (_feature_name(f"{value}{suffix}", names) for suffix in ("_30d", "_days_since"))
        features.append((count, _inline(kind="count", activity=value, days=30)))
        features.append((since, _inline(kind="days_since", activity=value)))
    features.append((_feature_name("activities_7d", names), _inline(kind="count", activity="*", days=7)))
    features.append((_feature_name("kinds_30d", names), _inline(kind="distinct", days=30)))
    return features


def _inline(**values: str | int) -> InlineTable:
    table = tomlkit.inline_table()
    table.update(values)
    return table


def _feature_name(column: str, taken: set[str]) -> str:
    """An unused name for a feature, which is then taken; in lower case with underscores if it is ASCII."""
    plain = re.sub(r"[^0-9a-z]+", "_", column.lower()).strip("_")
    name = plain if re.search("[a-z]", plain) and column.isascii() else column
    while name in taken:
        name = f"{name}_"
    taken.add(name)
    return name
