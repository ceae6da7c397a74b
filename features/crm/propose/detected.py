"""The tables of an export by their part in crm.toml, and the columns that follow from them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from features.clock import NEVER
from features.columns import Bools
from features.crm.profile import ColumnProfile, TableProfile
from features.crm.propose.end_states import settle_end_states
from features.crm.propose.events import EventTables
from features.crm.propose.links import Link, candidate_ids, find_referred
from features.crm.propose.no_features import NoFeature, why_no_feature
from features.crm.propose.outcomes import OutcomeColumn, find_flags, is_in
from features.crm.propose.parts import find_account, find_amount, find_channel
from features.crm.propose.recognised import RecognisedTable
from features.crm.propose.times import CloseColumns, find_close, is_one_moment, rank_created, rises_in_time
from features.crm.propose.words import Meaning, has_word
from features.messages import Message, abridge
from features.settings import MAX_REJECT_SHARE

_MOST_VALUES, _FEW_DEALS, _SHOWN_FILES = 60, 0.2, 10


@dataclass(frozen=True, kw_only=True)
class JoinedDeals:
    """The table of the deals, joined by `link`: a column of the deals with ids of leads, or (`is_reverse`)
    a column of the leads with ids of deals, which are those of the column `deal_id`."""

    table: RecognisedTable
    link: Link
    is_reverse: bool = False
    deal_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class DetectedTables:
    """The tables by their part in crm.toml.

    `deals` is None if the outcome stands in the leads' table, `outcomes` has the candidates, the best
    first, and is empty if every deal is won. `others` are all tables but these two, `left_out`
    names the tables that are not used, with the reason, `code_tables` those that name the values of a column.
    """

    leads: RecognisedTable
    lead_id: str
    deals: JoinedDeals | None
    outcomes: list[OutcomeColumn]
    events: EventTables
    others: list[RecognisedTable]
    left_out: dict[str, Message]
    code_tables: dict[str, Message]

    @property
    def tables(self) -> list[RecognisedTable]:
        deals = [self.deals.table] if self.deals else []
        return [self.leads, *deals, *(event.table for event in self.events.all)]

    @property
    def profiles(self) -> list[TableProfile]:
        return [table.profile for table in self.tables]

    @property
    def outcome_table(self) -> RecognisedTable:
        return self.deals.table if self.deals else self.leads

    @cached_property
    def outcome(self) -> OutcomeColumn | None:
        """The best candidate. Of yes and no, rows without a date of the close are open, not lost."""
        if not self.outcomes:
            return None
        first, table = self.outcomes[0], self.outcome_table.profile
        close = self._find_close(first)
        if first.kind == "flag" and not first.open_where:
            return _settle_flag(first, table, close)
        newest = self.leads.profile.times(self.created_at) if self.created_at else np.array([NEVER])
        return settle_end_states(first, table, close, int(newest[newest != NEVER].max(initial=0)))

    @cached_property
    def won_and_lost(self) -> tuple[Bools, Bools]:
        """The won and the lost rows of the table with the outcome."""
        return self._decide(self.outcome)

    def _decide(self, outcome: OutcomeColumn | None) -> tuple[Bools, Bools]:
        table = self.outcome_table.profile
        if outcome is None:
            return np.ones(len(table), dtype=bool), np.zeros(len(table), dtype=bool)
        return outcome.decide(table)

    @cached_property
    def created_candidates(self) -> list[str]:
        """The dates that may be the creation, the best first; those after most closes come last."""
        ranked = rank_created(self.leads.profile, self.leads.recipe)
        if self.deals or len(ranked) < 2:
            return ranked
        late = [name for name in ranked if self.share_closed_before(name) > 0.5]
        return [*(name for name in ranked if name not in late), *late]

    def _is_named_created(self, name: str) -> bool:
        listed = self.leads.recipe.columns("created", self.leads.profile)
        return name in listed or has_word(name, "created")

    @property
    def created_at(self) -> str | None:
        return next(iter(self.created_candidates), None)

    def share_closed_before(self, created: str) -> float:
        """The share of the closed leads that were closed before that date."""
        first = self.outcomes[0] if self.outcomes else None
        won, lost = self._decide(first)
        table = self.outcome_table
        close = find_close(table.profile, table.recipe, won, lost, None, {created})
        if self.deals or close is None or not (won | lost).any():
            return 0.0
        early = table.profile.times(close.closed_at) < self.leads.profile.times(created)
        return float(early[won | lost].mean())

    @cached_property
    def order(self) -> str | None:
        """For leads without a date: a number that rises with time or the rows, another date, or "file"."""
        if self.created_at:
            return None
        profile = self.leads.profile
        columns = profile.columns
        unique = [c.name for c in columns if c.unique and c.kind == "number" and c.name != self.amount]
        numbered = [name for name in unique if rises_in_time(profile, name)]
        dates = [c for c in columns if c.kind == "time" and c.filled > 0.99]
        readable = [c.name for c in dates if not (c.times and c.times.is_mixed)]
        named = [name for name in numbered if has_word(name, "id")]
        return next(iter((*named, *readable, *numbered)), "file")

    @cached_property
    def close(self) -> CloseColumns | None:
        return self._find_close(self.outcome)

    def _find_close(self, outcome: OutcomeColumn | None) -> CloseColumns | None:
        if not self.created_at:
            return None
        table = self.outcome_table
        created = None if self.deals else self.leads.profile.times(self.created_at)
        skipped = set() if self.deals else {self.created_at}
        close = find_close(table.profile, table.recipe, *self._decide(outcome), created, skipped)
        return close or self._close_of_log()

    def _close_of_log(self) -> CloseColumns | None:
        """For a log of states, with several rows a lead and one time: that time."""
        if self.deals is None or self.deals.is_reverse or candidate_ids(self.deals.table):
            return None
        profile = self.deals.table.profile
        times = [c for c in profile.columns if c.kind == "time"]
        key = profile.column(self.deals.link.column)
        repeats = key.distinct < 0.9 * key.rows
        is_log = repeats and len(times) == 1 and times[0].filled > 0.99
        return CloseColumns(times[0].name) if is_log and not has_word(times[0].name, "planned") else None

    @cached_property
    def amount(self) -> str | None:
        return find_amount(self.outcome_table.profile, self.outcome_table.recipe)

    @cached_property
    def account(self) -> str | None:
        won = None if self.deals else self.won_and_lost[0]
        return find_account(self.leads.profile, self.leads.recipe, self.lead_id, won)

    @cached_property
    def channel(self) -> str | None:
        return find_channel(self.leads.profile, self.leads.recipe)

    @cached_property
    def columns_with_history(self) -> frozenset[str]:
        return frozenset(self.events.changed_columns)

    def attributes(self) -> Iterator[tuple[ColumnProfile, NoFeature | None]]:
        """The columns of the leads' table that may be features, and the others with the reason."""
        parts = {self.lead_id, self.order, self.created_at, self.account}
        parts |= {self.deals.link.column} if self.deals and self.deals.is_reverse else set()
        parts |= {*self.leads.deleted, *self.lost_leads}
        for column in self.leads.profile.columns:
            if column.name in parts or column.kind == "empty":
                continue
            if column.name in self.columns_with_history:
                yield column, None
            elif column.name not in self._outcome_columns:
                profile, recipe = self.leads.profile, self.leads.recipe
                yield column, why_no_feature(column, profile, recipe, self._result_columns, self.has_deal)

    @cached_property
    def has_deal(self) -> Bools | None:
        """Which leads have a deal in another table; None if there is none."""
        if self.deals is None:
            return None
        leads, deals, link = self.leads.profile, self.deals.table.profile, self.deals.link
        if self.deals.is_reverse:
            return np.asarray(leads.texts(link.column).is_valid().to_numpy(), dtype=bool)
        return find_referred(deals, link, leads.texts(self.lead_id).combine_chunks())

    @cached_property
    def _outcome_columns(self) -> set[str]:
        """The columns of the leads' table that state the outcome and its date."""
        if self.deals or not self.outcome:
            return set()
        close = {self.close.closed_at, self.close.lost_at} if self.close else set()
        return {
            self.outcome.name,
            *self.outcome.open_where,
            *self.outcome.lost_where,
            *(c for c in close if c),
        }

    @cached_property
    def _result_columns(self) -> set[str]:
        """Further columns of the leads' table that tell the outcome."""
        flags = find_flags(self.leads.profile, self.leads.recipe).names
        return {*flags, *(o.name for o in self.outcomes if not self.deals)}

    @cached_property
    def lost_leads(self) -> dict[str, tuple[str, ...]]:
        """The values of a status of the leads that mean lost, where the deals stand in another table."""
        return self._values_without_deal("lost")

    @cached_property
    def skipped_leads(self) -> dict[str, tuple[str, ...]]:
        """The values that mark leads to leave out: deleted ones, duplicates or tests without a deal, and
        those without a date of creation if they are many."""
        undated = {self.created_at: ("",)} if self.created_at and self._has_many_undated else {}
        return {**self.leads.deleted, **self._values_without_deal("neither"), **undated}

    @property
    def _has_many_undated(self) -> bool:
        """Whether more leads have no date of creation than a run allows to be left out."""
        has_no_date = self.leads.profile.times(str(self.created_at)) == NEVER
        return bool(has_no_date.mean() > MAX_REJECT_SHARE)

    def _values_without_deal(self, meaning: Meaning) -> dict[str, tuple[str, ...]]:
        if self.deals is None or self.has_deal is None:
            return {}
        profile, recipe = self.leads.profile, self.leads.recipe
        listed = recipe.columns("outcome", profile)
        for column in profile.columns:
            is_status = column.name in listed or has_word(column.name, "outcome")
            if is_status and column.kind == "text" and column.distinct <= _MOST_VALUES:
                values = [v for v in profile.counts(column.name) if recipe.meaning(v) == meaning]
                rows = is_in(profile, column.name, tuple(values))
                if values and self.has_deal[rows].mean() < _FEW_DEALS:
                    return {column.name: tuple(values)}
        return {}

    def _why_no_close(self) -> Message:
        table, (won, lost) = self.outcome_table, self.won_and_lost
        if not lost.any() and not self.lost_leads:
            return Message(
                "No value means lost, and no date tells when leads were won, so there is nothing to learn "
                "from yet; export the date of the win or the lost leads"
            )
        for column in table.profile.columns:
            is_close = has_word(column.name, "closed") and not has_word(column.name, "planned")
            if column.kind == "time" and is_close and column.name != self.created_at:
                has_time = table.profile.times(column.name) != NEVER
                return Message(
                    "{column} has a date for {won:.0%} of the won and {lost:.0%} of the lost deals, so no "
                    "date of the close is read and wins count whenever they came; export the date for all "
                    "won deals",
                    column=column.name,
                    won=float(has_time[won].mean()),
                    lost=float(has_time[lost].mean()) if lost.any() else 0.0,
                )
        return Message(
            "No column is the date of the close, so wins count whenever they came; add [deals] closed_at if "
            "the export can hold it"
        )

    @cached_property
    def links(self) -> list[tuple[RecognisedTable, Link]]:
        """The tables that name their leads, with the link."""
        deals = [(self.deals.table, self.deals.link)] if self.deals and not self.deals.is_reverse else []
        return [*deals, *((event.table, event.link) for event in self.events.all)]

    @property
    def recognised_tables(self) -> list[Message]:
        """One sentence for each table that is a standard export of a CRM."""
        return [
            Message("{file}: recognised as {recipe}.", file=t.file, recipe=t.recipe.title)
            for t in self.tables
            if t.recipe.crm
        ]

    @property
    def unused_tables(self) -> list[Message]:
        """One sentence for each reason why tables are not used."""
        files: dict[Message, list[str]] = {}
        for file, reason in self.left_out.items():
            files.setdefault(reason, []).append(file)
        return [
            Message("Not used: {files}: {reason}.", files=abridge(names, _SHOWN_FILES), reason=reason)
            for reason, names in files.items()
        ]

    @cached_property
    def remarks(self) -> list[Message]:
        """What a person should know about the dates and the tables, one sentence each."""
        sentences = [*self.code_tables.values()]
        if self.created_at and is_one_moment(self.leads.profile, self.created_at):
            sentences.append(
                Message(
                    "{column}: most leads have one and the same moment there, that of an import; if "
                    "the export can hold their true creation, name that column in created_at",
                    column=self.created_at,
                )
            )
        if self.close is None and self.created_at:
            sentences.append(self._why_no_close())
        won, lost = self.won_and_lost
        if self.outcome and won.any() and not lost.any() and not self.lost_leads:
            sentences.append(
                Message(
                    "No deal is lost. Many CRMs leave lost or archived records out of an export; include "
                    "them if there are any"
                )
            )
        sentences += self._remarks_on_creation()
        for table, link in self.links:
            if link.share < 0.99:
                sentences.append(
                    Message(
                        "{file}: {share:.0%} of its {column} are no ids of {leads}; these rows are left out",
                        file=table.file,
                        share=1 - link.share,
                        column=link.column,
                        leads=self.leads.file,
                    )
                )
        if self.created_at is None:
            sentences.append(
                Message(
                    "No date is that of a lead's creation (known for every lead, and none earlier), so the "
                    "model has no dates. If the export can hold that date, add [leads] created_at"
                )
            )
        return sentences

    def _remarks_on_creation(self) -> Iterator[Message]:
        """Dates of creation after the close, and a date that is taken though its name does not say so."""
        for name in self.created_candidates:
            early = self.share_closed_before(name)
            if early > 0.2:
                advice = (
                    Message("name another column in created_at")
                    if name == self.created_at
                    else Message("{column} is taken", column=self.created_at)
                )
                yield Message(
                    "{share:.0%} of the closed leads were closed before {column}, perhaps the day of a "
                    "migration; {advice}",
                    share=early,
                    column=name,
                    advice=advice,
                )
        if self.created_at and not self._is_named_created(self.created_at):
            yield Message(
                "{column} is taken for the creation, because (nearly) every lead has it and no other date is "
                "earlier; if it is the date of the close or of an update, take it out of created_at",
                column=self.created_at,
            )


def _settle_flag(outcome: OutcomeColumn, table: TableProfile, close: CloseColumns | None) -> OutcomeColumn:
    if close is None:
        remark = Message(
            "{values} counts as lost: no column tells the leads that are still open from the lost ones",
            values=outcome.lost,
        )
        return replace(outcome, remarks=(*outcome.remarks, remark))
    _, lost = outcome.decide(table)
    is_dated = table.texts(close.closed_at).is_valid().to_numpy().astype(bool)
    share = float(is_dated[lost].mean()) if lost.any() else 1.0
    if share >= 0.95:
        return outcome
    if share <= 0.02:
        remark = Message(
            "{values} says only that a lead is not won, so it counts as open", values=outcome.lost
        )
        return replace(outcome, lost=(), ignore=outcome.lost, remarks=(*outcome.remarks, remark))
    remark = Message("a lead without a date in {column} is open", column=close.closed_at)
    return replace(outcome, open_where={close.closed_at: ("",)}, remarks=(*outcome.remarks, remark))
