"""`hotlead init` on exports that write times and numbers in their own ways: what it proposes is enough."""

import random
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from features.crm.load import Loaded, load
from features.crm.propose import Proposal, propose
from features.errors import DataError
from features.moments import build_examples
from features.settings import parse_settings
from tests.helpers.builders import write_csv

pytestmark = pytest.mark.slow  # many exports, each through the whole of `hotlead init`

Write = Callable[[datetime], str]
HEAD = ("Lead Id", "Created On", "Status", "Close Date", "Source", "Employees", "Amount")
START = datetime(2025, 1, 3, 7, 5)


def in_form(form: str) -> Write:
    return lambda moment: moment.strftime(form)


ISO = in_form("%Y-%m-%d %H:%M")


def write_leads(
    folder: Path,
    created: Write = ISO,
    closed: Write | None = None,
    employees: Callable[[int], str] = str,
    amount: Callable[[int], str] = str,
    name: str = "leads.csv",
    head: tuple[str, ...] = HEAD,
) -> str:
    """300 leads; two in three are closed, after 1 to 40 days."""
    rng = random.Random(13)
    rows: list[tuple[object, ...]] = [head]
    for i in range(300):
        moment = START + timedelta(hours=37 * i)
        close = (closed or created)(moment + timedelta(days=rng.randint(1, 40)))
        size, value = rng.choice([5, 50, 500, 1500]), rng.randint(1000, 90_000)
        status = ("Won", "Lost", "Open")[i % 3]
        row = (f"L{i}", created(moment), status, close if i % 3 < 2 else "", rng.choice("ab"))
        rows.append((*row, employees(size), amount(value)))
    write_csv(folder / name, rows)
    return name


def load_proposal(proposal: Proposal, folder: Path) -> Loaded:
    settings = parse_settings(tomllib.loads(proposal.text), folder / "crm.toml")
    return load(settings, folder / "rejects.csv")


