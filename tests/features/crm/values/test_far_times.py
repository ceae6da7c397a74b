"""A date far beyond all others is named, and the moment of the export follows what was recorded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.clock import MS_PER_DAY, iso
from features.crm.findings import Finding
from features.crm.load import Loaded
from features.crm.table_checks import check_tables
from features.crm.values.far_times import find_far_times, find_last_recorded
from features.moments import open_leads
from tests.helpers.builders import loaded_of, write_csv
from tests.helpers.crm_tables import ACTIVITIES, DEALS, LEADS

START = datetime(2025, 1, 1, tzinfo=UTC)
LEADS_COUNT = 200


def day(number: int) -> str:
    return f"{START + timedelta(days=number):%Y-%m-%d}"


def make(
    folder: Path, leads: dict[int, str] | None = None, deals: dict[int, str] | None = None, visit: str = ""
) -> Loaded:
    """A lead a day, closed three weeks later (the newest are open). Some have other dates than these."""
    created = {i: day(i) for i in range(LEADS_COUNT)} | (leads or {})
    closed = {i: day(i + 21) for i in range(LEADS_COUNT - 21)} | (deals or {})
    write_csv(
        folder / "leads.csv", [("id", "at", "channel"), *((f"L{i}", at, "web") for i, at in created.items())]
    )
    rows = [(f"L{i}", "lost" if i % 3 else "won", at) for i, at in closed.items()]
    write_csv(folder / "deals.csv", [("lead", "outcome", "closed"), *rows])
    visits = [(f"L{i}", day(i), "visit") for i in created] + [("L5", visit, "visit")] * bool(visit)
    write_csv(folder / "acts.csv", [("lead", "at", "type"), *visits])
    return loaded_of(folder, leads=LEADS, deals=DEALS, activities=ACTIVITIES)


def far_findings(loaded: Loaded) -> list[Finding]:
    return [finding for finding in check_tables(loaded) if finding.code == "far_time"]


@pytest.mark.parametrize(
    ("changed", "column", "count", "farthest"),
    [
        ({"leads": {50: day(500)}}, "leads, 'at': 1 date lies", 300, 500),
        ({"deals": {52: day(500)}}, "deals, 'closed': 1 date lies", 301, 500),
        ({"deals": {51: day(500)}}, "deals, 'closed': 1 date lies", 301, 500),
        ({"visit": day(500)}, "activities, 'at': 1 date lies", 300, 500),
        ({"deals": {52: day(300), 55: day(600)}}, "deals, 'closed': 2 dates lie", 401, 600),
        ({"deals": {52: day(260), 53: day(275), 55: day(290)}}, "deals, 'closed': 3 dates lie", 91, 290),
        ({"deals": {0: "2025-12-07"}}, "deals, 'closed': 1 date lies", 141, 340),  # for the 12th of July
    ],
)
def test_a_far_date_is_named_and_moves_no_snapshot(
    tmp_path: Path, changed: dict[str, object], column: str, count: int, farthest: int
) -> None:
    usual = make(tmp_path)
    assert far_findings(usual) == []
    loaded = make(tmp_path, **changed)  # type: ignore[arg-type]
    assert abs(loaded.crm.snapshot - usual.crm.snapshot) < MS_PER_DAY
    (finding,) = far_findings(loaded)
    assert finding.en.startswith(column)
    assert f"up to {count} days after all other dates ({day(farthest)})" in finding.en
    assert f"The moment of the export is {iso(loaded.crm.snapshot)[:10]}" in finding.en
    assert day(farthest) in finding.ja


def test_a_deal_with_a_planned_close_is_closed(tmp_path: Path) -> None:
    """What is recorded as lost was lost when it was exported, whatever its date."""
    usual, loaded = make(tmp_path), make(tmp_path, deals={52: day(500)})
    moment = usual.crm.snapshot
    assert open_leads(loaded.crm, moment).tolist() == open_leads(usual.crm, moment).tolist()
    assert loaded.crm.outcomes.closed_at[52] == loaded.crm.snapshot - 1


def test_a_far_date_in_the_past_is_named(tmp_path: Path) -> None:
    usual, loaded = make(tmp_path), make(tmp_path, leads={50: "1999-12-30"})
    assert loaded.crm.snapshot == usual.crm.snapshot
    (finding,) = far_findings(loaded)
    assert "days before all other dates (1999-12-30)" in finding.en
    assert "as_of" not in finding.en


@given(
    st.lists(st.integers(0, 300), min_size=100, max_size=400),
    st.lists(st.integers(400, 2_000), min_size=1, max_size=1),
)
def test_the_last_recorded_time_is_that_of_the_others(days: list[int], far: list[int]) -> None:
    """Their pauses are at most ten days: the far one comes after more than three of them."""
    spread = [*days, *range(0, 300, 10)]
    times = np.array([*spread, *far], dtype=np.int64) * MS_PER_DAY
    assert find_last_recorded(times) == max(spread) * MS_PER_DAY
    found = find_far_times({("deals", "closed"): times})
    assert [(one.count, one.farthest) for one in found if one.farthest > one.nearest] == [
        (1, far[0] * MS_PER_DAY)
    ]


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=99))
def test_few_times_are_all_recorded(days: list[int]) -> None:
    assert find_last_recorded(np.array(days, dtype=np.int64) * MS_PER_DAY) == max(days) * MS_PER_DAY


def test_what_many_have_is_a_record() -> None:
    """After a pause of half a year a tenth of the rows come: the company was closed."""
    times = np.array([*range(300), *range(480, 520)], dtype=np.int64) * MS_PER_DAY
    assert find_last_recorded(times) == 519 * MS_PER_DAY
