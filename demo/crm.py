"""Generates a fictional CRM of two years; the same seed gives the same CRM."""

import numpy as np
import pyarrow as pa

from demo.accounts import draw_accounts
from demo.behaviour import DemoActivities, draw_activities, draw_unsubscribed, first_kind
from demo.channels import campaigns_table, draw_campaign
from demo.clock import snapshot_moment
from demo.columns import decode_labels, make_ids, to_timestamps
from demo.company import KINDS
from demo.deals import deals_table
from demo.fates import compute_chances, draw_fates, true_probability, truth_table
from demo.hearings import changes_table, draw_changes
from demo.leads import leads_table, with_current_values
from demo.snapshot import DemoCrm, write_parquet, write_sqlite, write_truth
from demo.traits import draw_traits

__all__ = ["DemoCrm", "generate", "true_probability", "write_parquet", "write_sqlite", "write_truth"]


def generate(leads: int = 24_000, seed: int = 7, activities_per_lead: float = 17.0) -> DemoCrm:
    """The CRM of a Japanese B2B software company from 2024-10-01 to 2026-10-01, Japan time.

    `leads` scales everything but the two years. `activities_per_lead` is a mean, kept within a
    few percent, but never below 2.6: an activity created each lead, and most were called.
    Behaviour follows from hidden traits and age, never from the drawn fate, so that
    `true_probability` is the best that any model could say.
    """
    if leads < 1 or activities_per_lead < 1:
        raise ValueError("leads and activities_per_lead must be at least 1")
    lead_rng, fate_rng, rng = (np.random.default_rng([seed, stage]) for stage in range(3))
    accounts = draw_accounts(lead_rng, leads)
    traits = draw_traits(lead_rng, accounts, leads)
    true = compute_chances(traits)
    fates = draw_fates(fate_rng, traits, true)
    first = first_kind(rng, traits)
    campaign = draw_campaign(rng, traits.channel, traits.created, traits.giveaway)
    base_table = leads_table(rng, accounts, traits, fates, campaign, first)
    changes = draw_changes(rng, traits, fates)
    unsubscribed = draw_unsubscribed(rng, traits, fates)
    acts = draw_activities(seed, traits, fates, first, unsubscribed, activities_per_lead)
    lead_ids = base_table["lead_id"].chunk(0)
    tables = {
        "leads": with_current_values(base_table, fates, changes, unsubscribed),
        "deals": deals_table(rng, accounts, traits, fates, lead_ids),
        "activities": _activities_table(acts, lead_ids),
        "changes": changes_table(changes, lead_ids),
        "campaigns": campaigns_table(rng, traits.channel, campaign, traits.created),
    }
    return DemoCrm(tables, truth_table(lead_ids, true), snapshot_moment())


def _activities_table(activities: DemoActivities, lead_ids: pa.Array) -> pa.Table:
    value = activities.value.astype(np.float64).round(1)
    return pa.table(
        {
            "activity_id": make_ids("T", len(activities), 8),
            "lead_id": lead_ids.take(pa.array(activities.lead)),
            "type": decode_labels(activities.kind, KINDS),
            "at": to_timestamps(activities.time),
            "value": pa.array(value, from_pandas=True),
        }
    )