@pytest.mark.parametrize(
    "form",
    [
        "%d.%m.%Y %H:%M",
        "%m/%d/%Y %I:%M %p",
        "%m/%d/%y %H:%M",
        "%y/%m/%d %H:%M",
        "%d-%m-%Y %H:%M:%S",
        "%d %b, %Y %H:%M:%S",
        "%B %d, %Y %I:%M %p",
        "%a, %d %b %Y %H:%M:%S",
        "%Y%m%d%H%M%S",
        "%Y年%m月%d日 %H時%M分",
        "%Y/%m/%d %I:%M %p",
    ],
)
def test_an_export_in_any_form_is_read_like_iso(
    tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    usual = load_proposal(propose([write_leads(tmp_path)], tmp_path), tmp_path).crm
    crm = load_proposal(propose([write_leads(tmp_path, in_form(form))], tmp_path), tmp_path).crm
    assert np.array_equal(crm.created, usual.created)
    assert np.array_equal(crm.outcomes.closed_at, usual.outcomes.closed_at)
    assert np.array_equal(crm.outcomes.won_at, usual.outcomes.won_at)


@pytest.mark.parametrize(
    "write",
    [
        lambda d: str((d - datetime(1899, 12, 30)) / timedelta(days=1)),
        lambda d: str(int(d.replace(tzinfo=UTC).timestamp())),
        lambda d: str(int(d.replace(tzinfo=UTC).timestamp() * 1000)),
        lambda d: f"令和{d.year - 2018}年{d.month}月{d.day}日 {d:%H:%M}",
        lambda d: f"R{d.year - 2018}.{d.month}.{d.day} {d:%H:%M}",
    ],
    ids=["excel", "seconds", "ms", "reiwa", "R"],
)
def test_an_export_of_numbers_or_eras_is_read_like_iso(
    tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "UTC")
    usual = load_proposal(propose([write_leads(tmp_path)], tmp_path), tmp_path).crm
    proposal = propose([write_leads(tmp_path, write)], tmp_path)
    crm = load_proposal(replace_zone(proposal), tmp_path).crm
    assert np.array_equal(crm.created, usual.created)
    assert np.array_equal(crm.outcomes.closed_at, usual.outcomes.closed_at)


def replace_zone(proposal: Proposal) -> Proposal:
    """The proposal with times of UTC, whatever zone the text suggests."""
    return Proposal(proposal.text.replace('"Asia/Tokyo" #', '"UTC" #'), [])


def first_days(moment: datetime) -> str:
    """A date whose day and month can be exchanged."""
    return moment.replace(day=1 + moment.day % 12).strftime("%d/%m/%Y")


def test_two_orders_that_fit_are_asked_and_never_guessed(tmp_path: Path) -> None:
    proposal = propose([write_leads(tmp_path, first_days)], tmp_path)
    assert any("Created On: two orders of day and month fit" in note for note in proposal.notes)
    assert (
        "# Created On: two orders of day and month fit all values: 04/01/2025 may be 2025-01-04 or"
        in proposal.text
    )
    with pytest.raises(DataError, match=r'write time_formats = \{ "Created On" = "%d/%m/%Y" \} or'):
        load_proposal(proposal, tmp_path)
    answer = '[leads]\ntime_formats = { "Created On" = "%d/%m/%Y", "Close Date" = "%d/%m/%Y" }'
    crm = load_proposal(Proposal(proposal.text.replace("\n[leads]\n", f"\n{answer}\n"), []), tmp_path).crm
    assert len(crm) == 300


def test_a_column_beside_decides_the_order_and_it_is_said(tmp_path: Path) -> None:
    proposal = propose([write_leads(tmp_path, in_form("%d/%m/%Y"), first_days)], tmp_path)
    assert '"Close Date" = "%d/%m/%Y"' in proposal.text
    assert any("Close Date" in note and "as the columns beside it show" in note for note in proposal.notes)
    assert len(load_proposal(proposal, tmp_path).crm) == 300


def test_mixed_orders_are_named_with_rows(tmp_path: Path) -> None:
    proposal = propose(
        [write_leads(tmp_path, lambda d: d.strftime("%d/%m/%Y" if d.hour % 3 else "%m/%d/%Y"))], tmp_path
    )
    notes = [note for note in proposal.notes if note.startswith("leads.csv, column Created On")]
    assert len(notes) == 1
    assert "two orders of day and month stand in the column" in notes[0]
    with pytest.raises(DataError, match="two orders of day and month stand in the column"):
        load_proposal(proposal, tmp_path)


def test_dates_of_no_known_form_are_said(tmp_path: Path) -> None:
    proposal = propose([write_leads(tmp_path, lambda d: f"week {d:%V} of {d.year}")], tmp_path)
    assert "# Created On: sounds like a date, but its values fit no known form: 'week " in proposal.text
    assert any(
        "column Close Date: sounds like a date, but its values fit no known form" in n for n in proposal.notes
    )


def test_rows_that_fit_another_format_name_it(tmp_path: Path) -> None:
    write_leads(tmp_path, in_form("%d.%m.%Y"))
    crm: dict[str, Any] = {
        "leads": {"source": "leads.csv", "id": "Lead Id", "created_at": "Created On"},
        "features": {"source": {"kind": "attribute", "column": "Source"}},
    }
    settings = parse_settings(crm, tmp_path / "crm.toml")
    with pytest.raises(
        DataError, match=r'the values fit %d\.%m\.%Y: write time_formats = \{ "Created On" = "%d'
    ):
        load(settings, tmp_path / "rejects.csv")


@pytest.mark.parametrize(
    ("employees", "amount", "expected"),
    [
        (lambda n: f"{n:,}名", lambda n: f"¥{n:,}", [5, 50, 500, 1500]),
        (lambda n: f"{n} employees", lambda n: f"$ {n:,}.00", [5, 50, 500, 1500]),
        (
            lambda n: f"{n:,}".replace(",", "."),
            lambda n: f"{n:,}".replace(",", ".") + ",50 €",
            [5, 50, 500, 1500],
        ),
        (lambda n: f"{n / 100} %", lambda n: f"{n / 1000}k", [0.05, 0.5, 5, 15]),
        (lambda n: f"({n})", lambda n: f"{n:,}-", [-1500, -500, -50, -5]),
    ],
)
def test_numbers_with_units_and_foreign_signs_are_numbers(
    tmp_path: Path, employees: Callable[[int], str], amount: Callable[[int], str], expected: list[float]
) -> None:
    proposal = propose([write_leads(tmp_path, employees=employees, amount=amount)], tmp_path)
    loaded = load_proposal(proposal, tmp_path)
    values = loaded.crm.attributes["Employees"]
    assert isinstance(values, np.ndarray)
    assert sorted(set(values.tolist())) == expected
    assert np.isfinite(loaded.crm.outcomes.amount[loaded.crm.outcomes.closed]).all()
    rejected = {reject.column for reject in loaded.rejects.values}
    assert rejected == (set() if expected[0] > 0 else {"Amount"})  # an open lead's amount is not negative


def test_one_thousand_five_hundred_or_one_and_a_half_is_asked(tmp_path: Path) -> None:
    proposal = propose(
        [write_leads(tmp_path, employees=lambda n: "1.500" if n == 1500 else str(n))], tmp_path
    )
    assert any("1.500 may be 1.5 or 1,500" in note for note in proposal.notes)
    with pytest.raises(
        DataError, match=r"column Employees: 1\.500 may be 1\.5 or 1,500; write number_formats"
    ):
        load_proposal(proposal, tmp_path)


def test_ranges_and_labels_stay_categories(tmp_path: Path) -> None:
    name = write_leads(tmp_path, employees=lambda n: f"{n}-{2 * n}名", amount=lambda n: str(44_287 + n % 40))
    crm = load_proposal(propose([name], tmp_path), tmp_path).crm
    assert not isinstance(crm.attributes["Employees"], np.ndarray)
    assert isinstance(crm.attributes["Amount"], np.ndarray)


def test_wins_of_the_same_day_are_examples(tmp_path: Path) -> None:
    write_leads(tmp_path, closed=in_form("%Y-%m-%d"))
    text = (tmp_path / "leads.csv").read_text(encoding="utf-8").splitlines()
    same_day = [line.split(",") for line in text[1:]]
    for cells in same_day:
        if cells[2] == "Won":
            cells[3] = cells[1][:10]
    write_csv(tmp_path / "leads.csv", [HEAD, *map(tuple, same_day)])
    loaded = load_proposal(propose(["leads.csv"], tmp_path), tmp_path)
    assert (loaded.crm.outcomes.closed_at >= loaded.crm.created).all()
    assert build_examples(loaded.crm, loaded.settings.target).won_leads > 90


def test_an_expected_close_of_an_open_lead_is_no_close(tmp_path: Path) -> None:
    write_leads(tmp_path)
    lines = (tmp_path / "leads.csv").read_text(encoding="utf-8").splitlines()
    rows = [line.split(",") for line in lines]
    for cells in rows[1:]:
        cells[3] = cells[3] or str((datetime.now(tz=UTC) + timedelta(days=90)).date())
    write_csv(tmp_path / "leads.csv", [tuple(cells) for cells in rows])
    loaded = load_proposal(propose(["leads.csv"], tmp_path), tmp_path)
    assert (len(loaded.crm), int(loaded.crm.outcomes.closed.sum())) == (300, 200)


def recent(folder: Path, head: tuple[str, ...], ahead: timedelta) -> str:
    """300 leads of the last days, whose clocks are `ahead` of UTC."""
    newest = datetime.now(tz=UTC).replace(tzinfo=None) + ahead
    rows = [
        (
            f"L{i}",
            f"{newest - timedelta(hours=i):%Y-%m-%d %H:%M}",
            ("Won", "Lost", "Open")[i % 3],
            "",
            "a",
            "5",
            "1",
        )
        for i in range(300)
    ]
    write_csv(folder / "leads.csv", [head, *rows])
    return "leads.csv"


def test_japanese_text_means_the_zone_of_tokyo(tmp_path: Path) -> None:
    head = ("ID", "登録日時", "ステータス", "クローズ日", "流入元", "従業員数", "金額")
    proposal = propose([recent(tmp_path, head, timedelta(hours=9))], tmp_path)
    assert 'time_zone = "Asia/Tokyo"' in proposal.text
    assert "because the text is Japanese" in proposal.notes[0]
    assert len(load_proposal(proposal, tmp_path).crm) == 300


def test_times_ahead_by_hours_are_named_as_the_fault_of_the_zone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "UTC")
    proposal = propose([recent(tmp_path, HEAD, timedelta(hours=8))], tmp_path)
    expected = "8 times lie in the future, up to 8 hours after now"
    assert any(expected in note and "set [crm] time_zone" in note for note in proposal.notes)
    with pytest.raises(DataError, match=expected):
        load_proposal(proposal, tmp_path)


