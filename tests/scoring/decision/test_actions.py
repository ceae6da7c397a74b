"""What to do with each lead and by when: the stage's action, hand-overs, and answers that are due."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.clock import MS_PER_DAY, NEVER, from_ms, to_ms
from features.columns import Column
from scoring.decision.actions import (
    ACCEPTED,
    EXCLUDED,
    HAND_OVER,
    LOST,
    WON,
    Actions,
    action_of,
    choose_actions,
    codes_of,
)
from scoring.decision.decision import EXCLUSION, MODEL, MQL, NOT_HANDED, PERSON, SQL, Decision, decide
from scoring.decision.overrides import Override, Verdict
from scoring.decision.sales_status import SalesStatus
from scoring.scorecard.load import blank_card
from scoring.scorecard.office_hours import OfficeHours
from scoring.scorecard.rating import rate
from scoring.scorecard.scorecard import COLD, HOT, WARM, Bands, Scorecard

TOKYO = ZoneInfo("Asia/Tokyo")
HOUR = MS_PER_DAY // 24
OFFICE = OfficeHours(time_zone="Asia/Tokyo", country="JP")
TEXT = {"en": "do it", "ja": "対応"}


def parse_tokyo_ms(text: str) -> int:
    """A moment in Tokyo, ms UTC."""
    return to_ms(datetime.fromisoformat(text).replace(tzinfo=TOKYO))


def format_tokyo(ms: int | np.int64) -> str | None:
    return None if ms == NEVER else f"{from_ms(int(ms)).astimezone(TOKYO):%Y-%m-%d %H:%M}"


FRIDAY = parse_tokyo_ms("2026-10-02 17:30")


def action(kind: str, hours: float | None = None, business: bool = False) -> dict[str, Any]:
    return {"kind": kind, "owner": "sales", "text": TEXT, "hours": hours, "business_hours": business}


def prompt(since: str, hours: float, business: bool = False) -> dict[str, Any]:
    return {
        "since": since,
        "answered": "since_call",
        "hours": hours,
        "business_hours": business,
        "text": TEXT,
    }


def card(**fields: Any) -> Scorecard:
    """Hot: one open hour; warm: a day by the clock; cold: no deadline."""
    warm, hot = action("nurture", 24), action("call", 1, business=True)
    stages = {"cold": action("inform"), "warm": warm, "hot": hot}
    usual = {"bands": Bands(warm=1, hot=2), "stages": stages, "hours": OFFICE}
    return Scorecard(**{**usual, **fields})


PLAIN = card()
ASKING = card(
    prompts={"inquiry": prompt("since_inquiry", 24), "material": prompt("since_material", 8, business=True)}
)


def decision(*stages: int, handed: int | None = None, decided_by: int = MODEL) -> Decision:
    """Decided leads; hot ones are handed over as MQLs."""
    stage = np.array(stages, dtype=np.int8)
    hand_over = np.where(stage == HOT, MQL, NOT_HANDED) if handed is None else np.full(len(stage), handed)
    score = stage.astype(np.int64) * 40
    return Decision(score, stage, np.full(len(stage), decided_by, np.int8), hand_over.astype(np.int8))


def days(**values: float) -> dict[str, Column]:
    """One lead's days since its inquiry, its request for material and our call; nan where not told."""
    names = ("since_inquiry", "since_material", "since_call")
    return {name: np.array([values.get(name.removeprefix("since_"), math.nan)]) for name in names}


def first(result: Actions) -> tuple[int, str | None, int]:
    """Action, deadline and prompt of the first lead."""
    return int(result.action[0]), format_tokyo(result.deadline[0]), int(result.prompt[0])


# -- stages --------------------------------------------------------------------------------------


def test_each_stage_has_its_action_and_deadline() -> None:
    result = choose_actions(PLAIN, decision(COLD, WARM, HOT, COLD), {}, FRIDAY)
    assert result.action.tolist() == [COLD, WARM, HOT, COLD]
    assert [format_tokyo(d) for d in result.deadline] == [None, "2026-10-03 17:30", "2026-10-05 09:30", None]
    assert result.prompt.tolist() == [-1] * 4


