from pathlib import Path

import numpy as np
import pytest

from features.clock import NEVER
from features.crm_data import Crm
from features.moments import Examples, build_examples, open_leads
from features.settings import Target
from tests.helpers.builders import DAY, loaded_of, make_crm, write_csv

TARGET = Target(horizon_days=10, landmarks=(0, 1, 7))
LATER = 100 * DAY


def shown(crm: Crm, target: Target = TARGET) -> list[tuple[int, float, bool]]:
    """(lead, landmark, won) of each example, oldest moment first."""
    result = build_examples(crm, target)
    rows = zip(result.lead, result.landmark, result.won, strict=True)
    return [(int(lead), float(landmark), bool(won)) for lead, landmark, won in rows]


@pytest.mark.parametrize(
    ("closed", "ages"),
    [
        (0, []),
        (1, [0]),
        (DAY, [0]),
        (DAY + 1, [0, 1]),
        (7 * DAY, [0, 1]),
        (7 * DAY + 1, [0, 1, 7]),
        (-DAY, []),
    ],
)
def test_moments_are_the_landmarks_at_which_the_lead_is_still_open(closed: int, ages: list[int]) -> None:
    crm = make_crm(closed={0: (closed, False)}, snapshot=LATER)
    assert shown(crm) == [(0, age, False) for age in ages]


@pytest.mark.parametrize("closed", [{}, {0: (9 * DAY, True)}])
@pytest.mark.parametrize(
    ("snapshot", "ages"), [(10 * DAY - 1, []), (10 * DAY, [0]), (11 * DAY, [0, 1]), (17 * DAY, [0, 1, 7])]
)
def test_an_example_counts_once_its_horizon_has_ended_whatever_became_of_the_lead(
    snapshot: int, ages: list[int], closed: dict[int, tuple[int, bool]]
) -> None:
    result = build_examples(make_crm(closed=closed, snapshot=snapshot), TARGET)
    assert result.landmark.tolist() == ages
    assert (result.known_at <= snapshot).all()


@pytest.mark.parametrize(("closed_at", "won"), [(10 * DAY, True), (10 * DAY + 1, False), (1, True)])
def test_won_means_won_within_the_horizon_of_the_moment(closed_at: int, won: bool) -> None:
    crm = make_crm(closed={0: (closed_at, True)}, snapshot=LATER)
    assert shown(crm, Target(horizon_days=10, landmarks=(0,))) == [(0, 0, won)]


def test_a_win_after_a_first_loss_counts_for_the_moments_before_the_loss() -> None:
    crm = make_crm(closed={0: (2 * DAY, False)}, snapshot=LATER)
    crm.outcomes.won_at[0] = 9 * DAY
    assert shown(crm) == [(0, 0, True), (0, 1, True)]


def test_days_to_the_win_count_from_each_moment_and_only_within_the_horizon() -> None:
    crm = make_crm(2, closed={0: (9 * DAY + DAY // 2, True), 1: (9 * DAY, False)}, snapshot=LATER)
    days = build_examples(crm, TARGET).days_to_win
    assert sorted(days[~np.isnan(days)].tolist()) == [2.5, 8.5, 9.5]
    late = make_crm(closed={0: (10 * DAY + 1, True)}, snapshot=LATER)
    assert np.isnan(build_examples(late, Target(horizon_days=10, landmarks=(0,))).days_to_win).all()


def test_examples_come_oldest_first_and_keep_their_lead(tmp_path: Path) -> None:
    crm = make_crm(2, closed={1: (5 * DAY, True)}, created=[3 * DAY, 0], snapshot=LATER, accounts=[7, 8])
    result = build_examples(crm, TARGET)
    assert result.moment.tolist() == [0, DAY, 3 * DAY, 4 * DAY, 10 * DAY]
    assert result.lead.tolist() == [1, 1, 0, 0, 0]
    assert result.group.tolist() == [8, 8, 7, 7, 7]
    assert result.known_at.tolist() == [m + 10 * DAY for m in result.moment]
    assert result.won_leads == 1


def test_taking_examples_keeps_their_parts_together() -> None:
    result = build_examples(make_crm(3, closed={1: (5 * DAY, True)}, snapshot=LATER), TARGET)
    won_examples: Examples = result.take(result.won)
    assert set(won_examples.lead.tolist()) == {1}
    assert won_examples.won.all()
    assert len(won_examples) == 2


def test_undated_data_give_one_example_for_each_decided_lead(tmp_path: Path) -> None:
    rows = [("n", "channel", "state"), (3, "a", "won"), (1, "b", "lost"), (2, "c", ""), (0, "d", "won")]
    write_csv(tmp_path / "l.csv", rows)
    loaded = loaded_of(
        tmp_path,
        leads={"source": "l.csv", "id": "n"},
        order="n",
        deals={"outcome": "state", "won": ["won"], "lost": ["lost"]},
    )
    result = build_examples(loaded.crm, loaded.settings.target)
    assert loaded.crm.lead_ids[result.lead].tolist() == ["0", "1", "3"]
    assert result.won.tolist() == [True, False, True]
    assert result.ordered
    assert np.isnan(result.days_to_win).all()
    assert np.array_equal(result.moment, result.known_at)
    assert loaded.crm.lead_ids[open_leads(loaded.crm, NEVER)].tolist() == ["2"]


@pytest.mark.parametrize(
    ("as_of", "expected"), [(0, [0]), (DAY - 1, [0]), (DAY, [0, 1]), (2 * DAY - 1, [0, 1]), (2 * DAY, [1])]
)
def test_open_leads_exist_and_are_not_closed_yet(as_of: int, expected: list[int]) -> None:
    crm = make_crm(2, created=[0, DAY], closed={0: (2 * DAY, True)})
    assert open_leads(crm, as_of).tolist() == expected
