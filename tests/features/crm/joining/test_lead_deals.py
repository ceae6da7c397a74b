from pathlib import Path

import numpy as np

from features.clock import NEVER
from features.crm.audit import audit
from features.crm.load import Loaded
from features.crm.propose import propose
from tests.helpers.builders import DAY, loaded_of, ms, write_csv
from tests.helpers.crm_tables import DEALS, LEADS, leads, rejected

HEAD = ("id", "at", "channel", "deal", "state")
DEALS_BY_ID = {key: value for key, value in DEALS.items() if key != "lead"} | {"id": "no"}


def deals_file(folder: Path, *rows: tuple[object, ...], key: str = "lead") -> None:
    write_csv(folder / "deals.csv", [(key, "outcome", "closed"), *rows])


def notes(loaded: Loaded) -> dict[str, int]:
    return {note.reason: note.count for note in loaded.rejects.notes}


def test_a_lead_names_its_deal_and_several_leads_may_have_one(tmp_path: Path) -> None:
    leads(
        tmp_path,
        ("a", "2026-01-01", "web", "D1", ""),
        ("b", "2026-01-01", "web", "D1", ""),
        ("c", "2026-01-01", "web", "", ""),
        ("d", "2026-01-01", "web", "D9", ""),
        head=HEAD,
    )
    deals_file(tmp_path, ("D1", "won", "2026-02-01"), ("D2", "lost", "2026-02-01"), key="no")
    loaded = loaded_of(tmp_path, leads={**LEADS, "deal": "deal"}, deals=DEALS_BY_ID)
    assert loaded.crm.lead_ids.tolist() == ["a", "b", "c"]  # the deal of d is not in the export
    assert loaded.crm.outcomes.won.tolist() == [True, True, False]
    assert notes(loaded) == {"no_deal": 1, "no_lead": 1}
    findings = {finding.code: finding for finding in audit(loaded)}
    assert "1 leads name a deal in 'deal' that is not in the table" in findings["left_out_no_deal"].en
    assert "案件の表にない" in findings["left_out_no_deal"].ja


def test_a_deal_lists_its_leads_between_separators(tmp_path: Path) -> None:
    leads(tmp_path, *((name, "2026-01-01", "web") for name in ("a", "b", "c", "d")))
    deals_file(
        tmp_path,
        ("a; b;", "won", "2026-02-01"),
        ("c;x", "lost", "2026-02-01"),
        ("", "lost", "2026-02-01"),
        ("y;z", "lost", "2026-02-01"),
    )
    deals = {**DEALS, "lead_separator": ";", "max_reject_share": 0.3}
    loaded = loaded_of(tmp_path, leads=LEADS, deals=deals)
    assert loaded.crm.outcomes.won.tolist() == [True, True, False, False]
    assert loaded.crm.outcomes.closed.tolist() == [True, True, True, False]
    assert notes(loaded) == {"no_lead": 1, "unknown_contact": 1}
    assert [reject[:4] for reject in rejected(tmp_path)] == [("deals", "deals.csv", "4", "lead")]


def test_ids_in_another_form_are_joined_and_noted(tmp_path: Path) -> None:
    leads(tmp_path, ("00Q5g0000000001EAA", "2026-01-01", "web"), ("12", "2026-01-01", "web"))
    deals_file(tmp_path, ("00Q5g0000000001", "won", "2026-02-01"), ("12.0", "lost", "2026-02-01"))
    loaded = loaded_of(tmp_path, leads=LEADS, deals=DEALS)
    assert loaded.crm.outcomes.won.tolist() == [True, False]
    assert loaded.crm.outcomes.closed.all()
    assert notes(loaded) == {"id_forms": 2}


def test_rows_that_skip_where_selects_are_left_out_with_what_belongs_to_them(tmp_path: Path) -> None:
    leads(
        tmp_path,
        ("a", "2026-01-01", "web", "", "TRUE"),
        ("b", "2026-01-01", "web", "", "false"),
        ("c", "2026-01-01", "web", "", ""),
        head=HEAD,
    )
    deals_file(tmp_path, ("a", "won", "2026-02-01"), ("b", "lost", "2026-02-01"))
    skipping = {**LEADS, "skip_where": {"state": ["true", ""]}}
    loaded = loaded_of(tmp_path, leads=skipping, deals=DEALS)
    assert loaded.crm.lead_ids.tolist() == ["b"]
    assert notes(loaded) == {"skipped": 2, "skipped_lead": 1}
    assert not loaded.rejects.rows


