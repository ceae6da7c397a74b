"""What the page of a lead shows of the store: the lead as it is, and its newest activities."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from features.bots.bursts import BURST_RULES, BurstRule
from features.large.column_bursts import find_column_bursts
from features.large.event_columns import to_columns
from features.large.large_lead import MANY_EVENTS
from features.one_lead import Event
from serving.components import Components
from serving.review.lead.rescore import LeadSnapshot, snapshot_at
from serving.store.errors import ManyActivities
from serving.web.problems import not_found


@dataclass(frozen=True)
class ShownActivity:
    """An activity: its time (ms UTC), its type, and the rule that a machine made it (None: a person did)."""

    time_ms: int
    kind: str
    rule: BurstRule | None


@dataclass(frozen=True)
class LeadOnPage:
    """A lead now and at the moment at which the form was made, and its newest activities: all, and those that
    people made, the oldest first."""

    now: LeadSnapshot
    in_form: LeadSnapshot
    newest: Sequence[ShownActivity]
    newest_of_people: Sequence[ShownActivity]


async def load_lead(components: Components, lead_id: str, now: int, made_at: int, limit: int) -> LeadOnPage:
    """What is known of a lead, with no more than `limit` activities; `made_at` (ms UTC) is that of the form.

    Raises StoreUnavailable, and Problem: 404 for an unknown lead, 503 if too many large ones wait.
    """

    def load(max_events: int | None) -> LeadOnPage:
        stored = components.store.lead(lead_id, limit=max_events)
        if stored is None:
            raise not_found("Nothing is known of this lead.")
        at_now = snapshot_at(components, stored, now)
        in_form = at_now if made_at == now else snapshot_at(components, stored, made_at)
        leaves_out_bursts = components.schema.leaves_out_bursts
        return LeadOnPage(at_now, in_form, *_select_newest(stored.events, leaves_out_bursts, limit))

    try:
        return await asyncio.to_thread(load, MANY_EVENTS)
    except ManyActivities:
        return await components.predictor.large_leads.run(lambda: load(None))


def _select_newest(
    events: Sequence[Event], leaves_out_bursts: bool, limit: int
) -> tuple[list[ShownActivity], list[ShownActivity]]:
    """The newest activities, and the newest of those that people made."""
    rules = find_column_bursts(to_columns(events)) if leaves_out_bursts else np.full(len(events), -1)

    def show(place: int) -> ShownActivity:
        kind, time_ms, _ = events[place]
        return ShownActivity(time_ms, kind, None if rules[place] < 0 else BURST_RULES[rules[place]])

    first, of_people = max(len(events) - limit, 0), np.flatnonzero(rules < 0)[-limit:].tolist()
    return [show(i) for i in range(first, len(events))], [show(i) for i in of_people]
