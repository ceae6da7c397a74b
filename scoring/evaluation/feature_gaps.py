"""Gaps between the leads that are scored and those that a model was evaluated on: features that are empty
now, and values that the model does not know. A property that was renamed in the CRM causes either.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from features.clock import MS_PER_DAY
from features.columns import Bools, Column, Floats, Texts, is_missing, normalize_text
from features.crm_data import Crm
from features.many_leads import Histories, ManyLeads
from features.moments import open_leads
from features.table import FeatureTable
from scoring.model.evidence import Evidence
from scoring.model.model import Model

SAMPLE = 1_000
"""The number of leads that are compared, the newest ones."""
_MIN_EXPECTED, _NEARLY_NONE, _MIN_SHARE = 10, 0.05, 0.05


@dataclass(frozen=True, kw_only=True)
class FeatureGap:
    """A feature of which `leads` scored leads have something else than the evaluated ones.

    empty: `now` is the share that is filled, `before` that of leads of the same ages in the evidence.
    unknown_value: `now` is the share with the `value`, which the model does not know; `former` is a value
    of the share `before` that no lead has any more (None: all still occur).
    """

    feature: str
    cause: Literal["empty", "unknown_value"]
    now: float
    before: float
    leads: int
    value: str | None = None
    former: str | None = None


def find_gaps_of_export(evidence: Evidence, model: Model, table: FeatureTable, crm: Crm) -> list[FeatureGap]:
    """The gaps of the newest open leads of an export as of its moment."""
    leads = open_leads(crm, crm.snapshot)
    leads = leads[np.argsort(-crm.created[leads], kind="stable")][:SAMPLE]
    view = ManyLeads(Histories(crm), leads, np.full(len(leads), crm.snapshot, dtype=np.int64))
    shared = table.without({*table.names} - evidence.features.keys())
    ages = (crm.snapshot - crm.created[leads]) / MS_PER_DAY
    return find_gaps(evidence, model, shared.compute_many(view), ages)


def find_gaps(
    evidence: Evidence, model: Model, columns: Mapping[str, Column], ages: Floats
) -> list[FeatureGap]:
    """The gaps of scored leads by their feature values and ages (days), empty features first."""
    weights = _weights_by_age(evidence, ages)
    shared = [name for name in columns if name in evidence.features]
    empty = [gap for name in shared if (gap := _find_empty(name, evidence, columns[name], weights))]
    others = [name for name in shared if name not in {gap.feature for gap in empty}]
    return [*empty, *_find_unknown_values(others, evidence, model, columns, weights)]


def _weights_by_age(evidence: Evidence, ages: Floats) -> Floats:
    """Weights of the rows of the evidence, as which the leads' ages are distributed; their sum is 1."""
    if not len(ages) or not len(evidence):
        return np.zeros(len(evidence))
    landmarks, row_place = np.unique(evidence.landmark, return_inverse=True)
    place = np.maximum(np.searchsorted(landmarks, ages, side="right") - 1, 0)
    share = np.bincount(place, minlength=len(landmarks)) / len(ages)
    return np.asarray((share / np.bincount(row_place))[row_place], dtype=np.float64)


def _find_empty(name: str, evidence: Evidence, column: Column, weights: Floats) -> FeatureGap | None:
    """The gap of a feature that (nearly) no lead has, though many should have it. A number of 0 is empty."""
    filled = _is_filled(column)
    expected, count = float(weights[_is_filled(evidence.features[name])].sum()), len(filled)
    if expected * count < _MIN_EXPECTED or filled.sum() > _NEARLY_NONE * expected * count:
        return None
    return FeatureGap(feature=name, cause="empty", now=float(filled.mean()), before=expected, leads=count)


def _is_filled(column: Column) -> Bools:
    filled = ~is_missing(column)
    return filled if isinstance(column, Texts) else filled & (column != 0)


def _find_unknown_values(
    names: list[str], evidence: Evidence, model: Model, columns: Mapping[str, Column], weights: Floats
) -> Iterator[FeatureGap]:
    for name in names:
        before, now = evidence.features[name], columns[name]
        levels = model.encoding.levels.get(name)
        if not isinstance(before, Texts) or not isinstance(now, Texts) or levels is None:
            continue
        shares = _shares_by_form(before, weights)
        present = _shares_by_form(now, np.full(len(now), 1 / max(1, len(now))))
        new = {form: share for form, share in present.items() if form not in shares}
        unknown = {form: share for form, share in new.items() if not levels.find_places(_spell(now, form))}
        if not unknown:
            continue
        value = max(unknown, key=unknown.__getitem__)
        if unknown[value] < _MIN_SHARE or unknown[value] * len(now) < _MIN_EXPECTED:
            continue
        vanished = {f: share for f, share in shares.items() if f not in present and share >= _MIN_SHARE}
        former = max(vanished, key=vanished.__getitem__) if vanished else None
        yield FeatureGap(
            feature=name,
            cause="unknown_value",
            now=unknown[value],
            before=vanished.get(former or "", 0.0),
            leads=len(now),
            value=_spell(now, value),
            former=None if former is None else _spell(before, former),
        )


def _shares_by_form(column: Texts, weights: Floats) -> dict[str, float]:
    """The weight of each value that occurs, by its normal form."""
    filled = column.codes >= 0
    totals = np.bincount(column.codes[filled], weights[filled], minlength=len(column.categories))
    counts = np.bincount(column.codes[filled], minlength=len(column.categories))
    shares: dict[str, float] = {}
    for text, total, count in zip(column.categories, totals.tolist(), counts.tolist(), strict=True):
        if count:
            form = normalize_text(text)
            shares[form] = shares.get(form, 0.0) + total
    return shares


def _spell(column: Texts, form: str) -> str:
    return next(text for text in column.categories if normalize_text(text) == form)
