"""The leads of a batch by column, as the arrays that the view of many leads works on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from features.clock import NEVER
from features.columns import Bools, Column, Floats, Ints, encode_texts, is_missing, take
from features.crm_data import Activities, Changes, Crm, Outcomes
from features.large.event_columns import EventColumns, join_events
from features.many_leads import Histories, ManyLeads
from features.one_lead import Event
from serving.leads.field_types import AttributeSchema
from serving.leads.lead_facts import LeadFacts
from serving.web.field_errors import InvalidFields, field_error

MAX_TYPES = 32_767


@dataclass(frozen=True, kw_only=True)
class BatchLeads:
    """All that is known of n leads. `created` is ms UTC (NEVER: not dated), `attributes` and `changes` are
    by column. The `lead` of an activity is its row, or n + its row for the activities of colleagues.
    `amounts` are what their open deals are expected to bring (nan: unknown; None: of all)."""

    ids: Sequence[str]
    created: Ints
    attributes: Mapping[str, Column]
    changes: Mapping[str, Changes]
    activities: Activities
    ignored: Sequence[tuple[str, ...]]
    unknown_types: Sequence[tuple[str, ...]]
    amounts: Floats | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def view(self, moment: int) -> ManyLeads:
        """What was known of each lead strictly before `moment`."""
        count = len(self)
        moments = np.full(count, moment, dtype=np.int64)
        return ManyLeads(Histories(self._crm(moment)), np.arange(count), moments)

    def _crm(self, moment: int) -> Crm:
        """The leads as a CRM of 2 n rows: row n + i stands for the colleagues of lead i."""
        count = len(self)
        twice = np.concatenate([np.arange(count), np.full(count, -1)])
        account = np.tile(np.arange(count, dtype=np.int32), 2)
        never = np.full(2 * count, NEVER)
        return Crm(
            lead_ids=np.array([*self.ids, *self.ids], dtype=object),
            order="date",
            created=np.tile(np.minimum(self.created, moment), 2),
            account=account,
            group=account,
            attributes={name: take(column, twice) for name, column in self.attributes.items()},
            activities=self.activities,
            outcomes=Outcomes(never, never, np.full(2 * count, np.nan)),
            snapshot=moment,
            dated_outcomes=False,
            changes=dict(self.changes),
        )


def answered_roles(view: ManyLeads, schema: AttributeSchema) -> dict[str, Bools]:
    """By role (budget, authority, need, timing), which leads have an answer."""
    return {
        role: ~is_missing(view.text(c) if schema.columns[c] == "category" else view.number(c))
        for role, c in schema.roles.items()
    }


def from_facts(facts: Sequence[LeadFacts], schema: AttributeSchema) -> BatchLeads:
    """The facts of leads as columns. Raises InvalidFields for too many activity types."""
    n = len(facts)
    events = [(i, lead.events) for i, lead in enumerate(facts)]
    others = [(n + i, lead.others) for i, lead in enumerate(facts)]
    changes = [(i, *c) for i, lead in enumerate(facts) for c in lead.changes]
    return BatchLeads(
        ids=[lead.lead_id for lead in facts],
        created=np.array([lead.created for lead in facts], dtype=np.int64),
        attributes={
            c: build_column([lead.attributes.get(c) for lead in facts], kind)
            for c, kind in schema.columns.items()
        },
        changes=_build_histories(changes, schema),
        activities=_join_activities([*events, *others]),
        ignored=[lead.ignored for lead in facts],
        unknown_types=[lead.unknown_types for lead in facts],
        amounts=build_amounts([lead.amount for lead in facts]),
    )


def build_amounts(values: Sequence[float | None]) -> Floats | None:
    """Amounts as numbers, nan where one is unknown; None if all are."""
    if all(value is None for value in values):
        return None
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def build_column(values: Sequence[object], kind: str) -> Column:
    """Plain values as a column of texts or numbers."""
    if kind == "category":
        return encode_texts(list(values))  # type: ignore[arg-type]
    return np.array([np.nan if v is None else v for v in values], dtype=np.float64)


def _build_histories(
    changes: Sequence[tuple[int, str, int, object]], schema: AttributeSchema
) -> dict[str, Changes]:
    by_name: dict[str, list[tuple[int, str, int, object]]] = {}
    for change in changes:
        by_name.setdefault(change[1], []).append(change)
    histories = {}
    for name, rows in by_name.items():
        lead, _, times, value = zip(*rows, strict=True)
        column = build_column(value, schema.columns[name])
        histories[name] = Changes(np.array(lead, np.int32), np.array(times, np.int64), column)
    return histories


def _join_activities(parts: Sequence[tuple[int, Sequence[Event]]]) -> Activities:
    """The activities of leads by their row."""
    if not any(isinstance(events, EventColumns) for _, events in parts):
        return _build_activities([(i, *event) for i, events in parts for event in events])
    joined = join_events([events for _, events in parts])
    _check_types(joined.types)
    rows = np.repeat([i for i, _ in parts], [len(events) for _, events in parts]).astype(np.int32)
    return Activities(rows, joined.codes.astype(np.int16), joined.times_ms, joined.values, joined.types)


def _check_types(types: Sequence[str]) -> None:
    if len(types) > MAX_TYPES:
        allowed = f"at most {MAX_TYPES:,} different types of activity in one batch"
        raise InvalidFields([field_error("body.leads", len(types), allowed)])


def _build_activities(rows: Sequence[tuple[int, str, int, float]]) -> Activities:
    lead, kind, times, value = zip(*rows, strict=True) if rows else ((), (), (), ())
    type_column = encode_texts(list(kind))
    _check_types(type_column.categories)
    return Activities(
        np.array(lead, dtype=np.int32),
        type_column.codes.astype(np.int16),
        np.array(times, dtype=np.int64),
        np.array(value, dtype=np.float64),
        type_column.categories,
    )
