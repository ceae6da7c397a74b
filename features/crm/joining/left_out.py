"""Findings on the rows that crm.toml leaves out, and on ids that match in another form."""

from __future__ import annotations

from collections.abc import Iterator

from features.crm.findings import Finding
from features.crm.load import Loaded
from features.crm.rejects import LeftOut, LeftOutReason

_TEXTS: dict[LeftOutReason, tuple[str, str]] = {
    "skipped": (
        "{table}: {count:,} rows are left out by skip_where ('{column}').",
        "{table}: skip_where（「{column}」）により{count:,}行を除外しました。",
    ),
    "skipped_lead": (
        "{table}: {count:,} rows belong to leads that skip_where leaves out ('{column}').",
        "{table}: {count:,}行は、skip_whereで除外したリードのものです（「{column}」）。",
    ),
    "no_lead": (
        "{table}: {count:,} rows belong to no lead ('{column}') and are left out.",
        "{table}: {count:,}行はどのリードのものでもないため（「{column}」）、除外しました。",
    ),
    "no_deal": (
        "{table}: {count:,} leads name a deal in '{column}' that is not in the table of the deals; "
        "their outcome is unknown and they are left out. Export all deals.",
        "{table}: 「{column}」の案件が案件の表にないリードが{count:,}件あります。"
        "結果が分からないため除外しました。すべての案件を出力してください。",
    ),
    "unknown_contact": (
        "{table}: {count:,} further leads that '{column}' lists are not in the leads' table.",
        "{table}: 「{column}」にあるほかのリード{count:,}件は、リードの表にありません。",
    ),
    "id_forms": (
        "{table}: {count:,} ids in '{column}' are written in another form than those of the leads and were "
        "matched (15 and 18 characters, 123 and 123.0, upper and lower case).",
        "{table}: 「{column}」のID {count:,}件は、リードのIDと表記が異なりますが（15桁と18桁、123と123.0、"
        "大文字と小文字）、同じものとして結び付けました。",
    ),
    "planned": (
        "{table}: {count:,} rows lie in the future ('{column}'): they are planned and are left out.",
        "{table}: 「{column}」が未来の{count:,}行は予定のため、除外しました。",
    ),
    "neither": (
        "{count:,} leads are neither won, lost nor open by '{column}' (leave_out) and are left out.",
        "「{column}」により、成約・失注・未成約のいずれでもないリード{count:,}件を除外しました（leave_out）。",
    ),
    "undated_lost": (
        "{count:,} lost {table} have no date ('{column}'): they count as lost when the horizon "
        "of their lead ends.",
        "失注{count:,}件（{table}）には日付がありません（「{column}」）。"
        "リードの判定期間が終わる時点の失注として数えます。",
    ),
}


def check_left_out(loaded: Loaded) -> Iterator[Finding]:
    """One note for each number of rows that was left out without being wrong."""
    for note in loaded.rejects.notes:
        yield _to_finding(note)


def _to_finding(note: LeftOut) -> Finding:
    en, ja = (
        text.format(table=note.table, column=note.column, count=note.count) for text in _TEXTS[note.reason]
    )
    return Finding(code=f"left_out_{note.reason}", severity="note", en=en, ja=ja)
