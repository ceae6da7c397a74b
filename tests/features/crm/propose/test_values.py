"""Exports of a CRM that no recipe knows are read by their values; what cannot be known is asked."""

import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from features.crm.load import load
from features.crm.propose import propose
from features.errors import DataError, SettingsError
from features.settings import CrmSettings, parse_settings
from tests.helpers.exports.crms import (
    ALL,
    LEADS,
    LeadRow,
    Table,
    clock,
    count,
    counts,
    day,
    proposal_of,
    slashes,
    table,
    write_tables,
)

pytestmark = pytest.mark.slow  # many exports, each through the whole of `hotlead init`


def _deals(text: str, folder: Path) -> CrmSettings:
    settings = parse_settings(tomllib.loads(text), folder / "crm.toml")
    load(settings, folder / "rejects.csv")
    return settings


def _flags(row: LeadRow) -> tuple[str, str]:
    return row.pick("TRUE", "FALSE", "FALSE"), row.pick("TRUE", "TRUE", "FALSE")


MISLEADING = table(
    "leads.csv",
    (
        "Id",
        "First conversion date",
        "Created",
        "Webinar attended at",
        "Last email send date",
        "Expected close",
        "Close date",
        "Status",
        "Annual revenue",
        "Deal amount",
        "Owner",
        "Last name",
        "Weekend campaign",
        "Source",
    ),
    lambda r: (
        r.number,
        clock(r.created.replace(hour=23)),
        clock(r.created.replace(hour=1)),
        clock(r.closed) if r.number % 2 else "",
        clock(r.closed),
        day(r.closed),
        r.closed_text(clock),
        r.pick("won", "Dead", "Nurturing"),
        r.number % 7 * 1000,
        r.size if r.outcome == "won" else "",
        ("Kato", "Ito")[r.number % 2],
        f"Abe{r.number % 40}",
        r.number % 3,
        r.source,
    ),
)
BY_FLAGS = table(
    "d.csv",
    ("ID", "DATE_CREATE", "STAGE_ID", "CLOSED", "WON", "CLOSEDATE", "SOURCE_ID"),
    lambda r: (
        r.number,
        day(r.created),
        r.pick("Выдано", "Сделка провалена", "Дозвониться"),
        *reversed(_flags(r)),
        day(r.closed),
        r.source,
    ),
)
WITHOUT_STAGE = table(
    "d.csv",
    ("Deal Key", "Created", "Closed", "Won", "Close date", "Origin"),
    lambda r: (f"R{r.number:04d}", day(r.created), *reversed(_flags(r)), day(r.closed), r.source),
)
WON_AND_DATE = table(
    "d.csv",
    ("ref", "opened", "is_won", "decided_on", "origin"),
    lambda r: (f"R{r.number:04d}", day(r.created), r.pick("1", "0", "0"), r.closed_text(day), r.source),
)
PLANNED = table(
    "d.csv",
    (
        "id",
        "Date created",
        "Tentative closing date",
        "Expected close",
        "Decision made on",
        "Status",
        "Source",
    ),
    lambda r: (
        f"R{r.number:04d}",
        day(r.created),
        day(r.closed),
        day(r.closed),
        r.closed_text(day),
        r.pick("Closed Won", "Disqualified", "New"),
        r.source,
    ),
)
JAPANESE = table(
    "一覧.csv",
    ("管理番号", "問い合わせ日", "氏名", "電話番号", "担当者", "流入元", "進捗", "契約日"),
    lambda r: (
        f"K-{r.number:05d}",
        slashes(r.created),
        f"山田{r.number}",
        f"03-1234-{r.number:04d}",
        "佐藤",
        r.source,
        r.pick("成約", "見送り", "受注見込"),
        r.closed_text(slashes, "won"),
    ),
)
SPANISH = table(
    "d.csv",
    ("Código", "Fecha de creación", "Etapa", "Fecha de cierre", "Importe", "Origen"),
    lambda r: (
        f"C{r.number:05d}",
        day(r.created),
        r.pick("Ganado", "Perdido", "En negociación"),
        r.closed_text(day),
        r.size,
        r.source,
    ),
)
STAGE_DATES = table(
    "d.csv",
    (
        "Deal ref",
        "Phase",
        "Date entered Demo",
        "Date entered Closed won",
        "Date entered Closed lost",
        "Origin",
    ),
    lambda r: (
        f"D{r.number:05d}",
        r.pick("Won", "Lost", "Demo"),
        clock(r.created),
        r.closed_text(clock, "won"),
        r.closed_text(clock, "lost"),
        r.source,
    ),
)
MIGRATED = table(
    "d.csv",
    ("id", "created_at", "inquiry_date", "status", "closed_at", "source"),
    lambda r: (
        f"R{r.number:04d}",
        "2026-06-01 10:00:00",
        day(r.created),
        r.outcome,
        r.closed_text(day),
        r.source,
    ),
)