@pytest.mark.parametrize(
    ("begun", "expected"),
    [
        ("2026-10-01 10:00", "2026-10-01 11:00"),
        ("2026-10-01 17:30", "2026-10-02 09:30"),
        ("2026-10-03 12:00", "2026-10-05 10:00"),  # a Saturday
        ("2026-11-03 12:00", "2026-11-04 10:00"),  # Culture Day
    ],
)
def test_open_hours_count_where_the_action_says_so(begun: str, expected: str) -> None:
    assert first(choose_actions(PLAIN, decision(HOT), {}, parse_tokyo_ms(begun)))[1] == expected


def test_clock_hours_count_where_it_does_not() -> None:
    saturday = parse_tokyo_ms("2026-10-03 12:00")
    assert first(choose_actions(PLAIN, decision(WARM), {}, saturday))[1] == "2026-10-04 12:00"


def test_without_dates_nothing_has_a_deadline() -> None:
    result = choose_actions(ASKING, decision(COLD, WARM, HOT), days(inquiry=1), None)
    assert result.action.tolist() == [COLD, WARM, HOT]
    assert result.deadline.tolist() == [NEVER] * 3
    assert result.prompt.tolist() == [-1] * 3


def test_action_of_names_every_code() -> None:
    scorecard = card(hot_is="sql", hand_over=action("qualify", 2))
    codes = (COLD, WARM, HOT, HAND_OVER)
    assert [action_of(scorecard, c).kind for c in codes] == ["inform", "nurture", "call", "qualify"]


# -- hand-over -----------------------------------------------------------------------------------

SQL_CARD = card(
    hot_is="sql",
    hand_over=action("qualify", 2),
    intent={"rows": {"r": {"when": [{"feature": "p", "at_least": 1}], "points": 5, "because": TEXT}}},
)


def decide_actions(scorecard: Scorecard, verdict: Verdict | None) -> Actions:
    """A lead whose points are hot, under a person's verdict."""
    columns: dict[str, Column] = {"p": np.array([1.0])}
    override = None if verdict is None else Override("L1", verdict, "reason", "Sato", 0)
    return choose_actions(scorecard, decide(rate(scorecard, columns), None, [override]), columns, FRIDAY)


@pytest.mark.parametrize(
    ("verdict", "code", "due"),
    [
        (None, HAND_OVER, "2026-10-02 19:30"),
        ("accepted", HOT, "2026-10-05 09:30"),
        ("hot", HOT, "2026-10-05 09:30"),
        ("sent_back", WARM, "2026-10-03 17:30"),
        ("not_hot", WARM, "2026-10-03 17:30"),
    ],
)
def test_a_proposed_lead_is_handed_over_until_a_person_speaks(
    verdict: Verdict | None, code: int, due: str
) -> None:
    assert first(decide_actions(SQL_CARD, verdict))[:2] == (code, due)


@pytest.mark.parametrize(("verdict", "code"), [(None, HOT), ("accepted", ACCEPTED), ("hot", HOT)])
def test_where_mqls_are_hot_nobody_waits(verdict: Verdict | None, code: int) -> None:
    scorecard = SQL_CARD.model_copy(update={"hot_is": "mql"})
    assert first(decide_actions(scorecard, verdict))[0] == code


@pytest.mark.parametrize(("handed", "decided_by"), [(SQL, PERSON), (NOT_HANDED, MODEL)])
def test_an_accepted_lead_and_a_warm_one_do_not_wait(handed: int, decided_by: int) -> None:
    stage = HOT if handed == SQL else WARM
    result = choose_actions(SQL_CARD, decision(stage, handed=handed, decided_by=decided_by), {}, FRIDAY)
    assert result.action.tolist() == [stage]


# -- where leads stand with sales ----------------------------------------------------------------


