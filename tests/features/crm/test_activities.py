from pathlib import Path
from typing import Any

import numpy as np
import pytest

from features.errors import DataError, SettingsError
from features.many_leads import Histories, ManyLeads
from tests.helpers.builders import loaded_of, ms, read_rejects, write_csv
from tests.helpers.crm_tables import ACTIVITIES, HEAD, LEADS, counts, leads, plain

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


@pytest.mark.parametrize(
    ("rows", "keys"), [(LONG, {"column": "field", "value": "new"}), (WIDE, {"columns": ["score", "state"]})]
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
            changes={"source": "changes.csv", "lead": "lead", "at": "at", "column": "field", "value": "new"},
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
