from pathlib import Path

import numpy as np

from features.clock import MS_PER_DAY, NEVER
from tests.helpers.builders import loaded_of, ms, write_csv
from tests.helpers.crm_tables import DEALS, LEADS, leads, rejected


def end_of(year: int, month: int, day: int) -> int:
    """The last ms of a day in UTC."""
    return ms(year, month, day) + MS_PER_DAY - 1


def test_outcomes_in_the_leads_table(tmp_path: Path) -> None:
    head = ("id", "at", "channel", "state", "end", "sum")
    leads(
        tmp_path,
        ("a", "2026-01-01", "web", "Won", "2026-02-01", "1,000"),
        ("b", "2026-01-01", "web", "Open", "", ""),
        ("c", "2026-01-01", "web", "Dead", "2026-03-01", "x"),
        ("d", "2026-01-01", "web", "", "", ""),
        ("e", "2026-01-01", "web", "Odd", "2026-03-01", ""),
        head=head,
    )
    deals = {
        "outcome": "state",
        "won": ["Won"],
        "lost": ["Dead"],
        "ignore": ["Open"],
        "closed_at": "end",
        "amount": "sum",
    }
    loaded = loaded_of(tmp_path, leads=LEADS, deals=deals, max_reject_share=1)
    assert loaded.crm.lead_ids.tolist() == ["a", "b", "c", "d"]
    outcomes = loaded.crm.outcomes
    assert outcomes.closed_at.tolist() == [end_of(2026, 2, 1), NEVER, end_of(2026, 3, 1), NEVER]
    assert outcomes.won.tolist() == [True, False, False, False]
    assert np.array_equal(outcomes.amount, [1000, np.nan, np.nan, np.nan], equal_nan=True)
    assert loaded.deal_leads.tolist() == [0, 2]
    assert loaded.deals["id"].to_pylist() == ["a", "c"]


def test_of_several_deals_the_first_close_and_the_first_win_count(tmp_path: Path) -> None:
    leads(tmp_path, ("a", "2026-01-01", "web"), ("b", "2026-01-01", "web"))
    write_csv(
        tmp_path / "deals.csv",
        [
            ("lead", "outcome", "closed", "sum"),
            ("a", "won", "2026-05-01", 5),
            ("a", "lost", "2026-02-01", 2),
            ("a", "won", "2026-04-01", 4),
            ("b", "lost", "2026-03-01", 3),
            ("b", "lost", "2026-02-01", 2),
        ],
    )
    outcomes = loaded_of(tmp_path, leads=LEADS, deals={**DEALS, "amount": "sum"}).crm.outcomes
    assert outcomes.closed_at.tolist() == [end_of(2026, 2, 1), end_of(2026, 2, 1)]
    assert outcomes.won_at.tolist() == [end_of(2026, 4, 1), NEVER]
    assert outcomes.amount.tolist() == [4, 3]


def test_without_an_outcome_column_every_deal_is_won(tmp_path: Path) -> None:
    leads(tmp_path, ("a", "2026-01-01", "web"), ("b", "2026-01-01", "web"))
    write_csv(tmp_path / "deals.csv", [("lead", "closed"), ("b", "2026-02-01")])
    deals = {"source": "deals.csv", "lead": "lead", "closed_at": "closed"}
    crm = loaded_of(tmp_path, leads=LEADS, deals=deals).crm
    assert crm.outcomes.won.tolist() == [False, True]
    assert crm.snapshot == end_of(2026, 2, 1) + 1


def test_without_a_list_of_lost_values_all_others_are_lost(tmp_path: Path) -> None:
    leads(tmp_path, ("a", "2026-01-01", "web"), ("b", "2026-01-01", "web"))
    write_csv(tmp_path / "deals.csv", [("lead", "state"), ("a", "gone"), ("b", "yes")])
    deals = {"source": "deals.csv", "lead": "lead", "outcome": "state", "won": ["yes"]}
    crm = loaded_of(tmp_path, leads=LEADS, deals=deals).crm
    assert (crm.outcomes.closed.tolist(), crm.outcomes.won.tolist()) == ([True, True], [False, True])
    assert not crm.horizon_applies


def test_bad_deals_are_named_and_their_leads_are_not_taken_for_lost(tmp_path: Path) -> None:
    leads(tmp_path, *((f"l{i}", "2026-01-01", "web") for i in range(6)))
    write_csv(
        tmp_path / "deals.csv",
        [
            ("lead", "outcome", "closed"),
            ("l0", "won", "2026-02-01"),
            ("l1", "wonn", "2026-02-01"),
            ("l2", "lost", "??"),
            ("l3", "lost", ""),
            ("x", "won", "2026-02-01"),
            ("l4", "", ""),
        ],
    )
    loaded = loaded_of(tmp_path, leads=LEADS, deals=DEALS, max_reject_share=1)
    assert loaded.crm.lead_ids.tolist() == ["l0", "l4", "l5"]
    assert loaded.crm.outcomes.closed.tolist() == [True, False, False]
    assert [(r[2], r[3], r[4]) for r in sorted(rejected(tmp_path))] == [
        ("2", "outcome", "wonn"),
        ("3", "closed", "??"),
        ("4", "closed", ""),
        ("5", "lead", "x"),
    ]
    reasons = {r[3]: r[5] for r in rejected(tmp_path)}
    assert reasons["outcome"] == "is not among won ['won'], lost ['lost'], ignore []"
    assert reasons["lead"] == "deal of a lead that is not in the leads' table"
