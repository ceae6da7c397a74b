"""Scoring a list: every open lead gets a decision by model and rules, with reasons and an action.

Work goes chunk by chunk into a folder beside the output; an interrupted run goes on from there.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from features.columns import Column, Texts, missing
from features.crm_data import Crm
from features.errors import DataError
from features.files import whole_file
from features.kinds import Language
from features.many_leads import Histories, ManyLeads
from features.moments import open_leads
from scoring.decision.batch_scores import Answers
from scoring.decision.overrides import Override
from scoring.decision.scorer import Scorer
from training.lists.output import DEFAULT_TABLE, check_output, write_output
from training.lists.table import COLUMNS, answers_table, reasons_json

Wanted: TypeAlias = Literal["top", "all", "none"]
Progress: TypeAlias = Callable[[int, int], None]
CHUNK, FIRST = 50_000, 10


@dataclass(frozen=True)
class Order:
    """What is asked for: where the list goes, as of when (ms UTC; ignored without dates), and which
    leads get the model's reasons: the `top` first ones, all, or none (the rules' reasons go to all)."""

    to: str
    as_of: int
    reasons: Wanted = "top"
    top: int = 1000
    lang: Language = "en"
    table: str = DEFAULT_TABLE
    overrides: Mapping[str, Override] = field(default_factory=dict)


@dataclass(frozen=True)
class Scored:
    """The list, highest score first: its columns are those of `COLUMNS`; `rows` are its leads' rows of
    the CRM, `first` the answers on the first FIRST of them."""

    table: pa.Table
    rows: NDArray[np.int32]
    first: Answers


def score_list(
    crm: Crm, scorer: Scorer, roles: Mapping[str, str], order: Order, progress: Progress
) -> Scored:
    """Score all open leads and write the list. Raises DataError where no lead is open.

    `roles` are the columns of budget, authority, need and timing. `progress` is told how many leads
    are done, of how many.
    """
    check_output(order.to)
    leads = open_leads(crm, order.as_of)
    if not len(leads):
        raise DataError("There is no open lead to score: every lead is closed (or created later).")
    work = _Work(crm, scorer, roles, order, leads)
    told = pa.concat_tables(work.chunks(progress)).unify_dictionaries()
    probability = pc.fill_null(told["probability"], 0).to_numpy()
    first = np.lexsort((-probability, -told["score"].to_numpy()))
    table = work.listed(told.take(pa.array(first)), leads[first])
    write_output(table, order.to, order.table)
    shutil.rmtree(work.folder, ignore_errors=True)
    return Scored(table, leads[first], work.answers(leads[first][:FIRST]))


class _Work:
    """One list in the making."""

    def __init__(
        self,
        crm: Crm,
        scorer: Scorer,
        roles: Mapping[str, str],
        order: Order,
        leads: NDArray[np.int32],
    ) -> None:
        self.crm, self.scorer, self.roles = crm, scorer, roles
        self.order, self.leads = order, leads
        self.histories = Histories(crm)
        self.folder = _work_folder(order)
        self.rules_told: dict[bytes, str] = {}

    def chunks(self, progress: Progress) -> Iterator[pa.Table]:
        """The answers, chunk by chunk; chunks that are done are read again."""
        self._begin()
        for start in range(0, len(self.leads), CHUNK):
            path = self.folder / f"{start:012d}.parquet"
            if not path.exists():
                self._write(path, self.leads[start : start + CHUNK])
            told = pq.read_table(path)
            progress(start + len(told), len(self.leads))
            yield told

    def listed(self, told: pa.Table, leads: NDArray[np.int32]) -> pa.Table:
        """The output, with the model's reasons where they are asked for."""
        reasons = np.full(len(leads), None, dtype=object)
        for places in _chunked(self._explained(told)):
            explained = self.scorer.reasons(self._columns(leads[places]), self.order.lang)
            reasons[places] = [reasons_json(each) for each in explained]
        told = told.append_column("model_reasons", pa.array(reasons, pa.string()))
        return told.select(COLUMNS)

    def answers(self, leads: NDArray[np.int32]) -> Answers:
        """The answers on some leads."""
        order, moments = self.order, np.full(len(leads), self.order.as_of, dtype=np.int64)
        view = ManyLeads(self.histories, leads, moments)
        known = {role: ~missing(view.text(column)) for role, column in self.roles.items()}
        as_of = order.as_of if self.crm.order == "date" else None
        ids, columns = self.crm.lead_ids[leads].tolist(), self.scorer.table.many(view)
        return self.scorer.answers(ids, columns, as_of, known, order.overrides)

    def _explained(self, told: pa.Table) -> NDArray[np.intp]:
        """The places in the list that get the model's reasons: of those that the model answered for."""
        place, answered = np.arange(len(told)), told["probability"].is_valid().to_numpy()
        if self.order.reasons == "none":
            return place[:0]
        if self.order.reasons == "all":
            return np.asarray(place[answered])
        return np.asarray(place[answered & (place < self.order.top)])

    def _columns(self, leads: NDArray[np.int32]) -> dict[str, Column]:
        moments = np.full(len(leads), self.order.as_of, dtype=np.int64)
        return self.scorer.table.many(ManyLeads(self.histories, leads, moments))

    def _begin(self) -> None:
        """Keep what an interrupted run of the same list left; begin anew otherwise."""
        told = self._manifest()
        manifest = self.folder / "manifest.json"
        if not manifest.exists() or json.loads(manifest.read_text(encoding="utf-8")) != told:
            shutil.rmtree(self.folder, ignore_errors=True)
            with whole_file(manifest) as part:
                part.write_text(json.dumps(told), encoding="utf-8")

    def _manifest(self) -> dict[str, Any]:
        judge, order = self.scorer.judge, self.order
        overrides = {i: asdict(o) for i, o in order.overrides.items()}
        return {
            "model": judge and judge.model.version,
            "scale": judge and asdict(judge.scale),
            "scorecard": self.scorer.card.version,
            "fallback": self.scorer.fallback,
            "features": self.scorer.table.fingerprint,
            "overrides": overrides,
            "lang": order.lang,
            "roles": dict(self.roles),
            "as_of": order.as_of,
            "chunk": CHUNK,
            "data": _fingerprint(self.crm, self.leads),
        }

    def _write(self, path: Path, leads: NDArray[np.int32]) -> None:
        table = answers_table(self.answers(leads), self.order.lang, self.rules_told)
        with whole_file(path) as part:
            pq.write_table(table, part)


