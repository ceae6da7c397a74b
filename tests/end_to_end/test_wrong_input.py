"""Wrong input to `hotlead train`: one clear sentence, the documented exit code, no half-written file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.failing import run_failing
from tests.helpers.small_crm import listing, replace_text, small_crm

REJECTS = {"hotlead-out", "hotlead-out/rejects.csv"}


def no_file(folder: Path) -> None:
    (folder / "deals.csv").unlink()


def no_column(folder: Path) -> None:
    replace_text(folder / "leads.csv", "created_at", "created_on")


def no_feature_column(folder: Path) -> None:
    replace_text(folder / "leads.csv", "employees", "staff")


def no_leads(folder: Path) -> None:
    (folder / "leads.csv").write_text("lead_id,created_at,channel,employees\n")


def no_bytes(folder: Path) -> None:
    (folder / "leads.csv").write_text("")


def not_toml(folder: Path) -> None:
    replace_text(folder / "crm.toml", "[deals]", "[deals")


def unknown_key(folder: Path) -> None:
    replace_text(folder / "crm.toml", "closed_at =", "close_at =")


def no_environment(folder: Path) -> None:
    replace_text(folder / "crm.toml", '"leads.csv"', '"${NO_SUCH_PLACE}/leads.csv"')


def unknown_outcome(folder: Path) -> None:
    replace_text(folder / "deals.csv", ",lost,", ",gone,")


def no_activities(folder: Path) -> None:
    (folder / "activities.csv").write_text("lead_id,type,at\n")


def future_dates(folder: Path) -> None:
    replace_text(folder / "leads.csv", ",2025-", ",2125-")


def unreadable_dates(folder: Path) -> None:
    replace_text(folder / "leads.csv", ",2025-", ",year 2025/")


def all_won(folder: Path) -> None:
    replace_text(folder / "deals.csv", ",lost,", ",won,")


def none_won(folder: Path) -> None:
    replace_text(folder / "deals.csv", ",won,", ",lost,")


def few_wins(folder: Path) -> None:
    """17 wins stay."""
    lines = (folder / "deals.csv").read_text().splitlines()
    wins = [i for i, line in enumerate(lines) if ",won," in line]
    for i in wins[17:]:
        lines[i] = lines[i].replace(",won,", ",lost,")
    (folder / "deals.csv").write_text("\n".join(lines))


def too_young(folder: Path) -> None:
    replace_text(folder / "crm.toml", "horizon_days = 30", "horizon_days = 3000")


def leaks_only(folder: Path) -> None:
    """The only feature is the outcome itself."""
    toml = (folder / "crm.toml").read_text()
    toml = toml[: toml.index("[features]")] + (
        '[features]\nresult = { kind = "attribute", column = "result" }\n'
    )
    (folder / "crm.toml").write_text(toml)
    outcome = dict(line.split(",")[:2] for line in (folder / "deals.csv").read_text().splitlines()[1:])
    leads = (folder / "leads.csv").read_text().splitlines()
    rows = [f"{line},{outcome.get(line.split(',')[0], '')}" for line in leads[1:]]
    (folder / "leads.csv").write_text("\n".join([leads[0] + ",result", *rows]))


INVALID_INPUTS: list[tuple[Callable[[Path], None], int, list[str]]] = [
    (no_file, 3, ["deals.csv", "there is no such file"]),
    (no_column, 3, ["leads.csv", "'created_at'", "created_on"]),
    (no_feature_column, 3, ["leads.csv", "'employees'"]),
    (no_leads, 4, ["leads.csv"]),
    (no_bytes, 4, ["leads.csv", "is empty"]),
    (not_toml, 3, ["crm.toml", "is not TOML"]),
    (unknown_key, 3, ["crm.toml", "[deals] close_at", "closed_at"]),
    (no_environment, 3, ["NO_SUCH_PLACE", "is not set"]),
    (unknown_outcome, 4, ["deals, column outcome", "'gone'", "won ['won'], lost ['lost']"]),
    (no_activities, 4, ["activities.csv", "no activity", "visits"]),
    (future_dates, 4, ["leads.csv", "created_at", "in the future"]),
    (unreadable_dates, 4, ["leads.csv", "created_at", "not a date", "time_format"]),
    (all_won, 4, ["20 leads that were not won", "lost"]),
    (none_won, 4, ["20 won leads", "20 more are missing"]),
    (few_wins, 4, ["20 won leads", "there are 17", "3 more are missing"]),
    (too_young, 4, ["horizon of 3000 days", "Shorten"]),
    (leaks_only, 4, ["No feature is left", "hotlead check"]),
]


@pytest.mark.parametrize(
    ("break_input", "code", "expected_parts"), INVALID_INPUTS, ids=[w[0].__name__ for w in INVALID_INPUTS]
)
def test_train_names_the_wrong_input_and_the_next_step(
    break_input: Callable[[Path], None], code: int, expected_parts: list[str], tmp_path: Path
) -> None:
    crm_toml = small_crm(tmp_path)
    break_input(tmp_path)
    before = listing(tmp_path)
    exit_code, sentence = run_failing("train", crm_toml)
    assert exit_code == code, sentence
    for part in expected_parts:
        assert part in sentence
    assert listing(tmp_path) - before <= REJECTS


def test_a_missing_crm_toml_names_hotlead_init(tmp_path: Path) -> None:
    code, message = run_failing("train", tmp_path / "crm.toml")
    assert code == 3
    assert str(tmp_path / "crm.toml") in message
    assert "hotlead init" in message
    assert listing(tmp_path) == set()