def test_a_closed_lead_has_nothing_to_call_for_and_no_answer_waits() -> None:
    stood = [SalesStatus("won", FRIDAY), SalesStatus("lost", FRIDAY), None]
    result = choose_actions(
        ASKING, decision(HOT, COLD, HOT), repeat_three_times(days(inquiry=0.5)), FRIDAY, stood
    )
    assert result.action.tolist() == [WON, LOST, HOT]
    assert result.deadline.tolist()[:2] == [NEVER, NEVER]
    assert result.prompt.tolist()[:2] == [-1, -1]
    assert [action_of(ASKING, code).kind for code in (WON, LOST)] == ["none", "none"]


def test_an_excluded_lead_is_not_called_but_its_inquiry_is_answered() -> None:
    result = choose_actions(ASKING, decision(COLD, decided_by=EXCLUSION), days(inquiry=0.5), FRIDAY)
    assert first(result) == (EXCLUDED, "2026-10-03 05:30", 0)


@pytest.mark.parametrize("hot_is", ["mql", "sql"])
def test_an_accepted_lead_is_due_when_sales_go_on_with_it(hot_is: str) -> None:
    scorecard, due = SQL_CARD.model_copy(update={"hot_is": hot_is}), FRIDAY + 3 * MS_PER_DAY
    accepted = decision(HOT, handed=SQL, decided_by=PERSON)
    result = choose_actions(scorecard, accepted, {}, FRIDAY, [SalesStatus(next_action=due)])
    assert first(result)[:2] == (ACCEPTED, "2026-10-05 17:30")
    assert action_of(scorecard, ACCEPTED).owner == "field_sales"
    waiting = choose_actions(
        scorecard, decision(WARM, handed=MQL), {}, FRIDAY, [SalesStatus(next_action=due)]
    )
    assert first(waiting)[0] == HAND_OVER


def test_every_code_has_an_action_in_both_languages() -> None:
    for scorecard in (PLAIN, SQL_CARD):
        code_actions = [action_of(scorecard, code) for code in codes_of(scorecard)]
        assert len(code_actions) == len(codes_of(scorecard)) == (7 if scorecard.hand_over is None else 8)
        assert all(
            code_action.text.en != code_action.text.ja
            for code_action in code_actions
            if code_action.text.en != "do it"
        )


def repeat_three_times(columns: dict[str, Column]) -> dict[str, Column]:
    """The columns of three leads like the one."""
    return {name: np.repeat(np.asarray(column), 3) for name, column in columns.items()}


@pytest.mark.parametrize(("contacted", "waits"), [(None, 0), (0.4, -1), (0.5, -1), (0.6, 0)])
def test_a_contact_that_sales_recorded_answers_what_was_asked_before(
    contacted: float | None, waits: int
) -> None:
    contacted_ms = None if contacted is None else FRIDAY - round(contacted * MS_PER_DAY)
    stood = [SalesStatus(contacted_at=contacted_ms)]
    result = choose_actions(ASKING, decision(WARM), days(inquiry=0.5), FRIDAY, stood)
    assert first(result)[2] == waits


# -- prompts -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days_ago", "deadline", "place"),
    [
        ({}, None, -1),
        ({"call": 3}, None, -1),
        ({"inquiry": 0.25}, "2026-10-03 11:30", 0),  # asked at 11:30, 24 hours ago less 18
        ({"inquiry": 0.25, "call": 0.125}, None, -1),  # answered later
        ({"inquiry": 0.25, "call": 0.25}, None, -1),  # answered at that moment
        ({"inquiry": 0.25, "call": 0.5}, "2026-10-03 11:30", 0),  # called before: no answer
        ({"inquiry": 3}, "2026-09-30 17:30", 0),  # overdue
        ({"material": 0.25}, "2026-10-05 10:30", 1),  # 8 open hours from 11:30 on a Friday
        ({"material": 1}, "2026-10-02 16:30", 1),
        ({"inquiry": 0.25, "material": 1}, "2026-10-02 16:30", 1),  # the earliest wins
        ({"inquiry": 3, "material": 1}, "2026-09-30 17:30", 0),
        ({"inquiry": 3, "material": 0.25, "call": 1}, "2026-10-05 10:30", 1),  # the other is answered
    ],
)
def test_a_cold_lead_that_asked_is_due_an_answer(
    days_ago: dict[str, float], deadline: str | None, place: int
) -> None:
    assert first(choose_actions(ASKING, decision(COLD), days(**days_ago), FRIDAY)) == (COLD, deadline, place)