@pytest.mark.parametrize(
    ("export", "outcome", "created", "closed"),
    [
        (MISLEADING, "Status", "Created", "Close date"),
        (BY_FLAGS, "STAGE_ID", "DATE_CREATE", "CLOSEDATE"),
        (WITHOUT_STAGE, "Won", "Created", "Close date"),
        (WON_AND_DATE, "is_won", "opened", "decided_on"),
        (PLANNED, "Status", "Date created", "Decision made on"),
        (JAPANESE, "進捗", "問い合わせ日", "契約日"),
        (SPANISH, "Etapa", "Fecha de creación", "Fecha de cierre"),
        (STAGE_DATES, "Phase", "Date entered Demo", "Date entered Closed won"),
        (MIGRATED, "status", "inquiry_date", "closed_at"),
    ],
    ids=[
        "misleading",
        "flags",
        "no_stage",
        "won_and_date",
        "planned",
        "japanese",
        "spanish",
        "stage_dates",
        "migrated",
    ],
)
def test_outcome_creation_and_close_by_values(
    tmp_path: Path, export: Table, outcome: str, created: str, closed: str
) -> None:
    proposal = proposal_of(tmp_path, export)
    assert counts(proposal) == ALL
    settings = _deals(proposal.text, tmp_path)
    assert settings.deals is not None
    assert (settings.deals.outcome, settings.leads.created_at, settings.deals.closed_at) == (
        outcome,
        created,
        closed,
    )


def test_owners_names_and_other_columns_are_no_features_with_the_reason(tmp_path: Path) -> None:
    proposal = proposal_of(tmp_path, MISLEADING)
    settings = _deals(proposal.text, tmp_path)
    assert settings.deals is not None
    assert settings.deals.amount == "Deal amount"
    assert {"Annual revenue", "Source", "Weekend campaign"} == settings.columns.keys()
    for sentence in (
        "# 'Owner' is no feature: a person who sells is no reason to buy.",
        "# 'Last name' is no feature: personal data",
        "# 'Webinar attended at' is no feature: a date after the creation",
    ):
        assert sentence in proposal.text
    contacts = proposal_of(tmp_path, JAPANESE)
    assert "'電話番号' is no feature: personal data" in contacts.text
    assert _deals(contacts.text, tmp_path).columns.keys() == {"流入元"}


def test_a_close_date_is_no_creation(tmp_path: Path) -> None:
    export = table(
        "opps.csv",
        ("Title", "STAGENAME", "CLOSEDATE", "AMOUNT", "LEADSOURCE"),
        lambda r: (
            f"Opp {r.number}",
            r.pick("Closed Won", "Closed Lost", "Prospecting"),
            day(r.closed),
            r.size,
            r.source,
        ),
    )
    proposal = proposal_of(tmp_path, export)
    settings = _deals(proposal.text, tmp_path)
    assert (settings.leads.created_at, settings.order, settings.leads.id) == (None, "CLOSEDATE", "Title")
    assert "No date is that of a lead's creation" in "\n".join(proposal.notes)


def test_words_that_are_neither_won_lost_nor_open_leave_leads_out(tmp_path: Path) -> None:
    def status(row: LeadRow) -> str:
        end = {0: "Duplicate", 1: "Cancelled by us", 2: "Closed", 3: "Won, then churned"}
        return end.get(row.number, row.pick("Won", "Lost", "Working"))

    export = table(
        "d.csv",
        ("id", "created", "status", "closed", "source"),
        lambda r: (f"R{r.number}", day(r.created), status(r), day(r.closed), r.source),
    )
    proposal = proposal_of(tmp_path, export)
    rest = [lead for lead in LEADS if lead.number > 3]
    won, lost = count("won", rest) + 1, count("lost", rest)
    assert counts(proposal) == (len(rest) + 1, won, lost, len(rest) + 1 - won - lost)
    assert proposal.summary.left_out == 3
    deals = _deals(proposal.text, tmp_path).deals
    assert deals is not None
    assert set(deals.leave_out) == {"Duplicate", "Cancelled by us", "Closed"}


