"""Scoring a list: every open lead gets a decision by model and rules, with reasons and an action.

Chunks are stored in a folder next to the output; an interrupted run continues from them.
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

from features.columns import Floats, Texts, is_missing
from features.crm_data import Crm
from features.errors import DataError
from features.files import atomic_file
from features.kinds import Language
from features.many_leads import Histories, ManyLeads
from features.moments import open_leads
from scoring.decision.batch_scores import BatchScores
from scoring.decision.overrides import Override
from scoring.decision.scorer import Scorer
from training.lists.output import DEFAULT_TABLE, check_output, write_output
from training.lists.table import build_scores_table, reasons_json, with_model_reasons

ReasonScope: TypeAlias = Literal["top", "all", "none"]
SortKey: TypeAlias = Literal["score", "expected_value"]
Progress: TypeAlias = Callable[[int, int], None]
CHUNK, FIRST = 50_000, 10


@dataclass(frozen=True)
class ListRequest:
    """The output `to` of a list, its moment `as_of` (ms UTC; ignored without dates), and its options.

    `reasons` are those of the model: for the first `top` leads, for all, or for none; reasons of the rules
    are always included. `has_mark`: a CSV file begins with a byte order mark; by default if it is Japanese.
    `sort`: by score, or by expected value (leads without one come last, by score).
    """

    to: str
    as_of: int
    reasons: ReasonScope = "top"
    top: int = 1000
    lang: Language = "en"
    table: str = DEFAULT_TABLE
    overrides: Mapping[str, Override] = field(default_factory=dict)
    has_mark: bool | None = None
    sort: SortKey = "score"

    @property
    def begins_with_mark(self) -> bool:
        """Whether a CSV file gets the byte order mark."""
        return self.lang == "ja" if self.has_mark is None else self.has_mark


@dataclass(frozen=True)
class ScoredLeads:
    """The list, highest score or expected value first.

    `rows` are the rows of its leads in the CRM, `first` the scores of the first FIRST leads.
    """

    table: pa.Table
    rows: NDArray[np.int32]
    first: BatchScores


def score_list(
    crm: Crm, scorer: Scorer, roles: Mapping[str, str], request: ListRequest, progress: Progress
) -> ScoredLeads:
    """Score all open leads and write the list. Raises DataError if no lead is open.

    `roles` are the columns of budget, authority, need and timing; `progress` is called with the
    completed and the total number of leads.
    """
    check_output(request.to)
    leads = open_leads(crm, request.as_of)
    if not len(leads):
        raise DataError("There is no open lead to score: every lead is closed (or created later).")
    work = _Work(crm, scorer, roles, request, leads)
    scores = pa.concat_tables(work.chunks(progress)).unify_dictionaries()
    first = _sort_leads(scores, request.sort)
    table = work.add_reasons(scores.take(pa.array(first)), leads[first])
    write_output(table, request.to, request.table, request.begins_with_mark)
    shutil.rmtree(work.folder, ignore_errors=True)
    return ScoredLeads(table, leads[first], work.score_leads(leads[first][:FIRST]))


def _sort_leads(scores: pa.Table, key: SortKey) -> NDArray[np.intp]:
    """The places of the leads, best first."""
    probability = pc.fill_null(scores["probability"], 0).to_numpy()
    value = (
        pc.fill_null(scores["expected_value"], -1).to_numpy() if key == "expected_value" else 0 * probability
    )
    return np.lexsort((-probability, -scores["score"].to_numpy(), -value))


class _Work:
    """The state of a list that is being scored."""

    def __init__(
        self,
        crm: Crm,
        scorer: Scorer,
        roles: Mapping[str, str],
        request: ListRequest,
        leads: NDArray[np.int32],
    ) -> None:
        self.crm, self.scorer, self.roles = crm, scorer, roles
        self.request, self.leads = request, leads
        self.amounts = crm.amounts_at(request.as_of)
        self.histories = Histories(crm)
        self.folder = _work_folder(request)
        self.reasons_cache: dict[bytes, str] = {}

    def chunks(self, progress: Progress) -> Iterator[pa.Table]:
        """The scores by chunk; completed chunks of an interrupted run are read from their files."""
        self._begin()
        for start in range(0, len(self.leads), CHUNK):
            path = self.folder / f"{start:012d}.parquet"
            if not path.exists():
                self._write(path, self.leads[start : start + CHUNK])
            chunk = pq.read_table(path)
            progress(start + len(chunk), len(self.leads))
            yield chunk

    def add_reasons(self, table: pa.Table, leads: NDArray[np.int32]) -> pa.Table:
        """The output table with the requested reasons of the model."""
        reasons = np.full(len(leads), None, dtype=object)
        explained = self._rows_to_explain(table)
        for start in range(0, len(explained), CHUNK):
            places = explained[start : start + CHUNK]
            columns = self.scorer.table.compute_many(self._view(leads[places]))
            answers = self.scorer.model_reasons(columns, self.request.lang)
            reasons[places] = [reasons_json(lead_reasons) for lead_reasons in answers]
        return with_model_reasons(table, reasons)

    def score_leads(self, leads: NDArray[np.int32]) -> BatchScores:
        request, view = self.request, self._view(leads)
        known_roles = {role: ~is_missing(view.text(column)) for role, column in self.roles.items()}
        as_of = request.as_of if self.crm.order == "date" else None
        ids, columns = self.crm.lead_ids[leads].tolist(), self.scorer.table.compute_many(view)
        amounts = None if self.amounts is None else self.amounts[leads]
        return self.scorer.score_batch(ids, columns, as_of, known_roles, request.overrides, amounts=amounts)

    def _rows_to_explain(self, table: pa.Table) -> NDArray[np.intp]:
        """The positions in the list that get reasons of the model, among the leads that it scored."""
        place, answered = np.arange(len(table)), table["probability"].is_valid().to_numpy()
        if self.request.reasons == "none":
            return place[:0]
        if self.request.reasons == "all":
            return np.asarray(place[answered])
        return np.asarray(place[answered & (place < self.request.top)])

    def _view(self, leads: NDArray[np.int32]) -> ManyLeads:
        return ManyLeads(self.histories, leads, np.full(len(leads), self.request.as_of, dtype=np.int64))

    def _begin(self) -> None:
        """Reuse the chunks of an interrupted run of the same list; delete those of another list."""
        expected = self._manifest()
        manifest = self.folder / "manifest.json"
        if not manifest.exists() or json.loads(manifest.read_text(encoding="utf-8")) != expected:
            shutil.rmtree(self.folder, ignore_errors=True)
            with atomic_file(manifest) as part:
                part.write_text(json.dumps(expected), encoding="utf-8")

    def _manifest(self) -> dict[str, Any]:
        judge, request = self.scorer.calibrated_model, self.request
        return {
            "model": judge and judge.model.version,
            "scale": judge and asdict(judge.scale),
            "scorecard": self.scorer.card.version,
            "fallback": self.scorer.fallback,
            "features": self.scorer.table.fingerprint,
            "overrides": {i: asdict(o) for i, o in request.overrides.items()},
            "lang": request.lang,
            "roles": dict(self.roles),
            "as_of": request.as_of,
            "chunk": CHUNK,
            "data": _fingerprint(self.crm, self.leads, self.amounts),
        }

    def _write(self, path: Path, leads: NDArray[np.int32]) -> None:
        table = build_scores_table(self.score_leads(leads), self.request.lang, self.reasons_cache)
        with atomic_file(path) as part:
            pq.write_table(table, part)


def _fingerprint(crm: Crm, leads: NDArray[np.int32], amounts: Floats | None) -> str:
    """A digest of all data that the scores of these leads depend on."""
    hasher = hashlib.blake2b(digest_size=8)
    activities, columns = crm.activities, dict(crm.attributes)
    arrays = [leads, crm.created, crm.account, activities.lead, activities.time_ms, activities.type]
    arrays += [values for values in (activities.value, amounts) if values is not None]
    for name, history in crm.changes.items():
        arrays += [history.lead, history.time_ms]
        columns[f"{name} changed"] = history.value
    for name, column in columns.items():
        hasher.update(repr((name, getattr(column, "categories", None))).encode())
        arrays.append(column.codes if isinstance(column, Texts) else column)
    hasher.update(repr(activities.types).encode())
    for array in arrays:
        hasher.update(np.ascontiguousarray(array).data)
    return hasher.hexdigest()


def _work_folder(request: ListRequest) -> Path:
    """The folder of the chunks: next to an output file, in the current folder for a database."""
    if "://" in request.to:
        name = hashlib.sha256(f"{request.to} {request.table}".encode()).hexdigest()[:12]
        return Path(f".hotlead-scoring-{name}")
    return Path(request.to).with_name(f".{Path(request.to).name}.scoring")
