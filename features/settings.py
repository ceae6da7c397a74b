"""crm.toml: how one company's export reads. Nothing about a company is in code."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from features.columns import plain_text
from features.errors import SettingsError, nearest
from features.kinds import Feature, Language
from features.table import FeatureTable, Vocabulary

LANDMARKS = (0.0, 1.0, 3.0, 7.0, 14.0, 30.0, 60.0, 90.0)
MISSING = ("", "NA", "N/A", "n/a", "NULL", "null", "None", "none", "NaN", "nan", "-", "#N/A")

Value = Annotated[str, BeforeValidator(lambda value: plain_text(value))]
"""A value of a column; a number or true/false in TOML is taken as its text."""


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

    @property
    def is_database(self) -> bool:
        return "://" in self.source

    @model_validator(mode="after")
    def _whole(self) -> Self:
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
    won: tuple[Value, ...] = ()
    lost: tuple[Value, ...] = ()
    ignore: tuple[Value, ...] = ()
    closed_at: str | None = None
    amount: str | None = None
    lost_reason: str | None = None

    @model_validator(mode="after")
    def _told(self) -> Self:
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
    def _told(self) -> Self:
        if bool(self.columns) == bool(self.column and self.value):
            raise ValueError("give either `column` and `value`, or `columns`")
        return self


class Target(Strict):
    """[target]: won within `horizon_days` of the moment, at fixed ages of the lead (`landmarks`)."""

    horizon_days: float = Field(default=90, gt=0, le=3650)
    landmarks: tuple[Annotated[float, Field(ge=0)], ...] = LANDMARKS

    @field_validator("landmarks")
    @classmethod
    def _rising(cls, landmarks: tuple[float, ...]) -> tuple[float, ...]:
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
    time_zone: str = "UTC"
    missing: tuple[Value, ...] = MISSING
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
    folder: Path = Path()

    @field_validator("time_zone")
    @classmethod
    def _zone(cls, name: str) -> str:
        if name not in available_timezones():
            raise ValueError(f"no such time zone; {nearest(name, sorted(available_timezones()))}")
        return name

    @field_validator("features")
    @classmethod
    def _some(cls, features: Mapping[str, Feature]) -> Mapping[str, Feature]:
        if not features:
            raise ValueError("no feature is given; `hotlead init` proposes some")
        return features

    @model_validator(mode="after")
    def _whole(self) -> Self:
        needs = {name for name, f in self.features.items() if f.kind != "attribute"}
        if needs and (self.leads.created_at is None or self.order is not None):
            raise ValueError(
                f"[features] {', '.join(sorted(needs)[:3])}: only attributes are possible without "
                "dates; name the column with the lead's date in [leads] created_at, without `order`"
            )
        if (
            needs - {n for n, f in self.features.items() if f.kind == "age"}
        ) and not self.activities:
            raise ValueError(
                f"[features] {', '.join(sorted(needs)[:3])}: activities are counted, but there is "
                "no [activities]"
            )
        history = [n for n, f in self.features.items() if getattr(f, "known", "") == "history"]
        if history and not self.changes:
            raise ValueError(
                f'[features] {history[0]}: known = "history", but there is no [changes]'
            )
        return self

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
        wanted: dict[str, Literal["category", "number"]] = {
            column: "category" for column in self.segments.values()
        }
        return wanted | {f.column: f.values for f in self.table.attributes.values()}


def load_settings(path: Path) -> CrmSettings:
    """Read and check a crm.toml. Raises SettingsError naming file, key, value and what is allowed."""
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(
            f"{path}: there is no such file. `hotlead init YOUR-EXPORT.csv` writes one."
        ) from None
    except (OSError, UnicodeDecodeError) as problem:
        raise SettingsError(f"{path}: cannot be read ({problem}). It must be UTF-8.") from None
    except tomllib.TOMLDecodeError as problem:
        raise SettingsError(f"{path}: is not TOML: {problem}.") from None
    return parse_settings(told, path)


def parse_settings(told: Mapping[str, Any], path: Path) -> CrmSettings:
    """Check what a crm.toml at `path` holds; see `load_settings`."""
    flat = {**told.get("crm", {}), **{k: v for k, v in told.items() if k != "crm"}}
    try:
        return CrmSettings.model_validate({**flat, "folder": path.resolve().parent})
    except ValidationError as problem:
        raise SettingsError(_sentences(problem, path)) from None


def parse_features(told: Mapping[str, Any]) -> dict[str, Feature]:
    """The features that `FeatureTable.plain` wrote down."""
    return TypeAdapter(dict[str, Feature]).validate_python(told)


def expanded(source: str) -> str:
    """`source` with ${NAME} replaced by environment variables. Raises SettingsError for an unset one."""

    def value(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            raise SettingsError(
                f"The environment variable {match[1]} that crm.toml names is not set."
            )
        return os.environ[match[1]]

    return re.sub(r"\$\{(\w+)\}", value, source)


def _sentences(problem: ValidationError, path: Path) -> str:
    lines = [_sentence(error) for error in problem.errors(include_url=False)[:6]]
    return "\n".join(f"{path}: {line}" for line in dict.fromkeys(lines))


def _sentence(error: Any) -> str:
    where = _where(error["loc"])
    said = error["msg"].removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        return f"{where}: there is no such key. {_known(error['loc'])}".rstrip()
    if error["type"] == "missing":
        return f"{where}: is missing."
    got = error.get("input")
    shown = "" if isinstance(got, dict | BaseModel) else f" (got {got!r})"
    return f"{where}: {said}{shown}." if where else f"{said}."


def _where(loc: tuple[int | str, ...]) -> str:
    kinds = {"attribute", "count", "sum", "days_since", "last", "after", "decayed", "distinct",
             "ratio", "age"}  # fmt: skip
    parts = [str(p) for i, p in enumerate(loc) if not (i == 2 and p in kinds)]
    if len(parts) > 1 or (parts and parts[0] in CrmSettings.model_fields and parts[0] in _TABLES):
        return " ".join([f"[{parts[0]}]", *parts[1:]])
    return f"[crm] {parts[0]}" if parts else ""


_TABLES = {
    "leads",
    "deals",
    "activities",
    "changes",
    "target",
    "features",
    "segments",
    "roles",
    "words",
}


def _known(loc: tuple[int | str, ...]) -> str:
    models: dict[str, type[BaseModel]] = {
        "leads": LeadsTable, "deals": DealsTable, "activities": ActivitiesTable,
        "changes": ChangesTable, "target": Target, "roles": Roles,
    }  # fmt: skip
    model = models.get(str(loc[0])) if len(loc) > 1 else CrmSettings
    if model is None:
        return ""
    return (
        nearest(str(loc[-1]), [k for k in model.model_fields if k != "folder"]).capitalize() + "."
    )
