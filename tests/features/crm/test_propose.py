import sqlite3
import tomllib
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from features.crm.load import load
from features.crm.propose import Proposal, propose
from features.errors import DataError, OutsideError
from features.settings import CrmSettings, parse_settings
from tests.helpers.builders import write_csv

Rows = list[tuple[object, ...]]


def day(n: int) -> str:
    return str(date(2026, 1, 1) + timedelta(n))


def leads(n: int = 60) -> Rows:
    head: Rows = [("lead_id", "created_at", "company", "source", "age", "close_note", "memo")]
    return head + [
        (
            f"L{i}",
            day(i),
            f"C{i // 3}",
            ("web", "fair", "Select")[i % 3],
            20 + i % 30,
            "signed" if i % 4 == 0 else "",
            f"free text {i}",
        )
        for i in range(n)
    ]


def deals(n: int = 60) -> Rows:
    head: Rows = [("lead_id", "outcome", "closed_at", "amount")]
    return head + [
        (f"L{i}", "Closed Won" if i % 4 == 0 else "Closed Lost", day(i + 20 + i % 9), 1000 + i)
        for i in range(n)
        if i % 4 < 3
    ]


def activities(n: int = 60) -> Rows:
    head: Rows = [("lead_id", "event_type", "event_time")]
    return head + [
        (f"L{i % n}", ("visit", "Visit!", "資料請求")[i % 3], day(i % n + 1)) for i in range(2 * n)
    ]


def accepted(proposal: Proposal, folder: Path) -> CrmSettings:
    """The proposed crm.toml as a run would read it; it must also load."""
    settings = parse_settings(tomllib.loads(proposal.text), folder / "crm.toml")
    load(settings, folder / "rejects.csv")
    return settings


def commented(text: str, column: str) -> str:
    """The reason above the line of a feature that is commented out."""
    lines = text.splitlines()
    index = next(i for i, line in enumerate(lines) if line.startswith("# ") and f'"{column}"' in line)
    return lines[index - 1]


def test_two_tables_and_activities_of_csv(tmp_path: Path) -> None:
    for name, rows in (("leads", leads()), ("deals", deals()), ("events", activities())):
        write_csv(tmp_path / f"{name}.csv", rows)
    proposal = propose(["deals.csv", "events.csv", "leads.csv"], tmp_path)
    settings = accepted(proposal, tmp_path)
    lead, deal, (acts,) = settings.leads, settings.deals, settings.activities
    assert (lead.source, lead.id, lead.created_at, lead.account) == (
        "leads.csv",
        "lead_id",
        "created_at",
        "company",
    )
    assert deal is not None
    assert (deal.source, deal.lead, deal.outcome, deal.won, deal.lost, deal.closed_at, deal.amount) == (
        "deals.csv",
        "lead_id",
        "outcome",
        ("Closed Won",),
        ("Closed Lost",),
        "closed_at",
        "amount",
    )
    assert (acts.source, acts.lead, acts.type, acts.at) == (
        "events.csv",
        "lead_id",
        "event_type",
        "event_time",
    )
    assert settings.missing == ("Select",)
    assert settings.target.horizon_days == 30
    assert settings.segments == {"channel": "source"}
    kinds = {f.column: (f.values, f.known) for f in settings.table.attributes.values()}
    assert kinds == {"source": ("category", "today"), "age": ("number", "today")}
    assert settings.table.activities == {"visit", "Visit!", "資料請求", "*"}


def test_suspected_leaks_are_commented_out_with_the_reason(tmp_path: Path) -> None:
    head, *rows = leads()
    notes = ["signed", "", "", "", "paid", "", "", ""] * 8  # of every fourth lead, the won ones
    new_rows = [(*row[:5], note) for row, note in zip(rows, notes, strict=False)]
    write_csv(tmp_path / "leads.csv", [(*head[:5], "close\nnote"), *new_rows])
    write_csv(tmp_path / "deals.csv", deals())
    proposal = propose(["leads.csv", "deals.csv"], tmp_path)
    settings = accepted(proposal, tmp_path)
    assert "close\nnote" not in settings.columns
    assert "filled for won leads only" in commented(proposal.text, "close\\nnote")
    assert any(f.column == "close\nnote" and f.severity == "leak" for f in proposal.findings)


