from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.clock import NEVER
from features.columns import Texts
from features.crm.load import Loaded
from features.errors import DataError, SettingsError
from features.many_leads import Histories, ManyLeads
from features.settings import CrmSettings
from tests.helpers.builders import DAY, loaded_of, ms, read_rejects, settings_of, write_csv

LEADS: dict[str, Any] = {"source": "leads.csv", "id": "id", "created_at": "at"}
DEALS: dict[str, Any] = {
    "source": "deals.csv",
    "lead": "lead",
    "outcome": "outcome",
    "won": ["won"],
    "lost": ["lost"],
    "closed_at": "closed",
}
ACTIVITIES: dict[str, Any] = {"source": "acts.csv", "lead": "lead", "at": "at", "type": "type"}
HEAD = ("id", "at", "channel")


def iso_date(year: int, month: int, day: int) -> datetime:
    return datetime(year, month, day, tzinfo=UTC)


def leads(folder: Path, *rows: tuple[object, ...], head: tuple[str, ...] = HEAD) -> None:
    write_csv(folder / "leads.csv", [head, *rows])


def plain(loaded: Loaded, column: str = "channel") -> list[str | None]:
    values = loaded.crm.attributes[column]
    assert isinstance(values, Texts)
    return values.to_list()


def rejected(folder: Path) -> list[tuple[str, ...]]:
    keys = ("table", "file", "row", "column", "value", "reason")
    return [tuple(r[k] for k in keys) for r in read_rejects(folder)]


