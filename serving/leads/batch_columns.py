"""Many leads by column: what a batch tells, as the arrays that the view of many leads works on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from features.clock import NEVER
from features.columns import Bools, Column, Ints, missing, take, texts
from features.crm_data import Activities, Changes, Crm, Outcomes
from features.many_leads import Histories, ManyLeads
from serving.leads.lead_facts import Reading, Told
from serving.web.field_errors import wrong
from serving.web.problems import wrong_fields

TYPES_MOST = 32_767


@dataclass(frozen=True)
class Leads:
    """What is known of n leads. `created` is ms UTC (NEVER: not dated), `attributes` and `changes` are
    by column; the `lead` of an activity is its row, or n + its row for what colleagues did."""

    ids: Sequence[str]
    created: Ints
    attributes: Mapping[str, Column]
    changes: Mapping[str, Changes]
    activities: Activities
    ignored: Sequence[tuple[str, ...]]
    strange: Sequence[tuple[str, ...]]

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


def known(view: ManyLeads, how: Reading) -> dict[str, Bools]:
    """By role (budget, authority, need, timing), of which leads there is an answer."""
    return {
        role: ~missing(view.text(c) if how.columns[c] == "category" else view.number(c))
        for role, c in how.roles.items()
    }


def by_column(told: Sequence[Told], how: Reading) -> Leads:
    """Leads that were told one by one, as columns."""
    n = len(told)
    events = [(i, *e) for i, lead in enumerate(told) for e in lead.events]
    others = [(n + i, *e) for i, lead in enumerate(told) for e in lead.others]
    changes = [(i, *c) for i, lead in enumerate(told) for c in lead.changes]
    return Leads(
        [lead.lead_id for lead in told],
        np.array([lead.created for lead in told], dtype=np.int64),
        {c: column([lead.attributes.get(c) for lead in told], kind) for c, kind in how.columns.items()},
        _histories(changes, how),
        _activities([*events, *others]),
        [lead.ignored for lead in told],
        [lead.strange for lead in told],
    )


def column(values: Sequence[str | float | None], kind: str) -> Column:
    """Plain values as a column of texts or numbers."""
    if kind == "category":
        return texts(list(values))  # type: ignore[arg-type]
    return np.array([np.nan if v is None else v for v in values], dtype=np.float64)


def _histories(changes: Sequence[tuple[int, str, int, object]], how: Reading) -> dict[str, Changes]:
    by_name: dict[str, list[tuple[int, str, int, object]]] = {}
    for change in changes:
        by_name.setdefault(change[1], []).append(change)
    return {name: _history(rows, how.columns[name]) for name, rows in by_name.items()}


def _history(rows: Sequence[tuple[int, str, int, object]], kind: str) -> Changes:
    lead, _, at, value = zip(*rows, strict=True)
    return Changes(np.array(lead, dtype=np.int32), np.array(at, dtype=np.int64), column(value, kind))


def _activities(rows: Sequence[tuple[int, str, int, float]]) -> Activities:
    lead, kind, at, value = zip(*rows, strict=True) if rows else ((), (), (), ())
    told = texts(list(kind))
    if len(told.categories) > TYPES_MOST:
        allowed = f"at most {TYPES_MOST:,} different types of activity in one batch"
        raise wrong_fields([wrong("body.leads", len(told.categories), allowed)])
    return Activities(
        np.array(lead, dtype=np.int32),
        told.codes.astype(np.int16),
        np.array(at, dtype=np.int64),
        np.array(value, dtype=np.float64),
        told.categories,
    )
