"""The kinds of feature. Each is a frozen dataclass that is called on a view of a lead.

A window of `days` before a moment t holds the activities with t - days <= at < t: its older edge
belongs to it, the moment itself does not. Without `days` the window has no older edge. Nothing at
or after the moment is ever counted, so no feature can see the future.

Features compute on a view (`OneLead` or `ManyLeads`), so each feature is written once and means the
same in training, in batch and in the service.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Protocol, TypeAlias, TypeVar

from pydantic import ConfigDict, Field

Language: TypeAlias = Literal["en", "ja"]
Over: TypeAlias = Literal["lead", "account"]
Activity: TypeAlias = str | tuple[str, ...]
Days: TypeAlias = Annotated[float, Field(gt=0, le=36_500)]
N = TypeVar("N")
T = TypeVar("T", covariant=True)

STRICT = ConfigDict(extra="forbid")


class View(Protocol[N, T]):
    """The operations of a view of a lead at a moment; N is a number, T a text (or arrays of them)."""

    def number(self, column: str) -> N: ...
    def text(self, column: str) -> T: ...
    def age(self) -> N: ...
    def count(self, activity: Activity, days: float | None, over: Over) -> N: ...
    def total(self, activity: Activity, days: float | None, over: Over) -> N: ...
    def count_repeats(self, activity: Activity, days: float | None, over: Over) -> N: ...
    def days_since(self, activity: Activity, over: Over) -> N: ...
    def last(self, activity: Activity, over: Over) -> N: ...
    def count_after(
        self, follow_up: Activity, first: Activity, days: float, window: float | None, over: Over
    ) -> N: ...
    def decayed_count(self, activity: Activity, half_life_days: float, over: Over) -> N: ...
    def distinct(self, days: float | None, over: Over) -> N: ...
    def ratio(self, numerator: N, denominator: N) -> N: ...


class WordLookup(Protocol):
    """The company's own words for its columns, activities and values."""

    def word(self, name: str, lang: Language) -> str: ...


@dataclass(frozen=True, slots=True)
class Attribute:
    """A column of the lead as it stood at the moment.

    `known = "at_creation"`: the column was filled when the lead was created and never changed.
    `"history"`: the value is the last one that `[changes]` tells of before the moment, and missing
    before the first. `"today"`: the table's value of today; the audit says that it may leak.
    """

    column: str
    values: Literal["category", "number"] = "category"
    known: Literal["at_creation", "history", "today"] = "today"
    insist: bool = False
    kind: Literal["attribute"] = "attribute"
    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    def __call__(self, view: View[Any, Any]) -> Any:
        return view.number(self.column) if self.values == "number" else view.text(self.column)

    def label(self, words: WordLookup, lang: Language) -> str:
        return words.word(self.column, lang)


@dataclass(frozen=True, slots=True)
class Count:
    """How many activities of a type lie in the window."""

    activity: Activity
    days: Days | None = None
    over: Over = "lead"
    kind: Literal["count"] = "count"
    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    def __call__(self, view: View[Any, Any]) -> Any:
        return view.count(self.activity, self.days, self.over)

    def label(self, words: WordLookup, lang: Language) -> str:
        name = _activity_label(self.activity, words, lang)
        return _with_window(
            _with_scope(self.over, f"{name}の回数" if lang == "ja" else name, lang), self.days, lang
        )


@dataclass(frozen=True, slots=True)
class Sum:
    """The sum of the values of the activities of a type in the window; 0 where there are none."""

    activity: Activity
    days: Days | None = None
    over: Over = "lead"
    kind: Literal["sum"] = "sum"
    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    def __call__(self, view: View[Any, Any]) -> Any:
        return view.total(self.activity, self.days, self.over)

    def label(self, words: WordLookup, lang: Language) -> str:
        name = _activity_label(self.activity, words, lang)
        total = f"{name}の値の合計" if lang == "ja" else f"{name}, sum of values"
        return _with_window(_with_scope(self.over, total, lang), self.days, lang)


@dataclass(frozen=True, slots=True)
class Repeated:
    """How often the most frequent value of the activities of a type came in the window; 0 where
    none has a value.

    With the product's number as value it tells how often the same product was looked at.
    """

    activity: Activity
    days: Days | None = None
    over: Over = "lead"
    kind: Literal["repeated"] = "repeated"
    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    def __call__(self, view: View[Any, Any]) -> Any:
        return view.count_repeats(self.activity, self.days, self.over)

    def label(self, words: WordLookup, lang: Language) -> str:
        name = _activity_label(self.activity, words, lang)
        en, ja = f"{name} (most times for the same one)", f"{name}の回数（同じ対象での最多）"
        return _with_window(_with_scope(self.over, ja if lang == "ja" else en, lang), self.days, lang)


@dataclass(frozen=True, slots=True)
class DaysSince:
    """Days since the last activity of a type before the moment; missing where there was none."""

    activity: Activity
    over: Over = "lead"
    kind: Literal["days_since"] = "days_since"
    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    def __call__(self, view: View[Any, Any]) -> Any:
        return view.days_since(self.activity, self.over)

    def label(self, words: WordLookup, lang: Language) -> str:
        name = _activity_label(self.activity, words, lang)
        return _with_scope(
            self.over, f"最後の{name}からの日数" if lang == "ja" else f"days since {name}", lang
        )


