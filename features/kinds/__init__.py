"""The kinds of feature. Each is a frozen dataclass that is called on a view of a lead.

Features compute on a view (`OneLead` or `ManyLeads`), so each feature is written once and means the
same in training, in batch and in the service.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias, get_args

from pydantic import Field

from features.kinds.activities import (
    After,
    Age,
    Count,
    DaysSince,
    Decayed,
    Distinct,
    Last,
    Ratio,
    Repeated,
    Sum,
)
from features.kinds.attributes import (
    Attribute,
    DaysBetween,
    Department,
    FreeText,
    FromColumn,
    InquiryHour,
    InquiryWeekday,
    JobRank,
    MailDomain,
    MultiSelect,
    OfLead,
    SizeBand,
)
from features.kinds.base import (
    Activity,
    Availability,
    Edge,
    FeatureKind,
    Over,
    ValueType,
    View,
    WordLookup,
    activity_names,
)
from features.language import Language

__all__ = [
    "KINDS",
    "Activity",
    "After",
    "Age",
    "Attribute",
    "Availability",
    "Count",
    "DaysBetween",
    "DaysSince",
    "Decayed",
    "Department",
    "Distinct",
    "Edge",
    "Feature",
    "FeatureKind",
    "FreeText",
    "FromColumn",
    "InquiryHour",
    "InquiryWeekday",
    "JobRank",
    "Language",
    "Last",
    "MailDomain",
    "MultiSelect",
    "OfLead",
    "Over",
    "Ratio",
    "Repeated",
    "SizeBand",
    "Sum",
    "ValueType",
    "View",
    "WordLookup",
    "activities_of",
]

_Behaviour: TypeAlias = Count | Sum | Repeated | DaysSince | Last | After | Decayed | Distinct | Ratio | Age
_Derived: TypeAlias = (
    MailDomain
    | JobRank
    | Department
    | SizeBand
    | MultiSelect
    | FreeText
    | DaysBetween
    | InquiryWeekday
    | InquiryHour
)
Feature: TypeAlias = Annotated[Attribute | _Behaviour | _Derived, Field(discriminator="kind")]

KINDS: tuple[type[Any], ...] = get_args(get_args(Feature)[0])


def activities_of(feature: Feature) -> set[str]:
    """The activity types that a feature counts; '*' stands for all of them."""
    if isinstance(feature, Ratio):
        return activities_of(feature.part) | activities_of(feature.whole)
    if isinstance(feature, After):
        return {*activity_names(feature.then), *activity_names(feature.first)}
    if isinstance(feature, Distinct):
        return {"*"}
    return set(activity_names(getattr(feature, "activity", ())))
