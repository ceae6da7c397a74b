"""The two views of a lead answer alike, and neither sees what comes later."""

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.clock import NEVER
from features.crm_data import Crm
from features.derived.ngrams import to_ngrams
from features.errors import DataError
from features.kinds import (
    After,
    Age,
    Attribute,
    Count,
    DaysBetween,
    DaysSince,
    Decayed,
    Department,
    Distinct,
    Feature,
    FreeText,
    InquiryHour,
    InquiryWeekday,
    JobRank,
    Last,
    MailDomain,
    MultiSelect,
    Over,
    Ratio,
    Repeated,
    SizeBand,
    Sum,
)
from features.many_leads import Histories, ManyLeads
from features.one_lead import OneLead
from features.table import FeatureTable
from tests.helpers.builders import DAY, ActivityRow, ChangeRow, both_views, is_same, make_crm, many_values

TYPES = ("visit", "mail", "quote")
LEADS = 4


def every_kind(over: Over) -> dict[str, Feature]:
    activities = ("visit", "*", ("visit", "quote"), "never")
    by_name: dict[str, Feature] = {}
    for i, a in enumerate(activities):
        by_name |= {
            f"count{i}": Count(a, 2, over),
            f"count_all{i}": Count(a, None, over),
            f"sum{i}": Sum(a, 0.5, over),
            f"sum_all{i}": Sum(a, None, over),
            f"repeated{i}": Repeated(a, 2, over),
            f"repeated_all{i}": Repeated(a, None, over),
            f"since{i}": DaysSince(a, over),
            f"last{i}": Last(a, over),
            f"after{i}": After("mail", a, 1, over=over),
            f"late{i}": After("mail", a, 1, 2, over),
            f"first{i}": After(a, "mail", 0.25, None, over),
            f"decayed{i}": Decayed(a, 0.7, over),
            f"ratio{i}": Ratio(Sum(a, None, over), Count("*", 2, over)),
        }
    return {f"{over}_{name}": f for name, f in by_name.items()} | {
        f"{over}_kinds": Distinct(None, over),
        f"{over}_kinds_2d": Distinct(2, over),
    }


TABLE = FeatureTable(
    {
        **every_kind("lead"),
        **every_kind("account"),
        "age": Age(),
        "size": Attribute("size", "number"),
        "trade": Attribute("trade"),
        "budget": Attribute("budget", "number", "history"),
        "need": Attribute("need", "category", "history"),
        "mail": MailDomain("mail"),
        "rank": JobRank("title"),
        "department": Department("title"),
        "band": SizeBand("budget", "history", edges=(2, 5)),
        "interests": MultiSelect("interests", "history", separator=","),
        "inquiry": FreeText("inquiry", "history"),
        "wanted": DaysBetween(end="wanted"),
        "waited": DaysBetween("wanted", "decided"),
        "weekday": InquiryWeekday("Asia/Tokyo"),
        "hour": InquiryHour("America/St_Johns"),
    }
)
TEXTS = {
    "mail": ["a@gmail.com", "b@acme.co.jp", "free", "c@x.ac.jp", "no address"],
    "title": ["営業部長", "VP of IT", "director", "Consultant"],
    "interests": ["a,b", "b、 a", "^a^,^c^", " , ", "a"],
    "inquiry": ["見積をください", "We need 20 seats", "...", "ＭＡＫＥ an offer", to_ngrams("見積")],
}

