"""The kinds of feature. Each is a frozen dataclass that is called on a view of a lead.

A window of `days` before a moment t holds the activities with t - days <= at < t: its older edge
belongs to it, the moment itself does not. Without `days` the window has no older edge. Nothing at
or after the moment is ever counted, so no feature can see the future.

Features compute on a view (`OneLead` or `ManyLeads`), so each feature is written once and means the
same in training, in batch and in the service.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Protocol, TypeAlias, TypeVar, get_args

from pydantic import ConfigDict, Field

Language: TypeAlias = Literal["en", "ja"]
Over: TypeAlias = Literal["lead", "account"]
Activity: TypeAlias = str | tuple[str, ...]
Days: TypeAlias = Annotated[float, Field(gt=0, le=36_500)]
N = TypeVar("N")
T = TypeVar("T", covariant=True)


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


class FeatureKind:
    """What all kinds have in common: unknown keys are errors, and labels are made of a template."""

    __slots__ = ()
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    labels: ClassVar[tuple[str, str]]
    """English and Japanese: {activity} is the word for the key `activity`, {days} the number of `days`."""
    window_key: ClassVar[str] = "days"

    def label(self, words: WordLookup, lang: Language) -> str:
        """The label in the company's words, with the scope and the window of the feature."""
        values = {key: getattr(self, key) for key in _LABEL_KEYS if hasattr(self, key)}
        template = self.labels[1 if lang == "ja" else 0]
        label = template.format_map({k: _format_value(value, words, lang) for k, value in values.items()})
        if getattr(self, "over", "lead") == "account":
            label = f"企業全体の{label}" if lang == "ja" else f"{label} of the whole account"
        days = getattr(self, self.window_key, None)
        if days is None:
            return label
        return f"過去{days:g}日間の{label}" if lang == "ja" else f"{label} in the last {days:g} days"


@dataclass(frozen=True, slots=True)
class InWindow(FeatureKind):
    """The keys of a feature of the activities of a type in a window."""

    activity: Activity
    days: Days | None = None
    over: Over = "lead"


@dataclass(frozen=True, slots=True)
class BeforeMoment(FeatureKind):
    """The keys of a feature of the activities of a type before the moment."""

    activity: Activity
    over: Over = "lead"


@dataclass(frozen=True, slots=True)
class Attribute(FeatureKind):
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
    labels = ("{column}", "{column}")

    def __call__(self, view: View[Any, Any]) -> Any:
        return view.number(self.column) if self.values == "number" else view.text(self.column)


@dataclass(frozen=True, slots=True)
class Count(InWindow):
    """How many activities of a type lie in the window."""

    kind: Literal["count"] = "count"
    labels = ("{activity}", "{activity}の回数")

    def __call__(self, view: View[Any, Any]) -> Any:
        return view.count(self.activity, self.days, self.over)


@dataclass(frozen=True, slots=True)
class Sum(InWindow):
    """The sum of the values of the activities of a type in the window; 0 where there are none."""

    kind: Literal["sum"] = "sum"
    labels = ("{activity}, sum of values", "{activity}の値の合計")

    def __call__(self, view: View[Any, Any]) -> Any:
        return view.total(self.activity, self.days, self.over)


@dataclass(frozen=True, slots=True)
class Repeated(InWindow):
    """How often the most frequent value of the activities of a type came in the window; 0 where
    none has a value.

    With the product's number as value it tells how often the same product was looked at.
    """

    kind: Literal["repeated"] = "repeated"
    labels = ("{activity} (most times for the same one)", "{activity}の回数（同じ対象での最多）")

    def __call__(self, view: View[Any, Any]) -> Any:
        return view.count_repeats(self.activity, self.days, self.over)


@dataclass(frozen=True, slots=True)
class DaysSince(BeforeMoment):
    """Days since the last activity of a type before the moment; missing where there was none."""

    kind: Literal["days_since"] = "days_since"
    labels = ("days since {activity}", "最後の{activity}からの日数")

    def __call__(self, view: View[Any, Any]) -> Any:
        return view.days_since(self.activity, self.over)


@dataclass(frozen=True, slots=True)
class Last(BeforeMoment):
    """The value of the last activity of a type before the moment; missing where there was none."""

    kind: Literal["last"] = "last"
    labels = ("value of the last {activity}", "直近の{activity}の値")

    def __call__(self, view: View[Any, Any]) -> Any:
        return view.last(self.activity, self.over)


@dataclass(frozen=True, slots=True)
class After(FeatureKind):
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
    labels = ("{then} within {days} days after {first}", "{first}から{days}日以内の{then}の回数")
    window_key = "window"

    def __call__(self, view: View[Any, Any]) -> Any:
        return view.count_after(self.then, self.first, self.days, self.window, self.over)


@dataclass(frozen=True, slots=True)
class Decayed(FeatureKind):
    """Activities of a type, each counted as 0.5 ** (age in days / half_life_days)."""

    activity: Activity
    half_life_days: Days
    over: Over = "lead"
    kind: Literal["decayed"] = "decayed"
    labels = (
        "recent {activity} (half-life {half_life_days} days)",
        "最近の{activity}（半減期{half_life_days}日）",
    )

    def __call__(self, view: View[Any, Any]) -> Any:
        return view.decayed_count(self.activity, self.half_life_days, self.over)


@dataclass(frozen=True, slots=True)
class Distinct(FeatureKind):
    """How many different types of activity lie in the window."""

    days: Days | None = None
    over: Over = "lead"
    kind: Literal["distinct"] = "distinct"
    labels = ("kinds of activity", "行動の種類数")

    def __call__(self, view: View[Any, Any]) -> Any:
        return view.distinct(self.days, self.over)


@dataclass(frozen=True, slots=True)
class Ratio(FeatureKind):
    """One number over another; missing where the lower one is 0 or either is missing."""

    part: Annotated[Count | Sum | Decayed | Distinct, Field(discriminator="kind")]
    whole: Annotated[Count | Sum | Decayed | Distinct, Field(discriminator="kind")]
    kind: Literal["ratio"] = "ratio"

    def __call__(self, view: View[Any, Any]) -> Any:
        return view.ratio(self.part(view), self.whole(view))

    def label(self, words: WordLookup, lang: Language) -> str:
        numerator, denominator = self.part.label(words, lang), self.whole.label(words, lang)
        return f"{numerator}÷{denominator}" if lang == "ja" else f"{numerator} per {denominator}"


@dataclass(frozen=True, slots=True)
class Age(FeatureKind):
    """Days since the lead was created."""

    kind: Literal["age"] = "age"
    labels = ("age of the lead in days", "リード発生からの日数")

    def __call__(self, view: View[Any, Any]) -> Any:
        return view.age()


Feature: TypeAlias = Annotated[
    Attribute | Count | Sum | Repeated | DaysSince | Last | After | Decayed | Distinct | Ratio | Age,
    Field(discriminator="kind"),
]

KINDS: tuple[type[Any], ...] = get_args(get_args(Feature)[0])


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


_LABEL_KEYS = ("activity", "then", "first", "days", "half_life_days", "column")


def _format_value(value: Activity | float | None, words: WordLookup, lang: Language) -> str:
    """The value of a key in a label: the company's words, or a number."""
    if value is None or isinstance(value, int | float):
        return f"{value:g}" if value is not None else ""
    if value == "*":
        return "行動" if lang == "ja" else "activities"
    return ("・" if lang == "ja" else " or ").join(words.word(name, lang) for name in _names(value))
