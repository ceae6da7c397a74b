"""One lead, one score: what a lead's features and scores are in the list of `hotlead score`, by id from the
store, with the lead in the body of a request, in a batch, as `hotlead import` stored them, and on the pages.

The list is the reference: it is made from the export as training reads it.
"""

from __future__ import annotations

import csv
import math
import os
import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from html import unescape
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from features.clock import from_ms, now_ms
from features.columns import Texts, normalize_text
from features.crm.extra_columns import read_extra_columns
from features.crm.load import Loaded, load
from features.many_leads import Histories, ManyLeads
from features.settings import CrmSettings, load_settings
from serving.leads.field_types import AttributeSchema
from serving.leads.lead_facts import LeadFacts, facts_from_store, parse_lead
from serving.store.store import Store
from tests.helpers.service.review_site import Reviewer
from tests.helpers.service.service_app import App
from tests.helpers.small_crm import run

LEADS, PAGES, TOLERANCE = 1_000, 20, 1e-9
Days: TypeAlias = tuple[float | None, float | None]
ShownScore: TypeAlias = tuple[int, str, float | None, *Days] | tuple[int, str, float | None] | tuple[int, str]
"""Score, stage, probability and days to the win (None: the model did not answer or knows none); pages show
no exact numbers, and the store none of the days."""
ScoreReader: TypeAlias = Callable[[Sequence[str]], Mapping[str, ShownScore]]
_NUMBERS = ("probability", "days_to_win_median", "days_to_win_p80")
Post: TypeAlias = Callable[[str, Any], Any]
"""Posts a body to a path of the service as of the moment; the parsed answer."""


@dataclass(frozen=True)
class ScoreDifference:
    """A lead whose score (or one `feature` of it) is another one at a `place` than in the list."""

    lead_id: str
    place: str
    expected: object
    actual: object
    feature: str | None = None

    def __str__(self) -> str:
        about = f" feature {self.feature!r}:" if self.feature else ""
        return f"lead {self.lead_id}, {self.place}:{about} {self.actual!r} instead of {self.expected!r}"


@dataclass(frozen=True)
class ExportedLeads:
    """The open leads of an export as of a moment (ms UTC), and what a CRM would send of them."""

    loaded: Loaded
    moment: int

    @staticmethod
    def read(crm_toml: Path, moment: int) -> ExportedLeads:
        return ExportedLeads(load(load_settings(crm_toml), crm_toml.parent / "rejects.csv", False), moment)

    @property
    def settings(self) -> CrmSettings:
        return self.loaded.settings

    @cached_property
    def row_of(self) -> Mapping[str, int]:
        return {str(lead_id): row for row, lead_id in enumerate(self.loaded.crm.lead_ids)}

    @cached_property
    def _accounts(self) -> list[str | None]:
        return read_extra_columns(self.loaded).accounts

    @cached_property
    def _activities_by_row(self) -> Mapping[int, list[dict[str, object]]]:
        """Those of people and of machines: a CRM sends both."""
        by_row, crm = dict[int, list[dict[str, object]]](), self.loaded.crm
        for activities in (crm.activities, crm.bots.activities):
            for place, row in enumerate(activities.lead.tolist()):
                value = None if activities.value is None else float(activities.value[place])
                value_field = {} if value is None or math.isnan(value) else {"value": value}
                kind, moment = activities.types[activities.type[place]], _iso(int(activities.time_ms[place]))
                by_row.setdefault(row, []).append({"type": kind, "at": moment, **value_field})
        return by_row

    @cached_property
    def _changes_by_row(self) -> Mapping[int, list[dict[str, object]]]:
        by_row = dict[int, list[dict[str, object]]]()
        for column, history in self.loaded.crm.changes.items():
            rows, times, values = history.lead.tolist(), history.time_ms.tolist(), _to_list(history.value)
            for row, time_ms, value in zip(rows, times, values, strict=True):
                by_row.setdefault(row, []).append({"column": column, "at": _iso(time_ms), "value": value})
        return by_row

    @cached_property
    def _rows_by_account(self) -> Mapping[str, list[int]]:
        rows = dict[str, list[int]]()
        for row, account in enumerate(self._accounts):
            if account is not None:
                rows.setdefault(account, []).append(row)
        return rows

    def body(self, lead_id: str) -> dict[str, object]:
        """The lead as its CRM would send it: values as the export writes them."""
        row, crm = self.row_of[lead_id], self.loaded.crm
        account_rows = self._rows_by_account.get(self._accounts[row] or "", [])
        colleagues = [colleague for colleague in account_rows if colleague != row]
        others = [a for colleague in colleagues for a in self._activities_by_row.get(colleague, ())]
        table, wanted = self.loaded.leads, {*self.settings.columns} - crm.for_segments
        attributes = {c: _to_json(table[c][row]) for c in table.column_names if c in wanted}
        dates = {"created_at": _iso(int(crm.created[row]))} if self.settings.dated else {}
        parts = {
            "activities": self._activities_by_row.get(row, []),
            "changes": self._changes_by_row.get(row, []),
            "colleagues_activities": others,
        }
        return {
            "lead_id": lead_id,
            **dates,
            "attributes": attributes,
            **{k: v for k, v in parts.items() if v},
        }

    def values(self, lead_ids: Sequence[str]) -> list[dict[str, object]]:
        """The feature values as the list computes them."""
        rows = np.array([self.row_of[lead_id] for lead_id in lead_ids], dtype=np.int64)
        view = ManyLeads(Histories(self.loaded.crm), rows, np.full(len(rows), self.moment))
        columns = {name: _to_list(c) for name, c in self.settings.table.compute_many(view).items()}
        return [{name: column[i] for name, column in columns.items()} for i in range(len(rows))]


