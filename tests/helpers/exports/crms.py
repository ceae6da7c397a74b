"""Exports of CRMs with invented rows, of which the number of won, lost and open leads is known."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from features.crm.propose import Proposal, propose
from tests.helpers.builders import write_csv

EXPORTED = datetime(2026, 6, 30, 12)
Rows = list[tuple[object, ...]]
Table = tuple[str, tuple[str, ...], Rows]
"""The name of a file, its header and its rows."""


@dataclass(frozen=True)
class LeadRow:
    """One lead: its number, creation, outcome, close (planned while it is open), source and size."""

    number: int
    created: datetime
    outcome: str
    closed: datetime
    source: str
    size: int

    def pick(self, won: str, lost: str, still_open: str) -> str:
        return {"won": won, "lost": lost, "open": still_open}[self.outcome]

    def closed_text(self, form: Callable[[datetime], str], *outcomes: str) -> str:
        """The close of a lead with one of the outcomes; else empty."""
        return form(self.closed) if self.outcome in (outcomes or ("won", "lost")) else ""


def make_leads(count: int = 200, seed: int = 5) -> list[LeadRow]:
    rng = random.Random(seed)
    leads = []
    for number in range(count):
        created = EXPORTED - timedelta(days=rng.randint(3, 400), minutes=rng.randint(0, 1400))
        closed = created + timedelta(days=rng.randint(2, 70))
        outcome = rng.choice(["won", "lost", "lost", "open"])
        if closed > EXPORTED:
            outcome = "open"
        source, size = rng.choice(["Web", "Fair", "Phone"]), rng.randint(1, 900)
        leads.append(LeadRow(number, created, outcome, closed, source, size))
    return leads


LEADS = make_leads()


def count(outcome: str, leads: Sequence[LeadRow] = LEADS) -> int:
    return sum(lead.outcome == outcome for lead in leads)


def day(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d")


def slashes(moment: datetime) -> str:
    return moment.strftime("%Y/%m/%d")


def clock(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def utc(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000+0000")


def table(name: str, header: Sequence[str], row: Callable[[LeadRow], Sequence[object]]) -> Table:
    """A table with one row per lead."""
    return name, tuple(header), [tuple(row(lead)) for lead in LEADS]


def write_tables(folder: Path, tables: Sequence[Table]) -> list[str]:
    """Write the tables as CSV; the names of the files."""
    for name, header, rows in tables:
        write_csv(folder / name, [header, *rows])
    return [name for name, _, _ in tables]


def proposal_of(folder: Path, *tables: Table) -> Proposal:
    return propose(write_tables(folder, tables), folder)


def counts(proposal: Proposal) -> tuple[int, int, int, int]:
    """Leads, won, lost and open of the summary."""
    summary = proposal.summary
    return summary.leads, summary.won, summary.lost, summary.still_open


ALL = (len(LEADS), count("won"), count("lost"), count("open"))
