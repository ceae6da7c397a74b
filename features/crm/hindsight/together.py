"""The adversarial check: whether all columns of the features together tell open leads from closed ones.

A logistic regression learns to tell closed from open leads of one period by the columns as they stand in the
table. What it can tell, a model of wins learns as well, and then it scores open leads by being open. Features
with a history are left aside: no moment sees what came after it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_array, hstack

from features.clock import NEVER, days_to_ms
from features.columns import Bools, Floats, Ints, take
from features.crm.findings import Finding
from features.crm.hindsight.advice import ADVICE_EN, ADVICE_JA
from features.crm.hindsight.checks import BEYOND_CHANCE, TELLING
from features.crm.hindsight.cohorts import Movement, measure_movement
from features.crm.hindsight.logistic import fit_logistic, one_hot
from features.crm.hindsight.sides import Separation, Sides, age_bands, banded_auc, separate
from features.crm.load import Loaded
from features.moments import MIN_WINS
from features.statistics import auc_error, to_levels

_MAX_LEADS, _FOLDS = 6_000, 5
_MAX_LEFT_OUT, _CARRIES = 8, 0.55
_NORMAL_95 = 1.96


@dataclass(frozen=True)
class _Column:
    """A column by its levels: one-hot, how it separates alone, and how that moves with the closing."""

    name: str
    terms: csr_array
    separation: Separation
    movement: Movement

    @property
    def is_known_before(self) -> bool:
        """Whether it only tells the leads that close sooner."""
        return self.separation.errors >= BEYOND_CHANCE and self.movement.is_known_before


@dataclass(frozen=True)
class _Telling:
    """How some columns together tell closed from open leads: ROC AUC, its 95% interval, and whether that
    moves with the closing of leads."""

    auc: float
    low: float
    high: float
    movement: Movement

    def format(self) -> str:
        return f"ROC AUC {self.auc:.2f}, {self.low:.2f}–{self.high:.2f}"


@dataclass(frozen=True)
class _Leads:
    """Leads that were open at the first moment, oldest first: their rows, whether they are closed now, and
    those that are compared, as sides."""

    row: Ints
    closed: Bools
    use: Bools
    sides: Sides

    @staticmethod
    def from_loaded(loaded: Loaded) -> _Leads | None:
        """None where closed and open leads cannot be compared."""
        crm = loaded.crm
        closed = crm.outcomes.closed
        if crm.order == "none" or not (closed & ~crm.outcomes.won).any() or closed.all():
            return None
        row = np.argsort(crm.created, kind="stable")
        if crm.horizon_applies:
            moment = crm.created[row] + days_to_ms(loaded.settings.target.landmarks[0])
            row = row[(crm.outcomes.closed_at[row] > moment) & (moment <= min(crm.snapshot, NEVER))]
        if len(row) > _MAX_LEADS:
            row = row[np.sort(np.random.default_rng(0).choice(len(row), _MAX_LEADS, replace=False))]
        band, use = age_bands(closed[row])
        if min(closed[row][use].sum(), (~closed[row][use]).sum()) < MIN_WINS:
            return None
        return _Leads(row, closed[row], use, Sides.from_bands(closed[row][use], band[use]))


def check_together(loaded: Loaded, findings: Sequence[Finding]) -> Iterator[Finding]:
    """What the columns of the features tell together, without those that leak by `findings` or that crm.toml
    insists on: the columns that carry it as suspects, and a warning with the figure."""
    leads = _Leads.from_loaded(loaded)
    if leads is None:
        return
    columns = [_look_at(name, loaded, leads) for name in _kept_columns(loaded, findings)]
    if not columns:
        return
    telling = _measure(columns, leads)
    if telling.low <= TELLING:
        return
    unclear = [column for column in columns if not column.is_known_before]
    of_unclear = _measure(unclear, leads) if 0 < len(unclear) < len(columns) else telling
    if not unclear or of_unclear.low <= TELLING or of_unclear.movement.is_known_before:
        yield _predicts_close(telling)
        return
    telling = of_unclear
    left_out, rest = _leave_out(unclear, telling, leads)
    suspected = {f.column for f in findings if f.severity == "suspect"}
    for column in left_out:
        if column.name not in suspected and column.separation.errors >= BEYOND_CHANCE:
            yield replace(_carries(column.name, column.separation.auc, telling), is_used=True)
    yield _tell_together(telling, left_out, rest)


def _kept_columns(loaded: Loaded, findings: Sequence[Finding]) -> list[str]:
    leaking = {f.column for f in findings if f.severity == "leak"}
    uses = loaded.settings.table.column_uses
    remaining = [use.column for use in uses if use.availability != "history" and not use.insist]
    attributes, with_history = loaded.crm.attributes, loaded.crm.changes
    return [
        c for c in dict.fromkeys(remaining) if c in attributes and c not in leaking and c not in with_history
    ]


def _look_at(name: str, loaded: Loaded, leads: _Leads) -> _Column:
    level, count = to_levels(take(loaded.crm.attributes[name], leads.row), leads.use)
    separation = separate(level[leads.use], count, leads.sides)
    unlearnt = np.ones(len(level), dtype=bool)
    unlearnt[np.flatnonzero(leads.use)[::2]] = False
    movement = measure_movement(separation.score[level[unlearnt]], leads.closed[unlearnt])
    return _Column(name, one_hot(level, count), separation, movement)


def _measure(columns: Sequence[_Column], leads: _Leads) -> _Telling:
    """What a logistic regression tells by some columns, each lead by one that did not learn from it."""
    score = _cross_fit(csr_array(hstack([column.terms for column in columns])), leads)
    compared = score[leads.use]
    auc, _ = banded_auc(np.arange(len(compared)), compared, leads.sides)
    error = _auc_error(auc, leads.sides)
    low, high = max(auc - _NORMAL_95 * error, 0.0), min(auc + _NORMAL_95 * error, 1.0)
    return _Telling(auc, low, high, measure_movement(score, leads.closed))


def _cross_fit(terms: csr_array, leads: _Leads) -> Floats:
    fold = np.arange(len(leads.row)) % _FOLDS
    offset = np.zeros(len(leads.row))
    offset[leads.use] = np.log(leads.sides.chance / (1 - leads.sides.chance))
    score = np.zeros(len(leads.row))
    for k in range(_FOLDS):
        learnt, rest = np.flatnonzero(leads.use & (fold != k)), np.flatnonzero(fold == k)
        weights = fit_logistic(terms[learnt], leads.closed[learnt], offset[learnt])
        score[rest] = terms[rest] @ weights
    return score


def _auc_error(auc: float, sides: Sides) -> float:
    """The standard error of the ROC AUC over pairs within a band."""
    first = np.bincount(sides.band, sides.is_first).astype(np.int64)
    second = np.bincount(sides.band) - first
    bands = np.flatnonzero(first * second).tolist()
    errors = np.array([auc_error(auc, int(first[band]), int(second[band])) for band in bands])
    pairs = (first * second)[bands]
    return float(np.sqrt(((pairs * errors) ** 2).sum()) / pairs.sum())


def _leave_out(
    columns: Sequence[_Column], telling: _Telling, leads: _Leads
) -> tuple[list[_Column], _Telling]:
    """Leave out the column that separates best alone, until the others tell nothing; and what they tell."""
    remaining, left_out = list(columns), list[_Column]()
    while telling.auc > TELLING and not telling.movement.is_known_before and len(left_out) < _MAX_LEFT_OUT:
        candidates = [column for column in remaining if column.separation.auc >= _CARRIES]
        if not candidates or len(remaining) == 1:
            break
        worst = max(candidates, key=lambda column: column.separation.auc)
        remaining.remove(worst)
        left_out.append(worst)
        telling = _measure(remaining, leads)
    return left_out, telling


def _carries(name: str, auc: float, telling: _Telling) -> Finding:
    return Finding(
        code="tells_open_with_others",
        severity="suspect",
        column=name,
        en=(
            f"'{name}' (ROC AUC {auc:.2f} alone) is one of the columns that together tell open leads from "
            f"closed ones of the same age ({telling.format()}): it may change when the deal ends. {ADVICE_EN}"
        ),
        ja=(
            f"「{name}」（単独でROC AUC {auc:.2f}）は、他の項目と合わせると、同じ時期に作成された"
            f"進行中とクローズ済みのリードを見分けられる項目の一つです（{telling.format()}）。"
            f"案件の終了時に変わる可能性があります。{ADVICE_JA}"
        ),
    )


def _tell_together(telling: _Telling, left_out: Sequence[_Column], rest: _Telling) -> Finding:
    names = ", ".join(f"'{column.name}'" for column in left_out)
    names_ja = "、".join(f"「{column.name}」" for column in left_out)
    return Finding(
        code="tell_open_together",
        severity="warning",
        en=(
            f"Together the columns of the features tell open leads from closed ones of the same age "
            f"({telling.format()}; at most {TELLING:g} is expected). Without {names} it is {rest.auc:.2f}. "
            "Either they change when the deal ends, or open leads are of another kind: see when they are "
            "written, and give their history in [changes] or leave them out."
        ),
        ja=(
            "特徴量の項目を合わせると、同じ時期に作成された進行中とクローズ済みのリードを見分けられます"
            f"（{telling.format()}、目安は{TELLING:g}以下）。{names_ja}を除くと{rest.auc:.2f}です。"
            "案件の終了時に変わる項目か、進行中のリードの性質が異なるかのどちらかです。いつ書き込まれる項目かを確認し、"
            "[changes]で変更履歴を渡すか、特徴量から外してください。"
        ),
    )


def _predicts_close(telling: _Telling) -> Finding:
    return Finding(
        code="predicts_close",
        severity="note",
        en=(
            f"The columns of the features tell which leads close sooner ({telling.format()} between closed "
            "and open leads of the same age), but do not become more common as leads close: they were known "
            "before."
        ),
        ja=(
            "特徴量の項目から、どのリードが早くクローズするかが分かります（同じ時期に作成されたクローズ済みと進行中の間で"
            f"{telling.format()}）。クローズが進んでも値は増えていないため、事前に分かっていた項目とみられます。"
        ),
    )
