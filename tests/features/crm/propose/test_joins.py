"""Tables of an export are joined where names or ids fit; the others are named with the reason."""

import sqlite3
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from features.crm.load import load
from features.crm.propose import propose
from features.errors import DataError
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
    table,
)

pytestmark = pytest.mark.slow  # many exports, each through the whole of `hotlead init`


def _deals(text: str, folder: Path) -> CrmSettings:
    settings = parse_settings(tomllib.loads(text), folder / "crm.toml")
    load(settings, folder / "rejects.csv")
    return settings


@pytest.mark.parametrize(
    ("form", "separator"),
    [
        (lambda n: f"{10_000 + n}.0", None),
        (lambda n: f"{{{n:08X}-ABCD-2222-3333-00000000AAAA}}", None),
        (lambda n: f"{10_000 + n}, {10_000 + n}", ","),
    ],
    ids=["123.0", "guid", "list"],
)
def test_deals_are_joined_by_ids_in_other_forms(
    tmp_path: Path, form: Callable[[int], str], separator: str | None
) -> None:
    is_guid = form(0).startswith("{")
    leads = table(
        "leads.csv",
        ("lead_id", "created_at", "source"),
        lambda r: (
            f"{r.number:08x}-abcd-2222-3333-00000000aaaa" if is_guid else 10_000 + r.number,
            clock(r.created),
            r.source,
        ),
    )
    deals = table(
        "deals.csv",
        ("deal_id", "lead_id", "stage", "closed_at"),
        lambda r: (f"D{r.number}", form(r.number), r.pick("Won", "Lost", "Demo"), r.closed_text(clock)),
    )
    proposal = proposal_of(tmp_path, leads, deals)
    assert counts(proposal) == ALL
    settings = _deals(proposal.text, tmp_path)
    assert settings.deals is not None
    assert (settings.deals.lead, settings.deals.lead_separator) == ("lead_id", separator)


def test_small_numbers_join_only_where_names_fit(tmp_path: Path) -> None:
    leads = table(
        "Leads.csv",
        ("LeadId", "CreatedDate", "Source", "ConvertedOpportunityId"),
        lambda r: (r.number + 1, day(r.created), r.source, r.number + 1 if r.outcome != "open" else ""),
    )
    deals = table(
        "Opportunities.csv",
        ("OpportunityId", "Result", "DecidedOn"),
        lambda r: (r.number + 1, r.pick("Won", "Lost", "Lost"), day(r.closed)),
    )
    users = table(
        "users.csv",
        ("user_id", "age", "registration_date"),
        lambda r: (100_000 + r.number, 18 + r.number % 40, day(r.created)),
    )
    proposal = proposal_of(tmp_path, leads, deals, users)
    assert counts(proposal) == ALL
    settings = _deals(proposal.text, tmp_path)
    assert settings.activities == ()
    assert "Not used: users.csv: no column of it holds ids of Leads.csv (LeadId)." in proposal.notes


def test_tables_that_share_only_mail_addresses_are_not_joined(tmp_path: Path) -> None:
    leads = table(
        "leads.csv",
        ("lead_id", "created_at", "status", "closed_at", "email", "source"),
        lambda r: (
            f"L{r.number:04d}",
            clock(r.created),
            r.outcome,
            r.closed_text(clock),
            f"u{r.number}@example.com",
            r.source,
        ),
    )
    mails = table(
        "mails.csv",
        ("email", "sent_at", "kind"),
        lambda r: (f"u{r.number}@example.com", clock(r.created), "newsletter"),
    )
    proposal = proposal_of(tmp_path, leads, mails)
    assert counts(proposal) == ALL
    assert "it shares only email with leads.csv, where 100% of its values are found" in "\n".join(
        proposal.notes
    )


def test_activities_of_other_records_are_counted_and_stop_no_run(tmp_path: Path) -> None:
    leads = table(
        "leads.csv",
        ("id", "created_at", "status", "closed_at", "source"),
        lambda r: (f"L{r.number:04d}", clock(r.created), r.outcome, r.closed_text(clock), r.source),
    )
    name, header, rows = table(
        "calls.csv",
        ("lead_id", "customer_id", "at", "type"),
        lambda r: (f"L{r.number:04d}", "", clock(r.created), "call"),
    )
    of_customers = [("", f"C{i}", "2026-01-01", "mail") for i in range(150)]
    of_strangers = [(f"X{i:04d}", "", "2026-01-01", "mail") for i in range(50)]
    proposal = proposal_of(tmp_path, leads, (name, header, [*rows, *of_customers, *of_strangers]))
    assert counts(proposal) == ALL
    assert proposal.summary.left_out == 200
    settings = _deals(proposal.text, tmp_path)
    assert settings.activities[0].max_reject_share is not None
    assert 0.125 < settings.activities[0].max_reject_share < 0.3


