import math
from typing import Any

import pytest

from features.kinds import (
    KINDS,
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
    Ratio,
    Repeated,
    SizeBand,
    Sum,
    activities_of,
)
from features.table import FeatureTable, Vocabulary
from tests.helpers.builders import DAY, NOON, is_same, value_of

MS = 1 / DAY

MEANINGS: list[tuple[Feature, list[Any], float]] = [
    (Count("visit"), [("visit", -1), ("mail", -1), ("visit", -400)], 2),
    (Count(("visit", "mail")), [("visit", -1), ("mail", -1), ("call", -1)], 2),
    (Count("*"), [("visit", -1), ("mail", -1)], 2),
    (Sum("order"), [("order", -1, 2.5), ("order", -2, 4.0), ("order", -3)], 6.5),
    (Sum("order", 7), [("order", -8, 2.5)], 0),
    (Repeated("view"), [("view", -1, 7.0), ("view", -2, 8.0), ("view", -300, 7.0)], 2),
    (Repeated("view", 14), [("view", -1, 7.0), ("view", -2, 8.0), ("view", -30, 7.0)], 1),
    (DaysSince("visit"), [("visit", -2.5), ("visit", -9)], 2.5),
    (DaysSince("visit"), [("mail", -2)], math.nan),
    (Last("order"), [("order", -1, 3.0), ("order", -2, 4.0)], 3),
    (Last("order"), [("order", -1), ("order", -2, 4.0)], math.nan),
    (After("quote", "trial", 7), [("trial", -9), ("quote", -2), ("quote", -1)], 1),
    (After("quote", "trial", 7), [("quote", -9), ("trial", -8)], 0),
    (After("quote", "trial", 7, window=3), [("trial", -9), ("quote", -8), ("quote", -3)], 1),
    (After("quote", "trial", 7, window=2), [("trial", -9), ("quote", -8), ("quote", -3)], 0),
    (After("visit", "visit", 7), [("visit", -9), ("visit", -1)], 2),
    (Decayed("visit", 2), [("visit", -2), ("visit", -4)], 0.75),
    (Distinct(), [("visit", -1), ("visit", -2), ("mail", -50)], 2),
    (Distinct(7), [("visit", -1), ("mail", -50)], 1),
    (Ratio(Count("click"), Count("open")), [("click", -1), ("open", -1), ("open", -2)], 0.5),
    (Ratio(Count("click"), Count("open")), [("click", -1)], math.nan),
    (Age(), [], 10),
]


DERIVED: list[tuple[Feature, dict[str, Any], Any]] = [
    (MailDomain("c"), {"c": "taro@gmail.com"}, "free"),
    (MailDomain("c"), {"c": "none"}, None),
    (JobRank("c"), {"c": "営業部長"}, "director"),
    (JobRank("c"), {"c": None}, None),
    (Department("c"), {"c": "営業部長"}, "sales"),
    (SizeBand("c"), {"c": 120.0}, "100-299"),
    (SizeBand("c"), {"c": math.nan}, None),
    (SizeBand("c", edges=(5,)), {"c": 5.0}, "5+"),
    (MultiSelect("c", separator=","), {"c": "a,b"}, "a␟b"),
    (FreeText("c"), {"c": "見積"}, "␟150"),
    (DaysBetween("a", "b"), {"a": float(NOON), "b": float(NOON + 2 * DAY)}, 2.0),
    (DaysBetween(end="b"), {"b": float(NOON - 11 * DAY)}, -1.0),
    (DaysBetween("a"), {"a": math.nan}, math.nan),
    (InquiryWeekday("UTC"), {}, "thu"),
    (InquiryHour("Asia/Tokyo"), {}, 21.0),
]


@pytest.mark.parametrize(("feature", "attributes", "expected"), DERIVED)
def test_each_derived_kind_means_what_it_says(
    feature: Feature, attributes: dict[str, Any], expected: Any
) -> None:
    columns = {name: [value] for name, value in attributes.items()}
    assert is_same(value_of(feature, [], attributes=columns), expected)


@pytest.mark.parametrize(("feature", "activities", "meant"), MEANINGS)
def test_each_kind_means_what_it_says(feature: Feature, activities: Any, meant: float) -> None:
    assert value_of(feature, activities) == pytest.approx(meant, nan_ok=True, abs=1e-6)


