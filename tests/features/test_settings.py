import copy
from pathlib import Path
from typing import Any

import pytest

from features.crm.table_settings import expand_variables
from features.errors import SettingsError
from features.kinds import Attribute, Count, Ratio
from features.settings import load_settings, parse_features, parse_settings

GOOD: dict[str, Any] = {
    "crm": {"time_zone": "Asia/Tokyo"},
    "leads": {"source": "leads.csv", "id": "id", "created_at": "at"},
    "deals": {"outcome": "state", "won": ["won"], "closed_at": "closed"},
    "activities": {"source": "acts.csv", "lead": "lead", "at": "at"},
    "features": {"channel": {"kind": "attribute", "column": "channel"}},
}


def with_(key_path: str, value: Any) -> dict[str, Any]:
    """The good settings with one key set, by its path: "leads.id"."""
    document = copy.deepcopy(GOOD)
    *tables, key = key_path.split(".")
    node = document
    for table in tables:
        node = node.setdefault(table, {})
    if value is None:
        del node[key]
    else:
        node[key] = value
    return document


def refused(document: dict[str, Any]) -> str:
    with pytest.raises(SettingsError) as problem:
        parse_settings(document, Path("/x/crm.toml"))
    return str(problem.value)


def test_the_good_settings_hold() -> None:
    settings = parse_settings(GOOD, Path("/x/crm.toml"))
    assert settings.folder == Path("/x")
    assert settings.zone.key == "Asia/Tokyo"
    assert settings.columns == {"channel": "category"}
    assert settings.table.names == ("channel",)


@pytest.mark.parametrize(
    ("key_path", "value", "expected"),
    [
        ("leads.id", None, "[leads] id: is missing."),
        ("leads.creatd_at", "x", "[leads] creatd_at: there is no such key. Nearest: 'created_at'"),
        ("lead", {"id": "x"}, "[lead]: there is no such key. Nearest: 'leads'"),
        ("crm.timezone", "UTC", "[crm] timezone: there is no such key. Nearest: 'time_zone'"),
        ("crm.folder", "x", "[crm] folder: there is no such key."),
        ("crm", 3, "[crm] must be a table of keys (got 3)."),
        ("crm.time_zone", "Asia/Tokio", "[crm] time_zone: no such time zone; nearest: 'Asia/Tokyo'"),
        (
            "crm.max_reject_share",
            2,
            "[crm] max_reject_share: Input should be less than or equal to 1 (got 2).",
        ),
        ("crm.max_reject_share", "a lot", "(got 'a lot')."),
        ("deals.won", [], "[deals]: `won` is missing: the outcome values that mean won."),
        ("deals.lost", ["won"], "[deals]: 'won' stand in more than one of won, lost, ignore and leave_out."),
        ("deals.source", "d.csv", "[deals]: `lead` is missing: the column with the lead's id."),
        (
            "deals.lead_separator",
            ";",
            "[deals]: `lead_separator` divides the ids in `lead`, which is missing.",
        ),
        (
            "deals",
            {"outcome": "o", "won": ["w"], "lost_at": "x"},
            "[deals]: `lost_at` and `undated_lost` need `closed_at`: the date of won deals.",
        ),
        (
            "deals",
            {"outcome": "o", "won": ["w"], "undated_lost": True},
            "[deals]: `lost_at` and `undated_lost` need `closed_at`",
        ),
        ("deals.leave_out", ["won"], "'won' stand in more than one of won, lost, ignore and leave_out."),
        (
            "leads.skip_where",
            {"deleted": []},
            "[leads] skip_where deleted: Tuple should have at least 1 item",
        ),
        ("leads.max_reject_share", 2, "[leads] max_reject_share: Input should be less than or equal to 1"),
        (
            "leads.lost_where",
            {"state": ["Junk"]},
            "[leads] lost_where: is for leads without a deal in the table",
        ),
        (
            "deals",
            {"source": "d.csv", "id": "no", "outcome": "o", "won": ["won"]},
            "[deals] lead: the deals name their lead in `lead`, or [leads] names the deal in `deal`",
        ),
        ("deals.outcome", None, "[deals]: `outcome` is missing: the column that tells won from lost."),
        ("leads.table", "t", "[leads]: `table` and `query` belong to a database source"),
        ("leads.source", "sqlite:///x.db", "[leads]: a database source needs either `table` or `query`"),
        ("leads.separator", ";;", "[leads] separator: String should have at most 1 character (got ';;')."),
        ("leads.time_format", "%d.%Q", "[leads] time_format: is no form of a time; use codes of strptime"),
        ("target.landmarks", [7, 1], "[target] landmarks: must be a list of different ages in days, rising"),
        ("target.horizon", 30, "[target] horizon: there is no such key. Nearest: 'horizon_days'"),
        ("changes", {"source": "c.csv", "lead": "l", "at": "t"}, "either `column` and `value`, or `columns`"),
        ("features", {}, "[features]: no feature is given; `hotlead init` proposes some"),
        (
            "features.x",
            {"kind": "cuont", "activity": "a"},
            "[features] x: `kind` must be one of 'attribute', 'count',",
        ),
        ("features.x", {"activity": "a"}, "(got none)."),
        (
            "features.x",
            {"kind": "count", "activity": "a", "dayz": 3},
            "[features] x dayz: there is no such key. Nearest: 'days'",
        ),
        (
            "features.x",
            {"kind": "count", "activity": "a", "days": -3},
            "[features] x days: Input should be greater than 0 (got -3).",
        ),
        ("features.x", {"kind": "count"}, "[features] x activity: is missing."),
        (
            "features.x",
            {"kind": "attribute", "column": "c", "known": "later"},
            "'at_creation', 'history' or 'today'",
        ),
        (
            "features.x",
            {"kind": "ratio", "part": {"kind": "age"}, "whole": {"kind": "distinct"}},
            "x part: `kind` must be one of 'count', 'sum', 'decayed', 'distinct' (got 'age').",
        ),
        (
            "features.x",
            {"kind": "attribute", "column": "c", "known": "history"},
            'x: known = "history", but there is no [changes]',
        ),
        (
            "features.x",
            {"kind": "attribute", "column": "channel", "known": "at_creation"},
            "x: both are the column 'channel', so `values` and `known` must be the same",
        ),
    ],
)
def test_messages_name_file_key_value_and_what_is_allowed(key_path: str, value: Any, expected: str) -> None:
    message = refused(with_(key_path, value))
    assert all(line.startswith("/x/crm.toml: ") for line in message.splitlines())
    assert expected in message


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("leads.created_at", None), "[features] visits: only attributes are possible without dates"),
        (("crm.order", "file"), "[features] visits: only attributes are possible without dates"),
        (("activities", None), "[features] visits: activities are counted, but there is no [activities]"),
    ],
)
def test_features_need_the_dates_and_activities_that_they_count(
    change: tuple[str, Any], expected: str
) -> None:
    settings = with_(*change)
    settings["features"]["visits"] = {"kind": "count", "activity": "visit"}
    assert expected in refused(settings)


