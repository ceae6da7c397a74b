"""Kinds of exports that are read rightly, or named in one sentence: found by values, not by names."""

import tomllib
from datetime import timedelta
from pathlib import Path

import pytest

from features.crm.load import Loaded, load
from features.crm.propose import Proposal
from features.errors import DataError
from features.settings import parse_settings
from tests.helpers.exports.crms import (
    ALL,
    EXPORTED,
    LEADS,
    LeadRow,
    Rows,
    Table,
    clock,
    count,
    counts,
    day,
    proposal_of,
    table,
)

pytestmark = pytest.mark.slow  # many exports, each through the whole of `hotlead init`

DEALS = ("deal_id", "status", "created", "closed", "source")


def _deal(r: LeadRow, status: str | None = None) -> tuple[object, ...]:
    return 90_000 + r.number, status or r.outcome, day(r.created), r.closed_text(day), r.source


def _load(proposal: Proposal, folder: Path) -> Loaded:
    settings = parse_settings(tomllib.loads(proposal.text), folder / "crm.toml")
    return load(settings, folder / "rejects.csv")


def _has_note(proposal: Proposal, *parts: str) -> bool:
    return any(all(part in str(note) for part in parts) for note in proposal.notes)


@pytest.mark.parametrize("word", ["Withdrawn by us", "Canceled - duplicate", "Archiviert", "Ruht seither"])
def test_end_states_that_are_neither_won_nor_lost_are_left_out_and_named(tmp_path: Path, word: str) -> None:
    lost = [lead.number for lead in LEADS if lead.outcome == "lost"][:20]
    deals = table("deals.csv", DEALS, lambda r: _deal(r, word if r.number in lost else None))
    proposal = proposal_of(tmp_path, deals)
    expected = (len(LEADS) - 20, count("won"), count("lost") - 20, count("open"))
    assert counts(proposal) == expected
    assert _has_note(proposal, f"{word} (20)", "left out")


def test_open_deals_with_a_past_close_are_a_question(tmp_path: Path) -> None:
    stages = {"won": "Won", "lost": "Talks", "open": "Talks"}
    proposal = proposal_of(tmp_path, table("deals.csv", DEALS, lambda r: _deal(r, stages[r.outcome])))
    assert _has_note(
        proposal, f"{count('lost'):,} of {count('lost') + count('open'):,}", "past date in closed"
    )


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (
            ("Código", "Situação", "Criado em", "Fechado em", "Canal"),
            ("Venda concluída", "Perdido", "Proposta"),
        ),
        (
            ("Código", "Etapa", "Fecha de alta", "Fecha de cierre", "Origen"),
            ("Ganada", "Descartado", "En curso"),
        ),
        (
            ("Vorgang", "Phase", "Angelegt am", "Abgeschlossen am", "Herkunft"),
            ("Auftrag erteilt", "Absage", "Läuft"),
        ),
        (
            ("Réf", "Statut", "Créé le", "Clôturé le", "Provenance"),
            ("Affaire gagnée", "Sans suite", "En cours"),
        ),
        (("Codice", "Stato", "Creato", "Chiuso", "Origine"), ("Vinta", "Persa", "In corso")),
    ],
    ids=["pt", "es", "de", "fr", "it"],
)
def test_a_language_without_an_english_word(
    tmp_path: Path, header: tuple[str, ...], words: tuple[str, str, str]
) -> None:
    proposal = proposal_of(tmp_path, table("export.csv", header, lambda r: _deal(r, r.pick(*words))))
    assert counts(proposal) == ALL
    assert proposal.summary.days_to_close is not None


def test_a_negated_word_is_not_won(tmp_path: Path) -> None:
    words = ("Gewonnen", "Nicht gewonnen", "Offen")
    proposal = proposal_of(tmp_path, table("deals.csv", DEALS, lambda r: _deal(r, r.pick(*words))))
    assert counts(proposal) == ALL


def test_codes_are_read_through_a_second_table_of_codes(tmp_path: Path) -> None:
    codes = {"won": "142", "lost": "143", "open": "11"}
    proposal = proposal_of(
        tmp_path,
        table("deals.csv", ("id", "status_id", *DEALS[2:]), lambda r: _deal(r, codes[r.outcome])),
        ("statuses.csv", ("id", "name", "group_id"), [(142, "A", 1), (143, "B", 2), (11, "C", 3)]),
        ("groups.csv", ("id", "name"), [(1, "Won"), (2, "Lost"), (3, "Open")]),
    )
    assert counts(proposal) == ALL


def _events(name: str, every: int, lead: str = "deal_id") -> Table:
    rows: Rows = [
        (f"{name}{r.number}", 90_000 + r.number, clock(r.created + timedelta(hours=every)))
        for r in LEADS
        if r.number % every == 0
    ]
    return f"{name}.csv", ("nr", lead, "at"), rows


