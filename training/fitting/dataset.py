"""The examples that models, rules and scorecards learn from."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.columns import Bools, Column, Texts, merge_categories, take
from features.crm.audit import Audit
from features.crm.load import Loaded, load
from features.errors import DataError, SettingsError
from features.kinds import Attribute, Language
from features.many_leads import Histories, ManyLeads
from features.messages import Message
from features.moments import MIN_WINS, Examples, build_examples
from features.settings import CrmSettings
from features.table import FeatureTable
from scoring.model.points import PointsPart
from scoring.scorecard.load import SCORECARD_FILE, find_card
from scoring.scorecard.rating import rate
from scoring.scorecard.scorecard import Scorecard
from scoring.statistics.paired_differences import LabeledLeads
from training.fitting.parts.points import fit_points
from training.progress import StepReporter


@dataclass(frozen=True)
class Segment:
    """An attribute that divides the leads and is no feature, and its value of each example."""

    attribute: Attribute
    values: Texts


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Examples with their feature columns (one value per example) and the current scorecard.

    `segments` are those of crm.toml by the name that their attribute has as a feature. The learnt parts do
    not look at the features in `only_segments`.
    """

    table: FeatureTable
    columns: Mapping[str, Column]
    examples: Examples
    card: Scorecard
    dated: bool = True
    segments: Mapping[str, Segment] = field(default_factory=dict)
    only_segments: frozenset[str] = frozenset()

    def __len__(self) -> int:
        return len(self.examples)

    @property
    def won(self) -> Bools:
        return self.examples.won

    @property
    def labeled(self) -> LabeledLeads:
        """The outcomes of the examples."""
        return LabeledLeads(self.won, self.examples.amount, self.examples.group)

    @property
    def digest(self) -> str:
        """16 hex digits that change with any lead, moment, outcome or feature value."""
        hasher = hashlib.sha256(self.table.fingerprint.encode())
        arrays: list[NDArray[Any]] = [self.examples.lead, self.examples.moment, self.examples.won]
        for column in self.all_columns.values():
            if isinstance(column, Texts):
                hasher.update(repr(column.categories).encode())
            arrays.append(column.codes if isinstance(column, Texts) else column)
        for array in arrays:
            hasher.update(array.tobytes())
        return hasher.hexdigest()[:16]

    def take(self, rows: NDArray[np.integer]) -> Dataset:
        """The examples at the given positions."""
        columns = {name: take(column, rows) for name, column in self.columns.items()}
        segments = {name: replace(s, values=s.values.take(rows)) for name, s in self.segments.items()}
        return replace(self, columns=columns, examples=self.examples.take(rows), segments=segments)

    @property
    def all_columns(self) -> Mapping[str, Column]:
        """The values of every feature that a model of these examples can have."""
        return {**{name: segment.values for name, segment in self.segments.items()}, **self.columns}

    @property
    def hidden(self) -> frozenset[str]:
        """The features that trees do not look at."""
        return self.table.free_texts | self.only_segments

    def with_segments(self, names: Collection[str]) -> Dataset:
        """The same examples with the attributes of some segments as features."""
        added = {n: self.segments[n] for n in names if n in self.segments and n not in self.columns}
        attributes = {name: segment.attribute for name, segment in added.items()}
        return replace(
            self,
            table=replace(self.table, rows={**self.table.rows, **attributes}),
            columns={**self.columns, **{name: segment.values for name, segment in added.items()}},
            only_segments=self.only_segments | set(added),
        )

    @property
    def is_later_than_card(self) -> bool:
        """Whether the scorecard's rows were not learnt from these examples."""
        through = self.card.learnt_through
        return through is None or (len(self) > 0 and int(self.examples.moment.min()) > through)

    def fit_points_part(self) -> PointsPart | None:
        """The scorecard, calibrated on these examples; None for a scorecard without rows."""
        if not self.card.rows:
            return None
        leads = len(np.unique(self.examples.lead))
        return fit_points(rate(self.card, self.columns), self.table.names, self.won, leads)

    def take_sample(self, rows: NDArray[np.intp], max_rows: int, seed: int) -> Dataset:
        """A random sample of at most `max_rows` of the examples at the given positions, in their order."""
        if len(rows) > max_rows:
            rows = rows[np.sort(np.random.default_rng(seed).choice(len(rows), max_rows, replace=False))]
        return self.take(rows)

    def sampled(self, max_rows: int, seed: int) -> Dataset:
        """A random sample of at most `max_rows` examples, in their original order."""
        return self if len(self) <= max_rows else self.take_sample(np.arange(len(self)), max_rows, seed)