# Few different times, so that equal ones, edges of windows and changes at the moment are common.
times = st.integers(0, 24).map(lambda quarter: quarter * DAY // 4) | st.integers(0, 6 * DAY)
# Few different values beside any, so that repeated ones are common too.
values = st.floats(-1e12, 1e12, allow_subnormal=False) | st.sampled_from([math.nan, 0.0, -0.0, 7.0])
activity = st.tuples(st.integers(0, LEADS - 1), st.sampled_from(TYPES), times, values)
texts = {name: st.none() | st.sampled_from(choices) for name, choices in TEXTS.items()}
dates = st.none() | times.map(float)
numbers, words = st.none() | st.integers(0, 9).map(float), st.none() | st.sampled_from("abc")
change = st.one_of(
    *(
        st.tuples(st.integers(0, LEADS - 1), st.just(column), times, column_values)
        for column, column_values in (
            ("budget", numbers),
            ("size", numbers),
            ("need", words),
            ("interests", texts["interests"]),
            ("inquiry", texts["inquiry"]),
        )
    )
)


@dataclass(frozen=True)
class History:
    activities: list[ActivityRow]
    changes: list[ChangeRow]
    attributes: dict[str, list[object]]
    accounts: list[int]
    moments: list[int]
    created: int

    def crm(self, activities: list[ActivityRow] | None = None, changes: list[ChangeRow] | None = None) -> Crm:
        all_activities = self.activities + (activities or [])
        return make_crm(
            LEADS,
            all_activities,
            self.changes + (changes or []),
            self.attributes,
            self.accounts,
            created=self.created,
        )


@st.composite
def histories(draw: st.DrawFn) -> History:
    columns = {"size": numbers, "trade": words, "wanted": dates, "decided": dates}
    columns |= {name: texts[name] for name in ("mail", "title")}
    return History(
        draw(st.lists(activity, max_size=25)),
        # Both sorts of a history, whatever else is drawn: a column is of one sort.
        [
            (0, "budget", DAY, 1.0),
            (0, "size", 2 * DAY, 2.0),
            (1, "need", DAY, "a"),
            (1, "interests", DAY, "a,b"),
            (1, "inquiry", DAY, "見積"),
            *draw(st.lists(change, max_size=12)),
        ],
        {
            c: [
                3.0 if strategy in (numbers, dates) else "z",
                *draw(st.lists(strategy, min_size=LEADS - 1, max_size=LEADS - 1)),
            ]
            for c, strategy in columns.items()
        },
        draw(st.lists(st.integers(0, 2), min_size=LEADS, max_size=LEADS)),
        draw(st.lists(times, min_size=2 * LEADS, max_size=2 * LEADS)),
        draw(times | st.integers(-(10**12), 10**12)),
    )


@settings(max_examples=150, deadline=None)
@given(histories())
def test_both_views_give_the_same_values_to_the_last_bit(history: History) -> None:
    leads = [*range(LEADS), *range(LEADS)]
    one, many = both_views(
        TABLE, history.crm(), leads, history.moments, history.activities, history.changes, history.attributes
    )
    for lead_one, lead_many in zip(one, many, strict=True):
        differ = {
            n: (a, b) for n, a, b in zip(TABLE.names, lead_one, lead_many, strict=True) if not is_same(a, b)
        }
        assert not differ


@settings(max_examples=100, deadline=None)
@given(
    histories(),
    st.lists(activity, max_size=8),
    st.lists(change, max_size=8),
    times,
    st.dictionaries(st.integers(0, LEADS - 1), st.tuples(times, st.booleans())),
)
def test_nothing_told_at_or_after_the_moment_alters_a_feature(
    history: History,
    later: list[ActivityRow],
    changed: list[ChangeRow],
    moment: int,
    closes: dict[int, tuple[int, bool]],
) -> None:
    leads, moments = list(range(LEADS)), [moment] * LEADS
    before = many_values(TABLE, history.crm(), leads, moments)
    more_activities = [(lead_row, kind, moment + offset, value) for lead_row, kind, offset, value in later]
    more_changes = [(lead_row, column, moment + offset, value) for lead_row, column, offset, value in changed]
    crm = history.crm(more_activities, more_changes)
    for lead, (offset, won) in closes.items():
        crm.outcomes.closed_at[lead] = moment + offset
        crm.outcomes.won_at[lead] = moment + offset if won else NEVER
    one, many = both_views(
        TABLE,
        crm,
        leads,
        moments,
        history.activities + more_activities,
        history.changes + more_changes,
        history.attributes,
    )
    assert is_same(many, before)
    assert is_same(one, before)


def test_huge_values_are_added_alike_by_both_views() -> None:
    activities: list[ActivityRow] = [
        (0, "order", i, value) for i, value in enumerate([1e16, 1.0, -1e16, 1e305])
    ]
    table = FeatureTable({"sum": Sum("order"), "day": Sum("order", 1)})
    one, many = both_views(table, make_crm(activities=activities), [0, 0], [3, DAY], activities)
    assert is_same(one, many)


def test_repeated_values_of_an_account_are_those_of_all_its_leads() -> None:
    activities = [(0, "view", 1, 7.0), (1, "view", 2, 7.0), (1, "view", 3, 8.0), (2, "view", 1, 7.0)]
    crm = make_crm(3, activities, accounts=[0, 0, 1])
    table = FeatureTable({"own": Repeated("view"), "all": Repeated("view", None, "account")})
    one, many = both_views(table, crm, [0, 1, 2, 0], [9, 9, 9, 2], activities)
    assert one == many == [[1.0, 2.0], [1.0, 2.0], [1.0, 1.0], [1.0, 1.0]]


@pytest.mark.parametrize("at_once", [1, 2, 3, 5, 8])
def test_what_is_spread_out_at_once_alters_nothing(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    activities = [(i % LEADS, "view", i * i % 23, float(i % 3)) for i in range(30) if i % LEADS != 1]
    leads, moments = [*range(LEADS)] * 3, [24] * LEADS + [12] * LEADS + [0] * LEADS
    table = FeatureTable({"repeated": Repeated("view"), "sum": Sum("view"), "decayed": Decayed("view", 1e-7)})
    monkeypatch.setattr("features.many_leads._SEGMENTS_AT_ONCE", at_once)
    one, many = both_views(table, make_crm(LEADS, activities), leads, moments, activities)
    assert is_same(one, many)


def test_activities_of_a_crm_without_values_repeat_none() -> None:
    crm = make_crm(activities=[(0, "view", 1, 7.0), (0, "view", 2, 7.0)])
    bare = replace(crm, activities=replace(crm.activities, value=None))
    assert many_values(FeatureTable({"repeated": Repeated("view")}), bare, [0], [9]) == [[0.0]]


def test_a_column_that_only_compares_groups_is_no_past_of_a_history() -> None:
    crm = make_crm(2, changes=[(0, "budget", DAY, "yes")], attributes={"budget": ["no", "no"]})
    table = FeatureTable({"budget": Attribute("budget", known="history")})
    segment = Crm(**{**vars(crm), "for_segments": frozenset({"budget"})})
    assert many_values(table, segment, [0, 0, 1], [DAY, DAY + 1, DAY]) == [[None], ["yes"], [None]]


def test_dates_too_far_apart_for_so_many_leads_are_told() -> None:
    crm = make_crm(2_000_000, [(0, "visit", 0, 1.0), (1, "visit", 200_000 * DAY, 1.0)])
    with pytest.raises(DataError, match=r"1970-01-01.*2517.*dates that cannot be right"):
        Histories(crm).select_activities("visit", "lead")


def test_moments_in_any_order_keep_their_own_answers() -> None:
    crm = make_crm(2, [(0, "visit", 5, 1.0), (1, "visit", 1, 1.0), (1, "visit", 3, 1.0)])
    table = FeatureTable({"visits": Count("visit")})
    result = many_values(table, crm, [1, 0, 1, 0], [4, 6, 2, 5])
    assert result == [[2.0], [1.0], [1.0], [0.0]]


def test_no_lead_and_no_activity_give_no_answer_and_zeros() -> None:
    table = FeatureTable(
        {"visits": Count("visit"), "sum": Sum("*"), "repeated": Repeated("*"), "last": DaysSince("*")}
    )
    assert many_values(table, make_crm(), [], []) == []
    assert np.isnan(many_values(table, make_crm(), [0], [9])[0][3])  # type: ignore[arg-type]
    assert many_values(table, make_crm(), [0], [9])[0][:3] == [0.0, 0.0, 0.0]


def test_the_last_of_an_account_on_one_day_is_that_of_the_largest_value_in_both_views() -> None:
    """Who of the account was first on a day is not known: no score may depend on the order."""
    rows = [(0, "call", DAY, 5.0), (1, "call", DAY, 9.0), (0, "call", DAY, 7.0), (1, "mail", DAY, math.nan)]
    last, moment = Last("call", "account"), np.full(2, DAY + 1)
    many = ManyLeads(Histories(make_crm(2, rows, accounts=[0, 0])), np.arange(2), moment)
    assert last(many).tolist() == [9.0, 9.0]
    first, second = ([row[1:] for row in rows if row[0] == lead] for lead in (0, 1))
    for account_events in ([*first, *second], [*second, *first]):
        assert last(OneLead(DAY + 1, 0, {}, first, (), account_events)) == 9.0
    assert last(OneLead(DAY + 1, 0, {}, [*first, ("call", DAY, 6.0)])) == 7.0
    assert Last("call")(OneLead(DAY + 1, 0, {}, [*first, ("call", DAY, 6.0)])) == 6.0