@pytest.mark.parametrize(("encoding", "separator"), [("cp932", ";"), ("utf-8", "\t"), ("cp932", ",")])
def test_encoding_and_separator_are_found(tmp_path: Path, encoding: str, separator: str) -> None:
    head = ("番号", "登録日", "流入経路", "結果", "成約日")
    rows = [
        (
            f"N{i}",
            day(i).replace("-", "/"),
            "展示会" if i % 2 else "検索",
            ("成約", "失注", "商談中")[i % 3],
            day(i + 30) if i % 3 < 2 else "",
        )
        for i in range(40)
    ]
    lines = [separator.join(map(str, row)) for row in [head, *rows]]
    (tmp_path / "一覧.csv").write_text("\n".join(lines), encoding=encoding)
    settings = accepted(propose(["一覧.csv"], tmp_path), tmp_path)
    assert (settings.leads.encoding, settings.leads.separator) == (encoding, separator)
    assert (settings.leads.id, settings.leads.created_at) == ("番号", "登録日")
    deal = settings.deals
    assert deal is not None
    assert (deal.outcome, deal.won, deal.lost, deal.ignore, deal.closed_at) == (
        "結果",
        ("成約",),
        ("失注",),
        ("商談中",),
        "成約日",
    )
    assert settings.segments == {"channel": "流入経路"}
    assert "流入経路" in settings.features


def test_not_won_in_words_that_hold_won_is_not_won(tmp_path: Path) -> None:
    rows: Rows = [
        ("id", "status", "kind"),
        *((f"a{i}", ("成約", "未成約")[i % 2], "xy"[i // 20]) for i in range(40)),
    ]
    write_csv(tmp_path / "l.csv", rows)
    deal = accepted(propose(["l.csv"], tmp_path), tmp_path).deals
    assert deal is not None
    assert (deal.won, deal.lost) == (("成約",), ("未成約",))


def sqlite_crm(path: Path, tables: dict[str, Rows]) -> None:
    with sqlite3.connect(path) as base:
        for name, (head, *rows) in tables.items():
            base.execute(f"CREATE TABLE {name} ({', '.join(map(str, head))})")
            base.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(head))})", rows)
    base.close()


def history(n: int = 60) -> Sequence[tuple[object, ...]]:
    return [
        ("lead_id", "field", "new_value", "changed_at"),
        *((f"L{i}", "stage", "demo" if i % 2 else "offer", day(i + 3)) for i in range(n)),
    ]


def test_a_sqlite_crm_with_changes(tmp_path: Path) -> None:
    staged = [(*row, "stage" if i == 0 else ("demo", "offer", "new")[i % 3]) for i, row in enumerate(leads())]
    sqlite_crm(
        tmp_path / "crm.db",
        {"leads": staged, "deals": deals(), "events": activities(), "history": list(history())},
    )
    settings = accepted(propose(["sqlite:///crm.db"], tmp_path), tmp_path)
    assert settings.leads.source == "sqlite:///crm.db"
    assert (settings.leads.table, settings.leads.id) == ("leads", "lead_id")
    assert settings.deals is not None
    assert settings.deals.table == "deals"
    (acts,) = settings.activities
    assert acts.table == "events"
    assert settings.changes is not None
    assert (settings.changes.table, settings.changes.column, settings.changes.value, settings.changes.at) == (
        "history",
        "field",
        "new_value",
        "changed_at",
    )
    assert settings.table.attributes["stage"].known == "history"


def test_a_table_with_one_closed_row_a_lead_is_the_won_ones(tmp_path: Path) -> None:
    write_csv(tmp_path / "leads.csv", leads())
    won: Rows = [("lead_id", "won_date"), *((f"L{i}", day(i + 30)) for i in range(0, 60, 4))]
    write_csv(tmp_path / "wins.csv", won)
    proposal = propose(["leads.csv", "wins.csv"], tmp_path)
    deal = accepted(proposal, tmp_path).deals
    assert deal is not None
    assert (deal.source, deal.outcome, deal.closed_at) == ("wins.csv", None, "won_date")
    assert "every row counts as a won deal" in proposal.text


def test_names_of_features_never_clash(tmp_path: Path) -> None:
    head = ("lead_id", "created_at", "Age", "age", "visit_30d", "status")
    rows = [(f"L{i}", day(i), i % 3, i % 7, i % 5, ("won", "lost")[i % 2]) for i in range(60)]
    write_csv(tmp_path / "leads.csv", [head, *rows])
    write_csv(tmp_path / "events.csv", activities())
    names = accepted(propose(["leads.csv", "events.csv"], tmp_path), tmp_path).table.names
    assert {"age", "age_", "age__", "visit_30d", "visit_30d_", "visit_30d__"} <= set(names)