def test_all_tables_of_activities_are_read(tmp_path: Path) -> None:
    deals = table("deals.csv", DEALS, _deal)
    proposal = proposal_of(tmp_path, deals, _events("anrufe", 1), _events("mails", 2), _events("besuche", 3))
    assert counts(proposal) == ALL
    activities = _load(proposal, tmp_path).crm.activities
    assert {*activities.types} == {"anrufe", "mails", "besuche"}
    expected = sum(len(LEADS[::every]) for every in (1, 2, 3))
    assert len(activities) == expected


def test_an_activity_of_several_leads_is_one_of_each(tmp_path: Path) -> None:
    leads = table("leads.csv", ("lead_id", *DEALS[1:]), _deal)
    rows: Rows = [(f"{90_000 + r.number};{90_000 + (r.number + 1) % 200}", clock(r.created)) for r in LEADS]
    proposal = proposal_of(tmp_path, leads, ("calls.csv", ("lead_ids", "at"), rows))
    assert len(_load(proposal, tmp_path).crm.activities) == 2 * len(LEADS)


def test_planned_activities_are_counted_and_no_rejects(tmp_path: Path) -> None:
    planned: Rows = [(90_000 + r.number, clock(EXPORTED + timedelta(days=9_000)), "meeting") for r in LEADS]
    past: Rows = [(90_000 + r.number, clock(r.created), "call") for r in LEADS]
    events = ("events.csv", ("deal_id", "at", "type"), [*past, *planned])
    loaded = _load(proposal_of(tmp_path, table("deals.csv", DEALS, _deal), events), tmp_path)
    assert not loaded.rejects.rows
    assert [(n.reason, n.count) for n in loaded.rejects.notes] == [("planned", len(LEADS))]
    assert len(loaded.crm.activities) == len(LEADS)


@pytest.mark.parametrize(
    ("column", "twin"), [("Email", "Contact Email"), ("Company", "Account Name")], ids=["mail", "account"]
)
def test_links_by_persons_or_accounts_are_named_and_not_applied(
    tmp_path: Path, column: str, twin: str
) -> None:
    def value(r: LeadRow) -> str:
        return f"u{r.number}@example.com" if "mail" in column else f"Firm {r.number}"

    leads = table("leads.csv", ("lead_no", "created", column), lambda r: (r.number, day(r.created), value(r)))
    deals = table("deals.csv", (*DEALS, twin), lambda r: (*_deal(r), value(r)))
    proposal = proposal_of(tmp_path, leads, deals)
    assert counts(proposal) == ALL
    assert _has_note(proposal, "Not used: leads.csv", f"shares only {column} with deals.csv", "100%")


def test_details_behind_a_second_table_are_named(tmp_path: Path) -> None:
    deals = table("deals.csv", (*DEALS, "touch_id"), lambda r: (*_deal(r), f"T{r.number:05d}"))
    touches = table(
        "touches.csv", ("touch_id", "person_key"), lambda r: (f"T{r.number:05d}", f"P{r.number:05d}")
    )
    persons = table("persons.csv", ("person_key", "city"), lambda r: (f"P{r.number:05d}", r.source))
    proposal = proposal_of(tmp_path, deals, touches, persons)
    assert counts(proposal) == ALL
    assert _has_note(proposal, "persons.csv", "touch_id through person_key of touches.csv")


def test_people_who_sell_are_no_leads(tmp_path: Path) -> None:
    deals = table("deals.csv", (*DEALS, "rep_id"), lambda r: (*_deal(r), f"V00{r.number % 5}"))
    reps: Table = (
        "sales_reps.csv",
        ("rep_id", "region", "quota"),
        [(f"V00{i}", "NS"[i % 2], i) for i in range(5)],
    )
    assert counts(proposal_of(tmp_path, deals, reps)) == ALL


def test_snapshots_without_a_named_id_are_refused(tmp_path: Path) -> None:
    rows: Rows = [
        (day(EXPORTED - timedelta(days=30 * month)), f"Deal {r.number}", r.outcome, day(r.created), r.source)
        for month in range(4)
        for r in LEADS
    ]
    with pytest.raises(DataError, match=r"deal repeats \(200 ids in 800 rows\)"):
        proposal_of(tmp_path, ("extract.csv", ("as_of", "deal", "phase", "opened", "channel"), rows))


def test_a_date_of_a_migration_is_named_and_another_one_taken(tmp_path: Path) -> None:
    moved = EXPORTED - timedelta(days=5)
    header = ("deal_id", "status", "Created Date", "closed", "source", "First contact")

    def row(r: LeadRow) -> tuple[object, ...]:
        number, status, created, closed, source = _deal(r)
        return number, status, clock(moved + timedelta(seconds=r.number)), closed, source, created

    proposal = proposal_of(tmp_path, table("deals.csv", header, row))
    assert counts(proposal) == ALL
    assert 'created_at = "First contact"' in proposal.text
    assert _has_note(proposal, "closed before Created Date", "migration")