@pytest.mark.parametrize("feature", [Count("visit", 7), Sum("visit", 7), Repeated("visit", 7), Distinct(7)])
@pytest.mark.parametrize(
    ("days", "inside"), [(-7, True), (-7 - MS, False), (-MS, True), (0, False), (MS, False)]
)
def test_a_window_holds_its_older_edge_and_not_the_moment(
    feature: Feature, days: float, inside: bool
) -> None:
    assert value_of(feature, [("visit", days, 1.0)]) == float(inside)


@pytest.mark.parametrize(("days", "is_counted"), [(-MS, True), (0, False)])
def test_kinds_without_a_window_see_all_before_the_moment_and_nothing_at_it(
    days: float, is_counted: bool
) -> None:
    assert value_of(Count("visit"), [("visit", days)]) == float(is_counted)
    assert value_of(Repeated("visit"), [("visit", days, 3.0)]) == float(is_counted)
    assert value_of(Decayed("visit", 5), [("visit", days)]) == pytest.approx(float(is_counted))
    assert math.isnan(value_of(DaysSince("visit"), [("visit", days)])) is not is_counted  # type: ignore[arg-type]
    assert math.isnan(value_of(Last("visit"), [("visit", days, 3.0)])) is not is_counted  # type: ignore[arg-type]


@pytest.mark.parametrize(("gap", "counts"), [(7, 1), (7 + MS, 0), (0, 1), (-MS, 0)])
def test_after_counts_to_the_day_and_from_the_very_first(gap: float, counts: int) -> None:
    assert value_of(After("quote", "trial", 7), [("trial", -9), ("quote", -9 + gap)]) == counts


def test_the_last_of_equal_times_is_the_one_told_later() -> None:
    assert value_of(Last("order"), [("order", -1, 3.0), ("order", -1, 4.0)]) == 4


REPEATS: dict[str, tuple[Repeated, list[Any], int]] = {
    "no activity": (Repeated("view", 14), [], 0),
    "only others": (Repeated("view", 14), [("mail", -1, 7.0), ("mail", -2, 7.0)], 0),
    "no value": (Repeated("view"), [("view", -1), ("view", -2)], 0),
    "fewer values than none": (Repeated("view"), [("view", -d) for d in (1, 2, 3)] + [("view", -4, 7.0)], 1),
    "a tie": (Repeated("view"), [("view", -d, d % 2.0) for d in (1, 2, 3, 4)], 2),
    "apart in time": (Repeated("view"), [("view", -d, v) for d, v in ((1, 7), (2, 8), (3, 7), (4, 9))], 2),
    "at one time": (Repeated("view"), [("view", -1, 7.0), ("view", -1, 8.0), ("view", -1, 7.0)], 2),
    "two zeros": (Repeated("view"), [("view", -1, 0.0), ("view", -2, -0.0)], 2),
    "no end": (Repeated("view"), [("view", -1, math.inf), ("view", -2, -math.inf)], 1),
    "near": (Repeated("view"), [("view", -1, 0.3), ("view", -2, 0.1 + 0.2)], 1),
    "older edge": (Repeated("view", 14), [("view", -14, 7.0), ("view", -1, 7.0)], 2),
    "before the edge": (Repeated("view", 14), [("view", -14 - MS, 7.0), ("view", -1, 7.0)], 1),
    "at the moment": (Repeated("view"), [("view", 0, 7.0), ("view", -MS, 7.0)], 1),
    "most is older": (Repeated("view", 2), [("view", -9, 7.0), ("view", -8, 7.0), ("view", -1, 8.0)], 1),
    "several types": (
        Repeated(("view", "cart")),
        [("view", -1, 7.0), ("cart", -2, 7.0), ("mail", -3, 7.0)],
        2,
    ),
    "all types": (Repeated("*"), [("view", -1, 7.0), ("cart", -2, 7.0), ("mail", -3, 7.0)], 3),
}


@pytest.mark.parametrize(("feature", "activities", "meant"), REPEATS.values(), ids=REPEATS)
def test_repeated_counts_the_most_frequent_value(feature: Repeated, activities: Any, meant: int) -> None:
    assert value_of(feature, activities) == meant


