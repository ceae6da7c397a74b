"""crm.toml: how the export of one company is read."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import fields, replace
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from features.crm.table_settings import ActivitiesTable, ChangesTable, DealsTable, LeadsTable
from features.crm.values.formats import NumberFormat
from features.errors import InvalidValue, SettingsError, nearest_sentence
from features.kinds import KINDS, Attribute, Edge, Feature, Language, ValueType, activities_of
from features.messages import Message, MessageLines, quote
from features.table import ColumnUse, FeatureTable, Vocabulary
from features.toml import Strict, TextValue, TimeZone, explain_invalid, read_toml

LANDMARKS = (0.0, 1.0, 3.0, 7.0, 14.0, 30.0, 60.0, 90.0)
MAX_REJECT_SHARE = 0.05
MISSING = ("", "NA", "N/A", "n/a", "NULL", "null", "NaN", "nan", "#N/A", r"\N")
_LEAD_ID = "{lead_id}"

Party = Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[\w-]+$")]
RateTarget = Annotated[float, Field(gt=0, le=1)]


class Target(Strict):
    """[target]: won within `horizon_days`, judged at the ages `landmarks` of a lead (days)."""

    horizon_days: float = Field(default=90, gt=0, le=3650)
    landmarks: tuple[Annotated[float, Field(ge=0)], ...] = LANDMARKS

    @field_validator("landmarks")
    @classmethod
    def _check_landmarks(cls, landmarks: tuple[float, ...]) -> tuple[float, ...]:
        if not landmarks or list(landmarks) != sorted(set(landmarks)):
            raise InvalidValue("must be a list of different ages in days, rising")
        return landmarks


class Roles(Strict):
    """[roles]: the columns or activities that record budget, authority, need, timing and contact."""

    budget: str | None = None
    authority: str | None = None
    need: str | None = None
    timing: str | None = None
    first_contact: str | None = None
    hand_over: str | None = None


class Targets(Strict):
    """[review.targets]: the company's targets; rates are shares between 0 and 1."""

    hot_leads_a_month: Annotated[int, Field(gt=0)] | None = None
    acceptance_rate: RateTarget | None = None
    opportunity_rate: RateTarget | None = None
    win_rate: RateTarget | None = None


class Review(Strict):
    """[review]: the link into the CRM, the parties that sign, the file of costs, the targets.

    A new definition of hot is in force when all parties of `sign_off` have signed it.
    """

    lead_link: str | None = None
    sign_off: tuple[Party, ...] = ("marketing", "sales")
    costs: Path | None = None
    targets: Targets = Targets()

    @field_validator("lead_link")
    @classmethod
    def _check_lead_link(cls, template: str | None) -> str | None:
        if template is not None and not (
            template.startswith(("https://", "http://")) and _LEAD_ID in template
        ):
            raise InvalidValue("must begin with https:// and hold {place}, where the id goes", place=_LEAD_ID)
        return template

    @field_validator("sign_off")
    @classmethod
    def _check_sign_off(cls, parties: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(parties)) < len(parties):
            raise InvalidValue("names a party twice")
        return parties


