"""Exports of a small CRM in the forms in which systems write them, and what `hotlead init` makes of them."""

from __future__ import annotations

import csv
import io
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from features.crm.load import Loaded, load
from features.crm.propose import propose
from features.settings import CrmSettings, parse_settings

HEAD = ("id", "created_at", "status", "closed_at", "source", "employees")
ROWS, CLOSED, WON = 80, 60, 20


def export_rows(sources: Sequence[str] = ("Web", "Phone", "Partner"), count: int = ROWS) -> list[list[str]]:
    """Leads of which one in four is won, two are lost and one is open."""
    rows = []
    for i in range(count):
        status = ("won", "lost", "lost", "open")[i % 4]
        closed_at = "" if status == "open" else _day(i + 20 + i % 9)
        rows.append(
            [f"L{i:04d}", _day(i), status, closed_at, sources[i % len(sources)], str(5 * (i * 37 % 31))]
        )
    return rows


def csv_text(
    rows: Sequence[Sequence[str]] | None = None,
    head: Sequence[str] = HEAD,
    separator: str = ",",
    line_end: str = "\r\n",
) -> str:
    """The leads as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, lineterminator=line_end)
    writer.writerows([head, *(export_rows() if rows is None else rows)] if head else rows or export_rows())
    return text.getvalue()


@dataclass(frozen=True)
class Initialised:
    """What init wrote about a file, what it said, and what is then read."""

    settings: CrmSettings
    notes: tuple[str, ...]
    text: str
    loaded: Loaded

    @property
    def file_format(self) -> dict[str, object]:
        """The keys of [leads] that are not as usual."""
        usual = ("utf-8", ",", 0, (), None)
        return {key: v for key, v in self.settings.leads.file_format.items() if v not in usual}

    @property
    def counts(self) -> tuple[int, int, int]:
        """Leads, closed leads and won leads."""
        outcomes = self.loaded.crm.outcomes
        return len(self.loaded.crm), int(outcomes.closed.sum()), int(outcomes.won.sum())

    @property
    def is_complete(self) -> bool:
        """Whether all leads were read, with their outcomes and no rejects."""
        return self.counts == (ROWS, CLOSED, WON) and not self.loaded.rejects.rows


def init_files(folder: Path, *names: str) -> Initialised:
    """Propose a crm.toml for the files, and read them by it."""
    proposal = propose(list(names), folder)
    settings = parse_settings(tomllib.loads(proposal.text), folder / "crm.toml")
    notes = tuple(note for note in proposal.notes if not note.startswith("time_zone = "))
    return Initialised(settings, notes, proposal.text, load(settings, folder / "rejects.csv"))


def init_text(
    folder: Path, text: str | bytes, name: str = "leads.csv", encoding: str = "utf-8"
) -> Initialised:
    """Write a file, and see what init makes of it."""
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return init_files(folder, name)


def _day(n: int) -> str:
    return str(date(2026, 1, 1) + timedelta(n))