def find_feature_differences(
    leads: ExportedLeads, store: Store, lead_ids: Sequence[str]
) -> list[ScoreDifference]:
    """The features whose value from the store, or from the body of a request, is not that of the list."""
    schema = AttributeSchema.from_settings(leads.settings)
    stored = store.leads(list(lead_ids), leads.moment)
    differences: list[ScoreDifference] = []
    for lead_id, expected in zip(lead_ids, leads.values(lead_ids), strict=True):
        if lead_id not in stored:
            differences.append(ScoreDifference(lead_id, "store", "a lead", None))
            continue
        actual = {"store": facts_from_store(stored[lead_id], schema, None, leads.moment)}
        parsed = parse_lead(leads.body(lead_id), schema, None, as_of=leads.moment)
        actual |= {"body": parsed} if isinstance(parsed, LeadFacts) else {}
        for place, facts in actual.items():
            values = leads.settings.table.compute_one(facts.view(leads.moment))
            pairs = zip(expected.items(), values, strict=True)
            differences += [
                ScoreDifference(lead_id, place, value, computed, name)
                for (name, value), computed in pairs
                if not _is_same(value, computed)
            ]
    return differences


def find_score_differences(
    expected: Mapping[str, ShownScore], place: str, actual: Mapping[str, ShownScore]
) -> list[ScoreDifference]:
    """The leads that have another score at a place than in the list."""
    return [
        ScoreDifference(lead_id, place, expected[lead_id], score)
        for lead_id, score in actual.items()
        if not all(_is_same(*pair) for pair in zip(expected[lead_id], score, strict=False))
    ]


def compare_everywhere(crm_toml: Path, limit: int = LEADS) -> list[ScoreDifference]:
    """All differences of a CRM that was imported into the store of its service, over up to `limit` leads.

    All are scored as of the moment at which the import scored most of them.
    """
    imported, moment = _read_imported(crm_toml)
    leads = ExportedLeads.read(crm_toml, moment)
    # A list of leads of which all are closed needs their file: the leads of a file count as open.
    source = () if imported else ("--leads", _source_of(leads.settings))
    listed = list_scores(crm_toml, moment, *source)
    lead_ids = sorted(listed)
    np.random.default_rng(0).shuffle(lead_ids)
    lead_ids = lead_ids[:limit]
    with _service(crm_toml, moment - 1) as app:
        differences = find_feature_differences(leads, app.components.store, lead_ids)
        for place, actual in _read_places(app, leads, lead_ids, imported):
            differences += find_score_differences(listed, place, actual)
    return differences


def list_scores(crm_toml: Path, moment: int, *options: object) -> dict[str, ShownScore]:
    """The list of `hotlead score`, which must be the same as Parquet and as CSV."""
    parquet, text = crm_toml.parent / "same.parquet", crm_toml.parent / "same.csv"
    for path in (parquet, text):
        arguments = ("--to", path, "--as-of", _iso(moment), "--reasons", "none", *options)
        completed = run("score", crm_toml, *arguments)
        assert completed.returncode == 0, completed.stderr
    rows = pq.read_table(parquet, columns=["lead_id", "score", "stage", *_NUMBERS]).to_pylist()
    listed: dict[str, ShownScore] = {
        r["lead_id"]: (r["score"], r["stage"], *(r[name] for name in _NUMBERS)) for r in rows
    }
    with text.open(encoding="utf-8-sig", newline="") as file:
        lines = list(csv.DictReader(file))
    written: dict[str, ShownScore] = {
        r["lead_id"]: (int(r["score"]), r["stage"], *(_to_float(r[name]) for name in _NUMBERS)) for r in lines
    }
    assert not find_score_differences(listed, "CSV", written)
    assert listed.keys() == written.keys()
    return listed


