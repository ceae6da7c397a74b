"""A person's verdicts: read from a CSV, and in force or not."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from features.clock import NEVER
from features.errors import DataError
from scoring.decision.overrides import (
    VERDICTS,
    Override,
    Verdict,
    newest_in_force,
    read_overrides,
    select_in_force,
)
from tests.helpers.builders import ms, write_csv

TOKYO = ZoneInfo("Asia/Tokyo")
HEAD = ("lead_id", "verdict", "reason", "by", "at", "expires")
GOOD = ("L1", "hot", "met the board", "Sato", "2026-04-01T09:00", "2026-05-01")


def read(folder: Path, *rows: tuple[str, ...], head: tuple[str, ...] = HEAD) -> list[Override]:
    return read_overrides(write_csv(folder / "overrides.csv", [head, *rows]), TOKYO)


def change_row(**cells: str) -> tuple[str, ...]:
    """The good row with other cells."""
    return tuple(cells.get(name, cell) for name, cell in zip(HEAD, GOOD, strict=True))


# -- reading -------------------------------------------------------------------------------------


def test_a_row_is_read_with_times_of_the_zone(tmp_path: Path) -> None:
    assert read(tmp_path, GOOD) == [
        Override("L1", "hot", "met the board", "Sato", ms(2026, 4, 1), ms(2026, 4, 30, 15))
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-04-01T09:00+09:00", ms(2026, 4, 1)),
        ("2026-04-01T09:00:30.250Z", ms(2026, 4, 1, 9, 0, 30, 250_000)),
        ("2026-04-01 09:00-05:00", ms(2026, 4, 1, 14)),
        ("2026-04-01", ms(2026, 3, 31, 15)),
    ],
)
def test_times_may_have_an_offset_of_their_own(tmp_path: Path, text: str, expected: int) -> None:
    assert read(tmp_path, change_row(at=text))[0].at == expected


def test_an_empty_end_is_no_end(tmp_path: Path) -> None:
    (override,) = read(tmp_path, change_row(expires=" "))
    assert override.expires == NEVER
    assert newest_in_force([override], ms(2999, 1, 1)) == override


def test_order_of_columns_other_columns_and_spaces_do_not_matter(tmp_path: Path) -> None:
    head = ("note", *reversed(HEAD))
    row = ("x", *(f"  {cell} " for cell in reversed(GOOD)))
    assert read(tmp_path, row, head=head) == read(tmp_path / "other", GOOD)


def test_excel_writes_a_byte_order_mark(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "excel.csv", [HEAD, change_row(reason="予算、承認済み")], "utf-8-sig")
    (override,) = read_overrides(path, TOKYO)
    assert (override.lead_id, override.reason) == ("L1", "予算、承認済み")


@pytest.mark.parametrize("verdict", VERDICTS)
def test_every_verdict_is_read(tmp_path: Path, verdict: str) -> None:
    (override,) = read(tmp_path, change_row(verdict=verdict))
    assert override.verdict == verdict
    assert override.hot == (verdict in ("hot", "accepted"))


def test_a_file_without_rows_tells_nothing(tmp_path: Path) -> None:
    assert read(tmp_path) == []


INVALID_ROWS = {
    "no lead": (change_row(lead_id=""), "lead_id is empty; an override names its lead, reason and person."),
    "no reason": (change_row(reason="  "), "reason is empty; an override names its lead, reason and person."),
    "no person": (change_row(by=""), "by is empty; an override names its lead, reason and person."),
    "another verdict": (
        change_row(verdict="Hot"),
        "verdict must be one of hot, not_hot, accepted, sent_back (got 'Hot').",
    ),
    "no verdict": (
        change_row(verdict=""),
        "verdict must be one of hot, not_hot, accepted, sent_back (got '').",
    ),
    "no moment": (change_row(at=""), "at must be a time such as 2026-10-01T09:00+09:00 (got '')."),
    "another moment": (
        change_row(at="1 April"),
        "at must be a time such as 2026-10-01T09:00+09:00 (got '1 April').",
    ),
    "another end": (
        change_row(expires="soon"),
        "expires must be a time such as 2026-10-01T09:00+09:00 (got 'soon').",
    ),
    "an end at the beginning": (
        change_row(expires="2026-04-01T09:00"),
        "expires 2026-04-01T09:00 is not after at 2026-04-01T09:00.",
    ),
    "an end before the beginning": (
        change_row(expires="2026-03-01"),
        "expires 2026-03-01 is not after at 2026-04-01T09:00.",
    ),
    "a short row": (("L1", "hot"), "reason is empty; an override names its lead, reason and person."),
}


@pytest.mark.parametrize(("row", "message"), INVALID_ROWS.values(), ids=INVALID_ROWS)
def test_a_wrong_row_is_named_with_its_value(tmp_path: Path, row: tuple[str, ...], message: str) -> None:
    with pytest.raises(DataError) as problem:
        read(tmp_path, GOOD, row)
    problem_text = str(problem.value).removeprefix(f"{tmp_path / 'overrides.csv'}, row 3: ")
    assert problem_text == message


@pytest.mark.parametrize("lacking", HEAD)
def test_a_missing_column_is_named(tmp_path: Path, lacking: str) -> None:
    with pytest.raises(DataError, match=rf"overrides\.csv: lacks the column {lacking}; needed are "):
        read(tmp_path, head=tuple(name for name in HEAD if name != lacking))


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "old.csv", [HEAD, change_row(reason="予算あり")], "cp932")
    for place in (path, tmp_path / "none.csv", tmp_path):
        with pytest.raises(DataError, match=r"cannot be read \(.*\)\. It must be a CSV in UTF-8"):
            read_overrides(place, TOKYO)


# -- in force ------------------------------------------------------------------------------------


def make_override(lead: str, verdict: Verdict, moment_ms: int, expires: int = NEVER) -> Override:
    return Override(lead, verdict, "reason", "Sato", moment_ms, expires)


def test_it_holds_from_its_moment_until_before_its_end() -> None:
    override = make_override("L1", "hot", 10, 20)
    assert [newest_in_force([override], t) is not None for t in (9, 10, 19, 20)] == [False, True, True, False]


def test_live_what_came_from_a_clock_ahead_holds_and_later_words_go_before() -> None:
    ahead, now = make_override("L1", "hot", 30), make_override("L1", "not_hot", 20)
    assert newest_in_force([ahead, now], 25) == now
    assert newest_in_force([ahead, now], 25, live=True) == ahead
    twice = [make_override("L1", "hot", 30), make_override("L1", "not_hot", 40)]
    assert newest_in_force(twice, 25, live=True) == twice[1]


@pytest.mark.parametrize("turn", [1, -1])
def test_the_newest_in_force_counts_in_any_order(turn: int) -> None:
    overrides = [
        make_override("L1", "hot", 10),
        make_override("L1", "not_hot", 20, 30),
        make_override("L1", "accepted", 99),
        make_override("L2", "sent_back", 5, 40),
    ][::turn]
    verdicts_by_time = {
        t: {k: o.verdict for k, o in select_in_force(overrides, t).items()} for t in (5, 15, 25, 35, 100)
    }
    assert verdicts_by_time == {
        5: {"L2": "sent_back"},
        15: {"L1": "hot", "L2": "sent_back"},
        25: {"L1": "not_hot", "L2": "sent_back"},
        35: {"L1": "hot", "L2": "sent_back"},
        100: {"L1": "accepted"},
    }


def test_of_two_at_the_same_moment_the_later_in_the_file_counts() -> None:
    assert (
        select_in_force([make_override("L1", "hot", 1), make_override("L1", "not_hot", 1)], 5)["L1"].verdict
        == "not_hot"
    )
