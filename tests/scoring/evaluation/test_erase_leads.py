"""Leads leave evidence of this version and of earlier ones; a table under another key is reported."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from scoring.evaluation.erase_leads import ErasureReport, erase_leads
from scoring.model.evidence import Evidence
from scoring.model.model import EVIDENCE_FILE
from scoring.model.pseudonyms import Pseudonyms, former_pseudonym
from tests.helpers.evidence_builder import evidence

PSEUDONYMS, ANOTHER = Pseudonyms(b"the key of this installation"), Pseudonyms(b"the key of another one")
IDS = [f"L{n:03d}" for n in range(40)]


def save(folder: Path, pseudonyms: Pseudonyms | None = PSEUDONYMS) -> Path:
    """Evidence with two rows a lead, and a page that shows each; None: of an earlier version."""
    name = former_pseudonym if pseudonyms is None else pseudonyms.derive
    lead = [name(lead_id) for lead_id in IDS for _ in range(2)]
    folder.mkdir(parents=True)
    table = replace(
        evidence([True, False] * len(IDS), lead=lead), key_id=pseudonyms.key_id if pseudonyms else ""
    )
    table.save(folder / EVIDENCE_FILE)
    (folder / "page.html").write_text("".join(f"<td>\\u0022{name}</td>" for name in lead))
    return folder / EVIDENCE_FILE


def erase(folder: Path, *lead_ids: str) -> ErasureReport:
    return erase_leads([folder], folder / "bundles", lead_ids, PSEUDONYMS)


@pytest.mark.parametrize("pseudonyms", [PSEUDONYMS, None], ids=["keyed", "earlier version"])
def test_leads_leave_tables_and_pages(tmp_path: Path, pseudonyms: Pseudonyms | None) -> None:
    path = save(tmp_path / "model", pseudonyms)
    before = Evidence.load(path)
    report = erase(tmp_path, "L007", "L008", "unknown")
    after, page = Evidence.load(path), (path.parent / "page.html").read_text()
    assert report.tables == {path: 4}
    assert report.leads == {"L007", "L008"}
    assert (after.lead != before.lead).tolist() == [i in range(14, 18) for i in range(80)]
    assert len(set(after.lead.tolist())) == len(IDS)
    assert all(name not in page for name in before.lead[14:18])
    assert all(name in page for name in [*before.lead[:14], *before.lead[18:]])
    assert erase(tmp_path, "L007", "L008").tables == {}


def test_an_erased_lead_is_one_lead_in_evidence_of_both_versions(tmp_path: Path) -> None:
    keyed, former = save(tmp_path / "new"), save(tmp_path / "old", None)
    erase(tmp_path, "L007")
    leads = Evidence.load(former).with_pseudonyms(PSEUDONYMS).lead
    np.testing.assert_array_equal(Evidence.load(keyed).lead, leads)


def test_a_table_under_another_key_stays_and_is_named(tmp_path: Path) -> None:
    path = save(tmp_path / "model", ANOTHER)
    before = path.read_bytes()
    report = erase(tmp_path, "L007")
    assert (report.tables, report.leads, report.other_key) == ({}, set(), [path])
    assert path.read_bytes() == before