def test_age_needs_dates_but_no_activities() -> None:
    settings = with_("activities", None)
    settings["features"]["age"] = {"kind": "age"}
    assert parse_settings(settings, Path("crm.toml")).table.activities == frozenset()
    del settings["leads"]["created_at"]
    assert "age: only attributes" in refused(settings)


def test_order_by_date_needs_the_column_of_the_date() -> None:
    settings = with_("crm.order", "date")
    assert parse_settings(settings, Path("crm.toml")).order_column is None
    del settings["leads"]["created_at"]
    assert '"date" needs the column of that date' in refused(settings)


def test_numbers_and_booleans_stand_for_their_texts() -> None:
    settings = parse_settings(with_("deals.won", [1, True, 2.5, "yes"]), Path("crm.toml"))
    assert settings.deals is not None
    assert settings.deals.won == ("1", "true", "2.5", "yes")


def test_files_that_are_no_crm_toml_are_told(tmp_path: Path) -> None:
    path = tmp_path / "crm.toml"
    for content, expected in (
        (None, "there is no such file. Run the command in its folder, or name it; `hotlead init"),
        (b"[leads\n", "is not TOML: "),
        ('name = "\u5c71"'.encode("cp932"), "It must be UTF-8."),
    ):
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(SettingsError) as problem:
            load_settings(path)
        assert str(problem.value).startswith(f"{path}: ")
        assert expected in str(problem.value)


def test_environment_variables_stand_in_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRM_USER", "me")
    monkeypatch.setenv("CRM_PASSWORD", "p$w")
    assert expand_variables("x://${CRM_USER}:${CRM_PASSWORD}@h") == "x://me:p$w@h"
    monkeypatch.delenv("CRM_USER")
    with pytest.raises(SettingsError, match=r"variable CRM_USER that crm\.toml names is not set"):
        expand_variables("x://${CRM_USER}@h")


def test_a_table_written_down_is_read_back_the_same() -> None:
    document = with_(
        "features.share",
        {
            "kind": "ratio",
            "part": {"kind": "count", "activity": ["a", "b"], "days": 7},
            "whole": {"kind": "count", "activity": "*"},
        },
    )
    table = parse_settings(document, Path("crm.toml")).table
    assert table.rows["share"] == Ratio(Count(("a", "b"), 7), Count("*"))
    assert parse_features(table.to_dict()) == table.rows


def test_the_fingerprint_follows_meaning_and_place_but_not_words() -> None:
    def fingerprint(**features: Any) -> str:
        return parse_settings({**GOOD, "features": features}, Path("crm.toml")).table.fingerprint

    a = {"kind": "attribute", "column": "a"}
    b = {"kind": "attribute", "column": "b"}
    assert fingerprint(a=a, b=b) == fingerprint(a={**a, "known": "today"}, b=b)
    assert len({fingerprint(a=a, b=b), fingerprint(b=b, a=a), fingerprint(a=b, b=a), fingerprint(a=a)}) == 4
    worded = parse_settings({**GOOD, "words": {"channel": {"en": "C"}}}, Path("crm.toml")).table
    assert worded.fingerprint == parse_settings(GOOD, Path("crm.toml")).table.fingerprint
    assert worded.label("channel", "en") == "C"
    assert worded.attributes == {"channel": Attribute("channel")}
    assert worded.without({"channel"}).names == ()


def test_activities_are_one_table_or_several() -> None:
    calls = {"source": "calls.csv", "lead": "lead", "at": "at", "type_name": "call"}
    one = parse_settings(GOOD, Path("crm.toml")).activities
    several = parse_settings(with_("activities", [GOOD["activities"], calls]), Path("crm.toml")).activities
    assert [table.type_name for table in one] == ["activity"]
    assert [table.type_name for table in several] == ["activity", "call"]


def test_an_activity_has_a_column_of_types_or_one_type() -> None:
    both_named = refused(with_("activities", {**GOOD["activities"], "type": "kind", "type_name": "call"}))
    assert "[activities]: give either `type`, a column, or `type_name`" in both_named
    second = refused(with_("activities", [GOOD["activities"], {"source": "calls.csv", "lead": "lead"}]))
    assert "[activities] 1 at: is missing" in second
