"""Writing the proposed crm.toml, with comments for the person who reviews it."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest

import tomlkit
from tomlkit.items import AoT, InlineTable, Table

from features.crm.findings import Finding
from features.crm.profile import ColumnProfile
from features.crm.propose.derived import propose_derived
from features.crm.propose.detected import DetectedTables
from features.crm.propose.events import EventTable, EventTables
from features.crm.propose.formats import add_formats, add_unread_dates
from features.crm.propose.outcomes import OutcomeColumn
from features.crm.propose.parts import find_missing_words, is_number_feature
from features.crm.propose.recognised import RecognisedTable
from features.crm.propose.times import Horizon
from features.crm.propose.zone import propose_zone
from features.crm.table_settings import Source
from features.kinds import Language
from features.messages import Message, sentence

_MAX_TYPES, _LINE = 20, 100
_HEADER = Message(
    "How Hotlead reads this export. Proposed by `hotlead init`: read it through, above all the lines that "
    "are commented out. `hotlead check` says what would make a model lie."
)


@dataclass(frozen=True)
class Draft:
    """What a first reading of the proposal shows: the horizon, features of `suspects` (findings by column)
    to comment out, for tables of which many rows are unusable the share that is, and whether the leads are
    enough to find suspects among them."""

    horizon: Horizon
    suspects: Mapping[str, Finding] = field(default_factory=dict)
    reject_shares: Mapping[str, float] = field(default_factory=dict)
    is_audited: bool = True


def write_crm_toml(detected: DetectedTables, draft: Draft, lang: Language = "en") -> str:
    """The text of a crm.toml, with comments in `lang`."""
    document = tomlkit.document()
    for message in (_HEADER, *_describe_tables(detected)):
        for line in _wrap(message.text(lang)):
            document.add(tomlkit.comment(line))
    sections = {
        "crm": _crm_table(detected, lang),
        "leads": _leads_table(detected, lang),
        "deals": _deals_table(detected, lang),
        "activities": _activities_tables(detected, lang),
        "changes": _changes_table(detected, lang),
        "target": _target_table(detected, draft.horizon, lang),
        "segments": _segments_table(detected),
        "features": _features_table(detected, draft, lang),
    }
    for name, table in sections.items():
        if table is not None:
            if name in draft.reject_shares:
                first = table[0] if isinstance(table, AoT) else table
                _add_reject_share(first, draft.reject_shares[name], lang)
            document.add(tomlkit.nl())
            document.add(name, table)
    return tomlkit.dumps(document)


def _describe_tables(detected: DetectedTables) -> list[Message]:
    """Comments: the recipes that fit, the tables that are not used, and what is unusual."""
    return [*detected.recognised_tables, *detected.unused_tables, *map(sentence, detected.remarks)]


def _wrap(text: str) -> list[str]:
    """The lines of a comment; Japanese has no spaces, so it breaks after its full stops."""
    sentences = re.findall("[^。]+。?", " ".join(text.split()))
    wrapped = (textwrap.wrap(s, _LINE, break_long_words=False, break_on_hyphens=False) for s in sentences)
    return [line for lines in wrapped for line in lines]


def _add_comment(table: Table, text: str) -> None:
    for line in _wrap(text):
        table.add(tomlkit.comment(line))


def _explain(table: Table, key: str, message: Message, lang: Language) -> None:
    """Add a comment behind the value of a key."""
    table[key].comment(" ".join(message.text(lang).split()))


def _add_reject_share(table: Table, share: float, lang: Language) -> None:
    table.add("max_reject_share", share)
    reason = Message("rows of other records than the leads are left out")
    _explain(table, "max_reject_share", reason, lang)


def _add_others(table: Table, key: str, others: Iterable[str], lang: Language) -> None:
    """Further candidates for a key, as comments."""
    remark = Message("also possible").text(lang)
    for candidate in others:
        table.add(tomlkit.comment(f"{tomlkit.dumps({key: candidate}).strip()}  # {remark}"))


def _crm_table(detected: DetectedTables, lang: Language) -> Table:
    table = tomlkit.table()
    table.add("name", detected.leads.name)
    zone = propose_zone(detected.profiles)
    table.add("time_zone", zone.name)
    meaning = Message(
        'the zone of times without an offset, such as "Asia/Tokyo"; {reason}', reason=zone.reason
    )
    _explain(table, "time_zone", meaning, lang)
    if detected.order:
        table.add("order", detected.order)
        if detected.order == "file":
            question = Message('oldest first? If the order means nothing, say "none"')
            _explain(table, "order", question, lang)
    table.add("missing", find_missing_words(detected.profiles))
    _explain(table, "missing", Message("values that mean: nothing is known"), lang)
    return table


def _source_table(recognised: RecognisedTable, lang: Language) -> Table:
    source, table = recognised.profile.source, tomlkit.table()
    table.add("source", source.source)
    if source.table:
        table.add("table", source.table)
    defaults = Source(source="-").file_format
    for key, value in source.file_format.items():
        if value != defaults[key]:
            table.add(key, list(value) if isinstance(value, tuple) else value)
            if key in recognised.profile.comments:
                _explain(table, key, recognised.profile.comments[key], lang)
    return table


def _add_skipped(table: Table, values: Mapping[str, Iterable[str]], lang: Language) -> None:
    if values:
        table.add("skip_where", _inline_lists(values))
        reason = Message("rows that are deleted, merged, without a date or no records")
        _explain(table, "skip_where", reason, lang)


def _leads_table(detected: DetectedTables, lang: Language) -> Table:
    table = _source_table(detected.leads, lang)
    table.add("id", detected.lead_id)
    if detected.created_at:
        table.add("created_at", detected.created_at)
        _add_others(table, "created_at", detected.created_candidates[1:4], lang)
    if detected.account:
        table.add("account", detected.account)
        _explain(table, "account", Message("leads of one account stay together in every split"), lang)
    if detected.deals and detected.deals.is_reverse:
        table.add("deal", detected.deals.link.column)
        _explain(table, "deal", Message("the id of the lead's deal"), lang)
    if detected.lost_leads:
        table.add("lost_where", _inline_lists(detected.lost_leads))
        _explain(table, "lost_where", Message("lost without a deal"), lang)
    _add_skipped(table, detected.skipped_leads, lang)
    numbers = (column.name for column, _ in detected.attributes() if is_number_feature(column))
    of_deals = [] if detected.deals else _deal_columns(detected)
    names = [detected.created_at, detected.order, *of_deals, *numbers]
    if not detected.created_at:
        add_unread_dates(table, "leads", detected.leads.profile, lang)
    add_formats(table, "leads", _profiles(detected.leads, names), lang)
    return table


def _deals_table(detected: DetectedTables, lang: Language) -> Table:
    deals = detected.deals
    table = _source_table(deals.table, lang) if deals else tomlkit.table()
    if deals and deals.is_reverse:
        table.add("id", deals.deal_id)
    elif deals:
        table.add("lead", deals.link.column)
        if deals.link.separator:
            table.add("lead_separator", deals.link.separator)
            _explain(table, "lead_separator", Message("a deal of several leads: each of them has it"), lang)
    if detected.outcome:
        _add_outcome(table, detected.outcome, lang)
        _add_others(table, "outcome", (o.name for o in detected.outcomes[1:4]), lang)
    else:
        remark = Message("Without an outcome column every row counts as a won deal.")
        table.add(tomlkit.comment(remark.text(lang)))
    _add_close(table, detected, lang)
    if detected.amount:
        table.add("amount", detected.amount)
    if deals:
        _add_skipped(table, deals.table.deleted, lang)
        add_formats(table, "deals", _profiles(deals.table, _deal_columns(detected)), lang)
    return table


def _deal_columns(detected: DetectedTables) -> list[str | None]:
    closed = [detected.close.closed_at, detected.close.lost_at] if detected.close else []
    return [*closed, detected.amount]


def _profiles(table: RecognisedTable, names: Iterable[str | None]) -> list[ColumnProfile | None]:
    """The profiles of those columns that are known."""
    wanted = list(names)
    return [c for name in wanted for c in table.profile.columns if c.name == name]


def _add_outcome(table: Table, outcome: OutcomeColumn, lang: Language) -> None:
    for remark in outcome.remarks:
        _add_comment(table, sentence(remark).text(lang))
    table.add("outcome", outcome.name)
    table.add("won", list(outcome.won))
    table.add("lost", list(outcome.lost))
    if outcome.ignore:
        table.add("ignore", list(outcome.ignore))
        _explain(table, "ignore", Message("neither won nor lost: still open"), lang)
    if outcome.leave_out:
        table.add("leave_out", list(outcome.leave_out))
        advice = Message("left out of all; move each to won, lost or ignore if it is one of them")
        _explain(table, "leave_out", advice, lang)
    for key, conditions in (("open_where", outcome.open_where), ("lost_where", outcome.lost_where)):
        if conditions:
            table.add(key, _inline_lists(conditions))


def _add_close(table: Table, detected: DetectedTables, lang: Language) -> None:
    close = detected.close
    if close is None:
        return
    for remark in close.remarks:
        _add_comment(table, sentence(remark).text(lang))
    table.add("closed_at", close.closed_at)
    _add_others(table, "closed_at", close.others[:3], lang)
    if close.lost_at:
        table.add("lost_at", close.lost_at)
    if close.undated_lost:
        table.add("undated_lost", True)


def _activities_tables(detected: DetectedTables, lang: Language) -> Table | AoT | None:
    """[activities], or [[activities]] for several tables."""
    events = detected.events
    if not events.activities or not detected.created_at:
        return None
    tables = [_activities_table(detected, event, lang) for event in events.activities]
    return tables[0] if len(tables) == 1 else _as_array(tables)


def _as_array(tables: Iterable[Table]) -> AoT:
    array = tomlkit.aot()
    for table in tables:
        array.append(table)
    return array


def _activities_table(detected: DetectedTables, event: EventTable, lang: Language) -> Table:
    table = _source_table(event.table, lang)
    table.add("lead", event.link.column)
    if event.link.separator:
        table.add("lead_separator", event.link.separator)
    table.add("at", event.time)
    if event.type:
        table.add("type", event.type)
    elif (name := detected.events.type_name(event)) != "activity":
        table.add("type_name", name)
    if event.value:
        table.add("value", event.value)
    _add_skipped(table, event.table.deleted, lang)
    add_formats(table, "activities", _profiles(event.table, [event.time, event.value]), lang)
    return table


def _changes_table(detected: DetectedTables, lang: Language) -> Table | None:
    event = detected.events.changes
    if not event or not detected.created_at:
        return None
    table = _source_table(event.table, lang)
    table.add("lead", event.link.column)
    if event.changed:
        table.add("column", event.changed[0])
        table.add("value", event.changed[1])
    else:
        table.add("columns", list(event.history))
    table.add("at", event.time)
    _add_skipped(table, event.table.deleted, lang)
    add_formats(table, "changes", _profiles(event.table, [event.time]), lang)
    return table


def _target_table(detected: DetectedTables, horizon: Horizon, lang: Language) -> Table | None:
    if not detected.close:
        return None
    table = tomlkit.table()
    table.add("horizon_days", horizon.days)
    _explain(table, "horizon_days", horizon.reason, lang)
    return table


def _segments_table(detected: DetectedTables) -> Table | None:
    if not detected.channel:
        return None
    table = tomlkit.table()
    table.add("channel", detected.channel)
    return table


def _features_table(detected: DetectedTables, draft: Draft, lang: Language) -> Table:
    table, names, suspects = tomlkit.table(), set[str](), draft.suspects
    for column, no_feature in detected.attributes():
        if draft.is_audited and no_feature and no_feature.is_for_the_audit:
            no_feature = None
        derived = propose_derived(column, detected.leads.profile, no_feature, column.name in suspects)
        for proposal in derived:
            _add_comment(table, proposal.describe(column.name).text(lang))
            name = _feature_name(f"{column.name}{proposal.suffix}", names)
            proposal.add_to(table, name, column.name, str(_attribute(column, detected)["known"]))
        if any(proposal.is_all for proposal in derived):
            continue
        if no_feature and not no_feature.can_be:
            _add_comment(table, no_feature.describe().text(lang))
            continue
        name, feature = _feature_name(column.name, names), _attribute(column, detected)
        suspect = suspects.get(column.name) if feature["known"] != "history" else None
        reason = suspect.text(lang) if suspect else None
        if no_feature:
            reason = no_feature.describe().text(lang)
        if reason:
            table.add(tomlkit.comment(" ".join(reason.split())))
            table.add(tomlkit.comment(tomlkit.dumps({name: feature}).strip()))
        else:
            table.add(name, feature)
    for name, feature in _behaviour_features(detected, names):
        table.add(name, feature)
    return table


def _attribute(column: ColumnProfile, detected: DetectedTables) -> InlineTable:
    known_kind = "today" if detected.created_at else "at_creation"
    if column.name in detected.columns_with_history:
        known_kind = "history"
    values = {"values": "number"} if is_number_feature(column) else {}
    return _inline(kind="attribute", column=column.name, **values, known=known_kind)


def _behaviour_features(detected: DetectedTables, names: set[str]) -> list[tuple[str, InlineTable]]:
    """The age of a lead, and counts of its activities."""
    if not detected.created_at:
        return []
    features = [(_feature_name("age", names), _inline(kind="age"))]
    if not detected.events.activities:
        return features
    for value in _activity_types(detected.events):
        count, since = (_feature_name(f"{value}{suffix}", names) for suffix in ("_30d", "_days_since"))
        features.append((count, _inline(kind="count", activity=value, days=30)))
        features.append((since, _inline(kind="days_since", activity=value)))
    features.append((_feature_name("activities_7d", names), _inline(kind="count", activity="*", days=7)))
    features.append((_feature_name("kinds_30d", names), _inline(kind="distinct", days=30)))
    return features


def _activity_types(events: EventTables) -> tuple[str, ...]:
    """The types of all tables in turn, the most common ones of each first."""
    types = [
        event.table.profile.column(event.type).common if event.type else (events.type_name(event),)
        for event in events.activities
    ]
    return tuple(dict.fromkeys(t for common in zip_longest(*types) for t in common if t))[:_MAX_TYPES]


def _inline_lists(values: Mapping[str, Iterable[str]]) -> InlineTable:
    table = tomlkit.inline_table()
    table.update({name: list(items) for name, items in values.items()})
    return table


def _inline(**values: str | int) -> InlineTable:
    table = tomlkit.inline_table()
    table.update(values)
    return table


def _feature_name(column: str, taken: set[str]) -> str:
    """An unused name for a feature, which is then taken; in lower case with underscores if it is ASCII."""
    plain = re.sub(r"[^0-9a-z]+", "_", column.lower()).strip("_")
    name = plain if re.search("[a-z]", plain) and column.isascii() else column
    while name in taken:
        name = f"{name}_"
    taken.add(name)
    return name
