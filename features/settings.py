"""crm.toml: how one company's export reads. Nothing about a company is in code."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from features.columns import to_text
from features.errors import SettingsError, suggest_nearest
from features.kinds import KINDS, Feature, Language
from features.review_settings import Review
from features.table import FeatureTable, Vocabulary

LANDMARKS = (0.0, 1.0, 3.0, 7.0, 14.0, 30.0, 60.0, 90.0)
MISSING = ("", "NA", "N/A", "n/a", "NULL", "null", "NaN", "nan", "#N/A")

TextValue = Annotated[str, BeforeValidator(lambda value: to_text(value))]
"""A value of a column; a number or true/false in TOML is taken as its text."""


def _check_zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError(f"no such time zone; {suggest_nearest(name, sorted(available_timezones()))}")
    return name


TimeZone = Annotated[str, AfterValidator(_check_zone)]
"""The name of a time zone, such as Asia/Tokyo."""


class Strict(BaseModel):
    """A table of crm.toml: frozen, and a key that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(Strict):
    """Where a table lies: a CSV or Parquet file (or a glob), or a database URL.

    `${NAME}` in `source` stands for an environment variable, so that passwords stay out of files.
    """

    source: str = Field(min_length=1)
    table: str | None = None
    query: str | None = None
    separator: str = Field(default=",", min_length=1, max_length=1)
    encoding: str = "utf-8"
    time_format: str | None = None

    @field_validator("time_format")
    @classmethod
    def _check_time_format(cls, time_format: str | None) -> str | None:
        if time_format:
            try:
                datetime.strptime(datetime(2026, 1, 2).strftime(time_format), time_format)
            except ValueError:
                raise ValueError(
                    "is no form of a time; use codes of strptime such as %d/%m/%Y %H:%M"
                ) from None
        return time_format

    @property
    def is_database(self) -> bool:
        return "://" in self.source

    @model_validator(mode="after")
    def _check_source(self) -> Self:
        if self.is_database and bool(self.table) == bool(self.query):
            raise ValueError("a database source needs either `table` or `query`")
        if not self.is_database and (self.table or self.query):
            raise ValueError("`table` and `query` belong to a database source (a URL with ://)")
        return self


class LeadsTable(Source):
    """[leads]: a row a lead. `id = "row"` takes the row's number where there is no id."""

    id: str
    created_at: str | None = None
    account: str | None = None


class DealsTable(Source):
    """[deals]: what became of leads. Without `source` the outcome stands in the leads' table.

    Without `outcome` every row is a won deal.
    """

    source: str = ""
    lead: str | None = None
    outcome: str | None = None
    won: tuple[TextValue, ...] = ()
    lost: tuple[TextValue, ...] = ()
    ignore: tuple[TextValue, ...] = ()
    closed_at: str | None = None
    amount: str | None = None
    lost_reason: str | None = None

    @model_validator(mode="after")
    def _check_deals(self) -> Self:
        if self.source and not self.lead:
            raise ValueError("`lead` is missing: the column with the lead's id")
        if self.outcome and not self.won:
            raise ValueError("`won` is missing: the outcome values that mean won")
        if not self.outcome and not self.source:
            raise ValueError("`outcome` is missing: the column that tells won from lost")
        twice = (set(self.won) & set(self.lost)) | (set(self.ignore) & {*self.won, *self.lost})
        if twice:
            raise ValueError(f"{sorted(twice)} stand in more than one of won, lost and ignore")
        return self


def deal_columns(deals: DealsTable) -> list[str | None]:
    """The columns that tell of a deal; they stand in its table, or in that of the leads."""
    return [deals.outcome, deals.closed_at, deals.amount, deals.lost_reason]


class ActivitiesTable(Source):
    """[activities]: a row an activity of a lead. Without `type` all are of the type "activity"."""

    lead: str
    at: str
    type: str | None = None
    value: str | None = None
    id: str | None = None


class ChangesTable(Source):
    """[changes]: the history of attributes.

    Either a row a change (`column` names the changed column, `value` its new value), or a row a
    moment with the then values of several `columns`.
    """

    lead: str
    at: str
    column: str | None = None
    value: str | None = None
    columns: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _check_changes(self) -> Self:
        if bool(self.columns) == bool(self.column and self.value):
            raise ValueError("give either `column` and `value`, or `columns`")
        return self


