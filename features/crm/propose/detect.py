"""Detecting which table of an export plays which part in crm.toml."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from features.crm.profile import TableProfile
from features.crm.propose.detected import DetectedTables, JoinedDeals
from features.crm.propose.events import find_events
from features.crm.propose.links import Link, candidate_ids, find_deal_link, find_link, is_part_of
from features.crm.propose.outcomes import NamedOutcome, OutcomeColumn, find_outcomes
from features.crm.propose.recognised import RecognisedTable
from features.crm.propose.times import rank_created
from features.crm.propose.unused.codes import read_codes
from features.crm.propose.unused.repeats import check_one_row_each
from features.crm.propose.words import has_word
from features.errors import DataError, suggest_nearest
from features.messages import Message, MessageLines

_FEW_VALUES, _SEVERAL_DEALS, _MANY_DEALS = 30, 2.0, 5.0


class NoOutcomeError(DataError):
    """No column of the export looks like an outcome."""


@dataclass(frozen=True, kw_only=True)
class _Leads:
    """A table that may be that of the leads, with the tables that may be its deals."""

    table: RecognisedTable
    lead_id: str
    deals: list[JoinedDeals]
    score: float


def detect_tables(profiles: list[TableProfile], named: NamedOutcome | None) -> DetectedTables:
    """Detect the parts of the tables; `named` is the outcome if a person names it.

    Raises DataError if no column looks like an outcome.
    """
    tables, code_tables = read_codes([RecognisedTable.from_profile(profile) for profile in profiles])
    decided = _tables_with_outcome(tables, named)
    choices = sorted(_leads_choices(tables, decided), key=lambda leads: -leads.score)
    for leads in choices:
        chosen = _find_outcomes(leads, named)
        if chosen is not None:
            return _to_detected(tables, leads, *chosen, code_tables)
    raise _no_outcome(tables, named.column if named else None)


def _to_detected(
    tables: list[RecognisedTable],
    leads: _Leads,
    deals: JoinedDeals | None,
    outcomes: list[OutcomeColumn],
    code_tables: dict[str, Message],
) -> DetectedTables:
    check_one_row_each(leads.table, leads.lead_id)
    main_tables = [leads.table, *([deals.table] if deals else [])]
    others = [table for table in tables if all(table is not main for main in main_tables)]
    names = [{c.name for c in t.profile.columns} - {leads.lead_id} for t in main_tables]
    events = find_events(others, leads.table, leads.lead_id, set[str]().union(*names))
    return DetectedTables(
        leads=leads.table,
        lead_id=leads.lead_id,
        deals=deals,
        outcomes=outcomes,
        events=events,
        others=others,
        left_out=events.left_out,
        code_tables=code_tables,
    )


def _tables_with_outcome(tables: list[RecognisedTable], named: NamedOutcome | None) -> list[RecognisedTable]:
    """The tables that may hold the outcome; if there are none, those with a date of a close."""
    decided = [t for t in tables if find_outcomes(t.profile, t.recipe, named)]
    return decided or [t for t in tables if _close_dates(t)]


def _leads_choices(tables: list[RecognisedTable], decided: list[RecognisedTable]) -> Iterator[_Leads]:
    """Every table with or beside an outcome, with each of its ids; the more tables refer to it, the higher
    its score."""
    for table in tables:
        if table.recipe.part in ("activities", "changes") and len(tables) > 1:
            continue
        for lead_id in candidate_ids(table) or ["row"]:
            others = [source for source in tables if source is not table]
            deals = list(_joined_deals(table, lead_id, [d for d in decided if d is not table]))
            is_decided = any(table is d for d in decided)
            if not deals and not is_decided:
                continue
            pointing = sum(_points_to(source, table, lead_id) for source in others)
            reverse = sum(d.is_reverse and not _is_of_some(table, d.table, d.link) for d in deals)
            score = 10.0 * (pointing + reverse) + 3 * (table.recipe.part == "leads")
            score += (table.recipe.part == "deals") + 2 * has_word(table.name, "lead_table")
            score -= 20 * (has_word(table.name, "activity_table") and not has_word(table.name, "lead_table"))
            score -= 0.0 if is_decided else max((_excess(d) for d in deals), default=0.0)
            if lead_id != "row":
                score += has_word(lead_id, "id") + (table.profile.column(lead_id).kind == "text")
                score -= 20 * any(is_part_of(table.profile, lead_id, source.profile) for source in others)
            yield _Leads(table=table, lead_id=lead_id, deals=deals, score=score)


def _points_to(source: RecognisedTable, target: RecognisedTable, target_id: str) -> float:
    """The share of a table that refers to another one, other than as a lead to its deal."""
    link = find_link(source, target, target_id)
    if link is None:
        return 0.0
    back = find_deal_link(source, target, target_id) if target_id != "row" else None
    if back is None or source.recipe.part in ("activities", "changes"):
        return link.share
    column = source.profile.column(back.column)
    repeats = column.distinct < 0.95 * column.filled * column.rows or not candidate_ids(source)
    return link.share if repeats or _is_of_some(source, target, back) else 0.0


def _is_of_some(source: RecognisedTable, deals: RecognisedTable, link: Link) -> bool:
    """Whether each row names a deal, and not all deals have one: such as payments."""
    column = source.profile.column(link.column)
    return column.filled > 0.99 and column.distinct < 0.9 * len(deals.profile)


def _excess(deals: JoinedDeals) -> float:
    """What a table loses as that of the leads because its rows have many deals each, which are created on
    their own: it is one of accounts, of products or of the people who sell."""
    column = deals.table.profile.column(deals.link.column) if not deals.is_reverse else None
    if column is None or not rank_created(deals.table.profile, deals.table.recipe):
        return 0.0
    deals_each = column.filled * column.rows / max(1, column.distinct)
    return 40.0 if deals_each >= _MANY_DEALS else 20.0 if deals_each >= _SEVERAL_DEALS else 0.0


def _joined_deals(
    table: RecognisedTable, lead_id: str, others: list[RecognisedTable]
) -> Iterator[JoinedDeals]:
    """The tables that may hold the deals of these leads."""
    for deals in others:
        if deals.recipe.part in ("activities", "changes", "leads"):
            continue
        link = find_link(deals, table, lead_id)
        if link is not None:
            yield JoinedDeals(table=deals, link=link)
            continue
        for deal_id in candidate_ids(deals):
            back = find_deal_link(table, deals, deal_id)
            if back is not None:
                yield JoinedDeals(table=deals, link=back, is_reverse=True, deal_id=deal_id)
                break


def _find_outcomes(
    leads: _Leads, named: NamedOutcome | None
) -> tuple[JoinedDeals | None, list[OutcomeColumn]] | None:
    """The deals with the outcome (None: the leads' table holds it), and the candidates for its column."""
    of_leads = find_outcomes(leads.table.profile, leads.table.recipe, named)
    is_sure = bool(of_leads) and bool(of_leads[0].lost) and of_leads[0].kind in ("words", "flags")
    if of_leads and (is_sure or not leads.deals):
        return None, of_leads
    of_deals = [(d, find_outcomes(d.table.profile, d.table.recipe, named)) for d in leads.deals]
    decided = [(deals, outcomes) for deals, outcomes in of_deals if outcomes]
    if decided:
        return max(decided, key=lambda pair: pair[1][0].score + _score_deals(pair[0]))
    if of_leads:
        return None, of_leads
    wins = _table_of_wins(leads) if named is None else None
    return (wins, []) if wins else None


def _score_deals(deals: JoinedDeals) -> float:
    """How well a table fits as that of the deals: a log of stages holds an outcome as well."""
    table, link = deals.table, deals.link
    is_deals = table.recipe.part == "deals" or has_word(table.name, "deal_table")
    key = None if deals.is_reverse else table.profile.column(link.column)
    is_log = key is not None and key.distinct < 0.5 * key.rows
    return link.share + is_deals + 0.5 * bool(_close_dates(table)) - is_log


def _table_of_wins(leads: _Leads) -> JoinedDeals | None:
    """A table with a date of the close and at most one row per lead, taken as that of the won deals."""
    for deals in leads.deals:
        if (
            _close_dates(deals.table)
            and not deals.is_reverse
            and deals.table.profile.column(deals.link.column).unique
        ):
            return deals
    return None


def _close_dates(table: RecognisedTable) -> list[str]:
    times = [c.name for c in table.profile.columns if c.kind == "time"]
    return [name for name in times if has_word(name, "closed") and not has_word(name, "planned")]


def _no_outcome(tables: list[RecognisedTable], outcome: str | None) -> DataError:
    names = [c.name for t in tables for c in t.profile.columns]
    if outcome is not None and outcome in names:
        return _no_won_value(tables, outcome)
    if outcome is not None:
        return DataError(
            "--outcome: there is no column {column!r}; {nearest}.",
            column=outcome,
            nearest=suggest_nearest(outcome, names),
        )
    candidates = _describe_candidates(tables)
    problem = Message(
        "No column looks like an outcome (won or lost). Name it with --outcome COLUMN. Columns: {names}",
        names=", ".join(names)[:600],
    )
    choices = Message(
        "Columns with few values, one of which may be the outcome: {candidates}.", candidates=candidates
    )
    advice = Message(
        "Where its values are no words for won and lost, add --won VALUE and --lost VALUE. A file of open "
        "leads only, of totals or of invoices teaches nothing: export closed leads or deals, each with how "
        "it ended."
    )
    lines = (problem, choices, advice) if candidates else (problem, advice)
    return NoOutcomeError("{lines}", lines=MessageLines(lines))


def _describe_candidates(tables: list[RecognisedTable]) -> list[Message]:
    """The columns with few values, with some of these: one of them may be the outcome."""
    shown = [
        Message(
            "{column} ({values} …)" if c.distinct > 4 else "{column} ({values})",
            column=c.name,
            values=c.common[:4],
        )
        for t in tables
        for c in t.profile.columns
        if c.kind in ("text", "number") and 2 <= c.distinct <= _FEW_VALUES
    ]
    return shown[:12]


def _no_won_value(tables: list[RecognisedTable], outcome: str) -> DataError:
    """The error for a named column: it has no value that means won, or its table is not joined."""
    profile = next(t.profile for t in tables if any(c.name == outcome for c in t.profile.columns))
    if any(find_outcomes(t.profile, t.recipe, NamedOutcome(outcome)) for t in tables):
        return DataError(
            "--outcome: the table with {outcome!r} has no column with the ids of the leads. Name it with "
            "--outcome COLUMN of another table, or export the ids as well.",
            outcome=outcome,
        )
    values = ", ".join(profile.column(outcome).common[:12])
    return DataError(
        "{outcome}: no value looks like won. Values: {values}. Add --won VALUE and --lost VALUE (each "
        "may be repeated; all other values are open), or name another column with --outcome.",
        outcome=outcome,
        values=values,
    )