@pytest.mark.parametrize(("days", "meant"), [(-MS, "hot"), (0.0, "cold")])
def test_an_attribute_takes_the_last_change_before_the_moment(days: float, meant: str) -> None:
    changes = [(0, "interest", NOON + round(days * DAY), "hot")]
    feature = Attribute("interest", known="history")
    assert value_of(feature, [], attributes={"interest": ["cold"]}, changes=changes) == meant


LABELS: list[tuple[Feature, str, str]] = [
    (Attribute("size"), "Company size", "企業規模"),
    (Count("visit", 30), "Visit in the last 30 days", "過去30日間の訪問の回数"),
    (Count("*", over="account"), "activities of the whole account", "企業全体の行動の回数"),
    (Sum("visit"), "Visit, sum of values", "訪問の値の合計"),
    (
        Repeated("visit", 14),
        "Visit (most times for the same one) in the last 14 days",
        "過去14日間の訪問の回数（同じ対象での最多）",
    ),
    (
        Repeated("*", over="account"),
        "activities (most times for the same one) of the whole account",
        "企業全体の行動の回数（同じ対象での最多）",
    ),
    (DaysSince("visit"), "days since Visit", "最後の訪問からの日数"),
    (Last("visit"), "value of the last Visit", "直近の訪問の値"),
    (
        After("quote", "visit", 7, window=30),
        "quote within 7 days after Visit in the last 30 days",
        "過去30日間の訪問から7日以内のquoteの回数",
    ),
    (After("quote", "visit", 7), "quote within 7 days after Visit", "訪問から7日以内のquoteの回数"),
    (Decayed("visit", 3.5), "recent Visit (half-life 3.5 days)", "最近の訪問（半減期3.5日）"),
    (Distinct(7), "kinds of activity in the last 7 days", "過去7日間の行動の種類数"),
    (
        Ratio(Count("visit"), Count(("visit", "quote"))),
        "Visit per Visit or quote",
        "訪問の回数÷訪問・quoteの回数",
    ),
    (Age(), "age of the lead in days", "リード発生からの日数"),
    (MailDomain("size"), "kind of mail domain (Company size)", "メールドメインの種別（企業規模）"),
    (JobRank("size"), "job rank (Company size)", "役職ランク（企業規模）"),
    (Department("size"), "department (Company size)", "部門（企業規模）"),
    (SizeBand("size"), "Company size (band)", "企業規模（規模区分）"),
    (MultiSelect("size"), "Company size", "企業規模"),
    (FreeText("size"), "words in Company size", "企業規模の語句"),
    (
        DaysBetween(end="size"),
        "days from the creation of the lead to Company size",
        "リード発生から企業規模までの日数",
    ),
    (InquiryWeekday(), "weekday of the inquiry", "問い合わせの曜日"),
    (InquiryHour(), "hour of the inquiry", "問い合わせの時間帯（時）"),
]


@pytest.mark.parametrize(("feature", "en", "ja"), LABELS)
def test_labels_in_both_languages(feature: Feature, en: str, ja: str) -> None:
    words = Vocabulary(
        {"visit": {"en": "Visit", "ja": "訪問"}, "size": {"en": "Company size", "ja": "企業規模"}}
    )
    table = FeatureTable({"f": feature}, words)
    assert (table.label("f", "en"), table.label("f", "ja")) == (en, ja)


def test_every_kind_has_a_meaning_and_a_label_tested() -> None:
    assert {type(f) for f, *_ in (*MEANINGS, *DERIVED)} | {Attribute} == set(KINDS)
    assert {type(f) for f, *_ in LABELS} == set(KINDS)


def test_a_table_knows_the_activities_that_it_counts() -> None:
    table = FeatureTable(
        {
            "a": After("quote", ("trial", "demo"), 7),
            "b": Ratio(Count("click"), Sum("open")),
            "c": Attribute("size"),
            "d": Repeated(("view", "cart")),
        }
    )
    assert table.activities == {"quote", "trial", "demo", "click", "open", "view", "cart"}
    assert activities_of(Distinct()) == {"*"}