class CrmSettings(Strict):
    """A complete crm.toml in `folder`, to which its paths are relative."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    name: str = "crm"
    time_zone: TimeZone = "UTC"
    missing: tuple[TextValue, ...] = MISSING
    max_reject_share: float = Field(default=MAX_REJECT_SHARE, ge=0, le=1)
    since: datetime | date | None = None
    as_of: datetime | None = None
    order: str | None = None
    leads: LeadsTable
    deals: DealsTable | None = None
    activities: tuple[ActivitiesTable, ...] = ()
    changes: ChangesTable | None = None
    target: Target = Target()
    features: Mapping[str, Feature]
    segments: Mapping[str, str] = Field(default_factory=dict)
    roles: Roles = Roles()
    words: Mapping[str, Mapping[Language, str]] = Field(default_factory=dict)
    review: Review = Review()
    folder: Path = Path()

    @model_validator(mode="before")
    @classmethod
    def _fill_time_zone(cls, data: Any) -> Any:
        """Features of a weekday or an hour hold their zone: a model with another one is another model."""
        features = data.get("features") if isinstance(data, Mapping) else None
        if not isinstance(features, Mapping):
            return data
        zone = data.get("time_zone", "UTC")
        return {**data, "features": {name: _with_zone(f, zone) for name, f in features.items()}}

    @field_validator("features")
    @classmethod
    def _require_features(cls, features: Mapping[str, Feature]) -> Mapping[str, Feature]:
        if not features:
            raise InvalidValue("no feature is given; `hotlead init` proposes some")
        return features

    @field_validator("activities", mode="before")
    @classmethod
    def _list_activities(cls, tables: object) -> object:
        """One table [activities] is a list of one; [[activities]] is a list already."""
        return tables if isinstance(tables, list | tuple) else () if tables is None else (tables,)

    @model_validator(mode="after")
    def _check_dates(self) -> Self:
        if self.order == "date" and self.leads.created_at is None:
            raise InvalidValue('[crm] order: "date" needs the column of that date: [leads] created_at')
        needs = sorted(name for name, f in self.features.items() if f.needs_dates)
        if needs and not self.dated:
            raise InvalidValue(
                "[features] {names}: only attributes are possible without dates; "
                "name the column with the lead's date in [leads] created_at, without `order`",
                names=needs[:3],
            )
        return self

    @model_validator(mode="after")
    def _check_sources(self) -> Self:
        if self.leads.deal and not (self.deals and self.deals.source):
            raise InvalidValue("[leads] deal: holds ids of deals, but [deals] has no `source` with an `id`")
        if self.deals and self.deals.source and bool(self.leads.deal) == bool(self.deals.lead):
            raise InvalidValue(
                "[deals] lead: the deals name their lead in `lead`, or [leads] names the deal in `deal` and "
                "[deals] its `id`; give one of the two"
            )
        if self.leads.lost_where and not (self.deals and self.deals.source):
            raise InvalidValue(
                "[leads] lost_where: is for leads without a deal in the table of [deals]; here the outcome "
                "stands in the leads' table, so name such values in [deals] lost"
            )
        counting = sorted(n for n, f in self.features.items() if activities_of(f))
        if counting and not self.activities:
            raise InvalidValue(
                "[features] {names}: activities are counted, but there is no [activities]", names=counting[:3]
            )
        history = [use.feature for use in self.table.column_uses if use.availability == "history"]
        if history and not self.changes:
            raise InvalidValue(
                '[features] {name}: known = "history", but there is no [changes]', name=history[0]
            )
        return self

    @model_validator(mode="after")
    def _check_shared_columns(self) -> Self:
        """A column is read once, so all its features must agree on `values` and `known`."""
        first: dict[str, ColumnUse] = {}
        for use in self.table.column_uses:
            earlier = first.setdefault(use.column, use)
            if (use.values, use.availability) != (earlier.values, earlier.availability):
                raise InvalidValue(
                    "[features] {first} and {second}: both are the column {column!r}, so `values` and "
                    "`known` must be the same",
                    first=earlier.feature,
                    second=use.feature,
                    column=use.column,
                )
            if use.edge and earlier.edge and use.edge is not earlier.edge:
                raise InvalidValue(
                    "[features] {first} and {second}: both are the column {column!r}, of which only one of "
                    "the two kinds can be read",
                    first=earlier.feature,
                    second=use.feature,
                    column=use.column,
                )
        return self

    @property
    def dated(self) -> bool:
        """Whether leads have a date, so that features can be computed as of a moment."""
        return self.leads.created_at is not None and self.order in (None, "date")

    @property
    def order_column(self) -> str | None:
        """The column that orders leads without a date; None if there is none."""
        return None if self.order in (None, "date", "file", "none") else self.order

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    @property
    def leaves_out_bursts(self) -> bool:
        """Whether activities that a machine made, by their times, do not count."""
        return all(table.bursts == "leave_out" for table in self.activities)

    @property
    def role_columns(self) -> dict[str, str]:
        """The columns of budget, authority, need and timing that are read, by role."""
        columns = self.roles.model_dump(include={"budget", "authority", "need", "timing"})
        return {role: column for role, column in columns.items() if column in self.columns}

    @property
    def table(self) -> FeatureTable:
        """The features, labelled with [words]."""
        return FeatureTable(self.features, Vocabulary(self.words))

    @property
    def segment_attributes(self) -> dict[str, Attribute]:
        """The attributes of [segments] that are none in [features], by the name of their segment.

        They are no features, but a model may have them all the same. Columns of numbers are left out.
        """
        uses = {use.column: use for use in self.table.column_uses}
        columns_in_use = {attribute.column for attribute in self.table.attributes.values()}
        attributes: dict[str, Attribute] = {}
        for segment, column in self.segments.items():
            if column not in columns_in_use and self.columns[column] == "category":
                name = segment if segment not in self.features else f"segment_{segment}"
                availability = uses[column].availability if column in uses else "today"
                attributes[name] = Attribute(column=column, known=availability)
                columns_in_use.add(column)
        return attributes

    def with_segments(self, names: Collection[str]) -> FeatureTable:
        """The features, and of the segments' attributes those in `names`."""
        added = {name: a for name, a in self.segment_attributes.items() if name in names}
        return replace(self.table, rows={**self.features, **added})

    @property
    def columns(self) -> dict[str, ValueType]:
        """The columns of a lead that are read as attributes, with the type of their values."""
        wanted: dict[str, ValueType] = dict.fromkeys(self.segments.values(), "category")
        return wanted | {use.column: use.values for use in self.table.column_uses}

    @property
    def edges(self) -> dict[str, Edge]:
        """By column what its texts become where they come in; a column that an attribute uses stays."""
        uses = self.table.column_uses
        as_written = {use.column for use in uses if not use.edge}
        return {use.column: use.edge for use in uses if use.edge and use.column not in as_written}

    @property
    def number_formats(self) -> dict[str, NumberFormat]:
        """How the columns of leads write numbers, in files and requests, where they are not plain."""
        changes = self.changes.number_formats if self.changes else {}
        return {**changes, **self.leads.number_formats}