@pytest.mark.parametrize(
    ("stage", "days_ago", "deadline", "place"),
    [
        (HOT, {"inquiry": 0.25}, "2026-10-03 11:30", 0),  # before Monday's 9:30
        (HOT, {"material": 0.25}, "2026-10-05 09:30", -1),  # the call is due first
        (WARM, {"inquiry": 0.25}, "2026-10-03 11:30", 0),
        (WARM, {"inquiry": 0}, "2026-10-03 17:30", -1),  # both are due then: the action stands alone
    ],
)
def test_the_earlier_of_action_and_prompt_counts(
    stage: int, days_ago: dict[str, float], deadline: str, place: int
) -> None:
    result = choose_actions(ASKING, decision(stage), days(**days_ago), FRIDAY)
    assert first(result) == (stage, deadline, place)


def test_of_two_prompts_due_at_once_the_first_of_the_card_counts() -> None:
    scorecard = card(prompts={"b": prompt("since_inquiry", 24), "a": prompt("since_material", 24)})
    assert first(choose_actions(scorecard, decision(COLD), days(inquiry=1, material=1), FRIDAY))[2] == 0


def test_each_lead_has_its_own_prompt() -> None:
    columns: dict[str, Column] = {
        "since_inquiry": np.array([0.25, math.nan, 2.0]),
        "since_material": np.array([math.nan, 0.25, math.nan]),
        "since_call": np.array([math.nan, math.nan, 1.0]),
    }
    result = choose_actions(ASKING, decision(COLD, COLD, COLD), columns, FRIDAY)
    assert result.prompt.tolist() == [0, 1, -1]
    assert [format_tokyo(d) for d in result.deadline] == ["2026-10-03 11:30", "2026-10-05 10:30", None]


@settings(deadline=None)
@given(st.integers(0, 400 * 24), st.none() | st.integers(0, 400 * 24), st.floats(0.01, 8760))
def test_an_answer_is_due_so_many_hours_after_the_question(
    hours_since_inquiry: int, called: int | None, hours: float
) -> None:
    """Whatever the moment of scoring."""
    asks = {**prompt("since_inquiry", hours), "within_days": 500}
    scorecard = card(prompts={"inquiry": asks})
    call = math.nan if called is None else called / 24
    result = choose_actions(
        scorecard, decision(COLD), days(inquiry=hours_since_inquiry / 24, call=call), FRIDAY
    )
    waits = called is None or called > hours_since_inquiry
    due = FRIDAY - hours_since_inquiry * HOUR + hours * HOUR
    assert int(result.prompt[0]) == (0 if waits else -1)
    assert abs(int(result.deadline[0]) - due) <= 1 if waits else result.deadline[0] == NEVER


def test_an_old_question_is_no_longer_waited_on() -> None:
    scorecard = card(prompts={"inquiry": {**prompt("since_inquiry", 24), "within_days": 3}})
    prompts = [
        choose_actions(scorecard, decision(COLD), days(inquiry=days_ago), FRIDAY).prompt[0]
        for days_ago in (3.0, 3.1)
    ]
    assert prompts == [0, -1]


def test_the_blank_card_calls_hot_leads_within_a_day() -> None:
    result = choose_actions(blank_card(), decision(COLD, WARM, HOT), {}, FRIDAY)
    assert [format_tokyo(d) for d in result.deadline] == [None, None, "2026-10-03 17:30"]
