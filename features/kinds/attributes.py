"""The kinds of feature of a lead's own columns and dates: attributes, and what is derived from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from features.clock import MS_PER_DAY
from features.derived.bands import EMPLOYEES, find_band
from features.derived.lists import to_levels_text
from features.derived.mail import find_mail_kind
from features.derived.ngrams import to_ngrams
from features.derived.titles import find_department, find_rank
from features.derived.words import level_word, list_levels
from features.errors import InvalidValue
from features.kinds.base import Availability, Edge, FeatureKind, ValueType, View, WordLookup
from features.language import Language
from features.toml import TimeZone

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOURS_PER_DAY = 24.0
_BandStart = Annotated[float, Field(gt=0, le=1e15, allow_inf_nan=False)]


@dataclass(frozen=True, slots=True)
class OfLead(FeatureKind):
    """A feature of who the lead is, not of its activities."""


@dataclass(frozen=True, slots=True)
class Attribute(OfLead):
    """A column of the lead as it stood at the moment.

    `known = "at_creation"`: the column was filled when the lead was created and never changed.
    `"history"`: the value is the last one that `[changes]` tells of before the moment, and missing
    before the first. `"today"`: the table's value of today; the audit says that it may leak.
    """

    column: str
    values: Literal["category", "number"] = "category"
    known: Availability = "today"
    insist: bool = False
    kind: Literal["attribute"] = "attribute"
    labels = ("{column}", "{column}")

    @property
    def is_text(self) -> bool:
        return self.values == "category"

    @property
    def column_types(self) -> Mapping[str, ValueType]:
        return {self.column: self.values}

    def __call__(self, view: View[Any, Any]) -> Any:
        return view.number(self.column) if self.values == "number" else view.text(self.column)


@dataclass(frozen=True, slots=True)
class FromColumn(OfLead):
    """The keys of a text that is derived from one column; `known` and `insist` as for an attribute."""

    column: str
    known: Availability = "today"
    insist: bool = False
    column_type: ClassVar[ValueType] = "category"

    @property
    def is_text(self) -> bool:
        return True

    @property
    def column_types(self) -> Mapping[str, ValueType]:
        return {self.column: self.column_type}

    @property
    def levels(self) -> tuple[str, ...]:
        return list_levels(getattr(self, "kind", ""))

    def level_word(self, level: str, lang: Language) -> str:
        return level_word(getattr(self, "kind", ""), level, lang)


@dataclass(frozen=True, slots=True)
class MailDomain(FromColumn):
    """The kind of a mail address by its domain: company, free, education or government.

    Only this kind is read, stored and answered, never the address.
    """

    kind: Literal["mail_domain"] = "mail_domain"
    labels = ("kind of mail domain ({column})", "メールドメインの種別（{column}）")

    @property
    def edge(self) -> Edge | None:
        return find_mail_kind

    def __call__(self, view: View[Any, Any]) -> Any:
        return view.map_text(view.text(self.column), find_mail_kind)


@dataclass(frozen=True, slots=True)
class JobRank(FromColumn):
    """The rank in a job title, in English or Japanese: executive, vice_president, director, manager, leader,
    staff, student or other."""

    kind: Literal["job_rank"] = "job_rank"
    labels = ("job rank ({column})", "役職ランク（{column}）")

    def __call__(self, view: View[Any, Any]) -> Any:
        return view.map_text(view.text(self.column), find_rank)


@dataclass(frozen=True, slots=True)
class Department(FromColumn):
    """The department in a job title or a name of a department, in English or Japanese: sales, marketing, it,
    hr, finance ... or other."""

    kind: Literal["department"] = "department"
    labels = ("department ({column})", "部門（{column}）")

    def __call__(self, view: View[Any, Any]) -> Any:
        return view.map_text(view.text(self.column), find_department)


@dataclass(frozen=True, slots=True)
class SizeBand(FromColumn):
    """The band of a number, by default of employees: 0-9, 10-49, 50-99, 100-299, 300-999, 1000-4999, 5000+.

    `edges` are the numbers at which the second and each later band begins.
    """

    edges: tuple[_BandStart, ...] = EMPLOYEES
    kind: Literal["size_band"] = "size_band"
    labels = ("{column} (band)", "{column}（規模区分）")
    column_type = "number"

    def __post_init__(self) -> None:
        if not self.edges or list(self.edges) != sorted(set(self.edges)):
            raise InvalidValue("edges: must be a list of different numbers, rising")

    def __call__(self, view: View[Any, Any]) -> Any:
        return view.map_number(view.number(self.column), lambda number: find_band(number, self.edges))


@dataclass(frozen=True, slots=True)
class MultiSelect(FromColumn):
    """The selected values of a list such as "A;B;C": each is one level.

    A rule's `one_of` holds where one of the selected values is in it. The signs ^ around values, as
    SugarCRM writes them, are left out.
    """

    separator: Annotated[str, Field(min_length=1, max_length=5)] = ";"
    kind: Literal["multi_select"] = "multi_select"
    labels = ("{column}", "{column}")

    def __call__(self, view: View[Any, Any]) -> Any:
        return view.map_text(view.text(self.column), lambda text: to_levels_text(text, self.separator))


@dataclass(frozen=True, slots=True)
class FreeText(FromColumn):
    """A short free text, such as an inquiry, as hashed character n-grams.

    Only the numbers of the n-grams are read and stored, never the text. They count in the linear part
    alone; reasons name the words that carry the weight, if at least ten leads share them.
    """

    kind: Literal["free_text"] = "free_text"
    labels = ("words in {column}", "{column}の語句")

    @property
    def edge(self) -> Edge | None:
        return to_ngrams

    def __call__(self, view: View[Any, Any]) -> Any:
        return view.map_text(view.text(self.column), to_ngrams)


@dataclass(frozen=True, slots=True)
class DaysBetween(OfLead):
    """Days from one date of the lead to another, below 0 if it is earlier; missing where either is.

    Without `start` or `end` that date is the creation of the lead.
    """

    start: str | None = None
    end: str | None = None
    known: Availability = "today"
    insist: bool = False
    kind: Literal["days_between"] = "days_between"
    labels = ("days from {start} to {end}", "{start}から{end}までの日数")

    def __post_init__(self) -> None:
        if self.start == self.end:
            raise InvalidValue("start and end: name the columns of two dates, or one for days since creation")

    def label(self, words: WordLookup, lang: Language) -> str:
        creation = "リード発生" if lang == "ja" else "the creation of the lead"
        start, end = (words.word(c, lang) if c else creation for c in (self.start, self.end))
        return self.labels[1 if lang == "ja" else 0].format(start=start, end=end)

    @property
    def column_types(self) -> Mapping[str, ValueType]:
        return {column: "time" for column in (self.start, self.end) if column}

    @property
    def needs_dates(self) -> bool:
        return not (self.start and self.end)

    def __call__(self, view: View[Any, Any]) -> Any:
        start, end = (view.number(c) if c else view.created() for c in (self.start, self.end))
        return (end - start) / MS_PER_DAY


@dataclass(frozen=True, slots=True)
class InquiryWeekday(OfLead):
    """The weekday on which the lead was created: mon to sun, in `time_zone` (that of [crm], if not given)."""

    time_zone: TimeZone = "UTC"
    kind: Literal["weekday"] = "weekday"
    labels = ("weekday of the inquiry", "問い合わせの曜日")

    @property
    def is_text(self) -> bool:
        return True

    @property
    def levels(self) -> tuple[str, ...]:
        return list_levels(self.kind)

    def level_word(self, level: str, lang: Language) -> str:
        return level_word(self.kind, level, lang)

    def __call__(self, view: View[Any, Any]) -> Any:
        day = view.created_local(self.time_zone) // _HOURS_PER_DAY
        return view.map_number(
            (day + 3) % 7, lambda number: _WEEKDAYS[int(number)]
        )  # 1970 began on a Thursday


@dataclass(frozen=True, slots=True)
class InquiryHour(OfLead):
    """The hour at which the lead was created: 0 to 23, in `time_zone` (that of [crm], if not given)."""

    time_zone: TimeZone = "UTC"
    kind: Literal["hour"] = "hour"
    labels = ("hour of the inquiry", "問い合わせの時間帯（時）")

    def __call__(self, view: View[Any, Any]) -> Any:
        return view.created_local(self.time_zone) % _HOURS_PER_DAY