def _with_zone(feature: Any, zone: object) -> Any:
    needs_zone = isinstance(feature, Mapping) and feature.get("kind") in ("weekday", "hour")
    return {"time_zone": zone, **feature} if needs_zone else feature


def load_settings(path: Path) -> CrmSettings:
    """Read and check a crm.toml.

    Raises SettingsError naming file, key, value and what is allowed.
    """
    hint = Message("Run the command in its folder, or name it; `hotlead init YOUR-EXPORT.csv` writes one.")
    parsed = read_toml(path, hint)
    return parse_settings(parsed, path)


def parse_settings(parsed: Mapping[str, Any], path: Path) -> CrmSettings:
    """Check the parsed content of the crm.toml at `path`; see `load_settings`."""
    general = parsed.get("crm", {})
    if not isinstance(general, Mapping):
        raise SettingsError(
            "{path}: [crm] must be a table of keys (got {value!r}).", path=path, value=general
        )
    flat = {**general, **{k: v for k, v in parsed.items() if k != "crm"}}
    if "folder" in flat:
        raise SettingsError(
            "{path}: [crm] folder: there is no such key. {hint}", path=path, hint=_suggest_keys(("folder",))
        )
    try:
        return CrmSettings.model_validate({**flat, "folder": path.resolve().parent})
    except ValidationError as problem:
        raise SettingsError("{lines}", lines=_format_errors(problem, path)) from None


def parse_features(values: Mapping[str, Any]) -> dict[str, Feature]:
    """Features from the JSON that `FeatureTable.plain` returns."""
    return TypeAdapter(dict[str, Feature]).validate_python(values)


def _format_errors(problem: ValidationError, path: Path) -> MessageLines:
    lines = [_format_error(error) for error in problem.errors(include_url=False)[:6]]
    return MessageLines(
        tuple(Message("{path}: {problem}", path=path, problem=line) for line in dict.fromkeys(lines))
    )


def _format_error(error: Any) -> Message:
    location, kind = _format_location(error["loc"], error.get("input")), error["type"]
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        hint = _suggest_keys(error["loc"])
        return Message("{place}: there is no such key. {hint}", place=location, hint=hint)
    if kind == "missing":
        return Message("{place}: is missing.", place=location)
    if kind.startswith("union_tag"):
        tags = error.get("ctx", {}).get("expected_tags", ", ".join(map(repr, _KINDS)))
        value = _format_kind(error)
        return Message(
            "{place}: `kind` must be one of {tags} (got {value}).", place=location, tags=tags, value=value
        )
    value, invalid = error.get("input"), explain_invalid(error)
    if not location:
        return Message("{problem}.", problem=invalid)
    if isinstance(value, dict | BaseModel):
        return Message("{place}: {problem}.", place=location, problem=invalid)
    return Message("{place}: {problem} (got {value!r}).", place=location, problem=invalid, value=value)


def _format_kind(error: Any) -> Message:
    value = error.get("input")
    return quote(value["kind"]) if isinstance(value, dict) and "kind" in value else Message("none")


def _format_location(loc: tuple[int | str, ...], value: object) -> str:
    """A location as in crm.toml: the table in brackets, then the key."""
    plain = loc[:1] + loc[2:] if loc[:2] == ("activities", 0) else loc
    parts = [str(p) for i, p in enumerate(plain) if not (i > 1 and p in _KINDS)]
    if not parts:
        return ""
    if len(parts) > 1 or parts[0] in _TABLES or isinstance(value, dict):
        return " ".join([f"[{parts[0]}]", *parts[1:]])
    return f"[crm] {parts[0]}"


def _suggest_keys(loc: tuple[int | str, ...]) -> Message:
    """A hint with the keys most similar to an unknown one."""
    keys = list(_TABLES) if loc[0] in _TABLES else [*_TABLES, *CrmSettings.model_fields]
    if len(loc) > 1 and loc[0] == "features":
        kind = next((str(p) for p in reversed(loc[:-1]) if p in _KINDS), "")
        keys = [f.name for f in fields(_KINDS[kind])] if kind else []
    elif len(loc) > 1 and loc[0] in _MODELS:
        keys = list(_MODELS[str(loc[0])].model_fields)
    return nearest_sentence(str(loc[-1]), [k for k in dict.fromkeys(keys) if k != "folder"])


_KINDS: dict[str, type[Any]] = {
    str(f.default): kind for kind in KINDS for f in fields(kind) if f.name == "kind"
}
_MODELS: dict[str, type[BaseModel]] = {
    "leads": LeadsTable,
    "deals": DealsTable,
    "activities": ActivitiesTable,
    "changes": ChangesTable,
    "target": Target,
    "roles": Roles,
    "review": Review,
}
_TABLES = (*_MODELS, "features", "segments", "words")
