"""The evidence table: the newest closed deals that a model was evaluated on, with their features.

Thresholds, comparison, replay and the gate are computed from it alone, without the CRM. A row is an
example (a lead at a moment). Leads have pseudonyms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from features.columns import Bools, Column, Floats, Ints, Texts, take
from features.errors import DataError
from scoring.model.pseudonyms import KEY_ID, Pseudonyms, read_key_id
from scoring.statistics.paired_differences import LabeledLeads

MODEL, POINTS, SERVED = "model", "points", "served"
"""Keys of `scores`: the model as evaluated, the scorecard calibrated on the same older deals, and the model
that serves, each row by a fit that did not see it."""

_FEATURE, _SEGMENT, _SCORE, _REASON = "feature:", "segment:", "score:", "reason:"
_DATED = "hotlead.dated"
_ARRAYS = ("lead", "group", "moment", "landmark", "won", "amount")
_TABLES = ("scores", "features", "segments", "reasons")


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Columns of equal length. `moment` is ms UTC (if `dated`, else a rank), `landmark` the lead's age
    in days.

    `scores` are log-odds by their source: "model", its parts "points" (with a scorecard), "linear" and
    "trees", "served", and the baselines. `reasons` are the contributions of each feature to the model's
    score, nan in rows for which they were not computed. `key_id` names the key of the pseudonyms; evidence
    of earlier versions has none.
    """

    lead: NDArray[np.object_]
    group: NDArray[np.int32]
    moment: Ints
    landmark: NDArray[np.float32]
    won: Bools
    amount: Floats
    scores: Mapping[str, Floats]
    features: Mapping[str, Column]
    segments: Mapping[str, Texts]
    reasons: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    dated: bool = True
    key_id: str = ""

    def __len__(self) -> int:
        return len(self.won)

    def check_not_empty(self) -> None:
        """Raise DataError for a table without rows."""
        if not len(self):
            raise DataError("There is no closed deal to judge on. Train again when some have closed.")

    @property
    def served(self) -> Floats:
        """(rows,) log-odds as the model in use gives them; those of the evaluated one in older evidence."""
        return self.scores.get(SERVED, self.scores[MODEL])

    @property
    def judged(self) -> LabeledLeads:
        """The outcomes of the rows, for measuring."""
        return LabeledLeads(self.won, self.amount, self.group)

    def take(self, rows: NDArray[np.integer] | Bools) -> Evidence:
        places = np.arange(len(self))[rows]

        def take_columns(columns: Mapping[str, Any]) -> dict[str, Any]:
            return {name: take(column, places) for name, column in columns.items()}

        columns: dict[str, Any] = {name: getattr(self, name)[rows] for name in _ARRAYS}
        columns |= {name: take_columns(getattr(self, name)) for name in _TABLES}
        return replace(self, **columns)

    def with_pseudonyms(self, pseudonyms: Pseudonyms) -> Evidence:
        """The same leads under a key, where they have the pseudonyms of an earlier version."""
        if self.key_id:
            return self
        lead = np.array([pseudonyms.derive_from_former(name) for name in self.lead], dtype=object)
        return replace(self, lead=lead, key_id=pseudonyms.key_id)

    def save(self, path: Path) -> None:
        """Write as Parquet."""
        columns: dict[str, pa.Array] = {"lead": pa.array(self.lead.tolist(), pa.string())}
        columns |= {name: pa.array(getattr(self, name)) for name in ("group", "moment", "landmark", "won")}
        columns["amount"] = pa.array(self.amount, from_pandas=True)
        columns |= {_SCORE + name: pa.array(values) for name, values in self.scores.items()}
        columns |= {_FEATURE + name: _to_arrow(values) for name, values in self.features.items()}
        columns |= {_SEGMENT + name: _to_arrow(values) for name, values in self.segments.items()}
        columns |= {_REASON + name: pa.array(values) for name, values in self.reasons.items()}
        table = pa.table(columns).replace_schema_metadata({_DATED: str(self.dated), KEY_ID: self.key_id})
        pq.write_table(table, path, compression="zstd")

    @staticmethod
    def load(path: Path) -> Evidence:
        """Read a table that `save` wrote. Raises DataError if it is damaged."""
        try:
            with pq.ParquetFile(path) as file:  # `read_table` would load pandas
                table = file.read()
        except (pa.ArrowException, OSError) as problem:
            raise DataError(
                "{path}: is no whole evidence table ({problem}). Train again.", path=path, problem=problem
            ) from None

        def read_numbers(name: str) -> Floats:
            return np.asarray(table[name].to_numpy(), dtype=np.float64)

        def read_columns(prefix: str) -> dict[str, Column]:
            names = [n for n in table.column_names if n.startswith(prefix)]
            return {n.removeprefix(prefix): _from_arrow(table[n]) for n in names}

        return Evidence(
            lead=np.array(table["lead"].to_pylist(), dtype=object),
            group=table["group"].to_numpy().astype(np.int32),
            moment=table["moment"].to_numpy(),
            landmark=table["landmark"].to_numpy(),
            won=table["won"].to_numpy(),
            amount=read_numbers("amount"),
            scores={n: np.asarray(v) for n, v in read_columns(_SCORE).items() if not isinstance(v, Texts)},
            features=read_columns(_FEATURE),
            segments={n: v for n, v in read_columns(_SEGMENT).items() if isinstance(v, Texts)},
            reasons={n: np.asarray(v, np.float32) for n, v in read_columns(_REASON).items()},
            dated=(table.schema.metadata or {}).get(_DATED.encode()) != b"False",
            key_id=read_key_id(table.schema),
        )


def _to_arrow(column: Column) -> pa.Array:
    if isinstance(column, Texts):
        codes = pa.array(column.codes, mask=column.codes < 0)
        return pa.DictionaryArray.from_arrays(codes, pa.array(list(column.categories), pa.string()))
    return pa.array(column, from_pandas=True)


def _from_arrow(array: pa.ChunkedArray) -> Column:
    if not pa.types.is_dictionary(array.type):
        return np.asarray(array.to_numpy(), dtype=np.float64)
    combined = array.unify_dictionaries().combine_chunks()
    chunk = combined if isinstance(combined, pa.DictionaryArray) else combined.chunk(0)
    codes = chunk.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)
    return Texts(codes, tuple(chunk.dictionary.to_pylist()))