def read_scores(
    post: Post, leads: ExportedLeads, lead_ids: Sequence[str]
) -> Iterator[tuple[str, Mapping[str, ShownScore]]]:
    """The scores by the API: one by one and in batches, by id and with the lead in the body."""
    bodies = {lead_id: leads.body(lead_id) for lead_id in lead_ids}
    yield "/v1/score by id", {i: _shown(post("/v1/score", {"lead_id": i})) for i in lead_ids}
    yield "/v1/score with body", {i: _shown(post("/v1/score", body)) for i, body in bodies.items()}
    batches = {"by id": [{"lead_id": lead_id} for lead_id in lead_ids], "with bodies": [*bodies.values()]}
    for place, batch in batches.items():
        yield f"/v1/score/batch {place}", _read_batch(post("/v1/score/batch", {"leads": batch}), lead_ids)


def _read_batch(answer: Any, lead_ids: Sequence[str]) -> dict[str, ShownScore]:
    return {i: _shown(result["answer"]) for i, result in zip(lead_ids, answer["results"], strict=True)}


def _read_places(
    app: App, leads: ExportedLeads, lead_ids: Sequence[str], imported: Mapping[str, ShownScore]
) -> Iterator[tuple[str, Mapping[str, ShownScore]]]:
    def post(path: str, body: Any) -> Any:
        answer = app.post(f"{path}?explain=none", body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    yield "import", {i: imported[i] for i in lead_ids if i in imported}
    yield from read_scores(post, leads, lead_ids)
    reviewer, wanted = Reviewer(app), {*lead_ids}
    yield "page of the lead", {i: _read_lead_page(reviewer, i) for i in lead_ids[:PAGES]}
    yield "call list", {i: s for i, s in _read_call_list(reviewer).items() if i in wanted and i in imported}


def _read_lead_page(reviewer: Reviewer, lead_id: str) -> ShownScore:
    page = reviewer.page(f"/review/leads/{quote(lead_id, safe='')}")
    assert page.status_code == 200, page.text
    tag = re.search(r'<span class="tag (\w+)">[^<]*?(\d+)</span>', page.text)
    assert tag is not None
    return int(tag[2]), tag[1]


def _read_call_list(reviewer: Reviewer) -> dict[str, ShownScore]:
    page = reviewer.page("/review/calls")
    assert page.status_code == 200, page.text
    row = r'<a href="/review/leads/[^"]*">([^<]*)</a> <span class="tag hot">(\d+)</span>'
    return {unescape(lead_id): (int(score), "hot") for lead_id, score in re.findall(row, page.text)}


def _read_imported(crm_toml: Path) -> tuple[dict[str, ShownScore], int]:
    """The scores that the import stored at the most frequent moment, and that moment (ms UTC)."""
    with sqlite3.connect(crm_toml.parent / "hotlead-out" / "store.db") as store:
        rows = store.execute("SELECT lead_id, as_of, score, stage, probability FROM predictions").fetchall()
    if not rows:
        return {}, now_ms()
    moment, _ = Counter(row[1] for row in rows).most_common(1)[0]
    rows = [row for row in rows if row[1] == moment]
    return {lead_id: (score, stage, chance) for lead_id, _, score, stage, chance in rows}, moment


@contextmanager
def _service(crm_toml: Path, now: int) -> Iterator[App]:
    app = App(crm_toml, crm_toml.parent / "hotlead-out", lambda: now)
    try:
        yield app
    finally:
        app.close()


def _shown(answer: Mapping[str, Any]) -> ShownScore:
    model = answer.get("model") or {}
    days = model.get("days_to_win") or {}
    return answer["score"], answer["stage"], model.get("probability"), days.get("median"), days.get("p80")


def _is_same(expected: object, actual: object) -> bool:
    """Equal to 1e-9; texts in their normal form; None where a place does not show a value."""
    if isinstance(expected, str) and isinstance(actual, str):
        return normalize_text(expected) == normalize_text(actual)
    if isinstance(expected, int | float) and isinstance(actual, int | float):
        both_missing = math.isnan(expected) and math.isnan(actual)
        return both_missing or math.isclose(expected, actual, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return expected == actual


def _to_list(column: Texts | np.ndarray[Any, Any]) -> list[Any]:
    return column.to_list() if isinstance(column, Texts) else column.tolist()


def _to_json(value: pa.Scalar) -> object:
    plain = value.as_py()
    if isinstance(plain, float) and math.isnan(plain):
        return None
    return plain if plain is None or isinstance(plain, str | bool | int | float) else str(plain)


def _source_of(settings: CrmSettings) -> Path:
    return settings.folder / os.path.expandvars(settings.leads.source)


def _to_float(text: str) -> float | None:
    return float(text) if text else None


def _iso(time_ms: int) -> str:
    """A time to the millisecond, in which the store keeps it."""
    return from_ms(time_ms).isoformat(timespec="milliseconds")
