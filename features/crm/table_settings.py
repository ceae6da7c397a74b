"""The tables of crm.toml that say where the data of a CRM are: [leads], [deals], [activities], [changes]."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, field_validator, model_validator

from features.crm.values.formats import NumberFormat, TimeFormat, check_time_format
from features.errors import InvalidValue, SettingsError
from features.messages import quote_all
from features.toml import Strict, TextValue

RowConditions: TypeAlias = Mapping[str, Annotated[tuple[TextValue, ...], Field(min_length=1)]]
"""Rows by the values of columns, in upper or lower case; "" is an empty cell."""
_FILE_FORMAT = ("separator", "encoding", "skip_rows", "skip_footer", "header", "sheet", "records")


class Source(Strict):
    """The source of a table: a file (CSV, Excel, JSON, Parquet), a glob of such files, or a database URL.

    `${NAME}` in `source` is replaced by an environment variable, so that passwords stay out of files.
    `skip_rows` lines stand above the header, `skip_footer` rows below the data; `header` holds the names
    of the columns of a file without a header. `sheet` is that of a workbook, or several with the same
    columns; `records` is the key of the list in a JSON document.
    Rows that `skip_where` selects (deleted or merged records) are left out and counted. More unusable rows
    than `max_reject_share` (else that of [crm]) stop a run.
    `time_format` is that of all columns with times, `time_formats` and `number_formats` those of single ones.
    """

    source: str = Field(min_length=1)
    table: str | None = None
    query: str | None = None
    separator: str = Field(default=",", min_length=1, max_length=1)
    encoding: str = "utf-8"
    skip_rows: int = Field(default=0, ge=0)
    skip_footer: int = Field(default=0, ge=0)
    header: tuple[str, ...] = ()
    sheet: str | tuple[str, ...] | None = None
    records: str | None = None
    time_format: TimeFormat | None = None
    time_formats: Mapping[str, TimeFormat] = Field(default_factory=dict)
    number_formats: Mapping[str, NumberFormat] = Field(default_factory=dict)
    skip_where: RowConditions = Field(default_factory=dict)
    max_reject_share: float | None = Field(default=None, ge=0, le=1)

    @field_validator("time_format")
    @classmethod
    def _check_time_format(cls, time_format: TimeFormat | None) -> TimeFormat | None:
        for one in (time_format,) if isinstance(time_format, str) else time_format or ():
            check_time_format(one)
        return time_format or None

    @field_validator("time_formats")
    @classmethod
    def _check_time_formats(cls, formats: Mapping[str, TimeFormat]) -> Mapping[str, TimeFormat]:
        for column, time_format in formats.items():
            for one in (time_format,) if isinstance(time_format, str) else time_format:
                try:
                    check_time_format(one)
                except ValueError as problem:
                    raise InvalidValue(
                        "{column}: {value!r} {problem}", column=column, value=one, problem=problem
                    ) from None
        return formats

    def time_format_of(self, column: str) -> TimeFormat | None:
        """The format of a column with times; None for ISO 8601."""
        return self.time_formats.get(column, self.time_format)

    @property
    def is_database(self) -> bool:
        return "://" in self.source

    @property
    def file_format(self) -> dict[str, object]:
        """The keys that say how a file is read, with their values."""
        return {key: getattr(self, key) for key in _FILE_FORMAT}

    @model_validator(mode="after")
    def _check_source(self) -> Self:
        if self.is_database and bool(self.table) == bool(self.query):
            raise InvalidValue("a database source needs either `table` or `query`")
        if not self.is_database and (self.table or self.query):
            raise InvalidValue("`table` and `query` belong to a database source (a URL with ://)")
        return self


class LeadsTable(Source):
    """[leads]: one row per lead. `id = "row"` uses the number of the row as id.

    `deal` is a column with the id of the lead's deal, for deals that do not name their lead. Rows of
    `lost_where` are lost if they have no deal in the table of the deals (a lead that was disqualified).
    `amount` is what an open lead is expected to bring, where no open deal of it says so.
    """

    id: str
    created_at: str | None = None
    account: str | None = None
    deal: str | None = None
    amount: str | None = None
    lost_where: RowConditions = Field(default_factory=dict)


class DealsTable(Source):
    """[deals]: the outcomes of leads. Without `source` they are columns of the leads' table.

    A deal names its lead in `lead` (several between `lead_separator`), or a lead names its deal in [leads]
    `deal`, which is then the `id` here. Without `outcome` every row is a won deal.

    Leads with an outcome of `leave_out` (duplicates, tests) are neither won, lost nor open and are left
    out. Rows of `open_where` are open whatever their outcome; rows of `lost_where` are lost unless their
    outcome is won. Lost deals have the date of their close in `lost_at`, else in `closed_at`; with
    `undated_lost` those without a date count as lost at the end of the horizon.
    """

    source: str = ""
    lead: str | None = None
    lead_separator: str | None = Field(default=None, min_length=1)
    id: str | None = None
    outcome: str | None = None
    won: tuple[TextValue, ...] = ()
    lost: tuple[TextValue, ...] = ()
    ignore: tuple[TextValue, ...] = ()
    leave_out: tuple[TextValue, ...] = ()
    open_where: RowConditions = Field(default_factory=dict)
    lost_where: RowConditions = Field(default_factory=dict)
    closed_at: str | None = None
    lost_at: str | None = None
    undated_lost: bool = False
    amount: str | None = None
    lost_reason: str | None = None

    @model_validator(mode="after")
    def _check_deals(self) -> Self:
        if self.source and not (self.lead or self.id):
            raise InvalidValue(
                "`lead` is missing: the column with the lead's id. (Or give [leads] `deal` and `id`)"
            )
        if self.lead_separator and not self.lead:
            raise InvalidValue("`lead_separator` divides the ids in `lead`, which is missing")
        if (self.lost_at or self.undated_lost) and not self.closed_at:
            raise InvalidValue("`lost_at` and `undated_lost` need `closed_at`: the date of won deals")
        if self.outcome and not self.won:
            raise InvalidValue("`won` is missing: the outcome values that mean won")
        if not self.outcome and not self.source:
            raise InvalidValue("`outcome` is missing: the column that tells won from lost")
        values = (*set(self.won), *set(self.lost), *set(self.ignore), *set(self.leave_out))
        twice = {value for value in values if values.count(value) > 1}
        if twice:
            raise InvalidValue(
                "{values} stand in more than one of won, lost, ignore and leave_out",
                values=quote_all(sorted(twice)),
            )
        return self


def deal_columns(deals: DealsTable) -> list[str | None]:
    """The columns of a deal, in its own table or in that of the leads; None if not configured."""
    columns = [deals.outcome, deals.closed_at, deals.lost_at, deals.amount, deals.lost_reason]
    return [*columns, *deals.open_where, *deals.lost_where]


class ActivitiesTable(Source):
    """[activities]: one row per activity of a lead; [[activities]] for each of several tables.

    The type of an activity stands in the column `type`, or is `type_name` for all rows of a table of calls,
    mails or meetings. Without both it is "activity". `lead_separator` divides several ids in `lead`.
    `bursts`: activities that follow each other faster than a person can act are left out, or counted
    ("keep") where an import wrote their times.
    """

    lead: str
    lead_separator: str | None = Field(default=None, min_length=1)
    at: str
    type: str | None = None
    type_name: str = Field(default="activity", min_length=1)
    value: str | None = None
    id: str | None = None
    bursts: Literal["leave_out", "keep"] = "leave_out"

    @model_validator(mode="after")
    def _check_type(self) -> Self:
        if self.type and "type_name" in self.model_fields_set:
            raise InvalidValue("give either `type`, a column, or `type_name`, the type of all rows")
        return self


class ChangesTable(Source):
    """[changes]: the history of attributes.

    Either one row per change (`column` holds the name of the changed column, `value` its new value), or
    one row per moment with the values of several `columns` at that time.
    """

    lead: str
    at: str
    column: str | None = None
    value: str | None = None
    columns: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _check_changes(self) -> Self:
        if bool(self.columns) == bool(self.column and self.value):
            raise InvalidValue("give either `column` and `value`, or `columns`")
        return self


def expand_variables(source: str) -> str:
    """`source` with each ${NAME} replaced by the environment variable.

    Raises SettingsError for a variable that is not set.
    """

    def value(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            raise SettingsError(
                "The environment variable {name} that crm.toml names is not set.", name=match[1]
            )
        return os.environ[match[1]]

    return re.sub(r"\$\{(\w+)\}", value, source)
