"""A list in CSV goes to a spreadsheet and comes back: byte order mark, formulas, ids."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from features.settings import load_settings
from serving.client.closed_deals_file import read_closed_deals
from tests.helpers.small_crm import CARD, run, small_crm

MARK = b"\xef\xbb\xbf"
ID, ESCAPED = "=L0295", "'=L0295"


@pytest.fixture
def crm_toml(tmp_path: Path) -> Path:
    """A CRM with a scorecard and without a model, in which the id of an open lead looks like a formula."""
    crm_toml = small_crm(tmp_path)
    crm_toml.with_name("scorecard.toml").write_text(CARD, encoding="utf-8")
    for name in ("leads.csv", "activities.csv"):
        path = tmp_path / name
        path.write_text(path.read_text(encoding="utf-8").replace("L0295", ID), encoding="utf-8")
    return crm_toml


def score(crm_toml: Path, *options: object) -> tuple[bytes, list[dict[str, str]]]:
    """The bytes and the rows of the list."""
    to = crm_toml.with_name("scores.csv")
    ended = run("score", crm_toml, "--to", to, *options)
    assert ended.returncode == 0, ended.stderr
    with to.open(encoding="utf-8-sig", newline="") as file:
        return to.read_bytes(), list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("options", "has_mark"),
    [((), False), (("--lang", "ja"), True), (("--bom",), True), (("--lang", "ja", "--no-bom"), False)],
)
def test_a_japanese_list_has_the_mark_that_excel_needs(
    crm_toml: Path, options: tuple[str, ...], has_mark: bool
) -> None:
    content, rows = score(crm_toml, *options)
    assert content.startswith(MARK) is has_mark
    assert ESCAPED in {row["lead_id"] for row in rows}
    assert all(0 <= float(row["rules_score"]) <= 100 for row in rows)


def test_ids_of_the_list_are_known_in_overrides_and_outcomes(crm_toml: Path, tmp_path: Path) -> None:
    _, rows = score(crm_toml, "--bom")
    overrides = tmp_path / "overrides.csv"
    lines = [f"{row['lead_id']},not_hot,tested,tests,2024-01-01," for row in rows]
    overrides.write_text("\n".join(["lead_id,verdict,reason,by,at,expires", *lines]), encoding="utf-8-sig")
    _, decided = score(crm_toml, "--overrides", overrides)
    assert {row["decided_by"] for row in decided} == {"person"}

    deals = tmp_path / "closed.csv"
    lines = [f"{row['lead_id']},won,2026-01-02" for row in rows]
    deals.write_text("\n".join(["lead_id,outcome,closed_at", *lines]), encoding="utf-8-sig")
    bodies = read_closed_deals(deals, load_settings(crm_toml)).bodies
    assert ID in {body["lead_id"] for body in bodies}
    assert ESCAPED not in {body["lead_id"] for body in bodies}


def test_activities_of_an_id_with_an_apostrophe_are_joined(crm_toml: Path) -> None:
    path = crm_toml.with_name("activities.csv")
    path.write_text(path.read_text(encoding="utf-8").replace(ID, ESCAPED), encoding="utf-8")
    ended = run("check", crm_toml, "--json")
    assert ended.returncode == 0, ended.stderr
    assert not crm_toml.with_name("hotlead-out").joinpath("rejects.csv").exists()


def test_rejected_values_are_no_formulas_and_japanese_ones_have_the_mark(crm_toml: Path) -> None:
    path = crm_toml.with_name("leads.csv")
    with path.open("a", encoding="utf-8") as file:
        file.write('L9998,"=HYPERLINK(""x"")",ads,5\nL9999,昨日,ads,5\n')
    assert run("check", crm_toml).returncode == 0
    content = crm_toml.parent.joinpath("hotlead-out", "rejects.csv").read_bytes()
    assert content.startswith(MARK)
    assert b"\"'=HYPERLINK" in content or b"'=HYPERLINK" in content
