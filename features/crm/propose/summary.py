"""A summary of an export that a sales lead can check: leads, period, outcomes and time to close."""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np

from features.clock import MS_PER_DAY, from_ms, now_ms
from features.crm.load import Loaded
from features.kinds import Language

_TODAY = 3 * MS_PER_DAY


@dataclass(frozen=True, kw_only=True)
class ExportSummary:
    """Counts of an export; `first` and `last` are months such as "2024-12" in the company's time zone (None
    without dates), `last` is "today" for a fresh export; `days_to_close` is the median of the closed leads
    with dates."""

    leads: int
    won: int
    lost: int
    left_out: int
    first: str | None
    last: str | None
    days_to_close: int | None

    @property
    def still_open(self) -> int:
        return self.leads - self.won - self.lost

    @staticmethod
    def from_loaded(loaded: Loaded) -> ExportSummary:
        """Summarise a CRM as it was read."""
        crm, zone = loaded.crm, loaded.settings.zone
        won, closed = crm.outcomes.won, crm.outcomes.closed
        is_dated = crm.order == "date"
        return ExportSummary(
            leads=len(crm),
            won=int(won.sum()),
            lost=int((closed & ~won).sum()),
            left_out=_count_left_out(loaded),
            first=_month(int(crm.created.min()), zone) if is_dated else None,
            last=_last_month(int(crm.snapshot), zone) if is_dated else None,
            days_to_close=_median_days(loaded),
        )

    def text(self, lang: Language) -> str:
        """The summary as one sentence."""
        return _japanese(self) if lang == "ja" else _english(self)


NO_LEADS = ExportSummary(leads=0, won=0, lost=0, left_out=0, first=None, last=None, days_to_close=None)


def _english(summary: ExportSummary) -> str:
    period = f", {summary.first} to {summary.last}" if summary.first else ""
    days = summary.days_to_close
    close = (
        f"; closes after {days:,} {'day' if days == 1 else 'days'} in the middle" if days is not None else ""
    )
    left_out = f"; {summary.left_out:,} rows left out" if summary.left_out else ""
    return (
        f"{summary.leads:,} leads{period}; {summary.won:,} won, {summary.lost:,} lost, "
        f"{summary.still_open:,} open{close}{left_out}."
    )


def _japanese(summary: ExportSummary) -> str:
    last = "今日" if summary.last == "today" else summary.last
    period = f"（{summary.first}～{last}）" if summary.first else ""
    days = summary.days_to_close
    close = f"。クローズまでの日数は中央値で{days:,}日" if days is not None else ""
    left_out = f"。除外した行は{summary.left_out:,}行" if summary.left_out else ""
    return (
        f"リード{summary.leads:,}件{period}。成約{summary.won:,}件、失注{summary.lost:,}件、"
        f"オープン{summary.still_open:,}件{close}{left_out}。"
    )


def _count_left_out(loaded: Loaded) -> int:
    rejects = loaded.rejects
    noted = sum(
        n.count
        for n in rejects.notes
        if n.reason in ("skipped", "skipped_lead", "no_lead", "no_deal", "neither", "planned")
    )
    return noted + sum(rejects.count_left_out(table) for table in rejects.read)


def _median_days(loaded: Loaded) -> int | None:
    crm = loaded.crm
    has_undated = any(note.reason == "undated_lost" for note in loaded.rejects.notes)
    dated = crm.outcomes.won if has_undated else crm.outcomes.closed
    if not crm.horizon_applies or not dated.any():
        return None
    days = (crm.outcomes.closed_at[dated] - crm.created[dated]) / MS_PER_DAY
    return max(round(float(np.median(days))), 0)


def _month(time_ms: int, zone: ZoneInfo) -> str:
    return from_ms(time_ms).astimezone(zone).strftime("%Y-%m")


def _last_month(snapshot_ms: int, zone: ZoneInfo) -> str:
    return "today" if now_ms() - snapshot_ms < _TODAY else _month(snapshot_ms, zone)
