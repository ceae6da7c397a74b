"""The summary of an export names its period as the company's calendar does."""

from __future__ import annotations

from pathlib import Path

from features.crm.propose import propose
from tests.helpers.builders import write_csv


def test_the_first_day_of_a_month_in_japan_is_of_that_month(tmp_path: Path) -> None:
    rows = [("案件番号", "作成日", "流入経路", "状態", "完了日")]
    for number in range(120):
        created = f"2024年{4 + number % 6:02d}月01日"
        closed = f"2024年{5 + number % 6:02d}月20日"
        rows.append((f"A{number}", created, "紹介", "受注" if number % 3 else "失注", closed))
    write_csv(tmp_path / "deals.csv", rows)
    proposal = propose(["deals.csv"], tmp_path)
    assert 'time_zone = "Asia/Tokyo"' in proposal.text
    assert proposal.summary.first == "2024-04"