def load_dataset(
    settings: CrmSettings, out: Path, report_step: StepReporter, lang: Language = "en"
) -> tuple[Dataset, Loaded]:
    """Read a CRM and return its examples, without the features that the audit leaves out, and the CRM.

    Rejected rows are written to rejects.csv in `out`, with reasons in `lang`.
    """
    report_step(Message("reading the CRM"))
    loaded = load(settings, out / "rejects.csv", lang=lang)
    return build_dataset(loaded, Audit.from_loaded(loaded).left_out, report_step), loaded


def build_dataset(loaded: Loaded, left_out: tuple[str, ...], report_step: StepReporter) -> Dataset:
    """The examples of a CRM with their feature columns, except the features `left_out`.

    Raises DataError if no outcome is known yet or no feature remains, SettingsError if the scorecard
    uses a feature that is left out.
    """
    settings, crm = loaded.settings, loaded.crm
    examples = build_examples(crm, settings.target)
    if not len(examples):
        raise DataError(
            "No lead is older than the horizon of {horizon_days:g} days, so no outcome "
            "is known yet. Shorten [target] horizon_days, or come back later.",
            horizon_days=settings.target.horizon_days,
        )
    table = settings.table.without(set(left_out))
    card = find_card(settings.folder, settings.table)
    _check_card(card, left_out)
    if not len(table):
        raise DataError("No feature is left: the audit found a leak in every one. See `hotlead check`.")
    report_step(
        Message(
            "computing {count} features of {snapshots:,} lead snapshots",
            count=len(table),
            snapshots=len(examples),
        )
    )
    leads = ManyLeads(Histories(crm), examples.lead, examples.moment)
    return Dataset(
        table=table,
        columns=table.compute_many(leads),
        examples=examples,
        card=card,
        dated=crm.order == "date",
        segments=_segments(settings, left_out, leads),
    )


def check_enough_deals(examples: Examples) -> None:
    """Raise DataError if there are too few won or too few other leads to train a model."""
    wins = examples.won_leads
    if wins < MIN_WINS:
        raise DataError(
            "A model needs {min_wins} won leads whose outcome is known; there are {wins}: "
            "{more} more are missing. Until then the rules alone decide.",
            min_wins=MIN_WINS,
            wins=wins,
            more=MIN_WINS - wins,
        )
    others = len(np.unique(examples.lead[~examples.won]))
    if others < MIN_WINS:
        raise DataError(
            "A model needs {min_wins} leads that were not won; there are {others}. Look at `won`, "
            "`lost` and `ignore` in [deals], and whether the export holds lost deals.",
            min_wins=MIN_WINS,
            others=others,
        )


def _segments(settings: CrmSettings, left_out: Collection[str], leads: ManyLeads) -> dict[str, Segment]:
    """The segments of crm.toml that are no features, except those that are left out."""
    attributes = {n: a for n, a in settings.segment_attributes.items() if n not in left_out}
    return {name: Segment(a, merge_categories(leads.text(a.column))) for name, a in attributes.items()}


def _check_card(card: Scorecard, left_out: tuple[str, ...]) -> None:
    leaking = sorted(card.features & set(left_out))
    if leaking:
        raise SettingsError(
            "{file}: looks at {names}, which the audit holds for known only "
            "after the outcome (see `hotlead check`). Take those rows out, or say insist = true in "
            "crm.toml where you are sure.",
            file=SCORECARD_FILE,
            names=[*leaking],
        )
