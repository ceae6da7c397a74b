"""What open leads are expected to bring: by their open deals, else by themselves; never by a closed deal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from features.crm.load import Loaded
from tests.helpers.builders import loaded_of, write_csv
from tests.helpers.crm_tables import DEALS, LEADS, leads, rejected

HEAD = ("id", "at", "channel", "worth")
WITH_AMOUNT = {**DEALS, "ignore": ["open"], "amount": "sum"}


def load_deals(folder: Path, *rows: tuple[object, ...], worth: str | None = None) -> Loaded:
    """Leads a to d that are worth 7 each by their own column (if `worth` names it), with these deals."""
    leads(folder, *((name, "2026-01-01", "web", 7) for name in "abcd"), head=HEAD)
    write_csv(folder / "deals.csv", [("lead", "outcome", "closed", "sum"), *rows])
    return loaded_of(folder, leads={**LEADS, "amount": worth}, deals=WITH_AMOUNT, max_reject_share=1)


def amounts(loaded: Loaded) -> list[float | None]:
    amount = loaded.crm.open_amount
    assert amount is not None
    return [None if np.isnan(value) else value for value in amount]


def test_an_open_deal_gives_its_lead_an_amount_and_a_closed_one_none(tmp_path: Path) -> None:
    loaded = load_deals(
        tmp_path,
        ("a", "open", "", "1,000"),
        ("b", "won", "2026-02-01", 500),
        ("c", "open", "", 20),
        ("c", "open", "", 30),
        ("c", "lost", "2026-02-01", 900),
    )
    assert amounts(loaded) == [1000, None, None, None]
    assert loaded.crm.outcomes.amount[1] == 500


def test_of_several_open_deals_the_largest_counts(tmp_path: Path) -> None:
    loaded = load_deals(tmp_path, ("a", "open", "", 20), ("a", "open", "", 30), ("a", "", "", ""))
    assert amounts(loaded) == [30, None, None, None]


def test_a_lead_without_an_amount_of_an_open_deal_has_its_own(tmp_path: Path) -> None:
    loaded = load_deals(
        tmp_path, ("a", "open", "", 0), ("b", "open", "", ""), ("c", "lost", "2026-02-01", 5), worth="worth"
    )
    assert amounts(loaded) == [0, 7, None, 7]


def test_outcomes_in_the_leads_table_have_amounts_while_open(tmp_path: Path) -> None:
    head = ("id", "at", "channel", "state", "end", "sum")
    leads(
        tmp_path,
        ("a", "2026-01-01", "web", "won", "2026-02-01", 10),
        ("b", "2026-01-01", "web", "open", "", 20),
        ("c", "2026-01-01", "web", "open", "", ""),
        head=head,
    )
    deals = {"outcome": "state", "won": ["won"], "ignore": ["open"], "closed_at": "end", "amount": "sum"}
    assert amounts(loaded_of(tmp_path, leads=LEADS, deals=deals)) == [None, 20, None]


@pytest.mark.parametrize("value", ["-1", "1e16", "much"])
def test_a_wrong_amount_counts_as_unknown_and_is_named(tmp_path: Path, value: str) -> None:
    loaded = load_deals(tmp_path, ("a", "open", "", value), ("b", "open", "", 5))
    assert amounts(loaded) == [None, 5, None, None]
    ((table, file, row, column, shown, reason),) = rejected(tmp_path)
    assert (table, file, row, column, shown) == ("deals", "deals.csv", "1", "sum", value)
    assert "number" in reason
    assert value != "-1" or reason.endswith("a number from 0 to 1,000,000,000,000,000")


def test_without_a_column_of_amounts_there_are_none(tmp_path: Path) -> None:
    leads(tmp_path, ("a", "2026-01-01", "web", 7), head=HEAD)
    write_csv(tmp_path / "deals.csv", [("lead", "outcome", "closed")])
    assert loaded_of(tmp_path, leads=LEADS, deals=DEALS).crm.open_amount is None


def test_todays_amount_is_not_known_earlier(tmp_path: Path) -> None:
    crm = load_deals(tmp_path, ("a", "open", "", 5)).crm
    assert crm.amounts_at(crm.snapshot) is not None
    assert crm.amounts_at(crm.snapshot - 1) is None
