"""The kinds of feature of a lead's behaviour: its activities before the moment, and its age."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from features.kinds.base import Activity, Days, FeatureKind, Over, View, WordLookup
from features.language import Language


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
