"""What all kinds of feature have in common: the view of a lead that they are called on, and their labels.

A window of `days` before a moment t holds the activities with t - days <= at < t: its older edge
belongs to it, the moment itself does not. Without `days` the window has no older edge. Nothing at
or after the moment is ever counted, so no feature can see the future.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Literal, Protocol, TypeAlias, TypeVar

from pydantic import ConfigDict, Field

from features.language import Language

ValueType: TypeAlias = Literal["category", "number", "time"]
"""How the values of a column are read: as texts, as numbers, or as times (ms UTC)."""
Availability: TypeAlias = Literal["at_creation", "history", "today"]
Over: TypeAlias = Literal["lead", "account"]
Activity: TypeAlias = str | tuple[str, ...]
Days: TypeAlias = Annotated[float, Field(gt=0, le=36_500)]
Edge: TypeAlias = Callable[[str], str | None]
"""What is kept of a text of a column of personal data, where it comes in."""
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
    def created(self) -> N: ...
    def created_local(self, zone: str) -> N: ...
    def map_text(self, text: Any, derive: Callable[[str], str | None]) -> T: ...
    def map_number(self, number: Any, derive: Callable[[float], str | None]) -> T: ...


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

    @property
    def edge(self) -> Edge | None:
        """What a text of the column becomes where it comes in, for columns of personal data; applied again it
        changes nothing."""
        return None

    @property
    def is_text(self) -> bool:
        """Whether its values are texts."""
        return False

    @property
    def column_types(self) -> Mapping[str, ValueType]:
        """The columns of the lead that it is computed from."""
        return {}

    @property
    def needs_dates(self) -> bool:
        """Whether it is possible only where leads have a date."""
        return not self.column_types

    @property
    def levels(self) -> tuple[str, ...]:
        """Its values where they are always the same few."""
        return ()

    def level_word(self, level: str, lang: Language) -> str:
        """The word for one of its values, or for one level of a value; most have none of their own."""
        return level

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


def activity_names(activity: Activity) -> tuple[str, ...]:
    """The types of activity that a key names."""
    return (activity,) if isinstance(activity, str) else activity


_LABEL_KEYS = ("activity", "then", "first", "days", "half_life_days", "column")


def _format_value(value: Activity | float | None, words: WordLookup, lang: Language) -> str:
    """The value of a key in a label: the company's words, or a number."""
    if value is None or isinstance(value, int | float):
        return f"{value:g}" if value is not None else ""
    if value == "*":
        return "行動" if lang == "ja" else "activities"
    return ("・" if lang == "ja" else " or ").join(words.word(name, lang) for name in activity_names(value))
