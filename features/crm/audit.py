"""The audit: what would make a model lie, in plain words.

Every column of the leads' and deals' tables is looked at, whether crm.toml uses it or not.
What a single column can tell: that it is filled for one outcome only, that it predicts almost
perfectly alone, that its dates lie after the close, that it counts what came after. What it cannot
tell: a column that a salesperson overwrote later with something harmless-looking. Columns named like
a summary of the deal (last, final, elapsed, total days, stage ...) are therefore suspected.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from features.clock import NEVER, days_to_ms, iso
from features.columns import Bools, Column, Floats, Ints, Texts, is_missing, take
from features.crm.findings import Finding
from features.crm.load import Loaded
from features.crm.parsing import as_numbers, as_times, encode_column
from features.crm_data import Crm
from features.moments import MIN_WINS, build_examples
from features.statistics import roc_auc, to_levels, win_rate_by_level

_NEWEST = 0.2
_ALMOST_PERFECT, _SURE = 0.9, 0.95
_NAMES = re.compile(
    r"\b(final|last|latest|elapsed|duration|closing|closed?|won|lost|total days|ratio days|stages?"
    r"|outcome|result|status|n events|resolution)\b|最終|経過|失注|成約|受注|クローズ|結果|ステータス|所要",
    re.IGNORECASE,
)
_DAY = days_to_ms(1)


def audit(loaded: Loaded) -> list[Finding]:
    """All findings, gravest first."""
    findings = [*_column_findings(loaded), *_table_findings(loaded)]
    gravity = ("leak", "suspect", "warning", "note")
    return sorted(findings, key=lambda f: (gravity.index(f.severity), not f.is_used))


def leaking_features(findings: list[Finding], loaded: Loaded) -> set[str]:
    """The names of the features that surely leak, unless crm.toml insists on them."""
    sure = {f.column for f in findings if f.severity == "leak"}
    attributes = loaded.settings.table.attributes
    return {n for n, a in attributes.items() if a.column in sure and not a.insist and a.known != "history"}


@dataclass(frozen=True)
class _DecidedLeads:
    """The leads whose outcome is known, oldest first, and which of them were won."""

    lead: Ints
    won: Bools
    old: Bools

    @staticmethod
    def from_crm(crm: Crm) -> _DecidedLeads:
        is_decided = (
            crm.outcomes.closed
            if (crm.outcomes.closed & ~crm.outcomes.won).any()
            else np.ones(len(crm), bool)
        )
        lead = np.flatnonzero(is_decided)
        lead = lead[np.argsort(crm.created[lead], kind="stable")]
        old = np.arange(len(lead)) < len(lead) * (1 - _NEWEST)
        return _DecidedLeads(lead, crm.outcomes.won[lead], old)


# -- columns ------------------------------------------------------------------------------------


def _column_findings(loaded: Loaded) -> Iterator[Finding]:
    decided = _DecidedLeads.from_crm(loaded.crm)
    if len(decided.lead) < MIN_WINS or decided.won.all() or not decided.won.any():
        return
    used_columns = {a.column for a in loaded.settings.table.attributes.values() if a.known != "history"}
    for name, raw, lead_rows in _columns(loaded):
        finding = _check_column(name, raw, lead_rows, decided, loaded)
        if finding is not None:
            yield Finding(finding.code, finding.severity, finding.en, finding.ja, name, name in used_columns)


def _columns(loaded: Loaded) -> Iterator[tuple[str, pa.ChunkedArray, Ints | None]]:
    """Columns of the leads' table, and those of a deals' table of its own."""
    skipped = _key_columns(loaded)
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
    """Columns that say what a row is, not what a lead is like."""
    leads, deals = loaded.settings.leads, loaded.settings.deals
    lead_columns = {leads.id, leads.created_at, leads.account, loaded.settings.order}
    return lead_columns if deals is None else lead_columns | {deals.lead, deals.outcome, deals.closed_at}


def _check_column(
    name: str, raw: pa.ChunkedArray, rows: Ints | None, decided: _DecidedLeads, loaded: Loaded
) -> Finding | None:
    column = _parse_column(raw, loaded)
    place = decided.lead if rows is None else rows[decided.lead]
    values = take(column, place)
    checks = (
        _one_outcome,
        _close_dates,
        _counts_all,
        _almost_perfect,
        _mostly_one_outcome,
        _named_like_a_summary,
        _filled_lately,
        _is_id,
    )
    for check in checks:
        finding = check(_AuditedColumn(name, raw, place, values, decided, loaded, rows is not None))
        if finding is not None:
            return finding
    return None


def _parse_column(raw: pa.ChunkedArray, loaded: Loaded) -> Column:
    """Numbers where all values are, texts otherwise."""
    empty = frozenset({"", *loaded.settings.missing})
    parsed = as_numbers(raw, empty) if not pa.types.is_temporal(raw.type) else None
    if parsed is None or parsed.unreadable.any() or not np.isfinite(parsed.values).any():
        return encode_column(raw, empty)
    return np.asarray(parsed.values, dtype=np.float64)


@dataclass(frozen=True)
class _AuditedColumn:
    """One column on the judged leads."""

    name: str
    raw: pa.ChunkedArray
    place: Ints
    values: Column
    decided: _DecidedLeads
    loaded: Loaded
    of_deals: bool

    @property
    def filled(self) -> Bools:
        return ~is_missing(self.values)

    @property
    def shares(self) -> tuple[float, float]:
        """The share filled among the won and among the others."""
        won, filled = self.decided.won, self.filled
        return float(filled[won].mean()), float(filled[~won].mean())

    def auc(self) -> float:
        """ROC AUC of the column alone: learnt on the oldest 80 %, judged on the newest."""
        return self._auc(self.decided.old)

    def auc_interleaved(self) -> float:
        """The same, learnt on every other lead: blind to time, sharper where the past moved."""
        return self._auc(np.arange(len(self.decided.won)) % 2 == 0)

    def _auc(self, learnt: Bools) -> float:
        level, count = to_levels(self.values)
        won = self.decided.won
        rate = win_rate_by_level(level[learnt], count, won[learnt])
        return roc_auc(won[~learnt], rate[level[~learnt]])


def _one_outcome(column: _AuditedColumn) -> Finding | None:
    won, not_won = column.shares
    filled, wins = int(column.filled.sum()), float(column.decided.won.mean())
    low, high = sorted((won, not_won))
    chance = (wins if won > not_won else 1 - wins) ** filled
    if low > 0.01 * high or chance > 1e-4:
        return None
    en, ja = ("won", "成約") if won > not_won else ("lost or open", "失注・未成約")
    return Finding(
        "one_outcome",
        "leak",
        f"'{column.name}' is filled for {en} leads only ({max(won, not_won):.1%} of them against {low:.1%}): "
        "it is written after the outcome is known.",
        f"「{column.name}」は{ja}のリードにだけ入力されています（{high:.1%}、それ以外は{low:.1%}）。"
        "結果が出た後に書き込まれる項目です。",
    )


def _close_dates(column: _AuditedColumn) -> Finding | None:
    crm = column.loaded.crm
    if isinstance(column.values, np.ndarray) or not crm.horizon_applies:
        return None
    empty = frozenset({"", *column.loaded.settings.missing})
    parsed = as_times(column.raw, empty, column.loaded.settings.zone, None)
    if parsed.unreadable.mean() > 0.05 or (parsed.values == NEVER).mean() > 0.95:
        return None
    closed_at = crm.outcomes.closed_at[column.decided.lead]
    is_closed = (column.place >= 0) & (closed_at < NEVER)
    date = np.asarray(parsed.values)[column.place[is_closed]]
    has_date = date < NEVER
    if (
        not has_date.any()
        or (share := float((date[has_date] >= closed_at[is_closed][has_date] - _DAY).mean())) < 0.5
    ):
        return None
    return Finding(
        "date_after_close",
        "leak",
        f"'{column.name}' holds dates on or after the day of the close for {share:.0%} of the closed leads: "
        "it is written when the deal ends.",
        f"「{column.name}」の日付は、クローズしたリードの{share:.0%}でクローズ当日以降です。"
        "案件の終了時に書き込まれる項目です。",
    )


def _counts_all(column: _AuditedColumn) -> Finding | None:
    if isinstance(column.values, Texts) or column.of_deals:
        return None
    crm = column.loaded.crm
    histories = [crm.activities.lead, *(c.lead for c in crm.changes.values())]
    for leads in histories:
        total = np.bincount(leads, minlength=len(crm))[column.decided.lead]
        if len(leads) and total.max() > 1 and float((column.values == total).mean()) > 0.95:
            return Finding(
                "counts_all",
                "leak",
                f"'{column.name}' counts all that ever happened to the lead, after the moment and up to the "
                "close as well.",
                f"「{column.name}」は、評価時点より後（クローズまで）も含めた全件数を数えています。",
            )
    return None


def _almost_perfect(column: _AuditedColumn) -> Finding | None:
    auc = column.auc()
    if not auc >= _ALMOST_PERFECT:
        return None
    sure = auc >= _SURE
    return Finding(
        "almost_perfect",
        "leak" if sure else "suspect",
        f"'{column.name}' alone tells won from lost almost perfectly on the newest deals (ROC AUC {auc:.2f}): "
        f"it is {'surely' if sure else 'probably'} written after the outcome is known.",
        f"「{column.name}」だけで最新案件の成約・失注をほぼ言い当てます（ROC AUC {auc:.2f}）。"
        f"結果が出た後に書き込まれた{'項目です' if sure else '可能性が高い項目です'}。",
    )


def _mostly_one_outcome(column: _AuditedColumn) -> Finding | None:
    won, not_won = column.shares
    low, high = sorted((won, not_won))
    if high < 2 * low or high - low < 0.1:
        return None
    return Finding(
        "mostly_one_outcome",
        "suspect",
        f"'{column.name}' is filled for {won:.0%} of the won leads but {not_won:.0%} of the others: "
        "people seem to fill it in as the deal goes on.",
        f"「{column.name}」の入力率は、成約リードで{won:.0%}、それ以外で{not_won:.0%}です。"
        "商談の進行につれて入力される項目と思われます。",
    )


def _named_like_a_summary(column: _AuditedColumn) -> Finding | None:
    if not _NAMES.search(re.sub(r"[_\-.]|(?<=[a-z])(?=[A-Z])", " ", column.name)):
        return None
    auc = column.auc_interleaved()
    if not auc > 0.55:
        return None
    return Finding(
        "named_like_a_summary",
        "suspect",
        f"'{column.name}' sounds like something that is known only when the deal ends, and it predicts "
        f"(ROC AUC {auc:.2f} alone). If it is as it stood at the moment, keep it.",
        f"「{column.name}」は案件終了時に決まる項目の名前に見え、単独でも予測に効いています"
        f"（ROC AUC {auc:.2f}）。評価時点の値と確認できる場合だけ使ってください。",
    )


def _filled_lately(column: _AuditedColumn) -> Finding | None:
    old, new = (
        float(column.filled[column.decided.old].mean()),
        float(column.filled[~column.decided.old].mean()),
    )
    low, high = sorted((old, new))
    if high - low < 0.4 or column.loaded.crm.order == "none":
        return None
    return Finding(
        "filled_lately",
        "suspect",
        f"'{column.name}' is filled for {old:.0%} of the older leads but {new:.0%} of the newest: "
        "it was not kept the same way all the time, and may be filled in later.",
        f"「{column.name}」の入力率は、以前のリードで{old:.0%}、最新のリードで{new:.0%}です。"
        "運用が途中で変わったか、後から入力されている可能性があります。",
    )


def _is_id(column: _AuditedColumn) -> Finding | None:
    if not isinstance(column.values, Texts) or column.of_deals or not column.filled.any():
        return None
    if len(np.unique(column.values.codes[column.filled])) < 0.9 * column.filled.sum():
        return None
    return Finding(
        "id",
        "note",
        f"'{column.name}' has a value of its own for almost every lead: an id, nothing to learn from.",
        f"「{column.name}」はほぼ全リードで値が異なるIDで、学習には使えません。",
    )


# -- the data as a whole --------------------------------------------------------------------------


def _table_findings(loaded: Loaded) -> Iterator[Finding]:
    yield from _too_few_wins(loaded.crm)
    yield from _today_values(loaded)
    yield from _moving_win_rate(loaded.crm)
    yield from _no_early_wins(loaded.crm)
    yield from _unseen_values(loaded)
    yield from _odd_times(loaded.crm)
    yield from _unworked(loaded)
    yield from _too_young(loaded)
    yield from _no_channel(loaded)


def _too_few_wins(crm: Crm) -> Iterator[Finding]:
    won, lost = int(crm.outcomes.won.sum()), int((~crm.outcomes.won).sum())
    if won < MIN_WINS:
        yield Finding(
            "too_few_wins",
            "warning",
            f"There are {won} won leads; a model needs {MIN_WINS}: {MIN_WINS - won} more are missing. "
            "Until then the rules alone decide.",
            f"成約リードは{won}件です。モデルには{MIN_WINS}件必要で、あと{MIN_WINS - won}件足りません。"
            "それまではルールだけで判定します。",
        )
    if not lost:
        yield Finding(
            "one_class",
            "warning",
            "All leads are won; a model needs lost or open ones as well.",
            "すべてのリードが成約です。失注または未成約のリードも必要です。",
        )


def _today_values(loaded: Loaded) -> Iterator[Finding]:
    today = [a.column for a in loaded.settings.table.attributes.values() if a.known == "today"]
    if not today:
        return
    shown = ", ".join(f"'{c}'" for c in today[:6]) + (f" and {len(today) - 6} more" if len(today) > 6 else "")
    shown_ja = "、".join(f"「{c}」" for c in today[:6]) + (
        f"ほか{len(today) - 6}列" if len(today) > 6 else ""
    )
    yield Finding(
        "today_values",
        "warning",
        f"{shown}: today's values, not those of the moment; they may tell of what came later. "
        'Give their history in [changes], or say known = "at_creation" where they never change.',
        f"{shown_ja}は評価時点ではなく現在の値で、後の出来事を含む恐れがあります。[changes]で履歴を渡すか、"
        '変わらない項目には known = "at_creation" と書いてください。',
    )


def _moving_win_rate(crm: Crm) -> Iterator[Finding]:
    decided = _DecidedLeads.from_crm(crm)
    if crm.order == "none" or decided.won.sum() < MIN_WINS:
        return
    fifths = [part for part in np.array_split(decided.won, 5) if len(part)]
    rates = np.array([part.mean() for part in fifths])
    pooled, size = decided.won.mean(), np.array([len(part) for part in fifths])
    z = np.abs(rates - pooled) / np.sqrt(pooled * (1 - pooled) / size + 1e-12)
    if z.max() < 4 or rates.max() < 1.3 * max(rates.min(), 1e-9):
        return
    shown = ", ".join(f"{r:.1%}" for r in rates)
    yield Finding(
        "moving_win_rate",
        "warning",
        f"The win rate moves: {shown} in the five fifths of the leads from the oldest to the newest. "
        "A model of the past may be off; look at the newest figures.",
        f"成約率が動いています（古い順に5等分して{shown}）。過去のモデルがずれる恐れがあるため、"
        "直近の数値を確認してください。",
    )


def _no_early_wins(crm: Crm) -> Iterator[Finding]:
    if not crm.horizon_applies or not crm.outcomes.won.any():
        return
    first = int(crm.outcomes.closed_at.min())
    before = int((crm.created < first - days_to_ms(60)).sum())
    if before > 0.02 * len(crm):
        yield Finding(
            "no_early_wins",
            "warning",
            f"No close is recorded before {iso(first)[:10]}, but {before:,} leads are more than 60 days "
            "older: their early outcomes are probably missing. Set `since` in [crm].",
            f"{iso(first)[:10]}より前のクローズは記録がありませんが、それより60日以上古いリードが"
            f"{before:,}件あります。初期の結果が欠けていると思われます。[crm]の since を設定してください。",
        )


def _unseen_values(loaded: Loaded) -> Iterator[Finding]:
    decided = _DecidedLeads.from_crm(loaded.crm)
    if loaded.crm.order == "none":
        return
    for attribute in loaded.settings.table.attributes.values():
        column = loaded.crm.attributes.get(attribute.column)
        if column is None or not len(decided.lead):
            continue
        share = _unseen_share(take(column, decided.lead), decided.old)
        if share > 0.05:
            yield Finding(
                "unseen_values",
                "warning",
                f"'{attribute.column}': {share:.0%} of the newest leads have values that the older ones "
                "never had; what the past teaches may not hold for them.",
                f"「{attribute.column}」は、最新リードの{share:.0%}が過去に無かった値です。"
                "過去の傾向が当てはまらない恐れがあります。",
                attribute.column,
                True,
            )


def _unseen_share(column: Column, old: Bools) -> float:
    is_filled = ~is_missing(column)
    if not (is_filled & old).any() or not (is_filled & ~old).any():
        return 0.0
    if isinstance(column, Texts):
        old_codes = np.unique(column.codes[old])
        return float((~np.isin(column.codes[~old], old_codes)).mean())
    low, high = column[old & is_filled].min(), column[old & is_filled].max()
    new: Floats = column[~old & is_filled]
    return float(((new < low) | (new > high)).mean())


def _odd_times(crm: Crm) -> Iterator[Finding]:
    if not crm.horizon_applies:
        return
    early = int((crm.outcomes.closed_at < crm.created).sum())
    if early:
        yield Finding(
            "closed_before_created",
            "warning",
            f"{early:,} leads are closed before they are created; they teach nothing and are left out.",
            f"{early:,}件のリードは作成日より前にクローズしています。学習には使いません。",
        )
    activities = crm.activities
    after = (
        int((activities.time_ms > crm.outcomes.closed_at[activities.lead]).sum()) if len(activities) else 0
    )
    if after:
        yield Finding(
            "activities_after_close",
            "note",
            f"{after:,} of {len(activities):,} activities come after the close of their lead; no moment sees them.",
            f"行動{len(activities):,}件のうち{after:,}件はクローズ後のものです。評価時点からは見えません。",
        )


def _unworked(loaded: Loaded) -> Iterator[Finding]:
    crm, role = loaded.crm, loaded.settings.roles.first_contact
    if role is None:
        return
    count = int((_uncontacted_leads(role, loaded) & ~crm.outcomes.won).sum())
    if count > 0.01 * len(crm):
        yield Finding(
            "unworked",
            "warning",
            f"{count:,} leads that nobody ever contacted (no '{role}' is recorded) count as not won: the "
            "model learns who was worked, not only who would buy.",
            f"一度も連絡していないリード{count:,}件（「{role}」の記録なし）が未成約として数えられます。"
            "「誰が買うか」だけでなく「誰に対応したか」も学習されます。",
        )


def _uncontacted_leads(role: str, loaded: Loaded) -> Bools:
    """The leads of which a column or an activity that plays a role tells nothing."""
    crm = loaded.crm
    if role in loaded.leads.column_names:
        empty = frozenset({"", *loaded.settings.missing})
        return is_missing(encode_column(loaded.leads[role], empty))
    if role not in crm.activities.types:
        return np.zeros(len(crm), dtype=bool)
    activities = crm.activities
    return ~np.isin(np.arange(len(crm)), activities.lead[activities.type == activities.types.index(role)])


def _too_young(loaded: Loaded) -> Iterator[Finding]:
    crm, target = loaded.crm, loaded.settings.target
    if not crm.horizon_applies:
        return
    young = int((crm.created + days_to_ms(target.horizon_days) > crm.snapshot).sum())
    usable_count = len(np.unique(build_examples(crm, target).lead))
    if young:
        yield Finding(
            "too_young",
            "note",
            f"{young:,} leads are younger than the horizon of {target.horizon_days:g} days at the export "
            f"({iso(crm.snapshot)[:10]}): their outcome is not known yet and they are not learnt from; "
            f"{usable_count:,} leads are.",
            f"{young:,}件のリードは、出力時点（{iso(crm.snapshot)[:10]}）で判定期間{target.horizon_days:g}日に"
            f"達していません。結果が未確定のため学習に使わず、{usable_count:,}件で学習します。",
        )


def _no_channel(loaded: Loaded) -> Iterator[Finding]:
    column = loaded.crm.attributes.get(loaded.settings.segments.get("channel", ""))
    if column is None:
        return
    none = int(is_missing(column).sum())
    if none:
        yield Finding(
            "no_channel",
            "note",
            f"{none:,} leads ({none / len(column):.1%}) have no channel; they are missing from the "
            "comparison of channels.",
            f"{none:,}件（{none / len(column):.1%}）のリードにチャネルがなく、チャネル比較に含まれません。",
        )
