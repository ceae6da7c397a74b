"""A lead that the store knows, scored now, as it is or as it might be; nothing of it is remembered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from features.columns import Texts
from scoring.decision.batch_scores import Answers
from serving.components import House
from serving.leads.lead_facts import told_before
from serving.store.rows import StoredLead
from serving.web.problems import not_found

Value = float | str | None
Values = Mapping[str, Value]


@dataclass(frozen=True)
class Known:
    """A lead at a moment (ms UTC): what the store holds of it, its feature values, and which of budget,
    authority, need and timing are answered."""

    stored: StoredLead
    moment: int
    values: Values
    answered: Mapping[str, bool]


def known_lead(house: House, lead_id: str, now: int) -> Known:
    """What is known of a lead now. Raises StoreAway, and Problem (404) for an unknown one."""
    found = house.store.lead(lead_id)
    if found is None:
        raise not_found("Nothing is known of this lead.")
    return known_at(house, found, now)


def known_at(house: House, stored: StoredLead, moment: int) -> Known:
    """What is known of a lead at a moment (ms UTC)."""
    how, table = house.desk.how, house.watch.in_use.scorer.table
    view = told_before(stored, how, moment).view(moment + 1)
    values = dict(zip(table.names, table.one(view), strict=True))
    return Known(stored, moment, values, {r: view.text(c) is not None for r, c in how.roles.items()})


def judged(house: House, lead: Known, changed: Values, explain: bool = False) -> Answers:
    """The answer for a lead whose features have other values; what people said of it holds."""
    scorer, lead_id = house.watch.in_use.scorer, lead.stored.lead_id
    values = {**lead.values, **changed}
    roles = house.desk.how.roles
    columns = {f.column for name, f in scorer.table.attributes.items() if changed.get(name) is not None}
    answered = {role: told or roles[role] in columns for role, told in lead.answered.items()}
    moment = lead.moment + 1
    return scorer.one(
        lead_id,
        [values[name] for name in scorer.table.names],
        moment if house.desk.how.dated else None,
        answered,
        house.said.of(lead_id, moment),
        explain,
        house.said.done.of(lead_id, moment),
    )


def plain(answers: Answers, name: str) -> Value:
    """The value of a feature of the one lead that was judged."""
    column = answers.columns[name]
    told = column.plain()[0] if isinstance(column, Texts) else float(column[0])
    return None if told is None or told != told else told