@dataclass(frozen=True, slots=True)
class Last:
    """The value of the last activity of a type before the moment; missing where there was none."""

    activity: Activity
    over: Over = "lead"
    kind: Literal["last"] = "last"
    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    def __call__(self, view: View[Any, Any]) -> Any:
        return view.last(self.activity, self.over)

    def label(self, words: WordLookup, lang: Language) -> str:
        name = _activity_label(self.activity, words, lang)
        return _with_scope(
            self.over, f"直近の{name}の値" if lang == "ja" else f"value of the last {name}", lang
        )


@dataclass(frozen=True, slots=True)
class After:
    """How many `then` came within `days` after a `first` (both before the moment).

    A `then` counts where the last `first` at or before it is at most `days` old, and where it lies in
    the last `window` days itself, if that is given.
    """

    then: Activity
    first: Activity
    days: Days
    window: Days | None = None
    over: Over = "lead"
    kind: Literal["after"] = "after"
    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    def __call__(self, view: View[Any, Any]) -> Any:
        return view.count_after(self.then, self.first, self.days, self.window, self.over)

    def label(self, words: WordLookup, lang: Language) -> str:
        follow_up, first = (_activity_label(a, words, lang) for a in (self.then, self.first))
        en = f"{follow_up} within {_format_days(self.days)} days after {first}"
        ja = f"{first}から{_format_days(self.days)}日以内の{follow_up}の回数"
        return _with_window(_with_scope(self.over, ja if lang == "ja" else en, lang), self.window, lang)


@dataclass(frozen=True, slots=True)
class Decayed:
    """Activities of a type, each counted as 0.5 ** (age in days / half_life_days)."""

    activity: Activity
    half_life_days: Days
    over: Over = "lead"
    kind: Literal["decayed"] = "decayed"
    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    def __call__(self, view: View[Any, Any]) -> Any:
        return view.decayed_count(self.activity, self.half_life_days, self.over)

    def label(self, words: WordLookup, lang: Language) -> str:
        name, days = _activity_label(self.activity, words, lang), _format_days(self.half_life_days)
        ja = f"最近の{name}（半減期{days}日）"
        return _with_scope(self.over, ja if lang == "ja" else f"recent {name} (half-life {days} days)", lang)


@dataclass(frozen=True, slots=True)
class Distinct:
    """How many different types of activity lie in the window."""

    days: Days | None = None
    over: Over = "lead"
    kind: Literal["distinct"] = "distinct"
    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    def __call__(self, view: View[Any, Any]) -> Any:
        return view.distinct(self.days, self.over)

    def label(self, words: WordLookup, lang: Language) -> str:
        name = "行動の種類数" if lang == "ja" else "kinds of activity"
        return _with_window(_with_scope(self.over, name, lang), self.days, lang)


@dataclass(frozen=True, slots=True)
class Ratio:
    """One number over another; missing where the lower one is 0 or either is missing."""

    part: Annotated[Count | Sum | Decayed | Distinct, Field(discriminator="kind")]
    whole: Annotated[Count | Sum | Decayed | Distinct, Field(discriminator="kind")]
    kind: Literal["ratio"] = "ratio"
    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    def __call__(self, view: View[Any, Any]) -> Any:
        return view.ratio(self.part(view), self.whole(view))

    def label(self, words: WordLookup, lang: Language) -> str:
        numerator, denominator = self.part.label(words, lang), self.whole.label(words, lang)
        return f"{numerator}÷{denominator}" if lang == "ja" else f"{numerator} per {denominator}"


@dataclass(frozen=True, slots=True)
class Age:
    """Days since the lead was created."""

    kind: Literal["age"] = "age"
    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    def __call__(self, view: View[Any, Any]) -> Any:
        return view.age()

    def label(self, words: WordLookup, lang: Language) -> str:
        return "リード発生からの日数" if lang == "ja" else "age of the lead in days"


Feature: TypeAlias = Annotated[
    Attribute | Count | Sum | Repeated | DaysSince | Last | After | Decayed | Distinct | Ratio | Age,
    Field(discriminator="kind"),
]

KINDS: tuple[type[Any], ...] = (
    Attribute,
    Count,
    Sum,
    Repeated,
    DaysSince,
    Last,
    After,
    Decayed,
    Distinct,
    Ratio,
    Age,
)


def activities_of(feature: Feature) -> set[str]:
    """The activity types that a feature counts; '*' stands for all of them."""
    if isinstance(feature, Ratio):
        return activities_of(feature.part) | activities_of(feature.whole)
    if isinstance(feature, After):
        return {*_names(feature.then), *_names(feature.first)}
    if isinstance(feature, Distinct):
        return {"*"}
    return set(_names(getattr(feature, "activity", ())))


def _names(activity: Activity) -> tuple[str, ...]:
    return (activity,) if isinstance(activity, str) else activity


def _activity_label(activity: Activity, words: WordLookup, lang: Language) -> str:
    if activity == "*":
        return "行動" if lang == "ja" else "activities"
    joint = "・" if lang == "ja" else " or "
    return joint.join(words.word(name, lang) for name in _names(activity))


def _format_days(days: float) -> str:
    return f"{days:g}"


def _with_scope(over: Over, label: str, lang: Language) -> str:
    if over == "lead":
        return label
    return f"企業全体の{label}" if lang == "ja" else f"{label} of the whole account"


def _with_window(label: str, days: float | None, lang: Language) -> str:
    if days is None:
        return label
    return (
        f"過去{_format_days(days)}日間の{label}"
        if lang == "ja"
        else f"{label} in the last {_format_days(days)} days"
    )
