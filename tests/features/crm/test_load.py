from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.errors import DataError, SettingsError
from features.settings import CrmSettings
from tests.helpers.builders import DAY, loaded_of, ms, read_rejects, settings_of, write_csv
from tests.helpers.crm_tables import ACTIVITIES, DEALS, HEAD, LEADS, counts, iso_date, leads, rejected


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
        tmp_path, leads={**LEADS, "source": "l.parquet"}, activities=ACTIVITIES, max_reject_share=0.4
    )
    assert counts(loaded) == [0, 1]


def test_as_of_is_the_snapshot_and_the_bound_of_all_dates(tmp_path: Path) -> None:
    leads(tmp_path, ("a", "2026-01-01", "web"), ("b", "2026-01-02", "web"))
    settings: CrmSettings = settings_of(tmp_path, leads=LEADS, as_of=iso_date(2026, 1, 1))
    assert settings.as_of is not None
    loaded = loaded_of(tmp_path, leads=LEADS, as_of=iso_date(2026, 1, 1), max_reject_share=0.5)
    assert loaded.crm.lead_ids.tolist() == ["a"]
    assert loaded.crm.snapshot == ms(2026, 1, 2) - DAY