class Target(Strict):
    """[target]: won within `horizon_days` of the moment; `landmarks` are ages of the lead."""

    horizon_days: float = Field(default=90, gt=0, le=3650)
    landmarks: tuple[Annotated[float, Field(ge=0)], ...] = LANDMARKS

    @field_validator("landmarks")
    @classmethod
    def _check_landmarks(cls, landmarks: tuple[float, ...]) -> tuple[float, ...]:
        if not landmarks or list(landmarks) != sorted(set(landmarks)):
            raise ValueError("must be a list of different ages in days, rising")
        return landmarks


class Roles(Strict):
    """[roles]: which columns or activities tell of budget, authority, need, timing and contact."""

    budget: str | None = None
    authority: str | None = None
    need: str | None = None
    timing: str | None = None
    first_contact: str | None = None
    hand_over: str | None = None


class CrmSettings(Strict):
    """A whole crm.toml. `folder` is where it lies; relative paths start there."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    name: str = "crm"
    time_zone: TimeZone = "UTC"
    missing: tuple[TextValue, ...] = MISSING
    max_reject_share: float = Field(default=0.05, ge=0, le=1)
    since: datetime | date | None = None
    as_of: datetime | None = None
    order: str | None = None
    leads: LeadsTable
    deals: DealsTable | None = None
    activities: ActivitiesTable | None = None
    changes: ChangesTable | None = None
    target: Target = Target()
    features: Mapping[str, Feature]
    segments: Mapping[str, str] = Field(default_factory=dict)
    roles: Roles = Roles()
    words: Mapping[str, Mapping[Language, str]] = Field(default_factory=dict)
    review: Review = Review()
    folder: Path = Path()

    @field_validator("features")
    @classmethod
    def _require_features(cls, features: Mapping[str, Feature]) -> Mapping[str, Feature]:
        if not features:
            raise ValueError("no feature is given; `hotlead init` proposes some")
        return features

    @model_validator(mode="after")
    def _check_dates(self) -> Self:
        if self.order == "date" and self.leads.created_at is None:
            raise ValueError('[crm] order: "date" needs the column of that date: [leads] created_at')
        needs = sorted(name for name, f in self.features.items() if f.kind != "attribute")
        if needs and not self.dated:
            raise ValueError(
                f"[features] {', '.join(needs[:3])}: only attributes are possible without dates; "
                "name the column with the lead's date in [leads] created_at, without `order`"
            )
        return self

    @model_validator(mode="after")
    def _check_sources(self) -> Self:
        counting = sorted(n for n, f in self.features.items() if f.kind not in ("attribute", "age"))
        if counting and not self.activities:
            raise ValueError(
                f"[features] {', '.join(counting[:3])}: activities are counted, but there is no [activities]"
            )
        history = [n for n, f in self.table.attributes.items() if f.known == "history"]
        if history and not self.changes:
            raise ValueError(f'[features] {history[0]}: known = "history", but there is no [changes]')
        return self

    @model_validator(mode="after")
    def _check_shared_columns(self) -> Self:
        """A column is read once, so all features of it must agree on how."""
        first: dict[str, str] = {}
        for name, f in self.table.attributes.items():
            earlier = self.table.attributes[first.setdefault(f.column, name)]
            if (f.values, f.known) != (earlier.values, earlier.known):
                raise ValueError(
                    f"[features] {first[f.column]} and {name}: both are the column {f.column!r}, "
                    "so `values` and `known` must be the same"
                )
        return self

    @property
    def dated(self) -> bool:
        """Whether leads have a date, so that they can be judged as of a moment."""
        return self.leads.created_at is not None and self.order in (None, "date")

    @property
    def order_column(self) -> str | None:
        """The column that orders the leads, where it is not their date."""
        return None if self.order in (None, "date", "file", "none") else self.order

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    @property
    def table(self) -> FeatureTable:
        """The feature table, with the company's words."""
        return FeatureTable(self.features, Vocabulary(self.words))

    @property
    def columns(self) -> dict[str, Literal["category", "number"]]:
        """Every column of the lead that is read as an attribute, with what its values are."""
        wanted: dict[str, Literal["category", "number"]]
        wanted = dict.fromkeys(self.segments.values(), "category")
        return wanted | {f.column: f.values for f in self.table.attributes.values()}


