"""Reading a CRM: from crm.toml to arrays with times in UTC; unusable rows are rejected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from features.bots.report import BOTS_FILE, write_bots
from features.columns import Ints
from features.crm.activities import read_activities, read_changes
from features.crm.deals import Deals, read_deals
from features.crm.leads import base_columns, lead_attributes, read_leads, select_leads
from features.crm.reader import Reader, lead_order
from features.crm.rejects import Rejects
from features.crm.values.far_times import FarTimes, find_far_times, find_last_recorded
from features.crm_data import Activities, BotActivities, Crm
from features.kinds import Language
from features.settings import CrmSettings


@dataclass(frozen=True)
class Loaded:
    """A CRM as it was read: arrays for the features, raw tables for the audit, and the rejects.

    `leads` has one row per lead of `crm`, in its order; `deals` one row per deal with a known
    outcome; `deal_leads` are the rows of their leads. `far_times` are dates far beyond all others.
    """

    settings: CrmSettings
    crm: Crm
    rejects: Rejects
    leads: pa.Table
    deals: pa.Table
    deal_leads: Ints
    far_times: Sequence[FarTimes] = ()

    def with_features_of(self, settings: CrmSettings) -> Loaded | None:
        """The same data with the features and the horizon of `settings`; None if they must be read again,
        because leads without a date of their close count as lost at the end of the horizon, or a column is
        read in another way."""
        is_dated = all(note.reason != "undated_lost" for note in self.rejects.notes)
        is_alike = self.settings.columns.items() >= settings.columns.items()
        if not (is_dated and is_alike and self.settings.edges.items() >= settings.edges.items()):
            return None
        base = base_columns(settings)
        wanted = dict.fromkeys((*base, *settings.segments.values()))
        crm = replace(
            self.crm,
            attributes={column: self.crm.attributes[column] for column in wanted},
            changes={c: h for c, h in self.crm.changes.items() if c in settings.columns},
            for_segments=frozenset(settings.segments.values()) - {*base},
        )
        return replace(self, settings=settings, crm=crm)


def load(settings: CrmSettings, rejects_path: Path, write: bool = True, lang: Language = "en") -> Loaded:
    """Read all tables of crm.toml. Rejected rows are written to `rejects_path` if `write`, worded in `lang`,
    and activities of machines to bots.csv beside it.

    Raises DataError if more rows are rejected than max_reject_share allows; then only the rejects
    file is written.
    """
    reader = Reader(settings)
    loaded = _read_crm(reader)
    loaded.rejects.check(settings.max_reject_share, rejects_path, _reject_shares(settings), lang)
    if write:
        loaded.rejects.write(rejects_path, lang)
        write_bots(loaded.crm, rejects_path.with_name(BOTS_FILE))
    return loaded


def _reject_shares(settings: CrmSettings) -> dict[str, float]:
    """The parts of crm.toml with a `max_reject_share` of their own; of several activities the largest."""
    parts = {
        "leads": (settings.leads,),
        "deals": (settings.deals,),
        "activities": settings.activities,
        "changes": (settings.changes,),
    }
    shares = {name: [t.max_reject_share for t in tables if t] for name, tables in parts.items()}
    limits = {name: [share for share in of_part if share is not None] for name, of_part in shares.items()}
    return {name: max(of_part) for name, of_part in limits.items() if of_part}


def _read_crm(reader: Reader) -> Loaded:
    """Deals are read before leads are selected, because leads with an unclear outcome are excluded."""
    settings = reader.settings
    identified = read_leads(reader)
    all_deals = read_deals(reader, identified)
    leads = select_leads(reader, identified, identified.wanted & ~all_deals.unclear)
    deals = all_deals.filter_by_leads(leads)
    activities, bots = read_activities(reader, leads.lead_index)
    times = _recorded_times(settings, leads.created, deals, activities, bots)
    snapshot = _snapshot(reader, times)
    outcomes = deals.closed_until(snapshot).to_outcomes(len(leads.ids))
    crm = Crm(
        lead_ids=np.array(leads.ids.to_pylist(), dtype=object),
        order=lead_order(settings),
        created=leads.created,
        account=leads.account,
        group=leads.group,
        attributes=lead_attributes(reader, leads.rows),
        activities=activities,
        outcomes=outcomes,
        snapshot=snapshot,
        dated_outcomes=bool(settings.deals and settings.deals.closed_at),
        changes=read_changes(reader, leads.lead_index),
        for_segments=frozenset(settings.segments.values()) - {*base_columns(settings)},
        bots=bots,
        open_amount=np.where(outcomes.closed, np.nan, deals.open_amount) if _has_amounts(settings) else None,
    )
    far_times = find_far_times(times) if crm.order == "date" else []
    return Loaded(settings, crm, reader.rejects, leads.rows.table, deals.table, deals.lead, far_times)


def _has_amounts(settings: CrmSettings) -> bool:
    """Whether crm.toml names a column of amounts."""
    return bool(settings.leads.amount or (settings.deals and settings.deals.amount))


def _recorded_times(
    settings: CrmSettings, created: Ints, deals: Deals, activities: Activities, bots: BotActivities
) -> dict[tuple[str, str], Ints]:
    """When things were recorded (ms UTC), by part and column of crm.toml."""
    closed_at = settings.deals.closed_at if settings.deals else None
    at = ", ".join(dict.fromkeys(table.at for table in settings.activities))
    return {
        ("leads", settings.leads.created_at or ""): created,
        ("deals", closed_at or ""): deals.closed_at[deals.closed_at > 0],
        ("activities", at): np.concatenate([activities.time_ms, bots.activities.time_ms]),
    }


def _snapshot(reader: Reader, times: Mapping[tuple[str, str], Ints]) -> int:
    """The moment of the export in ms UTC: as_of of crm.toml, else just after the latest time in the data
    that is not far beyond all others."""
    if reader.settings.as_of or lead_order(reader.settings) != "date":
        return reader.latest
    return find_last_recorded(np.concatenate([*times.values()])) + 1
