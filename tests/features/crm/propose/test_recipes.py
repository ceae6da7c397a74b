"""Standard exports of each CRM, in English and Japanese, are read rightly without a word."""

import tomllib
from pathlib import Path

import pytest

from features.crm.load import load
from features.crm.propose.recipes import FOLDER, load_recipes
from features.settings import CrmSettings, parse_settings
from tests.helpers.exports.crms import (
    ALL,
    LEADS,
    Rows,
    Table,
    clock,
    count,
    counts,
    day,
    proposal_of,
    table,
    utc,
)
from tests.helpers.exports.standard import (
    DYNAMICS,
    KINTONE,
    ODOO,
    ODOO_JA,
    PIPEDRIVE,
    SALESFORCE_CAPITALS,
    SALESFORCE_JA,
    SALESFORCE_LEADS_JA,
    ZOHO,
)

pytestmark = pytest.mark.slow  # many exports, each through the whole of `hotlead init`


@pytest.mark.parametrize(
    ("export", "created", "closed", "channel"),
    [
        (SALESFORCE_JA, "作成日", "完了予定日", "リードソース"),
        (SALESFORCE_LEADS_JA, "作成日", "取引開始日", "リードソース"),
        (SALESFORCE_CAPITALS, "CREATEDDATE", "CLOSEDATE", "LEADSOURCE"),
        (DYNAMICS, "Created On", "Actual Close Date", "Source"),
        (ZOHO, "Created Time", "Closing Date", "Lead Source"),
        (PIPEDRIVE, "Deal - Deal created", "Deal - Won time", "Deal - Source channel"),
        (ODOO, "Created on", "Closed Date", "Source"),
        (ODOO_JA, "作成日", "成約日", "情報源"),
        (KINTONE, "作成日時", "受注日", "流入元"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else None,
)
def test_a_standard_export_is_read_rightly(
    tmp_path: Path, export: Table, created: str, closed: str, channel: str
) -> None:
    proposal = proposal_of(tmp_path, export)
    assert counts(proposal) == ALL
    assert any("recognised as" in note for note in proposal.notes)
    settings = _settings(proposal.text, tmp_path)
    assert settings.leads.created_at == created
    assert settings.deals is not None
    assert settings.deals.closed_at == closed
    assert settings.segments == {"channel": channel}
    people = {"商談 所有者", "リード 所有者", "OWNERID", "Owner", "Deal - Owner", "Salesperson", "作成者"}
    assert not people & settings.columns.keys()
    assert not {"確度 (%)", "Probability", "確度", "メール"} & settings.columns.keys()


def test_salesforce_leads_name_their_opportunity_and_lost_leads_have_none(tmp_path: Path) -> None:
    lost_early = {lead.number for lead in LEADS if lead.outcome == "lost" and lead.number % 2}
    has_deal = {lead.number for lead in LEADS if lead.outcome != "open"} - lost_early
    leads = table(
        "Lead.csv",
        ("Id", "CreatedDate", "Status", "IsConverted", "ConvertedOpportunityId", "LeadSource", "IsDeleted"),
        lambda r: (
            f"00Q5g{r.number:010d}AAA",
            utc(r.created),
            "Unqualified" if r.number in lost_early else r.pick("Qualified", "Qualified", "Working"),
            str(r.number in has_deal).lower(),
            f"0065g{r.number:010d}AAA" if r.number in has_deal else "",
            r.source,
            "false",
        ),
    )
    name, header, rows = table(
        "Opportunity.csv",
        ("Id", "StageName", "CloseDate", "Amount", "IsClosed", "IsWon"),
        lambda r: (
            f"0065g{r.number:010d}",  # a report writes 15 characters
            r.pick("Closed Won", "Closed Lost", "Closed Lost"),
            day(r.closed),
            r.size,
            "true",
            r.pick("true", "false", "false"),
        ),
    )
    opportunities = (
        name,
        header,
        [row for lead, row in zip(LEADS, rows, strict=True) if lead.number in has_deal],
    )
    proposal = proposal_of(tmp_path, leads, opportunities)
    assert counts(proposal) == ALL
    settings = _settings(proposal.text, tmp_path)
    assert settings.leads.deal == "ConvertedOpportunityId"
    assert settings.leads.lost_where == {"Status": ("Unqualified",)}
    assert settings.leads.skip_where == {"IsDeleted": ("true",)}
    assert not {"Status", "IsConverted", "ConvertedOpportunityId"} & settings.columns.keys()


def test_a_salesforce_lead_alone_is_won_when_converted_and_open_leads_stay_open(tmp_path: Path) -> None:
    leads = table(
        "Lead.csv",
        ("Id", "CreatedDate", "Status", "IsConverted", "ConvertedDate", "LeadSource"),
        lambda r: (
            f"00Q5g{r.number:010d}AAA",
            utc(r.created),
            r.pick("Closed - Converted", "Closed - Not Converted", "Working - Contacted"),
            r.pick("true", "false", "false"),
            r.closed_text(day, "won"),
            r.source,
        ),
    )
    proposal = proposal_of(tmp_path, leads)
    assert counts(proposal) == ALL
    assert "Status: Closed - Converted counts as won" in "\n".join(proposal.notes)
    deals = _settings(proposal.text, tmp_path).deals
    assert deals is not None
    assert (deals.outcome, deals.closed_at, deals.undated_lost) == ("Status", "ConvertedDate", True)
    codes = {finding.code for finding in proposal.findings}
    assert "left_out_undated_lost" in codes


def test_hubspot_deals_list_several_contacts_and_name_unknown_ones(tmp_path: Path) -> None:
    contacts = table(
        "contacts.csv",
        ("Record ID", "Create Date", "Lifecycle Stage", "Original Source", "Email", "Contact owner"),
        lambda r: (5000 + r.number, clock(r.created), "lead", r.source, f"a{r.number}@example.com", "Bob"),
    )
    name, header, rows = table(
        "deals.csv",
        ("Record ID", "Deal Name", "Deal Stage", "Amount", "Close Date", "Associated Contact IDs"),
        lambda r: (
            900_000 + r.number,
            f"d{r.number}",
            r.pick("Closed Won (Sales Pipeline)", "Closed Lost (Sales Pipeline)", "Contract Sent"),
            r.size,
            clock(r.closed),
            f"{5000 + r.number};{77_000 + r.number}",
        ),
    )
    strangers: Rows = [
        (950_000 + i, "x", "Closed Lost (Sales Pipeline)", 1, "2026-01-01", 88_000 + i) for i in range(40)
    ]
    proposal = proposal_of(tmp_path, contacts, (name, header, [*rows, *strangers]))
    assert counts(proposal) == ALL
    assert proposal.summary.left_out == 40
    settings = _settings(proposal.text, tmp_path)
    assert settings.deals is not None
    assert (settings.deals.lead, settings.deals.lead_separator) == ("Associated Contact IDs", ";")
    assert "Email" not in settings.columns
    assert "Contact owner" not in settings.columns


def test_a_life_cycle_without_lost_values_has_open_leads(tmp_path: Path) -> None:
    contacts = table(
        "c.csv",
        ("Record ID", "Create Date", "Lifecycle Stage", "Became a Customer Date", "Original Source"),
        lambda r: (
            5000 + r.number,
            clock(r.created),
            r.pick("customer", "lead", "opportunity"),
            r.closed_text(clock, "won"),
            r.source,
        ),
    )
    assert counts(proposal_of(tmp_path, contacts)) == (len(LEADS), count("won"), 0, len(LEADS) - count("won"))


CAMPAIGN_MEMBERS = table(
    "CampaignMember.csv",
    ("Id", "CampaignId", "ContactId", "CreatedDate"),
    lambda r: (f"00v{r.number:015d}", "701", f"0035g{r.number:010d}AAA", utc(r.created)),
)


def test_history_is_proposed_as_changes_and_tasks_as_activities(tmp_path: Path) -> None:
    opportunities = table(
        "Opportunity.csv",
        ("Id", "CreatedDate", "StageName", "CloseDate", "Amount", "LeadSource"),
        lambda r: (
            f"0065g{r.number:010d}AAA",
            utc(r.created),
            r.pick("Closed Won", "Closed Lost", "Proposal"),
            day(r.closed),
            r.size,
            r.source,
        ),
    )
    history = table(
        "OpportunityHistory.csv",
        ("Id", "OpportunityId", "CreatedDate", "StageName", "Amount"),
        lambda r: (
            f"008{r.number:015d}",
            f"0065g{r.number % 150:010d}AAA",
            utc(r.created),
            "Prospecting",
            r.number,
        ),
    )
    tasks = table(
        "Task.csv",
        ("Id", "WhatId", "CreatedDate", "Type"),
        lambda r: (
            f"00T{r.number:015d}",
            f"0065g{r.number:010d}AAA" if r.number % 2 else "000000000000000AAA",
            utc(r.created),
            "Call",
        ),
    )
    proposal = proposal_of(tmp_path, opportunities, history, tasks, CAMPAIGN_MEMBERS)
    assert counts(proposal) == ALL
    settings = _settings(proposal.text, tmp_path)
    assert settings.changes is not None
    assert settings.changes.columns == ("StageName", "Amount")
    assert (settings.activities[0].source, settings.activities[0].lead) == ("Task.csv", "WhatId")
    assert "000000000000000AAA" in settings.missing
    assert (
        "Not used: CampaignMember.csv: no column of it holds ids of Opportunity.csv (Id)." in proposal.notes
    )
    loaded = load(settings, tmp_path / "rejects.csv")
    assert len(loaded.crm.activities) == 100
    assert any(note.reason == "no_lead" and note.count == 100 for note in loaded.rejects.notes)


def test_every_recipe_can_be_told_by_headers_that_it_lists() -> None:
    assert {recipe.crm for recipe in load_recipes()} == {
        tomllib.loads(file.read_text(encoding="utf-8"))["name"] for file in FOLDER.glob("*.toml")
    }
    for recipe in load_recipes():
        assert recipe.fingerprints, recipe.title
        assert recipe.part in ("leads", "deals", "activities", "changes"), recipe.title
        for headers in recipe.roles.values():
            assert all(headers), recipe.title


def _settings(text: str, folder: Path) -> CrmSettings:
    return parse_settings(tomllib.loads(text), folder / "crm.toml")