def test_leads_that_are_lost_without_a_deal(tmp_path: Path) -> None:
    leads(
        tmp_path,
        ("a", "2026-01-01", "web", "", "Junk"),
        ("b", "2026-01-01", "web", "", "New"),
        ("c", "2026-01-01", "web", "", "Junk"),
        ("d", "2026-06-01", "web", "", "junk"),
        head=HEAD,
    )
    deals_file(tmp_path, ("c", "won", "2026-02-01 10:00"))
    lost = {**LEADS, "lost_where": {"state": ["Junk"]}}
    loaded = loaded_of(tmp_path, leads=lost, deals=DEALS, target={"horizon_days": 30})
    outcomes = loaded.crm.outcomes
    assert outcomes.won.tolist() == [False, False, True, False]
    # At the end of the horizon, at most when the newest lead was created.
    assert outcomes.closed_at.tolist() == [ms(2026, 1, 31), NEVER, ms(2026, 2, 1, 10), ms(2026, 6, 1)]
    assert notes(loaded) == {"undated_lost": 2}
    assert loaded.deals["lead"].to_pylist() == ["c", None, None]


def test_lost_deals_may_have_a_date_of_their_own_or_none(tmp_path: Path) -> None:
    head = ("id", "at", "channel", "state", "won on", "lost on")
    leads(
        tmp_path,
        ("a", "2026-01-01", "web", "won", "2026-02-01 10:00", ""),
        ("b", "2026-01-01", "web", "lost", "2026-02-09 10:00", "2026-02-03 10:00"),
        ("c", "2026-01-01", "web", "lost", "", ""),
        ("d", "2026-06-01", "web", "open", "", ""),
        head=head,
    )
    deals = {"outcome": "state", "won": ["won"], "lost": ["lost"], "ignore": ["open"], "closed_at": "won on"}
    dated = loaded_of(
        tmp_path,
        leads=LEADS,
        deals={**deals, "lost_at": "lost on", "undated_lost": True},
        target={"horizon_days": 30},
    )
    closed = [ms(2026, 2, 1, 10), ms(2026, 2, 3, 10), ms(2026, 1, 1) + 30 * DAY, NEVER]
    assert dated.crm.outcomes.closed_at.tolist() == closed
    assert dated.crm.snapshot == ms(2026, 6, 1) + 1
    strict = loaded_of(tmp_path, leads=LEADS, deals={**deals, "lost_at": "lost on"}, max_reject_share=0.5)
    assert strict.crm.lead_ids.tolist() == ["a", "b", "d"]


def test_outcomes_that_are_open_lost_or_neither_by_other_columns(tmp_path: Path) -> None:
    head = ("id", "at", "channel", "won", "closed", "active")
    leads(
        tmp_path,
        ("a", "2026-01-01", "web", "yes", "yes", "yes"),
        ("b", "2026-01-01", "web", "no", "yes", "yes"),
        ("c", "2026-01-01", "web", "no", "no", "yes"),
        ("d", "2026-01-01", "web", "test", "yes", "yes"),
        ("e", "2026-01-01", "web", "maybe", "yes", "NO"),
        ("f", "2026-01-01", "web", "yes", "yes", "no"),
        head=head,
    )
    deals = {
        "outcome": "won",
        "won": ["yes"],
        "lost": ["no"],
        "ignore": ["maybe"],
        "leave_out": ["test"],
        "open_where": {"closed": ["no", ""]},
        "lost_where": {"active": ["no"]},
    }
    loaded = loaded_of(tmp_path, leads=LEADS, deals=deals)
    assert loaded.crm.lead_ids.tolist() == ["a", "b", "c", "e", "f"]
    assert loaded.crm.outcomes.won.tolist() == [True, False, False, False, True]
    assert loaded.crm.outcomes.closed.tolist() == [True, True, False, True, True]
    assert notes(loaded) == {"neither": 1}
    assert not any(f.column in ("closed", "active") for f in audit(loaded))


def test_a_lead_with_a_decided_deal_is_kept_beside_one_that_is_left_out(tmp_path: Path) -> None:
    leads(tmp_path, ("a", "2026-01-01", "web"), ("b", "2026-01-01", "web"))
    deals_file(tmp_path, ("a", "test", "2026-02-01"), ("a", "won", "2026-02-01"), ("b", "test", "2026-02-01"))
    loaded = loaded_of(tmp_path, leads=LEADS, deals={**DEALS, "leave_out": ["test"]})
    assert loaded.crm.lead_ids.tolist() == ["a"]
    assert np.array_equal(loaded.crm.outcomes.won, [True])


def test_the_proposal_names_the_share_of_ids_that_are_unknown(tmp_path: Path) -> None:
    rows = [(f"L{i:04d}", f"2026-01-{1 + i % 28:02d}", ("web", "fair")[i % 2]) for i in range(60)]
    write_csv(tmp_path / "leads.csv", [("lead_id", "created", "source"), *rows])
    deals = [(f"L{i:04d}", ("won", "lost")[i % 2], "2026-03-01") for i in range(90)]
    write_csv(tmp_path / "deals.csv", [("lead_id", "stage", "closed"), *deals])
    proposal = propose(["leads.csv", "deals.csv"], tmp_path)
    assert "deals.csv: 33% of its lead_id are no ids of leads.csv; these rows are left out." in proposal.notes
    assert proposal.summary.left_out == 30