def load_settings(path: Path) -> CrmSettings:
    """Read and check a crm.toml.

    Raises SettingsError naming file, key, value and what is allowed.
    """
    try:
        parsed = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(
            f"{path}: there is no such file. `hotlead init YOUR-EXPORT.csv` writes one."
        ) from None
    except (OSError, UnicodeDecodeError) as problem:
        raise SettingsError(f"{path}: cannot be read ({problem}). It must be UTF-8.") from None
    except tomllib.TOMLDecodeError as problem:
        raise SettingsError(f"{path}: is not TOML: {problem}.") from None
    return parse_settings(parsed, path)


def parse_settings(parsed: Mapping[str, Any], path: Path) -> CrmSettings:
    """Check what a crm.toml at `path` holds; see `load_settings`."""
    general = parsed.get("crm", {})
    if not isinstance(general, Mapping):
        raise SettingsError(f"{path}: [crm] must be a table of keys (got {general!r}).")
    flat = {**general, **{k: v for k, v in parsed.items() if k != "crm"}}
    if "folder" in flat:
        raise SettingsError(f"{path}: [crm] folder: there is no such key. {_suggest_keys(('folder',))}")
    try:
        return CrmSettings.model_validate({**flat, "folder": path.resolve().parent})
    except ValidationError as problem:
        raise SettingsError(_format_errors(problem, path)) from None


def parse_features(values: Mapping[str, Any]) -> dict[str, Feature]:
    """The features that `FeatureTable.plain` wrote down."""
    return TypeAdapter(dict[str, Feature]).validate_python(values)


def expand_variables(source: str) -> str:
    """`source` with ${NAME} replaced by environment variables.

    Raises SettingsError for an unset one.
    """

    def value(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            raise SettingsError(f"The environment variable {match[1]} that crm.toml names is not set.")
        return os.environ[match[1]]

    return re.sub(r"\$\{(\w+)\}", value, source)


def _format_errors(problem: ValidationError, path: Path) -> str:
    lines = [_format_error(error) for error in problem.errors(include_url=False)[:6]]
    return "\n".join(f"{path}: {line}" for line in dict.fromkeys(lines))


def _format_error(error: Any) -> str:
    location, kind = _format_location(error["loc"], error.get("input")), error["type"]
    message = error["msg"].removeprefix("Value error, ")
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"{location}: there is no such key. {_suggest_keys(error['loc'])}".rstrip()
    if kind == "missing":
        return f"{location}: is missing."
    if kind.startswith("union_tag"):
        tags = error.get("ctx", {}).get("expected_tags", ", ".join(map(repr, _KINDS)))
        return f"{location}: `kind` must be one of {tags} (got {_format_kind(error)})."
    value = error.get("input")
    shown = "" if isinstance(value, dict | BaseModel) else f" (got {value!r})"
    return f"{location}: {message}{shown}." if location else f"{message}."


def _format_kind(error: Any) -> str:
    value = error.get("input")
    return repr(value["kind"]) if isinstance(value, dict) and "kind" in value else "none"


def _format_location(loc: tuple[int | str, ...], value: object) -> str:
    """A place as it stands in crm.toml: the table in brackets, then the key."""
    parts = [str(p) for i, p in enumerate(loc) if not (i > 1 and p in _KINDS)]
    if not parts:
        return ""
    if len(parts) > 1 or parts[0] in _TABLES or isinstance(value, dict):
        return " ".join([f"[{parts[0]}]", *parts[1:]])
    return f"[crm] {parts[0]}"


def _suggest_keys(loc: tuple[int | str, ...]) -> str:
    """The keys nearest to an unknown one."""
    keys = list(_TABLES) if loc[0] in _TABLES else [*_TABLES, *CrmSettings.model_fields]
    if len(loc) > 1 and loc[0] == "features":
        kind = next((str(p) for p in reversed(loc[:-1]) if p in _KINDS), "")
        keys = [f.name for f in fields(_KINDS[kind])] if kind else []
    elif len(loc) > 1 and loc[0] in _MODELS:
        keys = list(_MODELS[str(loc[0])].model_fields)
    hint = suggest_nearest(str(loc[-1]), [k for k in dict.fromkeys(keys) if k != "folder"])
    return hint[0].upper() + hint[1:] + "."


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