def counts(loaded: Loaded, activity: str = "*") -> list[float]:
    rows = np.arange(len(loaded.crm))
    view = ManyLeads(Histories(loaded.crm), rows, np.full(len(rows), NEVER // 2))
    return view.count(activity, None, "lead").tolist()


def test_bad_leads_are_named_with_row_column_value_and_reason(tmp_path: Path) -> None:
    leads(
        tmp_path,
        ("a", "2026-01-01", "web"),
        ("", "2026-01-01", "web"),
        ("b", "soon", "web"),
        ("c", "", "web"),
        ("d", "2099-01-01", "web"),
        ("a", "2026-01-01", "mail"),
        ("a", "2026-01-01", "web"),
        ("e", "2026-01-02", "web"),
    )
    loaded = loaded_of(tmp_path, leads=LEADS, max_reject_share=1, as_of=iso_date(2026, 6, 1))
    assert loaded.crm.lead_ids.tolist() == ["a", "e"]
    source = ("leads", "leads.csv")
    no_date = "is not a date such as 2026-10-01 09:30 (set time_format for other forms)"
    assert sorted(rejected(tmp_path)) == [
        (*source, "2", "id", "", "a lead needs an id"),
        (*source, "3", "at", "soon", no_date),
        (*source, "4", "at", "", "is empty; a lead needs the date it was created"),
        (*source, "5", "at", "2099-01-01", "lies in the future (after 2026-06-01T00:00:00Z)"),
        (*source, "6", "id", "a", "the same id stands earlier with other content"),
    ]


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


def test_bad_activities_are_named(tmp_path: Path) -> None:
    leads(tmp_path, ("a", "2026-01-01", "web"), ("late", "bad", "web"))
    write_csv(
        tmp_path / "acts.csv",
        [
            ("lead", "at", "type", "value"),
            ("a", "2026-01-02", "visit", "1,500"),
            ("x", "2026-01-02", "visit", 1),
            ("a", "", "visit", 1),
            ("a", "2026-01-02", "", 1),
            ("a", "2026-01-03", "visit", "much"),
            ("late", "2026-01-03", "visit", 1),
        ],
    )
    loaded = loaded_of(tmp_path, leads=LEADS, activities={**ACTIVITIES, "value": "value"}, max_reject_share=1)
    assert counts(loaded) == [2]
    assert loaded.crm.activities.value is not None
    assert np.array_equal(loaded.crm.activities.value, [1500, np.nan], equal_nan=True)
    rejects = {(r["table"], r["row"], r["column"], r["left_out"]) for r in read_rejects(tmp_path)}
    assert rejects == {
        ("leads", "2", "at", "row"),
        ("activities", "2", "lead", "row"),
        ("activities", "3", "at", "row"),
        ("activities", "4", "type", "row"),
        ("activities", "5", "value", "value"),
    }


def test_too_many_bad_rows_stop_the_run_and_write_only_the_rejects(tmp_path: Path) -> None:
    leads(tmp_path, *((f"l{i}", "2026-01-01" if i % 10 else "bad", "web") for i in range(100)))
    before = set(tmp_path.iterdir())
    with pytest.raises(DataError, match=r"leads: 10 of 100 rows .* max_reject_share = 0.05"):
        loaded_of(tmp_path, leads=LEADS)
    assert set(tmp_path.iterdir()) - before == {tmp_path / "rejects.csv"}
    assert len(rejected(tmp_path)) == 10
    assert len(loaded_of(tmp_path, leads=LEADS, max_reject_share=0.1).crm) == 90


def test_a_file_read_in_several_parts_counts_for_each_of_them(tmp_path: Path) -> None:
    head = ("id", "at", "channel", "outcome", "closed")
    leads(tmp_path, *((f"l{i}", "2026-01-01", "web", "", "") for i in range(9)), head=head)
    events = [(f"l{i % 9}", "2026-01-01" if i % 10 else "bad", "visit") for i in range(100)]
    write_csv(tmp_path / "acts.csv", [("lead", "at", "type"), *events])
    changes = {"source": "acts.csv", "lead": "lead", "at": "at", "columns": ["type"]}
    with pytest.raises(DataError, match="activities: 10 of 100 rows"):
        loaded_of(tmp_path, leads=LEADS, activities=ACTIVITIES, changes=changes)


def test_ragged_rows_of_a_glob_count_as_rejects(tmp_path: Path) -> None:
    for name in "ab":
        rows = [(f"{name}{i}", "2026-01-01", "web") for i in range(8)]
        write_csv(tmp_path / f"{name}.csv", [HEAD, *rows, (f"{name}x",)])
    source = {**LEADS, "source": "?.csv"}
    with pytest.raises(DataError, match="leads: 2 of 18 rows"):
        loaded_of(tmp_path, leads=source)
    assert [r[:3] for r in rejected(tmp_path)] == [("leads", "a.csv", "9"), ("leads", "b.csv", "9")]


def test_rows_without_an_id_are_numbered_through_all_files(tmp_path: Path) -> None:
    for name in "ab":
        write_csv(tmp_path / f"{name}.csv", [("channel", "won"), ("web", 1), ("mail", 0)])
    source = {"source": "?.csv", "id": "row"}
    loaded = loaded_of(tmp_path, leads=source, deals={"outcome": "won", "won": [1]})
    assert loaded.crm.lead_ids.tolist() == ["1", "2", "3", "4"]


def test_a_reading_without_rejects_takes_an_old_rejects_file_away(tmp_path: Path) -> None:
    leads(tmp_path, ("a", "2026-01-01", "web"))
    (tmp_path / "rejects.csv").write_text("old")
    loaded_of(tmp_path, leads=LEADS)
    assert not (tmp_path / "rejects.csv").exists()


def test_rows_repeated_to_the_letter_are_kept_once_per_id_and_silently(tmp_path: Path) -> None:
    leads(tmp_path, ("a", "2026-01-01", "web"), ("b", "2026-01-01", "web"), ("a", "2026-01-01", "web"))
    assert loaded_of(tmp_path, leads=LEADS).crm.lead_ids.tolist() == ["a", "b"]


def test_rows_repeated_to_the_letter_are_kept_and_grouped_without_an_id(tmp_path: Path) -> None:
    write_csv(tmp_path / "l.csv", [("channel", "won"), ("web", 1), ("mail", 0), ("web", 1), ("web", 0)])
    source = {"source": "l.csv", "id": "row"}
    group = loaded_of(tmp_path, leads=source, deals={"outcome": "won", "won": [1]}).crm.group
    assert group[0] == group[2]
    assert len(set(group.tolist())) == 3


def test_activities_repeated_by_id_count_once_and_those_without_id_all(tmp_path: Path) -> None:
    leads(tmp_path, ("a", "2026-01-01", "web"))
    write_csv(
        tmp_path / "acts.csv",
        [
            ("no", "lead", "at", "type"),
            ("1", "a", "2026-01-02", "visit"),
            ("1", "a", "2026-01-02", "visit"),
            ("", "a", "2026-01-03", "mail"),
            ("", "a", "2026-01-03", "mail"),
        ],
    )
    loaded = loaded_of(tmp_path, leads=LEADS, activities={**ACTIVITIES, "id": "no"})
    assert (counts(loaded, "visit"), counts(loaded, "mail")) == ([1], [2])


def test_leads_before_since_are_dropped_with_all_that_is_told_of_them(tmp_path: Path) -> None:
    leads(tmp_path, ("old", "2025-12-31 23:59", "web"), ("new", "2026-01-01 00:00", "web"))
    write_csv(tmp_path / "deals.csv", [("lead", "outcome", "closed"), ("old", "???", "2026-02-01")])
    write_csv(tmp_path / "acts.csv", [("lead", "at", "type"), ("old", "2026-01-02", "visit")])
    loaded = loaded_of(
        tmp_path,
        leads=LEADS,
        deals=DEALS,
        activities=ACTIVITIES,
        since=date(2026, 1, 1),
        time_zone="Asia/Tokyo",
    )
    assert loaded.crm.lead_ids.tolist() == ["new"]
    assert not loaded.rejects.rows
    assert counts(loaded) == [0]


@pytest.mark.parametrize(
    ("order", "values", "ranks"),
    [
        ("n", (30, 10, 20), [2, 0, 1]),
        ("n", ("2026-01-03", "2025-01-01", "2026-01-03"), [1, 0, 1]),
        ("file", (3, 1, 2), [0, 1, 2]),
        ("none", (3, 1, 2), [0, 0, 0]),
    ],
)
def test_order_by_column_by_file_or_by_none(
    tmp_path: Path, order: str, values: tuple[object, ...], ranks: list[int]
) -> None:
    leads(tmp_path, *((f"l{i}", v, "web") for i, v in enumerate(values)), head=("id", "n", "channel"))
    crm = loaded_of(tmp_path, leads={"source": "leads.csv", "id": "id"}, order=order).crm
    assert crm.created.tolist() == ranks
    assert crm.order == ("none" if order == "none" else "rank")


def test_one_bad_value_of_the_order_rejects_one_row(tmp_path: Path) -> None:
    rows = [(f"l{i}", "x" if i == 3 else 9 - i, "web") for i in range(9)]
    leads(tmp_path, *rows, head=("id", "n", "channel"))
    source = {"source": "leads.csv", "id": "id"}
    crm = loaded_of(tmp_path, leads=source, order="n", max_reject_share=0.2).crm
    assert crm.created.tolist() == [7, 6, 5, 4, 3, 2, 1, 0]
    assert [r[2:5] for r in rejected(tmp_path)] == [("4", "n", "x")]


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
    assert outcomes.closed_at.tolist() == [ms(2026, 2, 1), NEVER, ms(2026, 3, 1), NEVER]
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
    assert outcomes.closed_at.tolist() == [ms(2026, 2, 1), ms(2026, 2, 1)]
    assert outcomes.won_at.tolist() == [ms(2026, 4, 1), NEVER]
    assert outcomes.amount.tolist() == [4, 3]


def test_without_an_outcome_column_every_deal_is_won(tmp_path: Path) -> None:
    leads(tmp_path, ("a", "2026-01-01", "web"), ("b", "2026-01-01", "web"))
    write_csv(tmp_path / "deals.csv", [("lead", "closed"), ("b", "2026-02-01")])
    deals = {"source": "deals.csv", "lead": "lead", "closed_at": "closed"}
    crm = loaded_of(tmp_path, leads=LEADS, deals=deals).crm
    assert crm.outcomes.won.tolist() == [False, True]
    assert crm.snapshot == ms(2026, 2, 1) + 1


def test_without_a_list_of_lost_values_all_others_are_lost(tmp_path: Path) -> None:
    leads(tmp_path, ("a", "2026-01-01", "web"), ("b", "2026-01-01", "web"))
    write_csv(tmp_path / "deals.csv", [("lead", "state"), ("a", "gone"), ("b", "yes")])
    deals = {"source": "deals.csv", "lead": "lead", "outcome": "state", "won": ["yes"]}
    crm = loaded_of(tmp_path, leads=LEADS, deals=deals).crm
    assert (crm.outcomes.closed.tolist(), crm.outcomes.won.tolist()) == (
        [True, True],
        [False, True],
    )
    assert not crm.horizon_applies


def test_contacts_of_one_account_share_a_number_and_others_have_their_own(tmp_path: Path) -> None:
    rows = [
        ("a", "2026-01-01", "web", "X"),
        ("b", "2026-01-01", "web", ""),
        ("c", "2026-01-01", "web", "X"),
        ("d", "2026-01-01", "web", "N/A"),
    ]
    leads(tmp_path, *rows, head=(*HEAD, "company"))
    crm = loaded_of(tmp_path, leads={**LEADS, "account": "company"}).crm
    assert crm.account[0] == crm.account[2]
    assert len(set(crm.account.tolist())) == 3
    assert crm.group.tolist() == crm.account.tolist()


HISTORY = {
    "score": {"kind": "attribute", "column": "score", "values": "number", "known": "history"},
    "state": {"kind": "attribute", "column": "state", "known": "history"},
}
LONG = [
    ("lead", "field", "new", "at"),
    ("a", "score", "7", "2026-01-05"),
    ("a", "state", "hot", "2026-01-06"),
    ("a", "score", "N/A", "2026-01-08"),
    ("a", "other", "?", "2026-01-06"),
]
WIDE = [
    ("lead", "score", "state", "at"),
    ("a", "7", "N/A", "2026-01-05"),
    ("a", "7", "hot", "2026-01-06"),
    ("a", "", "hot", "2026-01-08"),
]


@pytest.mark.parametrize(
    ("rows", "keys"),
    [(LONG, {"column": "field", "value": "new"}), (WIDE, {"columns": ["score", "state"]})],
)
def test_changes_in_rows_or_in_columns_tell_the_same(
    tmp_path: Path, rows: list[tuple[str, ...]], keys: dict[str, Any]
) -> None:
    leads(tmp_path, ("a", "2026-01-01", "web", "99", "today"), head=(*HEAD, "score", "state"))
    write_csv(tmp_path / "changes.csv", rows)
    loaded = loaded_of(
        tmp_path,
        leads=LEADS,
        features=HISTORY,
        segments={"state": "state"},
        changes={"source": "changes.csv", "lead": "lead", "at": "at", **keys},
    )
    days = [ms(2026, 1, day) for day in (5, 6, 7, 9)]
    view = ManyLeads(Histories(loaded.crm), np.zeros(4, dtype=int), np.array(days))
    score, state = (f(view) for f in loaded.settings.features.values())
    assert np.array_equal(score, [np.nan, 7, 7, np.nan], equal_nan=True)
    assert state.to_list() == [None, None, "hot", "hot"]
    assert plain(loaded, "state") == ["today"]


def test_an_attribute_without_changes_keeps_the_value_of_the_table(tmp_path: Path) -> None:
    leads(tmp_path, ("a", "2026-01-01", "web"), ("b", "2026-01-01", "N/A"))
    write_csv(tmp_path / "changes.csv", [("lead", "field", "new", "at")])
    for availability in ("at_creation", "today"):
        loaded = loaded_of(
            tmp_path,
            leads=LEADS,
            features={"c": {"kind": "attribute", "column": "channel", "known": availability}},
            changes={
                "source": "changes.csv",
                "lead": "lead",
                "at": "at",
                "column": "field",
                "value": "new",
            },
        )
        assert plain(loaded) == ["web", None]
        assert loaded.crm.changes == {}


def test_a_history_that_no_column_tells_is_an_error(tmp_path: Path) -> None:
    leads(tmp_path, ("a", "2026-01-01", "web"))
    write_csv(tmp_path / "changes.csv", [("lead", "score", "at"), ("a", "7", "2026-01-05")])
    changes = {"source": "changes.csv", "lead": "lead", "at": "at", "columns": ["score"]}
    features = {"s": {"kind": "attribute", "column": "scores", "known": "history"}}
    with pytest.raises(SettingsError, match=r"\[features\] s: .*'scores'; nearest: 'score'"):
        loaded_of(tmp_path, leads=LEADS, features=features, changes=changes)


def test_an_activities_table_of_no_rows_is_told_where_features_count(tmp_path: Path) -> None:
    leads(tmp_path, ("a", "2026-01-01", "web"))
    write_csv(tmp_path / "acts.csv", [("lead", "at", "type")])
    counting = {"visits": {"kind": "count", "activity": "visit"}}
    with pytest.raises(DataError, match=r"acts.csv\): holds no activity, but \[features\] visits"):
        loaded_of(tmp_path, leads=LEADS, activities=ACTIVITIES, features=counting)
    assert counts(loaded_of(tmp_path, leads=LEADS, activities=ACTIVITIES)) == [0]


def test_types_that_look_like_ids_are_refused(tmp_path: Path) -> None:
    leads(tmp_path, ("a", "2026-01-01", "web"))
    rows = [("a", "2026-01-02", f"t{i}") for i in range(30_001)]
    write_csv(tmp_path / "acts.csv", [("lead", "at", "type"), *rows])
    with pytest.raises(SettingsError, match="30,001 different activity types; this looks like an id"):
        loaded_of(tmp_path, leads=LEADS, activities=ACTIVITIES)


def test_an_export_of_no_leads_is_told(tmp_path: Path) -> None:
    leads(tmp_path)
    with pytest.raises(DataError, match=r"no lead is left to work with\.\n  The table holds no rows."):
        loaded_of(tmp_path, leads=LEADS)


def test_a_missing_column_of_leads_and_deals_is_told_before_anything_else(tmp_path: Path) -> None:
    leads(tmp_path, ("a", "2026-01-01", "web"))
    write_csv(tmp_path / "deals.csv", [("lead", "outcome", "closed_on"), ("a", "won", "2026-01-02")])
    with pytest.raises(SettingsError, match=r"leads \(leads.csv\): there is no column 'idd'"):
        loaded_of(tmp_path, leads={**LEADS, "id": "idd"})
    with pytest.raises(SettingsError, match=r"no column 'closed' as crm\.toml says; nearest: 'closed_on'"):
        loaded_of(tmp_path, leads=LEADS, deals=DEALS)


def test_numbers_with_commas_are_read_and_other_words_emptied(tmp_path: Path) -> None:
    rows = [("a", "2026-01-01", "1,200"), ("b", "2026-01-01", "n/a"), ("c", "2026-01-01", "many")]
    leads(tmp_path, *rows)
    size = {"s": {"kind": "attribute", "column": "channel", "values": "number"}}
    loaded = loaded_of(tmp_path, leads=LEADS, features=size)
    assert np.array_equal(loaded.crm.attributes["channel"], [1200, np.nan, np.nan], equal_nan=True)  # type: ignore[arg-type]
    assert [(r["row"], r["value"], r["left_out"]) for r in read_rejects(tmp_path)] == [("3", "many", "value")]


def test_ids_agree_between_files_of_different_types(tmp_path: Path) -> None:
    ids = [10_000_000_001.0, 10_000_000_002.0, None]
    pd.DataFrame({"id": ids, "at": "2026-01-01", "channel": "web"}).to_parquet(tmp_path / "l.parquet")
    write_csv(tmp_path / "acts.csv", [("lead", "at", "type"), ("10000000002", "2026-01-02", "visit")])
    loaded = loaded_of(
        tmp_path,
        leads={**LEADS, "source": "l.parquet"},
        activities=ACTIVITIES,
        max_reject_share=0.4,
    )
    assert counts(loaded) == [0, 1]


def test_as_of_is_the_snapshot_and_the_bound_of_all_dates(tmp_path: Path) -> None:
    leads(tmp_path, ("a", "2026-01-01", "web"), ("b", "2026-01-02", "web"))
    settings: CrmSettings = settings_of(tmp_path, leads=LEADS, as_of=iso_date(2026, 1, 1))
    assert settings.as_of is not None
    loaded = loaded_of(tmp_path, leads=LEADS, as_of=iso_date(2026, 1, 1), max_reject_share=0.5)
    assert loaded.crm.lead_ids.tolist() == ["a"]
    assert loaded.crm.snapshot == ms(2026, 1, 2) - DAY
