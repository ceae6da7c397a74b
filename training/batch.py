"""Scoring a list: every open lead gets a probability, the likeliest their reasons.

Work goes chunk by chunk into a folder beside the output; an interrupted run goes on from there.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from features.clock import from_ms
from features.columns import Column, Floats, Ints, Texts
from features.crm import Crm
from features.errors import DataError
from features.files import whole_file
from features.kinds import Language
from features.many_leads import Histories, ManyLeads
from features.moments import open_leads
from scoring.model import Model
from scoring.reasons import MOST_REASONS, Reason, strongest
from training.outputs import DEFAULT_TABLE, check_output, write_output

Wanted: TypeAlias = Literal["top", "all", "none"]
Progress: TypeAlias = Callable[[int, int], None]
CHUNK = 50_000


@dataclass(frozen=True)
class Order:
    """What is asked for: where the list goes, as of when (ms UTC; ignored without dates), and which
    leads get reasons: the `top` likeliest, all, or none."""

    to: str
    as_of: int
    reasons: Wanted = "top"
    top: int = 1000
    lang: Language = "en"
    table: str = DEFAULT_TABLE


@dataclass(frozen=True)
class Scored:
    """The list, likeliest first: columns lead_id, probability, reasons (JSON), model_version, as_of."""

    table: pa.Table
    rows: NDArray[np.int32]


def score_list(crm: Crm, model: Model, order: Order, progress: Progress) -> Scored:
    """Score all open leads and write the list. Raises DataError where no lead is open.

    `progress` is told how many leads are done, of how many.
    """
    check_output(order.to)
    leads = open_leads(crm, order.as_of)
    if not len(leads):
        raise DataError("There is no open lead to score: every lead is closed (or created later).")
    work = _Work(crm, model, order, leads)
    probability = np.concatenate(list(work.probabilities(progress)))
    likeliest = np.argsort(-probability, kind="stable")
    table = work.listed(probability, likeliest)
    write_output(table, order.to, order.table)
    shutil.rmtree(work.folder, ignore_errors=True)
    return Scored(table, leads[likeliest])


class _Work:
    """One list in the making."""

    def __init__(self, crm: Crm, model: Model, order: Order, leads: NDArray[np.int32]) -> None:
        self.crm, self.model, self.order, self.leads = crm, model, order, leads
        self.histories = Histories(crm)
        self.folder = _work_folder(order)

    def probabilities(self, progress: Progress) -> Iterator[Floats]:
        """The probability of each lead, chunk by chunk; chunks that are done are read again."""
        self._begin()
        for start in range(0, len(self.leads), CHUNK):
            path = self.folder / f"{start:012d}.parquet"
            if not path.exists():
                self._write(path, self.leads[start : start + CHUNK])
            told = pq.read_table(path)["probability"].to_numpy()
            progress(start + len(told), len(self.leads))
            yield told

    def listed(self, probability: Floats, likeliest: NDArray[np.intp]) -> pa.Table:
        """The output: likeliest first, with the reasons that are asked for."""
        leads = self.leads[likeliest]
        count = {"none": 0, "top": min(self.order.top, len(leads)), "all": len(leads)}
        reasons: list[str | None] = []
        for chunk in _chunked(leads[: count[self.order.reasons]]):
            reasons.extend(self._reasons(chunk))
        reasons.extend([None] * (len(leads) - len(reasons)))
        as_of = from_ms(self.order.as_of)
        return pa.table({
            "lead_id": pa.array(self.crm.lead_ids[leads].tolist(), pa.string()),
            "probability": pa.array(probability[likeliest]),
            "reasons": pa.array(reasons, pa.string()),
            "model_version": pa.repeat(pa.scalar(self.model.version), len(leads)),
            "as_of": pa.repeat(pa.scalar(as_of, pa.timestamp("ms", "UTC")), len(leads)),
        })  # fmt: skip

    def _begin(self) -> None:
        """Keep what an interrupted run of the same list left; begin anew otherwise."""
        told = self._manifest()
        manifest = self.folder / "manifest.json"
        if not manifest.exists() or json.loads(manifest.read_text(encoding="utf-8")) != told:
            shutil.rmtree(self.folder, ignore_errors=True)
            with whole_file(manifest) as part:
                part.write_text(json.dumps(told), encoding="utf-8")

    def _manifest(self) -> dict[str, Any]:
        return {
            "model": self.model.version, "as_of": self.order.as_of, "chunk": CHUNK,
            "data": _fingerprint(self.crm, self.leads),
        }  # fmt: skip

    def _write(self, path: Path, leads: NDArray[np.int32]) -> None:
        probability = self.model.probability(self._columns(leads))
        with whole_file(path) as part:
            pq.write_table(pa.table({"probability": probability}), part)

    def _columns(self, leads: NDArray[np.int32]) -> Mapping[str, Column]:
        return self.model.table.many(
            ManyLeads(self.histories, leads, _moments(leads, self.order.as_of))
        )

    def _reasons(self, leads: NDArray[np.int32]) -> Iterator[str]:
        columns = self._columns(leads)
        explained = self.model.explain(self.model.encoding.matrix(columns))
        values = [c.plain() if isinstance(c, Texts) else c.tolist() for c in columns.values()]
        for row, contributions in enumerate(explained.contributions):
            told = strongest(
                explained.features, [v[row] for v in values], contributions, MOST_REASONS
            )
            yield json.dumps([self._plain(reason) for reason in told], ensure_ascii=False)

    def _plain(self, reason: Reason) -> dict[str, object]:
        told = asdict(reason) | {"text": reason.text(self.model.table, self.order.lang)}
        told["contribution"] = round(reason.contribution, 4)
        told["value"] = None if reason.value != reason.value else reason.value
        return told


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


def _moments(leads: NDArray[np.int32], as_of: int) -> Ints:
    return np.full(len(leads), as_of, dtype=np.int64)


def _chunked(leads: NDArray[np.int32]) -> Iterator[NDArray[np.int32]]:
    for start in range(0, len(leads), CHUNK):
        yield leads[start : start + CHUNK]