def test_two_orders_in_one_column_are_named(tmp_path: Path) -> None:
    def row(r: LeadRow) -> tuple[object, ...]:
        form = "%d/%m/%Y" if r.number % 4 else "%m/%d/%Y"
        return r.number, r.outcome, r.created.strftime(form), "", r.source

    proposal = proposal_of(tmp_path, table("deals.csv", DEALS, row))
    assert counts(proposal) == ALL
    assert _has_note(proposal, "column created", "two orders of day and month")


def _won_deals(every_open: bool) -> Table:
    """Deals of won leads, and (`every_open`) open ones of all others."""
    rows: Rows = [
        (f"D{r.number:05d}", f"L{r.number:05d}", "Won" if r.outcome == "won" else "Open", day(r.closed))
        for r in LEADS
        if r.outcome == "won" or every_open
    ]
    return "deals.csv", ("deal_id", "lead_id", "status", "closed"), rows


def test_leads_lost_only_in_a_log_of_stages_are_named(tmp_path: Path) -> None:
    leads = table("leads.csv", ("lead_id", "created"), lambda r: (f"L{r.number:05d}", day(r.created)))
    steps: Rows = [
        (f"L{r.number:05d}", clock(r.created + timedelta(hours=hour)), stage)
        for r in LEADS
        for hour, stage in enumerate(("Talks", "Offer", r.pick("Won", "Lost", "Talks")))
    ]
    log = ("stage_log.csv", ("lead_id", "at", "stage"), steps)
    with_deal = [r for r in LEADS if r.outcome == "won" or (r.outcome == "lost" and r.number % 2)]
    rows: Rows = [
        (f"D{r.number:05d}", f"L{r.number:05d}", r.pick("Won", "Lost", ""), day(r.closed)) for r in with_deal
    ]
    deals = ("deals.csv", ("deal_id", "lead_id", "status", "closed"), rows)
    proposal = proposal_of(tmp_path, leads, deals, log)
    in_log = sum(r.outcome == "lost" and r not in with_deal for r in LEADS)
    assert counts(proposal) == (len(LEADS), count("won"), count("lost") - in_log, count("open") + in_log)
    assert _has_note(proposal, f"{in_log} leads count as open", "stage of stage_log.csv ends with Lost")


@pytest.mark.parametrize("every_open", [False, True])
def test_leads_lost_in_their_own_status_are_lost_or_named(tmp_path: Path, every_open: bool) -> None:
    leads = table(
        "leads.csv",
        ("lead_id", "created", "status"),
        lambda r: (f"L{r.number:05d}", day(r.created), r.pick("Talks", "Lost", "Talks")),
    )
    proposal = proposal_of(tmp_path, leads, _won_deals(every_open))
    is_named = _has_note(proposal, f"{count('lost'):,} leads count as open", "status of leads.csv is Lost")
    assert is_named == every_open
    assert counts(proposal)[2] == (0 if every_open else count("lost"))


@pytest.mark.parametrize("weeks", [3, 12])
def test_snapshots_of_each_week_are_refused_in_one_sentence(tmp_path: Path, weeks: int) -> None:
    rows: Rows = [
        (*_deal(r, r.outcome if moment >= r.closed else "open"), day(moment))
        for moment in (EXPORTED - timedelta(weeks=week) for week in range(weeks))
        for r in LEADS
    ]
    with pytest.raises(DataError, match=rf"deal_id repeats \(200 ids in {200 * weeks:,} rows\)") as refusal:
        proposal_of(tmp_path, ("weekly.csv", (*DEALS, "snapshot_date"), rows))
    assert "one row for each lead or deal as it is now" in str(refusal.value)


def test_payments_of_a_dozen_deals_are_no_leads(tmp_path: Path) -> None:
    deals: Rows = [
        (f"D{number:03d}", f"Deal {number}", status, f"2026-06-{number + 1:02d}", "Fair")
        for number, status in enumerate(("Won", "Lost", "Talks", "Won", "Talks", "Lost", "Talks", "Talks"))
    ]
    deals += [(f"D{number:03d}", f"Deal {number}", "Talks", "2026-06-10", "Web") for number in (8, 9, 10, 10)]
    paid: Rows = [(f"P{number}", f"D{number:03d}", f"2026-06-{number + 9:02d}", 900) for number in range(6)]
    steps: Rows = [
        (f"D{number:03d}", stage, f"2026-06-{number + day_of_month:02d}")
        for number in range(6)
        for stage, day_of_month in (("Talks", 2), ("Won" if number % 3 == 0 else "Lost", 8))
    ]
    proposal = proposal_of(
        tmp_path,
        ("deals.csv", ("deal_id", "title", "stage", "created_at", "source"), deals),
        ("payments.csv", ("payment_id", "deal_id", "payment_date", "amount"), paid),
        ("stage_history.csv", ("deal_id", "new_stage", "changed_at"), steps),
    )
    assert tomllib.loads(proposal.text)["leads"]["source"] == "deals.csv"
    assert counts(proposal) == (11, 2, 2, 7)
