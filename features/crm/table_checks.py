"""Checks of the data as a whole: too few wins, a changing win rate, missing or implausible records."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from features.clock import days_to_ms, iso
from features.columns import Bools, Column, Floats, Texts, is_missing, take
from features.crm.findings import Finding
from features.crm.hindsight.audited import DecidedLeads
from features.crm.load import Loaded
from features.crm.parsing import encode_column
from features.crm.values.default_checks import check_defaults
from features.crm.values.far_times import check_far_times
from features.crm_data import Crm
from features.moments import MIN_WINS, build_examples

_MOSTLY, _RARELY = 0.8, 0.05


def check_tables(loaded: Loaded) -> Iterator[Finding]:
    """The findings about leads, outcomes and activities in their entirety."""
    yield from _too_few_wins(loaded.crm)
    yield from _today_values(loaded)
    yield from _mostly_won(loaded.crm)
    yield from _moving_win_rate(loaded.crm)
    yield from _no_early_wins(loaded.crm)
    yield from _unseen_values(loaded)
    yield from _empty_for_open(loaded)
    yield from check_far_times(loaded.far_times, loaded.crm.snapshot)
    yield from _odd_times(loaded.crm)
    yield from _unworked(loaded)
    yield from _too_young(loaded)
    yield from _no_channel(loaded)
    yield from check_defaults(loaded)


def _too_few_wins(crm: Crm) -> Iterator[Finding]:
    won, lost = int(crm.outcomes.won.sum()), int((~crm.outcomes.won).sum())
    if won < MIN_WINS:
        yield Finding(
            code="too_few_wins",
            severity="warning",
            en=(
                f"There are {won} won leads; a model needs {MIN_WINS}: {MIN_WINS - won} more are missing. "
                "Until then the rules alone decide."
            ),
            ja=(
                f"成約リードは{won}件です。モデルには{MIN_WINS}件必要で、あと{MIN_WINS - won}件足りません。"
                "それまではルールだけで判定します。"
            ),
        )
    if not lost:
        yield Finding(
            code="one_class",
            severity="warning",
            en="All leads are won; a model needs lost or open ones as well.",
            ja="すべてのリードが成約です。失注または未成約のリードも必要です。",
        )


def _mostly_won(crm: Crm) -> Iterator[Finding]:
    won, closed = int(crm.outcomes.won.sum()), int(crm.outcomes.closed.sum())
    if won < closed and closed >= MIN_WINS and won > _MOSTLY * closed:
        yield Finding(
            code="mostly_won",
            severity="warning",
            en=(
                f"{won / closed:.0%} of the {closed:,} closed leads are won. Are the lost ones in the "
                "export, and does the outcome tell won from closed?"
            ),
            ja=(
                f"クローズしたリード{closed:,}件の{won / closed:.0%}が成約です。失注も出力に含まれているか、"
                "結果の列が「クローズ」ではなく「成約」を表すかを確認してください。"
            ),
        )


def _today_values(loaded: Loaded) -> Iterator[Finding]:
    uses = loaded.settings.table.column_uses
    today = list(dict.fromkeys(use.column for use in uses if use.availability == "today"))
    if not today:
        return
    shown = ", ".join(f"'{c}'" for c in today[:6]) + (f" and {len(today) - 6} more" if len(today) > 6 else "")
    shown_ja = "、".join(f"「{c}」" for c in today[:6]) + (
        f"ほか{len(today) - 6}列" if len(today) > 6 else ""
    )
    yield Finding(
        code="today_values",
        severity="warning",
        en=(
            f"{shown}: today's values, not those of the moment; they may tell of what came later. "
            'Give their history in [changes], or say known = "at_creation" where they never change.'
        ),
        ja=(
            f"{shown_ja}は評価時点ではなく現在の値で、後の出来事を含む恐れがあります。[changes]で履歴を渡すか、"
            '変わらない項目には known = "at_creation" と書いてください。'
        ),
    )


def _moving_win_rate(crm: Crm) -> Iterator[Finding]:
    decided = DecidedLeads.from_crm(crm)
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
        code="moving_win_rate",
        severity="warning",
        en=(
            f"The win rate moves: {shown} in the five fifths of the leads from the oldest to the newest. "
            "A model of the past may be off; look at the newest figures."
        ),
        ja=(
            f"成約率が動いています（古い順に5等分して{shown}）。過去のモデルがずれる恐れがあるため、"
            "直近の数値を確認してください。"
        ),
    )


def _no_early_wins(crm: Crm) -> Iterator[Finding]:
    if not crm.horizon_applies or not crm.outcomes.won.any():
        return
    first = int(crm.outcomes.closed_at.min())
    before = int((crm.created < first - days_to_ms(60)).sum())
    if before > 0.02 * len(crm):
        yield Finding(
            code="no_early_wins",
            severity="warning",
            en=(
                f"No close is recorded before {iso(first)[:10]}, but {before:,} leads are more than 60 days "
                "older: their early outcomes are probably missing. Set `since` in [crm]."
            ),
            ja=(
                f"{iso(first)[:10]}より前のクローズは記録がありませんが、それより60日以上古い"
                f"リードが{before:,}件あります。初期の結果が欠けていると思われます。"
                "[crm]の since を設定してください。"
            ),
        )


def _unseen_values(loaded: Loaded) -> Iterator[Finding]:
    decided = DecidedLeads.from_crm(loaded.crm)
    if loaded.crm.order == "none":
        return
    for attribute in loaded.settings.table.attributes.values():
        column = loaded.crm.attributes.get(attribute.column)
        if column is None or not len(decided.lead):
            continue
        share = _unseen_share(take(column, decided.lead), decided.old)
        if share > 0.05:
            yield Finding(
                code="unseen_values",
                severity="warning",
                en=(
                    f"'{attribute.column}': {share:.0%} of the newest leads have values that the older ones "
                    "never had; what the past teaches may not hold for them."
                ),
                ja=(
                    f"「{attribute.column}」は、最新リードの{share:.0%}が過去に無かった値です。"
                    "過去の傾向が当てはまらない恐れがあります。"
                ),
                column=attribute.column,
                is_used=True,
            )


def _empty_for_open(loaded: Loaded) -> Iterator[Finding]:
    """Columns that (nearly) no open lead has: what is scored later lacks what training sees."""
    closed = loaded.crm.outcomes.closed
    if min(closed.sum(), (~closed).sum()) < MIN_WINS:
        return
    for name, attribute in loaded.settings.table.attributes.items():
        column = loaded.crm.attributes.get(attribute.column)
        if column is None or attribute.known == "history":
            continue
        filled = ~is_missing(column)
        of_closed, of_open = float(filled[closed].mean()), float(filled[~closed].mean())
        if of_closed < 2 * _RARELY or of_open > _RARELY * of_closed:
            continue
        yield Finding(
            code="empty_for_open",
            severity="warning",
            en=(
                f"'{attribute.column}' is filled for {of_closed:.0%} of the closed leads but {of_open:.0%} "
                f"of the {int((~closed).sum()):,} open ones: they are scored without it. If it is filled in "
                f"at the close, take [features] {name} out of crm.toml; if the CRM has renamed the column "
                "or no longer fills it, correct that."
            ),
            ja=(
                f"「{attribute.column}」の入力率は、クローズしたリードで{of_closed:.0%}、進行中のリード"
                f"{int((~closed).sum()):,}件では{of_open:.0%}です。進行中のリードはこの項目なしで判定されます。"
                f"クローズ時に入力される項目であれば crm.toml の [features] {name} を削除し、"
                "CRM で列名や入力方法が変わった場合は修正してください。"
            ),
            column=attribute.column,
            is_used=True,
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
            code="closed_before_created",
            severity="warning",
            en=(
                f"{early:,} leads are closed before they are created; they teach nothing and are left out. "
                "See whether time_zone is that of the export, and created_at and closed_at the right dates."
            ),
            ja=(
                f"{early:,}件のリードは作成日より前にクローズしています。学習には使いません。"
                "time_zone が出力元と同じか、created_at と closed_at が正しい日付の列かを確認してください。"
            ),
        )
    activities = crm.activities
    after = (
        int((activities.time_ms > crm.outcomes.closed_at[activities.lead]).sum()) if len(activities) else 0
    )
    if after:
        yield Finding(
            code="activities_after_close",
            severity="note",
            en=(
                f"{after:,} of {len(activities):,} activities come after the close of their lead; no moment "
                "sees them."
            ),
            ja=f"行動{len(activities):,}件のうち{after:,}件はクローズ後のものです。評価時点からは見えません。",
        )


def _unworked(loaded: Loaded) -> Iterator[Finding]:
    crm, role = loaded.crm, loaded.settings.roles.first_contact
    if role is None:
        return
    count = int((_uncontacted_leads(role, loaded) & ~crm.outcomes.won).sum())
    if count > 0.01 * len(crm):
        yield Finding(
            code="unworked",
            severity="warning",
            en=(
                f"{count:,} leads that were never contacted (no '{role}' is recorded) count as not won: the "
                "model learns who was worked, not only who would buy."
            ),
            ja=(
                f"一度も連絡していないリード{count:,}件（「{role}」の記録なし）が未成約として数えられます。"
                "「誰が買うか」だけでなく「誰に対応したか」も学習されます。"
            ),
        )


def _uncontacted_leads(role: str, loaded: Loaded) -> Bools:
    """The leads without a value in the column, or without an activity of the type, that `role` names."""
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
            code="too_young",
            severity="note",
            en=(
                f"{young:,} leads are younger than the horizon of {target.horizon_days:g} days at the export "
                f"({iso(crm.snapshot)[:10]}): their outcome is not known yet and they are not learnt from; "
                f"{usable_count:,} leads are."
            ),
            ja=(
                f"{young:,}件のリードは、出力時点（{iso(crm.snapshot)[:10]}）で判定期間{target.horizon_days:g}日に"
                f"達していません。結果が未確定のため学習に使わず、{usable_count:,}件で学習します。"
            ),
        )


def _no_channel(loaded: Loaded) -> Iterator[Finding]:
    column = loaded.crm.attributes.get(loaded.settings.segments.get("channel", ""))
    if column is None:
        return
    none = int(is_missing(column).sum())
    if none:
        yield Finding(
            code="no_channel",
            severity="note",
            en=(
                f"{none:,} leads ({none / len(column):.1%}) have no channel; they are missing from the "
                "comparison of channels."
            ),
            ja=(
                f"{none:,}件（{none / len(column):.1%}）のリードにチャネルがなく、"
                "チャネル比較に含まれません。"
            ),
        )
