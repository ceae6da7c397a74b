"""A CRM as pandas data frames: its tables, and the features of its leads for own experiments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from features.clock import NEVER
from features.columns import Column, Ints, Texts
from features.crm.audit import Audit
from features.crm.load import Loaded
from features.kinds import Language
from features.many_leads import Histories, ManyLeads
from features.moments import open_leads

if TYPE_CHECKING:  # slow imports, which the tables of a CRM do not need
    from training.fitting.dataset import Dataset


@dataclass(frozen=True)
class CrmTables:
    """A CRM as it was read by a crm.toml, as data frames; texts are worded in `lang`.

    Times are in the time zone of crm.toml (whole numbers, ranks, where leads have no dates).
    """

    loaded: Loaded
    lang: Language

    @cached_property
    def leads(self) -> pd.DataFrame:
        """The attributes of each lead, by lead id."""
        return _to_frame(self.loaded.crm.attributes, self._ids)

    @cached_property
    def outcomes(self) -> pd.DataFrame:
        """Of each lead, by lead id: `created`, `closed`, `won`, `closed_at`, `won_at` and `amount`."""
        crm = self.loaded.crm
        columns = {
            "created": self._times(crm.created),
            "closed": crm.outcomes.closed,
            "won": crm.outcomes.won,
            "closed_at": self._times(crm.outcomes.closed_at),
            "won_at": self._times(crm.outcomes.won_at),
            "amount": crm.outcomes.amount,
        }
        return pd.DataFrame(columns, index=self._ids)

    @cached_property
    def activities(self) -> pd.DataFrame:
        """Every activity: `lead_id`, `type`, `time` and, where crm.toml names one, `value`."""
        activities = self.loaded.crm.activities
        columns = {
            "lead_id": self._ids.to_numpy()[activities.lead],
            "type": pd.Categorical.from_codes(activities.type, list(activities.types)),
            "time": self._times(activities.time_ms),
        }
        more = {} if activities.value is None else {"value": activities.value}
        return pd.DataFrame(columns | more)

    @cached_property
    def rejects(self) -> pd.DataFrame:
        """Every row or value that was rejected: its place, `value`, `reason`, and what was `left_out`."""
        rejects = self.loaded.rejects
        units = (("row", rejects.rows), ("value", rejects.values))
        rows = [
            {**asdict(reject), "left_out": unit} for unit, unit_rejects in units for reject in unit_rejects
        ]
        columns = ["table", "file", "row", "column", "value", "reason", "left_out"]
        return pd.DataFrame(rows, columns=columns)

    @cached_property
    def findings(self) -> pd.DataFrame:
        """What the audit found, most severe first: `severity`, `code`, `column`, `used`, `text`."""
        rows = [finding.to_dict(self.lang) for finding in self._audit.findings]
        return pd.DataFrame(rows, columns=["severity", "code", "column", "used", "text"])

    @property
    def left_out(self) -> tuple[str, ...]:
        """The features that reveal the outcome: training leaves them out."""
        return self._audit.left_out

    @property
    def labels(self) -> dict[str, str]:
        """The label of each feature, in words."""
        table = self.loaded.settings.table
        return {name: table.label(name, self.lang) for name in table.names}

    def closed_features(self) -> FeatureFrame:
        """The examples of training; see `hotlead.features`."""
        # slow import, which the tables of a CRM do not need
        from training.fitting.dataset import build_dataset

        return self._from_dataset(build_dataset(self.loaded, self.left_out, lambda _: None))

    def open_features(self, as_of: int | None = None) -> FeatureFrame:
        """The open leads at `as_of` (ms UTC, by default the moment of the export); `y` is None."""
        crm, moment = self.loaded.crm, self.loaded.crm.snapshot if as_of is None else as_of
        leads = open_leads(crm, moment)
        moments = np.full(len(leads), moment, dtype=np.int64)
        table = self.loaded.settings.table.without(set(self.left_out))
        columns = table.compute_many(ManyLeads(Histories(crm), leads, moments))
        return FeatureFrame(
            X=_to_frame(columns, pd.RangeIndex(len(leads))),
            y=None,
            groups=pd.Series(crm.group[leads], name="group"),
            moments=pd.Series(self._times(moments), name="moment"),
            lead_ids=pd.Series(crm.lead_ids[leads], name="lead_id"),
        )

    def _from_dataset(self, data: Dataset) -> FeatureFrame:
        examples = data.examples
        return FeatureFrame(
            X=_to_frame(data.columns, pd.RangeIndex(len(data))),
            y=pd.Series(examples.won, name="won"),
            groups=pd.Series(examples.group, name="group"),
            moments=pd.Series(self._times(examples.moment), name="moment"),
            lead_ids=pd.Series(self.loaded.crm.lead_ids[examples.lead], name="lead_id"),
        )

    @cached_property
    def _audit(self) -> Audit:
        return Audit.from_loaded(self.loaded)

    @cached_property
    def _ids(self) -> pd.Index:
        return pd.Index(self.loaded.crm.lead_ids, name="lead_id")

    def _times(self, times_ms: Ints) -> pd.DatetimeIndex | Ints:
        if self.loaded.crm.order != "date":
            return times_ms
        moments = pd.Series(times_ms).where(times_ms < NEVER)
        return pd.DatetimeIndex(pd.to_datetime(moments, unit="ms", utc=True)).tz_convert(
            self.loaded.settings.zone
        )


@dataclass(frozen=True)
class FeatureFrame:
    """Features with one row per example: a lead at a moment.

    `X` has a column per feature, `y` says whether the lead was won within the horizon (None for open leads),
    `groups` are leads that a split must keep together, `moments` and `lead_ids` say who and when.
    """

    X: pd.DataFrame
    y: pd.Series | None
    groups: pd.Series
    moments: pd.Series
    lead_ids: pd.Series

    def __len__(self) -> int:
        return len(self.X)

    def frame(self) -> pd.DataFrame:
        """All of it in one data frame: `lead_id`, `moment`, `group`, `won`, then the features."""
        parts = [self.lead_ids, self.moments, self.groups, *([] if self.y is None else [self.y]), self.X]
        return pd.concat(parts, axis=1)

    def win_rates(self, column: pd.Series) -> pd.DataFrame:
        """The win rate for each value of `column`, a series in the order of the rows.

        Columns `count`, `won`, `win_rate`, and its 95 % interval `low` and `high` from a bootstrap over the
        groups. Raises ValueError for open leads, whose outcome is not known.
        """
        # slow import, for this method alone
        from scoring.statistics.rates import Rates

        if self.y is None:
            raise ValueError("Open leads have no outcome yet: ask for features(crm, leads='closed').")
        rates = Rates(self.y.to_numpy(), self.groups.to_numpy())
        values = pd.Series(column.to_numpy())
        by_value = {
            value: rates.rate((values == value).to_numpy()) for value in sorted(values.dropna().unique())
        }
        rows = [(r.count, r.won, r.value, r.low, r.high) for r in by_value.values()]
        index = pd.Index(list(by_value), name=column.name)
        return pd.DataFrame(rows, index=index, columns=["count", "won", "win_rate", "low", "high"])


def _to_frame(columns: Mapping[str, Column], index: pd.Index) -> pd.DataFrame:
    """Columns as a data frame; texts are categories."""
    return pd.DataFrame({name: _to_pandas(column) for name, column in columns.items()}, index=index)


def _to_pandas(column: Column) -> pd.Categorical | np.ndarray:
    if isinstance(column, Texts):
        return pd.Categorical.from_codes(column.codes, list(column.categories))
    return column
