"""A lead that the store knows, scored now, as it is or as it might be; nothing of it is remembered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from features.columns import Texts
from scoring.decision.batch_scores import BatchScores
from serving.components import Components
from serving.leads.lead_facts import facts_from_store
from serving.store.records import StoredLead

FeatureValue = float | str | None
FeatureValues = Mapping[str, FeatureValue]


@dataclass(frozen=True)
class LeadSnapshot:
    """A lead at a moment (ms UTC): what the store holds of it, its feature values, and which of budget,
    authority, need and timing are answered."""

    stored: StoredLead
    moment: int
    values: FeatureValues
    answered: Mapping[str, bool]


def snapshot_at(components: Components, stored: StoredLead, moment: int) -> LeadSnapshot:
    """What is known of a lead at a moment (ms UTC)."""
    schema, table = components.schema, components.model_watcher.live_model.scorer.table
    view = facts_from_store(stored, schema, moment).view(moment + 1)
    values = dict(zip(table.names, table.compute_one(view), strict=True))
    return LeadSnapshot(
        stored, moment, values, {r: view.text(c) is not None for r, c in schema.roles.items()}
    )


def rescore(
    components: Components, lead: LeadSnapshot, changed: FeatureValues, explain: bool = False
) -> BatchScores:
    """The answer for a lead whose features have other values; what people said of it holds."""
    scorer, lead_id = components.model_watcher.live_model.scorer, lead.stored.lead_id
    values = {**lead.values, **changed}
    roles = components.schema.roles
    uses = scorer.table.column_uses
    columns = {use.column for use in uses if changed.get(use.feature) is not None}
    answered = {role: is_answered or roles[role] in columns for role, is_answered in lead.answered.items()}
    moment = lead.moment + 1
    return scorer.score_one(
        lead_id,
        [values[name] for name in scorer.table.names],
        moment if components.schema.dated else None,
        answered,
        components.overrides.get(lead_id, moment),
        explain,
        components.overrides.sales_status.get(lead_id, moment),
        lead.stored.amount,
    )


def feature_value(answers: BatchScores, name: str) -> FeatureValue:
    """The value of a feature of the one lead that was judged."""
    column = answers.columns[name]
    value = column.to_list()[0] if isinstance(column, Texts) else float(column[0])
    return None if value is None or value != value else value
