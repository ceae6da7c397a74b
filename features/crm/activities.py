"""Reading the activities of leads and the history of their attributes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from features.bots.many_bursts import split_bots
from features.clock import NEVER
from features.columns import Ints
from features.crm.joining.lead_deals import match_several_leads
from features.crm.leads import base_columns, drop_duplicates
from features.crm.parsing import encode_column
from features.crm.reader import LeadIndex, Reader, filter_rows
from features.crm.sources.rows import SourceRows
from features.crm.table_settings import ActivitiesTable, ChangesTable
from features.crm_data import Activities, BotActivities, Changes, no_activities, no_bots
from features.errors import DataError, SettingsError, suggest_nearest
from features.kinds import activities_of
from features.messages import Message

_MAX_TYPES = 30_000


def read_activities(reader: Reader, lead_index: LeadIndex) -> tuple[Activities, BotActivities]:
    """The activities of the selected leads, of all tables: of people, and of machines.

    Raises DataError if features need some and there are none.
    """
    tables = [_read_table(reader, lead_index, config) for config in reader.settings.activities]
    if not tables:
        return no_activities(), no_bots()
    _check_not_empty(reader)
    activities = tables[0] if len(tables) == 1 else _concatenate(tables)
    return split_bots(activities) if reader.settings.leaves_out_bursts else (activities, no_bots())


def _read_table(reader: Reader, lead_index: LeadIndex, config: ActivitiesTable) -> Activities:
    columns = [c for c in (config.lead, config.at, config.type, config.value, config.id) if c]
    rows = reader.read_table("activities", config, list(dict.fromkeys(columns)))
    if config.id:
        rows = drop_duplicates(reader, rows, config.id)
    reason = Message("activity of a lead that is not in the leads' table")
    lead, rows = _match_leads(reader, lead_index, rows, config.lead, reason, config.lead_separator)
    need = Message("an activity needs its time")
    times_ms = reader.read_times(rows, config, config.at, need, planned="note")
    kind, types = _encode_types(reader, rows, config)
    good = (times_ms != NEVER) & (kind >= 0)
    value = reader.read_numbers(rows, config.value, source=config)[good] if config.value else None
    return Activities(lead[good].astype(np.int32), kind[good], times_ms[good], value, types)


def _concatenate(tables: Sequence[Activities]) -> Activities:
    """All activities as one table; a type that several have is one, and a missing value is nan."""
    types = tuple(dict.fromkeys(kind for table in tables for kind in table.types))
    codes = [np.array([types.index(kind) for kind in t.types], dtype=np.int16)[t.type] for t in tables]
    values = [np.full(len(t), np.nan) if t.value is None else t.value for t in tables]
    has_values = any(table.value is not None for table in tables)
    return Activities(
        np.concatenate([table.lead for table in tables]),
        np.concatenate(codes),
        np.concatenate([table.time_ms for table in tables]),
        np.concatenate(values) if has_values else None,
        types,
    )


def read_changes(reader: Reader, lead_index: LeadIndex) -> dict[str, Changes]:
    """The histories of the columns that features and segments use, by column."""
    config = reader.settings.changes
    if config is None:
        return {}
    columns = [c for c in (config.lead, config.at, config.column, config.value, *config.columns) if c]
    rows = reader.read_table("changes", config, list(dict.fromkeys(columns)))
    _check_history_columns(reader, config)
    lead, rows = _match_leads(
        reader, lead_index, rows, config.lead, Message("change of a lead that is not in the leads' table")
    )
    times_ms = reader.read_times(rows, config, config.at, Message("a change needs its time"))
    rows, lead, times_ms = (
        filter_rows(rows, times_ms != NEVER),
        lead[times_ms != NEVER],
        times_ms[times_ms != NEVER],
    )
    histories = {c: _read_history(reader, rows, config, lead, times_ms, c) for c in reader.settings.columns}
    return {c: history for c, history in histories.items() if history is not None}


def _check_not_empty(reader: Reader) -> None:
    counting = [name for name, f in reader.settings.table if activities_of(f)]
    if counting and not reader.rejects.read["activities"]:
        raise DataError(
            "activities ({files}): holds no activity, but [features] {feature} counts some. Export the "
            "activities, or take [activities] and such features out of crm.toml.",
            files=[table.source for table in reader.settings.activities],
            feature=counting[0],
        )


def _check_history_columns(reader: Reader, config: ChangesTable) -> None:
    """Raise SettingsError if [changes] columns lacks the column of a feature with a history."""
    for use in reader.settings.table.column_uses:
        if config.columns and use.availability == "history" and use.column not in config.columns:
            raise SettingsError(
                '[features] {name}: known = "history", but [changes] columns does not name '
                "{column!r}; {nearest}.",
                name=use.feature,
                column=use.column,
                nearest=suggest_nearest(use.column, list(config.columns)),
            )


def _match_leads(
    reader: Reader,
    lead_index: LeadIndex,
    rows: SourceRows,
    column: str,
    reason: Message,
    separator: str | None = None,
) -> tuple[Ints, SourceRows]:
    """The selected leads and their rows; rows without a lead are noted, those of unknown leads rejected."""
    if separator:
        rows, position = match_several_leads(reader, rows, column, separator, lead_index.ids, reason)
    else:
        rows, position = reader.match_leads(rows, column, lead_index.ids, reason)
    lead = lead_index.row[position]
    is_known = lead >= 0
    return lead[is_known], filter_rows(rows, is_known)


def _encode_types(
    reader: Reader, rows: SourceRows, config: ActivitiesTable
) -> tuple[NDArray[np.int16], tuple[str, ...]]:
    if not config.type:
        return np.zeros(rows.table.num_rows, dtype=np.int16), (config.type_name,)
    types = encode_column(rows.table[config.type], reader.missing)
    if len(types.categories) > _MAX_TYPES:
        raise SettingsError(
            "{table}, column {column}: {count:,} different activity "
            "types; this looks like an id. Name the column that tells the kind of activity.",
            table=rows.name,
            column=config.type,
            count=len(types.categories),
        )
    reader.reject(rows, types.codes < 0, config.type, Message("an activity needs a type"))
    return types.codes.astype(np.int16), types.categories


def _read_history(
    reader: Reader, rows: SourceRows, config: ChangesTable, lead: Ints, times_ms: Ints, column: str
) -> Changes | None:
    """The history of one column, from its own column or from the rows that name it."""
    source = column if column in config.columns else None
    if config.column and config.value:
        named = pc.fill_null(pc.equal(reader.read_texts(rows, config.column), column), False)
        is_named = named.to_numpy(zero_copy_only=False).astype(bool)
        rows, lead, times_ms, source = (
            filter_rows(rows, is_named),
            lead[is_named],
            times_ms[is_named],
            config.value,
        )
    if source is None or (not len(lead) and column in base_columns(reader.settings)):
        return None
    value = reader.read_column(rows, source, reader.settings.columns[column], column)
    return Changes(lead.astype(np.int32), times_ms, value)