def test_won_deals_without_a_date_are_reported(tmp_path: Path) -> None:
    export = table(
        "d.csv",
        ("id", "created", "status", "lost on", "source"),
        lambda r: (f"R{r.number}", day(r.created), r.outcome, r.closed_text(day, "lost"), r.source),
    )
    proposal = proposal_of(tmp_path, export)
    assert counts(proposal) == ALL
    assert "lost on has a date for 0% of the won and 100% of the lost deals" in "\n".join(proposal.notes)


@pytest.mark.parametrize(
    ("header", "row", "message"),
    [
        (("id", "created", "status"), lambda r: (r.number, day(r.created), "Open"), "looks like an outcome"),
        (
            ("id", "created", "status"),
            lambda r: (f"R{r.number}", day(r.created), ("Closed", "Open")[r.number % 2]),
            r"status \(Closed, Open\)",
        ),
        (
            ("Invoice", "Date", "Paid"),
            lambda r: (f"I{r.number}", day(r.created), ("yes", "no")[r.number % 2]),
            "looks like an outcome",
        ),
        (
            ("Deal ID", "Snapshot date", "Stage"),
            lambda r: (r.number % 20, day(r.created), r.pick("Won", "Lost", "Open")),
            r"Deal ID repeats \(20 ids in 200 rows\)",
        ),
        (
            ("id", "customer name", "status"),
            lambda r: (f"R{r.number}", f"Name {r.number}", r.outcome),
            "no column can be a feature",
        ),
    ],
    ids=["one_value", "closed_alone", "invoices", "snapshots", "no_feature"],
)
def test_what_cannot_be_known_is_a_question(
    tmp_path: Path, header: Sequence[str], row: Callable[[LeadRow], Sequence[object]], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        proposal_of(tmp_path, table("d.csv", header, row))


def test_a_person_names_the_values_of_the_outcome(tmp_path: Path) -> None:
    export = table(
        "d.csv",
        ("ID", "DATE_CREATE", "STAGE_ID", "CLOSED", "CLOSEDATE", "SOURCE_ID"),
        lambda r: (
            r.number,
            day(r.created),
            r.pick("Выдано", "Сделка провалена", "Дозвониться"),
            r.pick("Y", "Y", "N"),
            day(r.closed),
            r.source,
        ),
    )
    with pytest.raises(DataError, match=r"STAGE_ID \(.*CLOSED \(Y, N\)"):
        proposal_of(tmp_path, export)
    files = write_tables(tmp_path, [export])
    with pytest.raises(DataError, match="STAGE_ID: no value looks like won"):
        propose(files, tmp_path, "STAGE_ID")
    with pytest.raises(DataError, match="--lost: STAGE_ID holds no value 'Провалена'"):
        propose(files, tmp_path, "STAGE_ID", ["Выдано"], ["Провалена"])
    with pytest.raises(SettingsError, match="give --outcome COLUMN and --won VALUE"):
        propose(files, tmp_path, None, ["Выдано"])
    proposal = propose(files, tmp_path, "STAGE_ID", ["Выдано"], ["Сделка провалена"])
    assert counts(proposal) == ALL


def test_the_summary_is_worded_in_both_languages(tmp_path: Path) -> None:
    summary = proposal_of(tmp_path, PLANNED).summary
    leads, won, lost, still_open = ALL
    first = min(lead.created for lead in LEADS).strftime("%Y-%m")
    assert summary.text("en").startswith(f"{leads} leads, {first} to 2026-06; {won} won, {lost} lost, ")
    assert f"{still_open} open; closes after {summary.days_to_close} days in the middle" in summary.text("en")
    assert f"成約{won}件、失注{lost}件、オープン{still_open}件" in summary.text("ja")