def test_without_an_outcome_the_option_is_named(tmp_path: Path) -> None:
    rows: Rows = [
        ("id", "kind", "mark"),
        *((f"a{i}", "pq"[i % 2], "A" if i % 3 else "won deal") for i in range(40)),
    ]
    write_csv(tmp_path / "l.csv", rows)
    with pytest.raises(DataError, match=r"--outcome COLUMN\. Columns: id, kind, mark"):
        propose(["l.csv"], tmp_path)
    with pytest.raises(DataError, match="--outcome: there is no column 'marks'; nearest: 'mark'"):
        propose(["l.csv"], tmp_path, "marks")
    with pytest.raises(DataError, match=r"kind: no value looks like won\. Values: p, q"):
        propose(["l.csv"], tmp_path, "kind")
    deal = accepted(propose(["l.csv"], tmp_path, "mark"), tmp_path).deals
    assert deal is not None
    assert (deal.outcome, deal.won) == ("mark", ("won deal",))


def test_a_database_that_fails_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"no database" * 99)
    with pytest.raises(OutsideError, match="file is not a database"):
        propose(["sqlite:///x.db"], tmp_path)
    (tmp_path / "empty.db").touch()
    with pytest.raises(DataError, match="holds no table"):
        propose(["sqlite:///empty.db"], tmp_path)


def undated(folder: Path, **columns: Callable[[int], object]) -> Proposal:
    """The proposal for 400 leads without dates, of which every third has won; each third row is shifted, so
    that no column of `i` alone tells the outcome."""
    rows = [(f"L{i}", "won" if i % 3 == 0 else "lost", *(f(i) for f in columns.values())) for i in range(400)]
    write_csv(folder / "leads.csv", [("lead_id", "outcome", *columns), *rows])
    return propose(["leads.csv"], folder)


def hint(parts: int) -> Callable[[int], object]:
    """A value that is right about the outcome for so many of ten leads."""
    return lambda i: ("web", "fair")[(i % 3 == 0) == (i // 3 % 10 < parts)]


def test_a_column_of_today_by_its_name_stays_in_unless_the_data_speak_against_it(tmp_path: Path) -> None:
    faint = undated(tmp_path, source=lambda i: "abc"[i // 5 % 3], last_activity=hint(6), page_views=hint(5))
    assert {"last_activity", "page_views"} <= accepted(faint, tmp_path).features.keys()
    severities = {f.column: f.severity for f in faint.findings}
    assert severities["last_activity"] == "warning"
    strong = undated(tmp_path, source=lambda i: "abc"[i // 5 % 3], last_activity=hint(8))
    assert accepted(strong, tmp_path).features.keys() == {"source"}
    assert "# last_activity = {" in strong.text


def test_a_column_of_today_by_its_name_stays_out_where_too_few_leads_can_tell(tmp_path: Path) -> None:
    rows = [(f"L{i}", ("won", "lost")[i % 2], "abc"[i % 3], 10 + i % 4) for i in range(16)]
    write_csv(tmp_path / "leads.csv", [("lead_id", "outcome", "source", "page_views"), *rows])
    proposal = propose(["leads.csv"], tmp_path)
    assert accepted(proposal, tmp_path).features.keys() == {"source"}
    assert "'page_views' is no feature: by its name it is as of the day of the export" in proposal.text


def test_suspecting_the_only_column_is_said_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no feature is left") as problem:
        undated(tmp_path, paid=lambda i: ("card", "cash")[i % 2] if i % 3 == 0 else "")
    assert "'paid' is filled for won leads only" in str(problem.value)
    assert "「paid」" in problem.value.text("ja")


@pytest.mark.parametrize("word", ["none", "N.A.", "-", "?", "unknown", "不明", "未入力"])
def test_a_word_for_a_missing_value_among_numbers_is_proposed(tmp_path: Path, word: str) -> None:
    proposal = undated(
        tmp_path,
        income=lambda i: word if i % 100 == 50 else 1000 + i * 37 % 101,
        since=lambda i: word if i % 100 == 70 else day(i % 90),
        source=lambda i: ("web", "fair", "keine")[i % 5 % 3],
    )
    settings = accepted(proposal, tmp_path)
    assert settings.missing == (word,)
    assert settings.columns["income"] == "number"
    loaded = load(settings, tmp_path / "rejects.csv")
    assert not loaded.rejects.values
    assert int(np.isnan(np.asarray(loaded.crm.attributes["income"])).sum()) == 4


def test_a_word_for_a_missing_value_is_a_value_among_categories(tmp_path: Path) -> None:
    proposal = undated(tmp_path, source=lambda i: ("web", "unknown", "fair")[i % 5 % 3])
    assert accepted(proposal, tmp_path).missing == ()
