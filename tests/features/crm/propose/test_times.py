"""The proposed horizon: as long as wins need, and no longer than a history can be measured with."""

from __future__ import annotations

import csv
import tomllib
from datetime import date, timedelta
from pathlib import Path

import pytest

from features.crm.propose import Proposal, propose
from features.kinds import Language

START = date(2025, 1, 1)


def propose_for(folder: Path, days: int, slowest: int, lang: Language = "en") -> Proposal:
    """The proposal for two leads a day, won or lost after up to `slowest` days."""
    with (folder / "deals.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("Id", "Created Date", "Stage", "Close Date", "Source"))
        for i in range(2 * days):
            created = START + timedelta(days=i // 2)
            closed = created + timedelta(days=1 + i * 7 % slowest)
            is_open = closed > START + timedelta(days=days)
            stage = "Prospecting" if is_open else "Closed Won" if i % 3 == 0 else "Closed Lost"
            writer.writerow((f"D{i:05d}", created, stage, "" if is_open else closed, "ab"[i % 2]))
    return propose(["deals.csv"], folder, lang=lang)


def horizon(proposal: Proposal) -> int:
    return int(tomllib.loads(proposal.text)["target"]["horizon_days"])


def comment(proposal: Proposal) -> str:
    """What stands beside the horizon."""
    (line,) = (line for line in proposal.text.splitlines() if line.startswith("horizon_days"))
    return line.partition("# ")[2]


def test_a_long_history_gives_the_time_that_wins_need(tmp_path: Path) -> None:
    proposal = propose_for(tmp_path, days=600, slowest=80)
    assert horizon(proposal) == 90
    assert comment(proposal) == "nine in ten wins came within this time"
    assert not any("horizon_days" in note for note in proposal.notes)


@pytest.mark.parametrize("days", [25, 50, 100, 200, 260])
def test_no_horizon_that_the_history_cannot_be_measured_with(tmp_path: Path, days: int) -> None:
    proposal = propose_for(tmp_path, days=days, slowest=80)
    assert 2.5 * horizon(proposal) <= days
    assert horizon(proposal) >= days // 7


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_a_shorter_horizon_says_why(tmp_path: Path, lang: Language) -> None:
    proposal = propose_for(tmp_path, days=200, slowest=80, lang=lang)
    assert horizon(proposal) == 60
    reason = {"en": "nine in ten wins need about 90 days", "ja": "成約の9割には約90日かかります"}[lang]
    assert comment(proposal).startswith(reason)
    assert any("horizon_days" in note and reason in note for note in proposal.notes)


def propose_stages(folder: Path, undated: int) -> Proposal:
    """The proposal for 100 companies with 600 deals, of which the `undated` ones are not begun yet."""
    with (folder / "pipeline.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("deal_id", "company", "product", "stage", "begun", "close date"))
        for i in range(600):
            begun, stage = START + timedelta(days=i // 2), ("Won", "Lost", "Negotiation")[i % 3]
            closed = begun + timedelta(days=20 + i % 40) if i % 3 < 2 else ""
            row = ("", "Prospecting", "") if i < undated else (begun, stage, closed)
            writer.writerow((f"D{i:04d}", f"Company {i % 100}", "ab"[i % 2], row[1], row[0], row[2]))
    with (folder / "companies.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("company", "sector"))
        writer.writerows((f"Company {i}", "xyz"[i % 3]) for i in range(100))
    return propose(["pipeline.csv", "companies.csv"], folder)


def test_a_date_that_nearly_all_deals_have_is_that_of_the_creation(tmp_path: Path) -> None:
    settings = tomllib.loads(propose_stages(tmp_path, undated=45).text)
    assert settings["leads"] | {"source": "pipeline.csv", "created_at": "begun"} == settings["leads"]
    assert settings["leads"]["skip_where"] == {"begun": [""]}
    assert settings["deals"]["closed_at"] == "close date"


def test_a_date_that_many_leads_lack_is_not_that_of_the_creation(tmp_path: Path) -> None:
    settings = tomllib.loads(propose_stages(tmp_path, undated=120).text)
    assert "created_at" not in settings["leads"]
    assert "skip_where" not in settings["leads"]
