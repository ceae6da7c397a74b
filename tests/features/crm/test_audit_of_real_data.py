"""The audit names the known leaks of real data, and hardly any other column."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from features.crm.audit import audit
from features.crm.findings import Finding
from features.crm.load import load
from features.settings import load_settings

ROOT = Path(__file__).parents[3]
DATA = Path(os.environ.get("HOTLEAD_DATA", ROOT.parent / "shared" / "data"))

LEAKS = {
    "x_education": {
        "Tags",
        "Lead Quality",
        "Lead Profile",
        "Last Activity",
        "Last Notable Activity",
        "Asymmetrique Activity Index",
        "Asymmetrique Profile Index",
        "Asymmetrique Activity Score",
        "Asymmetrique Profile Score",
    },
    "uci_bank": {"duration"},
    "ibm_sales_win_loss": {
        "Elapsed Days In Sales Stage",
        "Sales Stage Change Count",
        "Total Days Identified Through Closing",
        "Total Days Identified Through Qualified",
        "Ratio Days Identified To Total Days",
        "Ratio Days Validated To Total Days",
        "Ratio Days Qualified To Total Days",
    },
    # That an event with Probability 0 or 100 is the close itself no column tells: its values stand
    # in a history, each at its own time. The crm.toml says it: it takes those events for the close.
    "pti_opphistory": {"final_stage", "n_events", "last_event"},
    "olist_funnel": {
        "seller_id",
        "sdr_id",
        "sr_id",
        "business_segment",
        "lead_type",
        "lead_behaviour_profile",
        "has_company",
        "has_gtin",
        "average_stock",
        "business_type",
        "declared_product_catalog_size",
        "declared_monthly_revenue",
    },
}
THE_OUTCOME_ITSELF = {"label_won"}


@pytest.mark.skipif(not DATA.is_dir(), reason=f"HOTLEAD_DATA: there is no folder {DATA}")
@pytest.mark.parametrize("name", LEAKS)
def test_the_known_leaks_of_real_data_are_named(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOTLEAD_DATA", str(DATA))
    settings = load_settings(ROOT / "examples" / name / "crm.toml")
    findings: list[Finding] = audit(load(settings, tmp_path / "rejects.csv"))
    suspected = {f.column for f in findings if f.column and f.severity in ("leak", "suspect")}
    assert suspected >= LEAKS[name]
    assert len(suspected - LEAKS[name] - THE_OUTCOME_ITSELF) <= 2