def test_activities_that_may_be_planned_are_rejected_with_a_hint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "UTC")
    now = datetime.now(tz=UTC)
    calls = [(f"L{i}", "call", f"{now + timedelta(hours=3 - i):%Y-%m-%d %H:%M}") for i in range(240)]
    write_csv(tmp_path / "calls.csv", [("Lead Id", "Type", "When"), *calls])
    proposal = propose([write_leads(tmp_path), "calls.csv"], tmp_path)
    loaded = load_proposal(proposal, tmp_path)
    assert len(loaded.crm.activities) == 237
    assert 'if it is not planned, time_zone = "UTC" is wrong' in str(loaded.rejects.summary())


def test_the_zone_of_offsets_is_proposed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    for offset, zone in (("+0900", "Asia/Tokyo"), ("+0300", "Etc/GMT-3"), ("Z", "UTC")):
        proposal = propose([write_leads(tmp_path, in_form(f"%Y-%m-%dT%H:%M:%S{offset}"))], tmp_path)
        assert f'time_zone = "{zone}"' in proposal.text
        assert "from the offsets in the data" in proposal.text
    monkeypatch.setenv("TZ", "America/Chicago")
    assert 'time_zone = "America/Chicago"' in propose([write_leads(tmp_path)], tmp_path).text
