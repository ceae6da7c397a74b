"""Values that mislead: zones by their names, cut numbers, decimal commas, calendars, running numbers."""

import random
import tomllib
from datetime import timedelta, timezone
from pathlib import Path

import pytest

from features.clock import to_ms
from features.crm.load import Loaded, load
from features.crm.propose import Proposal, propose
from features.errors import DataError
from features.settings import parse_settings
from tests.helpers.exports.crms import ALL, LEADS, LeadRow, counts, day, proposal_of, table
from tests.helpers.exports.workbooks import write_workbook

pytestmark = pytest.mark.slow  # exports, each through the whole of `hotlead init`

DEALS = ("deal_id", "status", "created", "closed", "source")


def _deal(r: LeadRow) -> tuple[object, ...]:
    return 90_000 + r.number, r.outcome, day(r.created), r.closed_text(day), r.source


def _created_as(r: LeadRow, form: str) -> tuple[object, ...]:
    number, status, _, closed, source = _deal(r)
    return number, status, r.created.strftime(form), closed, source


def _load(proposal: Proposal, folder: Path) -> Loaded:
    settings = parse_settings(tomllib.loads(proposal.text), folder / "crm.toml")
    return load(settings, folder / "rejects.csv")


@pytest.mark.parametrize(
    ("name", "zone", "hours"),
    [("EST", "America/New_York", 5), ("CST", "America/Chicago", 6), ("PST", "America/Los_Angeles", 8)],
)
def test_names_of_zones_are_read_and_proposed(tmp_path: Path, name: str, zone: str, hours: int) -> None:
    form = f"%m/%d/%Y %H:%M:%S {name}" if name == "CST" else f"%Y-%m-%d %H:%M:%S {name}"
    proposal = proposal_of(tmp_path, table("deals.csv", DEALS, lambda r: _created_as(r, form)))
    assert counts(proposal) == ALL
    assert f'time_zone = "{zone}" is proposed from the names of zones in the data.' in proposal.notes
    offset = timezone(timedelta(hours=-hours))
    expected = [to_ms(r.created.replace(microsecond=0, tzinfo=offset)) for r in LEADS]
    assert _load(proposal, tmp_path).crm.created.tolist() == expected


def test_cst_may_be_china_so_its_column_is_named(tmp_path: Path) -> None:
    form = "%Y-%m-%d %H:%M:%S CST"
    proposal = proposal_of(tmp_path, table("deals.csv", DEALS, lambda r: _created_as(r, form)))
    assert any("column created: sounds like a date" in note for note in proposal.notes)
    assert "created_at" not in tomllib.loads(proposal.text)["leads"]


@pytest.mark.parametrize("cut", ["4.59245E+18", "4,59245E+18"])
def test_numbers_that_excel_cut_are_no_features(tmp_path: Path, cut: str) -> None:
    def row(r: LeadRow) -> tuple[object, ...]:
        return *_deal(r), f"4{cut[1:4]}{r.number % 90 + 10}{cut[6:]}"

    proposal = proposal_of(tmp_path, table("deals.csv", (*DEALS, "Campaign ref"), row))
    assert counts(proposal) == ALL
    assert "'Campaign ref' is no feature: its long numbers were cut by Excel" in proposal.text
    assert not any("ref" in name for name in tomllib.loads(proposal.text)["features"])


def test_thousands_in_a_file_with_semicolons_are_a_question(tmp_path: Path) -> None:
    rows = [";".join(map(str, (*_deal(r), f"{r.size % 9 + 1},500"))) for r in LEADS]
    text = "\n".join([";".join((*DEALS, "Employees")), *rows])
    (tmp_path / "deals.csv").write_text(text + "\n", encoding="utf-8")
    proposal = propose(["deals.csv"], tmp_path)
    assert [(q.kind, q.values["column"]) for q in proposal.questions] == [("decimal", "Employees")]
    with pytest.raises(DataError, match=r"column Employees: \d,500 may be \d,500 or \d\.5"):
        _load(proposal, tmp_path)


def test_a_workbook_of_the_calendar_of_1904_has_the_same_dates(tmp_path: Path) -> None:
    rows = [
        (90_000 + r.number, r.outcome, r.created, None if r.outcome == "open" else r.closed, r.source)
        for r in LEADS
    ]
    write_workbook(tmp_path / "deals.xlsx", {"Deals": [DEALS, *rows]}, is_1904=True)
    proposal = propose(["deals.xlsx"], tmp_path)
    assert counts(proposal) == ALL
    zone = parse_settings(tomllib.loads(proposal.text), tmp_path / "crm.toml").zone
    expected = [to_ms(r.created.replace(tzinfo=zone)) for r in LEADS]
    assert _load(proposal, tmp_path).crm.created.tolist() == pytest.approx(expected, abs=1_000)


@pytest.mark.parametrize(("is_running", "order"), [(True, "Case number"), (False, "file")])
def test_a_number_is_the_order_only_where_it_rises(tmp_path: Path, is_running: bool, order: str) -> None:
    numbers = [LEADS[0].number + 7_000 + n for n in range(len(LEADS))]
    if not is_running:
        random.Random(3).shuffle(numbers)
    header = ("Title", "Case number", "STAGENAME", "LEADSOURCE")
    export = table(
        "opps.csv",
        header,
        lambda r: (f"Opp {r.number}", numbers[r.number], r.pick("Won", "Lost", "Talks"), r.source),
    )
    assert f'order = "{order}"' in proposal_of(tmp_path, export).text