def _fingerprint(crm: Crm, leads: NDArray[np.int32]) -> str:
    """Changes with anything that a probability of these leads may rest on."""
    told = hashlib.blake2b(digest_size=8)
    activities, columns = crm.activities, dict(crm.attributes)
    arrays = [leads, crm.created, crm.account, activities.lead, activities.at, activities.type]
    arrays += [] if activities.value is None else [activities.value]
    for name, history in crm.changes.items():
        arrays += [history.lead, history.at]
        columns[f"{name} changed"] = history.value
    for name, column in columns.items():
        told.update(repr((name, getattr(column, "categories", None))).encode())
        arrays.append(column.codes if isinstance(column, Texts) else column)
    told.update(repr(activities.types).encode())
    for array in arrays:
        told.update(np.ascontiguousarray(array).data)
    return told.hexdigest()


def _work_folder(order: Order) -> Path:
    """Beside a file; in the present folder for a database."""
    if "://" in order.to:
        name = hashlib.sha256(f"{order.to} {order.table}".encode()).hexdigest()[:12]
        return Path(f".hotlead-scoring-{name}")
    return Path(order.to).with_name(f".{Path(order.to).name}.scoring")


def _chunked(rows: NDArray[np.intp]) -> Iterator[NDArray[np.intp]]:
    for start in range(0, len(rows), CHUNK):
        yield rows[start : start + CHUNK]