def test_a_column_that_tells_who_has_a_deal_is_no_feature(tmp_path: Path) -> None:
    leads = table(
        "leads.csv",
        ("lead_id", "created_at", "source", "handling"),
        lambda r: (
            f"L{r.number:04d}",
            clock(r.created),
            r.source,
            "worked" if r.outcome == "open" else "handed over",
        ),
    )
    name, header, rows = table(
        "deals.csv",
        ("lead_id", "stage", "closed_at"),
        lambda r: (f"L{r.number:04d}", r.pick("Won", "Lost", ""), r.closed_text(clock)),
    )
    closed = [row for lead, row in zip(LEADS, rows, strict=True) if lead.outcome != "open"]
    proposal = proposal_of(tmp_path, leads, (name, header, closed))
    assert counts(proposal) == ALL
    assert "'handling' is no feature: it tells which leads have a deal" in proposal.text


def test_codes_of_the_outcome_are_read_by_their_names(tmp_path: Path) -> None:
    deals = table(
        "deals.csv",
        ("id", "created", "status_id", "closed", "source"),
        lambda r: (f"R{r.number}", day(r.created), r.pick("7", "9", "3"), r.closed_text(day), r.source),
    )
    names: Table = ("status.csv", ("id", "name"), [(7, "Won"), (9, "Lost"), (3, "Open")])
    proposal = proposal_of(tmp_path, deals, names)
    assert counts(proposal) == ALL
    assert "status.csv names the values of deals.csv, status_id." in proposal.notes


def test_deleted_rows_of_a_database_are_left_out(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "crm.db") as base:
        base.execute("CREATE TABLE leads (id INTEGER, created_at, source, is_deleted INTEGER)")
        base.execute("CREATE TABLE deals (id INTEGER, lead_id INTEGER, stage, closed_at)")
        base.executemany(
            "INSERT INTO leads VALUES (?, ?, ?, ?)",
            [(r.number + 1, clock(r.created), r.source, int(r.number < 30)) for r in LEADS],
        )
        base.executemany(
            "INSERT INTO deals VALUES (?, ?, ?, ?)",
            [
                (r.number, r.number + 1, r.pick("won", "lost", "demo"), r.closed_text(clock) or None)
                for r in LEADS
            ],
        )
    base.close()
    proposal = propose(["sqlite:///crm.db"], tmp_path)
    rest = LEADS[30:]
    assert counts(proposal) == (len(rest), *(count(o, rest) for o in ("won", "lost", "open")))
    settings = _deals(proposal.text, tmp_path)
    assert settings.leads.skip_where == {"is_deleted": ("1",)}


def test_a_log_of_states_closes_when_the_state_is_recorded(tmp_path: Path) -> None:
    leads = table("leads.csv", ("lead_id", "created_at", "source"), _lead_with_source)
    name, header, steps = table(
        "log.csv", ("lead_id", "logged_at", "status"), lambda r: (f"L{r.number}", clock(r.created), "demo")
    )
    closes = [(f"L{r.number}", clock(r.closed), r.outcome) for r in LEADS if r.outcome != "open"]
    proposal = proposal_of(tmp_path, leads, (name, header, [*steps, *closes]))
    assert counts(proposal) == ALL
    deals = _deals(proposal.text, tmp_path).deals
    assert deals is not None
    assert deals.closed_at == "logged_at"


def test_ids_that_lost_their_leading_zeros_are_named(tmp_path: Path) -> None:
    leads = table(
        "leads.csv", ("lead_id", "created", "source"), lambda r: (f"{r.number:06d}", day(r.created), r.source)
    )
    deals = table(
        "deals.csv", ("lead_id", "stage", "closed"), lambda r: (r.number, r.outcome, r.closed_text(day))
    )
    with pytest.raises(DataError, match="are alike without leading zeros only"):
        proposal_of(tmp_path, leads, deals)


def test_an_export_without_lost_deals_is_told(tmp_path: Path) -> None:
    export = table(
        "d.csv",
        ("id", "created", "stage", "closed on", "source"),
        lambda r: (
            f"R{r.number}",
            day(r.created),
            r.pick("Closed Won", "New", "New"),
            r.closed_text(day, "won"),
            r.source,
        ),
    )
    assert "No deal is lost. Many CRMs leave lost or archived" in "\n".join(
        proposal_of(tmp_path, export).notes
    )


def _lead_with_source(row: LeadRow) -> tuple[str, str, str]:
    return f"L{row.number}", clock(row.created), row.source
