"""Each finding on a small CRM that has the flaw, and none of them on the same CRM without it."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.crm.audit import Audit, audit
from features.crm.load import Loaded, load
from features.moments import MIN_WINS
from features.settings import parse_settings
from tests.helpers.builders import write_csv

COUNT = 400
START = datetime(2025, 1, 1, tzinfo=UTC)
RANDOM = np.random.default_rng(7)
WON = RANDOM.random(COUNT) < 0.3
SIZE = RANDOM.integers(1, 40, COUNT)
TRADE = RANDOM.choice(["steel", "food", "web"], COUNT)

Values = Callable[[int], object]


def time_text(days: float) -> str:
    return (START + timedelta(days=days)).strftime("%Y-%m-%d %H:%M")


CLEAN: dict[str, Values] = {
    "id": lambda i: f"L{i}",
    "created": lambda i: time_text(i),
    "outcome": lambda i: "won" if WON[i] else "lost",
    "closed": lambda i: time_text(i + 20),
    "size": lambda i: SIZE[i],
    "trade": lambda i: TRADE[i],
}


def crm(folder: Path, columns: Mapping[str, Values] | None = None, **tables: Any) -> Loaded:
    """The clean CRM with other or more columns, and with other keys in its crm.toml."""
    all_columns = {**CLEAN, **(columns or {})}
    rows = [[value(i) for value in all_columns.values()] for i in range(COUNT)]
    write_csv(folder / "leads.csv", [tuple(all_columns), *rows])
    settings: dict[str, Any] = {
        "as_of": datetime(2027, 1, 1, tzinfo=UTC),
        "leads": {"source": "leads.csv", "id": "id", "created_at": "created"},
        "deals": {"outcome": "outcome", "won": ["won"], "lost": ["lost"], "closed_at": "closed"},
        "features": {
            c: {
                "kind": "attribute",
                "column": c,
                "known": "at_creation",
                "values": "number" if c == "size" else "category",
            }
            for c in all_columns
            if c not in ("id", "created", "outcome", "closed")
        },
    }
    return load(parse_settings({**settings, **tables}, folder / "crm.toml"), folder / "rejects.csv")


def named(loaded: Loaded) -> set[tuple[str, str | None]]:
    """(code, column) of each finding; all of them must speak both languages."""
    findings = audit(loaded)
    for finding in findings:
        assert finding.text("en") == finding.en != finding.ja == finding.text("ja")
        assert re.search("[ぁ-んァ-ヶ一-龠]", finding.ja)
        assert "nan" not in finding.en
        if finding.column:
            assert f"'{finding.column}'" in finding.en
            assert f"「{finding.column}」" in finding.ja
    return {(f.code, f.column) for f in findings}


def test_a_clean_crm_has_no_finding(tmp_path: Path) -> None:
    assert named(crm(tmp_path)) == set()


FLAWS: list[tuple[str, str, Values]] = [
    ("one_outcome", "leak", lambda i: "paid" if WON[i] and i % 3 else ""),
    ("date_after_close", "leak", lambda i: time_text(i + 20.5 if i % 10 else i)),
    ("almost_perfect", "leak", lambda i: "x" if WON[i] != (i % 50 == 0) else "y"),
    ("almost_perfect", "suspect", lambda i: "x" if WON[i] != (i % 14 == 0) else "y"),
    ("mostly_one_outcome", "suspect", lambda i: "ab"[i % 2] if i % 10 < (7 if WON[i] else 3) else ""),
    ("filled_lately", "suspect", lambda i: "ab"[i % 2] if i > 300 or i % 5 == 0 else ""),
    ("id", "note", lambda i: f"ref-{i}"),
    ("unseen_values", "warning", lambda i: "new" if i > 330 and i % 2 else "ab"[i % 3 % 2]),
]


@pytest.mark.parametrize(("code", "severity", "values"), FLAWS)
def test_a_column_with_a_flaw_is_named(tmp_path: Path, code: str, severity: str, values: Values) -> None:
    loaded = crm(tmp_path, {"odd": values})
    # Ids and dates are new for every lead as well.
    also = {("unseen_values", "odd")} if code in ("id", "date_after_close") else set()
    assert named(loaded) == {(code, "odd")} | also
    finding = next(f for f in audit(loaded) if f.code == code)
    assert (finding.severity, finding.is_used) == (severity, True)


@pytest.mark.parametrize(("share", "is_named"), [(0.0, True), (0.5, False)])
def test_a_column_that_no_open_lead_has_is_named(tmp_path: Path, share: float, is_named: bool) -> None:
    """The CRM fills it at the close, or has renamed it: open leads are scored without it."""
    is_open = np.arange(COUNT) % 8 == 0
    columns: dict[str, Values] = {
        "outcome": lambda i: "open" if is_open[i] else CLEAN["outcome"](i),
        "closed": lambda i: "" if is_open[i] else CLEAN["closed"](i),
        "odd": lambda i: "" if is_open[i] and i % 16 >= 16 * share else TRADE[i],
    }
    deals = {
        "outcome": "outcome",
        "won": ["won"],
        "lost": ["lost"],
        "ignore": ["open"],
        "closed_at": "closed",
    }
    findings = [f for f in audit(crm(tmp_path, columns, deals=deals)) if f.code == "empty_for_open"]
    assert [(f.column, f.severity) for f in findings] == ([("odd", "warning")] if is_named else [])


@pytest.mark.parametrize("name", ["Final state", "last_event", "daysElapsed", "最終結果"])
def test_a_telling_column_is_suspected_by_its_name_alone(tmp_path: Path, name: str) -> None:
    hint: Values = lambda i: "x" if WON[i] == (i % 10 < 7) else "y"  # noqa: E731
    assert named(crm(tmp_path, {name: hint})) == {("named_like_a_summary", name)}
    assert named(crm(tmp_path, {"interest": hint})) == set()
    assert named(crm(tmp_path, {name: lambda i: "xy"[i % 2]})) == set()


def faint_hint(i: int) -> str:
    """A value that tells the outcome with a ROC AUC of about 0.6."""
    return "x" if WON[i] == (i % 10 < 6) else "y"


def with_open_leads(folder: Path, name: str, values: Values) -> Loaded:
    """Every fourth lead is open."""
    columns: dict[str, Values] = {
        name: values,
        "outcome": lambda i: "open" if i % 4 == 0 else CLEAN["outcome"](i),
        "closed": lambda i: "" if i % 4 == 0 else time_text(i + 20),
    }
    deals = {"outcome": "outcome", "won": ["won"], "lost": ["lost"], "ignore": ["open"]}
    return crm(folder, columns, deals={**deals, "closed_at": "closed"})


def severities(loaded: Loaded, name: str) -> list[str]:
    return [f.severity for f in audit(loaded) if f.code == "named_like_a_summary" and f.column == name]


@pytest.mark.parametrize("name", ["last_new_job", "Outcome", "Visit_Duration", "page_views", "最終活動"])
def test_a_name_with_faint_evidence_is_a_warning(tmp_path: Path, name: str) -> None:
    loaded = crm(tmp_path, {name: faint_hint})
    assert named(loaded) == {("named_like_a_summary", name)}
    assert severities(loaded, name) == ["warning"]


@pytest.mark.parametrize("name", ["Final state", "Number of Activities", "last_modified", "経過日数"])
def test_a_name_of_the_end_is_believed_where_no_open_lead_speaks_against_it(
    tmp_path: Path, name: str
) -> None:
    assert severities(crm(tmp_path, {name: faint_hint}), name) == ["suspect"]
    assert severities(with_open_leads(tmp_path, name, faint_hint), name) == ["warning"]
    strong: Values = lambda i: "x" if WON[i] == (i % 10 < 8) else "y"  # noqa: E731
    assert severities(with_open_leads(tmp_path, name, strong), name) == ["suspect"]


@pytest.mark.parametrize(("of_won", "severity"), [(17, "warning"), (25, "suspect")])
def test_a_column_that_buyers_fill_a_little_more_often_is_a_warning(
    tmp_path: Path, of_won: int, severity: str
) -> None:
    place = np.where(WON, np.cumsum(WON), np.cumsum(~WON)) * 7 % 50
    filled: Values = lambda i: "ab"[i % 2] if place[i] < (of_won if WON[i] else 8) else ""  # noqa: E731
    findings = [f for f in audit(crm(tmp_path, {"odd": filled})) if f.code == "mostly_one_outcome"]
    assert [f.severity for f in findings] == [severity]


@pytest.mark.parametrize("name", ["MaritalStatus", "employment_status", "婚姻ステータス", "最終学歴"])
def test_a_status_of_the_person_is_no_status_of_the_deal(tmp_path: Path, name: str) -> None:
    assert named(crm(tmp_path, {name: lambda i: "x" if WON[i] == (i % 10 < 7) else "y"})) == set()


def test_a_column_that_crm_toml_does_not_use_is_named_as_unused(tmp_path: Path) -> None:
    features = {"size": {"kind": "attribute", "column": "size", "known": "at_creation"}}
    loaded = crm(tmp_path, {"paid": lambda i: "x" if WON[i] else ""}, features=features)
    assert [(f.column, f.is_used) for f in audit(loaded)] == [("paid", False)]
    assert Audit.from_loaded(loaded).left_out == ()


def test_sure_leaks_are_left_out_unless_crm_toml_insists(tmp_path: Path) -> None:
    leak = {"paid": FLAWS[0][2], "maybe": FLAWS[4][2]}
    loaded = crm(tmp_path, leak)
    assert Audit.from_loaded(loaded).left_out == ("paid",)
    insisting = {"p": {"kind": "attribute", "column": "paid", "known": "at_creation", "insist": True}}
    loaded = crm(tmp_path, leak, features=insisting)
    assert ("one_outcome", "paid") in named(loaded)
    assert Audit.from_loaded(loaded).left_out == ()


def test_a_column_that_counts_all_activities_is_named(tmp_path: Path) -> None:
    acts = [(f"L{i}", time_text(i + n)) for i in range(COUNT) for n in range(1 + i % 7)]
    write_csv(tmp_path / "acts.csv", [("lead", "at"), *acts])
    activities = {"source": "acts.csv", "lead": "lead", "at": "at"}
    findings = named(crm(tmp_path, {"touches": lambda i: 1 + i % 7}, activities=activities))
    assert findings == {("counts_all", "touches")}
    findings = named(crm(tmp_path, {"touches": lambda i: 1 + i % 6}, activities=activities))
    assert findings == set()


def test_columns_of_a_deals_table_are_looked_at(tmp_path: Path) -> None:
    closed = [i for i in range(COUNT) if i % 9]
    deals = [
        (f"L{i}", "won" if WON[i] else "lost", time_text(i + 20), "why" if not WON[i] else "") for i in closed
    ]
    write_csv(tmp_path / "deals.csv", [("lead", "outcome", "closed", "reason"), *deals])
    deals_table = {
        "source": "deals.csv",
        "lead": "lead",
        "outcome": "outcome",
        "won": ["won"],
        "lost": ["lost"],
        "closed_at": "closed",
    }
    columns = {"outcome": lambda i: "-", "closed": lambda i: ""}
    features = {"size": {"kind": "attribute", "column": "size", "known": "at_creation"}}
    assert named(crm(tmp_path, columns, deals=deals_table, features=features)) == {("one_outcome", "reason")}


def wins(count: int) -> dict[str, Values]:
    return {"outcome": lambda i: "won" if i % 13 == 0 and i // 13 < count else "lost"}


@pytest.mark.parametrize(("count", "few"), [(MIN_WINS - 1, True), (MIN_WINS, False)])
def test_too_few_wins_and_how_many_are_missing(tmp_path: Path, count: int, few: bool) -> None:
    findings = [f for f in audit(crm(tmp_path, wins(count))) if f.code == "too_few_wins"]
    assert bool(findings) is few
    assert all("There are 19 won leads" in f.en and "1 more are missing" in f.en for f in findings)


@pytest.mark.parametrize(("outcome", "code"), [("won", "one_class"), ("lost", "too_few_wins")])
def test_one_class_only_is_told_without_a_look_at_columns(tmp_path: Path, outcome: str, code: str) -> None:
    loaded = crm(tmp_path, {"outcome": lambda i: outcome, "paid": lambda i: "x" if i % 2 else ""})
    assert named(loaded) == {(code, None)}


def test_todays_values_are_named_up_to_six(tmp_path: Path) -> None:
    features = {f"f{i}": {"kind": "attribute", "column": f"c{i}"} for i in range(8)}
    columns = {f"c{i}": (lambda i: "ab"[i % 2]) for i in range(8)}
    findings = audit(crm(tmp_path, columns, features=features))
    assert [f.code for f in findings] == ["today_values"]
    assert "'c5' and 2 more: today's values" in findings[0].en
    assert "「c5」ほか2列は" in findings[0].ja


def test_an_outcome_in_which_nearly_all_are_won(tmp_path: Path) -> None:
    mostly: Values = lambda i: "lost" if i % 8 == 0 else "won"  # noqa: E731
    assert named(crm(tmp_path, {"outcome": mostly})) == {("mostly_won", None)}


def test_a_win_rate_that_moves(tmp_path: Path) -> None:
    moving: Values = lambda i: "won" if i % 10 < (1 if i < 200 else 6) else "lost"  # noqa: E731
    assert named(crm(tmp_path, {"outcome": moving})) == {("moving_win_rate", None)}


def test_early_outcomes_that_are_missing(tmp_path: Path) -> None:
    columns: dict[str, Values] = {
        "outcome": lambda i: CLEAN["outcome"](i) if i > 150 else "",
        "closed": lambda i: time_text(i + 20) if i > 150 else "",
    }
    findings = audit(crm(tmp_path, columns))
    assert [f.code for f in findings] == ["no_early_wins"]
    assert "No close is recorded before 2025-06-21" in findings[0].en


def test_closes_before_the_creation(tmp_path: Path) -> None:
    early: Values = lambda i: time_text(i - 2 if i in (50, 60) else i + 20)  # noqa: E731
    findings = audit(crm(tmp_path, {"closed": early}))
    assert [(f.code, f.en[:7]) for f in findings] == [("closed_before_created", "2 leads")]


def test_activities_after_the_close(tmp_path: Path) -> None:
    write_csv(
        tmp_path / "acts.csv",
        [("lead", "at"), ("L1", time_text(5)), ("L1", time_text(60)), ("L2", time_text(70))],
    )
    findings = audit(crm(tmp_path, activities={"source": "acts.csv", "lead": "lead", "at": "at"}))
    assert [(f.code, f.en[:6]) for f in findings] == [("activities_after_close", "2 of 3")]


def test_leads_that_nobody_worked(tmp_path: Path) -> None:
    columns: dict[str, Values] = {"called": lambda i: "" if i % 4 == 1 else "yes"}
    features = {"size": {"kind": "attribute", "column": "size", "known": "at_creation"}}
    loaded = crm(tmp_path, columns, roles={"first_contact": "called"}, features=features)
    lost = sum(not WON[i] for i in range(COUNT) if i % 4 == 1)
    messages = {f.code: f.en for f in audit(loaded)}
    assert messages.keys() == {"unworked"}
    assert messages["unworked"].startswith(
        f"{lost} leads that were never contacted (no 'called' is recorded)"
    )


def test_leads_that_nobody_worked_where_the_contact_is_an_activity(tmp_path: Path) -> None:
    calls = [(f"L{i}", time_text(i), "call" if i % 4 else "visit") for i in range(COUNT)]
    write_csv(tmp_path / "acts.csv", [("lead", "at", "type"), *calls])
    acts = {"source": "acts.csv", "lead": "lead", "at": "at", "type": "type"}
    lost = sum(not WON[i] for i in range(0, COUNT, 4))
    findings = audit(crm(tmp_path, activities=acts, roles={"first_contact": "call"}))
    assert [(f.code, f.en.split()[0]) for f in findings] == [("unworked", str(lost))]


def test_outcomes_that_are_too_young(tmp_path: Path) -> None:
    loaded = crm(tmp_path, as_of=START + timedelta(days=COUNT + 20), target={"horizon_days": 90})
    findings = audit(loaded)
    assert [f.code for f in findings] == ["too_young"]
    assert "69 leads are younger than the horizon of 90 days" in findings[0].en
    assert "331 leads are" in findings[0].en


def test_leads_without_a_channel(tmp_path: Path) -> None:
    channel: Values = lambda i: "" if i % 4 == 0 else "web"  # noqa: E731
    findings = audit(crm(tmp_path, {"origin": channel}, segments={"channel": "origin"}))
    assert [(f.code, f.en[:23]) for f in findings] == [("no_channel", "100 leads (25.0%) have ")]


def test_findings_come_gravest_first_and_used_columns_before_others(tmp_path: Path) -> None:
    features = {"b": {"kind": "attribute", "column": "b"}}
    columns = {"a": FLAWS[0][2], "b": FLAWS[0][2], "c": FLAWS[4][2]}
    findings = audit(crm(tmp_path, columns, features=features))
    assert [(f.severity, f.column) for f in findings] == [
        ("leak", "b"),
        ("leak", "a"),
        ("suspect", "c"),
        ("warning", None),
    ]


def test_columns_of_lists_and_records_are_looked_at_too(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "id": [f"L{i}" for i in range(60)],
            "won": [i % 2 for i in range(60)],
            "channel": "web",
            "tags": [["a", "b"] if i % 2 else None for i in range(60)],
        }
    )
    frame.to_parquet(tmp_path / "l.parquet")
    document = {
        "leads": {"source": "l.parquet", "id": "id"},
        "deals": {"outcome": "won", "won": [1]},
        "order": "file",
        "features": {"c": {"kind": "attribute", "column": "channel", "known": "at_creation"}},
    }
    loaded = load(parse_settings(document, tmp_path / "crm.toml"), tmp_path / "rejects.csv")
    assert named(loaded) == {("one_outcome", "tags")}


def test_columns_that_one_value_fills_are_listed_in_one_line(tmp_path: Path) -> None:
    rare: Values = lambda i: ("no", "yes", "perhaps")[i % 20 % 3 if i % 20 < 3 else 0]  # noqa: E731
    findings = [f for f in audit(crm(tmp_path, {"a": rare, "b": rare})) if f.code == "default_value"]
    assert len(findings) == 1
    assert "'a' 'no' (90%), 'b' 'no' (90%)" in findings[0].en
    assert "「a」" in findings[0].ja
    assert "「b」" in findings[0].ja
