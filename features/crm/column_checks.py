"""Checks of single columns: those that are written after the outcome, and those that teach nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.columns import Column, Ints, Texts, take
from features.crm.findings import Finding
from features.crm.hindsight.audited import AuditedColumn, ComparedLeads, DecidedLeads
from features.crm.hindsight.checks import find_outcome_values, find_tells_open
from features.crm.hindsight.close_times import find_changes_at_close, find_close_dates, find_time_to_close
from features.crm.hindsight.events import list_events
from features.crm.hindsight.fill_checks import find_filled_after_event, find_filled_at_close
from features.crm.hindsight.moving import find_moving_value
from features.crm.hindsight.names import find_named_like_a_summary
from features.crm.hindsight.slices import find_perfect_since
from features.crm.load import Loaded
from features.crm.parsing import are_numbers, as_numbers, encode_column

_ALMOST_PERFECT, _CERTAIN = 0.9, 0.95
_HONEST_FILL = 3.0
"""By how much the odds of being filled may differ between buyers and others without a suspicion."""
_TEXT_LENGTH = 80
"""As much of a text as tells it from others; free texts of all leads would fill the memory."""


def check_columns(loaded: Loaded) -> Iterator[Finding]:
    """At most one finding per column. Without enough wins and losses nothing can be found."""
    decided = DecidedLeads.from_crm(loaded.crm)
    if not decided.are_enough:
        return
    columns_in_use = used_columns(loaded)
    compared, events = ComparedLeads.from_crm(loaded.crm), list_events(loaded.crm)
    for name, raw, lead_rows in _columns(loaded):
        column = _parse_column(raw, loaded, name)
        place = decided.lead if lead_rows is None else lead_rows[decided.lead]
        audited = AuditedColumn(
            name=name,
            raw=raw,
            place=place,
            values=take(column, place),
            decided=decided,
            compared=compared,
            # Open leads have no row in a table of closed deals.
            values_of_all=take(column, compared.lead if lead_rows is None else compared.lead[:0]),
            events=events,
            loaded=loaded,
            is_of_deals=lead_rows is not None,
        )
        finding = _check_column(audited)
        if finding is not None:
            yield replace(finding, column=name, is_used=name in columns_in_use)


def used_columns(loaded: Loaded) -> set[str]:
    """The columns of the leads' table that features use."""
    return {use.column for use in loaded.settings.table.column_uses if use.availability != "history"}


def _columns(loaded: Loaded) -> Iterator[tuple[str, pa.ChunkedArray, Ints | None]]:
    """The columns of the leads' table (rows None), and those of a separate deals' table.

    `rows` holds the row of each lead's first deal, -1 for leads without one.
    """
    skipped = _key_columns(loaded) | _columns_with_history(loaded)
    for name in loaded.leads.column_names:
        if name not in skipped:
            yield name, loaded.leads[name], None
    deals = loaded.settings.deals
    if deals is None or not deals.source:
        return
    first = np.full(len(loaded.crm), -1, dtype=np.int64)
    first[loaded.deal_leads[::-1]] = np.arange(len(loaded.deal_leads))[::-1]
    for name in loaded.deals.column_names:
        if name not in skipped:
            yield name, loaded.deals[name], first


def _key_columns(loaded: Loaded) -> set[str | None]:
    """Columns that identify a row or state its outcome."""
    leads, deals = loaded.settings.leads, loaded.settings.deals
    lead_columns = {leads.id, leads.created_at, leads.account, leads.deal, loaded.settings.order}
    lead_columns |= {*leads.skip_where, *leads.lost_where}
    if deals is None:
        return lead_columns
    deal_columns = {deals.lead, deals.id, deals.outcome, deals.closed_at, deals.lost_at}
    return lead_columns | deal_columns | {*deals.open_where, *deals.lost_where, *deals.skip_where}


def _columns_with_history(loaded: Loaded) -> set[str | None]:
    """Columns of which features see the history only, not the value of today."""
    uses = loaded.settings.table.column_uses
    return {use.column for use in uses if use.availability == "history"}


def _check_column(column: AuditedColumn) -> Finding | None:
    """The most severe finding, the first of equal ones."""
    checks = (
        _one_outcome,
        find_close_dates,
        find_time_to_close,
        find_changes_at_close,
        _counts_all,
        _almost_perfect,
        find_outcome_values,
        find_tells_open,
        find_filled_at_close,
        find_moving_value,
        find_perfect_since,
        find_filled_after_event,
        _mostly_one_outcome,
        find_named_like_a_summary,
        _filled_lately,
        _is_id,
    )
    most_severe = None
    for check in checks:
        finding = check(column)
        if finding is not None and finding.severity == "leak":
            return finding
        if finding is not None and (most_severe is None or finding.rank < most_severe.rank):
            most_severe = finding
    return most_severe


