"""A CRM is read without what machines made; they are counted, listed, and can be kept."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from features.bots.report import BOTS_FILE
from features.clock import from_ms
from features.crm.audit import audit
from features.crm.load import Loaded
from features.one_lead import Event
from tests.helpers.builders import NOON, loaded_of, write_csv
from tests.helpers.crm_tables import ACTIVITIES, LEADS, counts, leads
from tests.helpers.scanner_bursts import clicks, scanner

VISITS = clicks(100, NOON, 7_200_000, "page_view")


def read(folder: Path, *histories: Sequence[Event], **keys: str) -> Loaded:
    leads(folder, *((f"L{i}", "2026-02-01", "web") for i in range(len(histories))))
    rows = [(f"L{i}", from_ms(e[1]).isoformat(), e[0]) for i, events in enumerate(histories) for e in events]
    write_csv(folder / "acts.csv", [("lead", "at", "type"), *rows])
    return loaded_of(folder, leads=LEADS, activities={**ACTIVITIES, **keys})


def listed(folder: Path) -> list[dict[str, str]]:
    with (folder / BOTS_FILE).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_bursts_are_left_out_counted_and_listed(tmp_path: Path) -> None:
    loaded = read(tmp_path, [*VISITS, *scanner()], VISITS, scanner())
    assert counts(loaded) == [100, 100, 0]
    (finding,) = [f for f in audit(loaded) if f.code == "bursts"]
    assert finding.severity == "warning"
    assert "30 activities of 2 leads" in finding.en
    assert "up to 15 within 2 seconds" in finding.en
    assert "リード2件の行動30件" in finding.ja
    rows = listed(tmp_path)
    assert [row["lead_id"] for row in rows] == ["L0"] * 15 + ["L2"] * 15
    assert {row["rule"] for row in rows} == {"burst"}
    assert rows[14]["type"] == "unsubscribed"
    assert rows[1]["at"] == "2026-03-01T12:00:12.395+00:00"


def test_a_spreadsheet_finds_no_formula_in_the_list(tmp_path: Path) -> None:
    leads(tmp_path, ("=cmd()", "2026-02-01", "web"), ("L1", "2026-02-01", "web"))
    rows = [("=cmd()", from_ms(e[1]).isoformat(), e[0]) for e in scanner()]
    write_csv(tmp_path / "acts.csv", [("lead", "at", "type"), *rows])
    loaded_of(tmp_path, leads=LEADS, activities=ACTIVITIES)
    assert {row["lead_id"] for row in listed(tmp_path)} == {"'=cmd()"}


def test_few_bursts_are_a_note(tmp_path: Path) -> None:
    loaded = read(tmp_path, scanner(), *[VISITS] * 2)
    assert [f.severity for f in audit(loaded) if f.code == "bursts"] == ["note"]


def test_bursts_can_be_kept(tmp_path: Path) -> None:
    read(tmp_path, scanner())
    assert (tmp_path / BOTS_FILE).exists()
    loaded = read(tmp_path, scanner(), bursts="keep")
    assert counts(loaded) == [15]
    assert not [f for f in audit(loaded) if f.code == "bursts"]
    assert not (tmp_path / BOTS_FILE).exists()


def test_the_moment_of_the_export_is_that_of_its_last_activity_whoever_made_it(tmp_path: Path) -> None:
    late = scanner(VISITS[-1][1] + 60_000)
    assert read(tmp_path, [*VISITS, *late]).crm.snapshot == late[-1][1] + 1


def test_histories_without_a_time_of_day_are_read_whole(tmp_path: Path) -> None:
    day = NOON - 43_200_000
    loaded = read(tmp_path, clicks(50, day, 0), [*clicks(20, day, 0), *clicks(20, day + 86_400_000, 0)])
    assert counts(loaded) == [50, 40]