def _parse_column(raw: pa.ChunkedArray, loaded: Loaded, name: str) -> Column:
    """Numbers if all values are numbers, texts otherwise."""
    empty = frozenset({"", *loaded.settings.missing})
    formats = {**(loaded.settings.deals.number_formats if loaded.settings.deals else {})}
    number_format = (formats | loaded.settings.number_formats).get(name)
    is_text = pa.types.is_temporal(raw.type) or (number_format is None and not are_numbers(raw, empty))
    parsed = None if is_text else as_numbers(raw, empty, number_format)
    if parsed is None or parsed.unreadable.any() or not np.isfinite(parsed.values).any():
        is_string = pa.types.is_string(raw.type)
        return encode_column(pc.utf8_slice_codeunits(raw, 0, _TEXT_LENGTH) if is_string else raw, empty)
    return np.asarray(parsed.values, dtype=np.float64)


def _one_outcome(column: AuditedColumn) -> Finding | None:
    won, not_won = column.shares
    filled, wins = int(column.filled.sum()), float(column.decided.won.mean())
    low, high = sorted((won, not_won))
    chance = (wins if won > not_won else 1 - wins) ** filled
    if low > 0.01 * high or chance > 1e-4:
        return None
    en, ja = ("won", "成約") if won > not_won else ("lost or open", "失注・未成約")
    return Finding(
        code="one_outcome",
        severity="leak",
        en=(
            f"'{column.name}' is filled for {en} leads only ({max(won, not_won):.1%} of them against "
            f"{low:.1%}): it is written after the outcome is known."
        ),
        ja=(
            f"「{column.name}」は{ja}のリードにだけ入力されています（{high:.1%}、それ以外は{low:.1%}）。"
            "結果が出た後に書き込まれる項目です。"
        ),
    )


def _counts_all(column: AuditedColumn) -> Finding | None:
    if isinstance(column.values, Texts) or column.is_of_deals:
        return None
    crm = column.loaded.crm
    histories = [crm.activities.lead, *(c.lead for c in crm.changes.values())]
    for leads in histories:
        total = np.bincount(leads, minlength=len(crm))[column.decided.lead]
        if len(leads) and total.max() > 1 and float((column.values == total).mean()) > 0.95:
            return Finding(
                code="counts_all",
                severity="leak",
                en=(
                    f"'{column.name}' counts all that ever happened to the lead, after the moment and up to "
                    "the close as well."
                ),
                ja=f"「{column.name}」は、評価時点より後（クローズまで）も含めた全件数を数えています。",
            )
    return None


def _almost_perfect(column: AuditedColumn) -> Finding | None:
    auc = column.auc()
    if not auc >= _ALMOST_PERFECT:
        return None
    is_certain = auc >= _CERTAIN
    return Finding(
        code="almost_perfect",
        severity="leak" if is_certain else "suspect",
        en=(
            f"'{column.name}' alone tells won from lost almost perfectly on the newest deals (ROC AUC "
            f"{auc:.2f}): it is {'surely' if is_certain else 'probably'} written after the outcome is known."
        ),
        ja=(
            f"「{column.name}」だけで最新案件の成約・失注をほぼ言い当てます（ROC AUC {auc:.2f}）。"
            f"結果が出た後に書き込まれた{'項目です' if is_certain else '可能性が高い項目です'}。"
        ),
    )


def _mostly_one_outcome(column: AuditedColumn) -> Finding | None:
    won, not_won = column.shares
    low, high = sorted((won, not_won))
    if high < 2 * low or high - low < 0.1:
        return None
    is_honest = high * (1 - low) <= _HONEST_FILL * low * (1 - high)
    return Finding(
        code="mostly_one_outcome",
        severity="warning" if is_honest else "suspect",
        en=(
            f"'{column.name}' is filled for {won:.0%} of the won leads but {not_won:.0%} of the others: "
            f"people {'may' if is_honest else 'seem to'} fill it in as the deal goes on."
        ),
        ja=(
            f"「{column.name}」の入力率は、成約リードで{won:.0%}、それ以外で{not_won:.0%}です。"
            f"商談の進行につれて入力される{'可能性があります' if is_honest else '項目と思われます'}。"
        ),
    )


def _filled_lately(column: AuditedColumn) -> Finding | None:
    old, new = (
        float(column.filled[column.decided.old].mean()),
        float(column.filled[~column.decided.old].mean()),
    )
    low, high = sorted((old, new))
    if high - low < 0.4 or column.loaded.crm.order == "none":
        return None
    return Finding(
        code="filled_lately",
        severity="suspect",
        en=(
            f"'{column.name}' is filled for {old:.0%} of the older leads but {new:.0%} of the newest: "
            "it was not kept the same way all the time, and may be filled in later."
        ),
        ja=(
            f"「{column.name}」の入力率は、以前のリードで{old:.0%}、最新のリードで{new:.0%}です。"
            "運用が途中で変わったか、後から入力されている可能性があります。"
        ),
    )


def _is_id(column: AuditedColumn) -> Finding | None:
    if not isinstance(column.values, Texts) or column.is_of_deals or not column.filled.any():
        return None
    if len(np.unique(column.values.codes[column.filled])) < 0.9 * column.filled.sum():
        return None
    return Finding(
        code="id",
        severity="note",
        en=f"'{column.name}' has a value of its own for almost every lead: an id, nothing to learn from.",
        ja=f"「{column.name}」はほぼ全リードで値が異なるIDで、学習には使えません。",
    )
