from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from features.clock import MS_PER_DAY
from features.columns import Column, Texts
from features.crm.load import Loaded
from features.crm_data import Crm
from features.errors import DataError, OutsideError
from features.many_leads import Histories, ManyLeads
from features.moments import open_leads
from scoring.decision.scorer import Scorer
from tests.conftest import Demo
from tests.helpers.service.stores import Server
from tests.helpers.small_crm import listing
from training.lists import batch
from training.lists.batch import ListRequest, ReasonScope, ScoredLeads, score_list
from training.registry.mlflow_store import find_model

COLUMNS = [
    "lead_id",
    "score",
    "stage",
    "decided_by",
    "fallback",
    "cautions",
    "hand_over",
    "probability",
    "amount",
    "expected_value",
    "model_score",
    "model_stage",
    "alike",
    "alike_won",
    "model_reasons",
    "points",
    "fit",
    "intent",
    "rules_score",
    "rules_stage",
    "rules_reasons",
    "person",
    "action",
    "owner",
    "text",
    "content",
    "deadline",
    "prompt",
    "unknown",
    "model_version",
    "scorecard_version",
    "as_of",
]

Score = Callable[..., ScoredLeads]


def quiet(completed: int, total: int) -> None:
    """No progress is shown."""


@pytest.fixture
def score(demo_scorer: Scorer, demo_loaded: Loaded, tmp_path: Path) -> Score:
    """Scores the demo's open leads; what is given takes the place of what is usual."""

    def run(
        crm: Crm = demo_loaded.crm,
        to: str = "scores.parquet",
        progress: Any = quiet,
        as_of: int = demo_loaded.crm.snapshot,
        **order: Any,
    ) -> ScoredLeads:
        place = to if "://" in to else str(tmp_path / to)
        roles = demo_loaded.settings.role_columns
        return score_list(crm, demo_scorer, roles, ListRequest(place, as_of, **order), progress)

    return run


def test_every_open_lead_is_listed_once_highest_score_first(
    score: Score, demo: Demo, demo_loaded: Loaded
) -> None:
    crm = demo_loaded.crm
    scored = score()
    expected = crm.lead_ids[open_leads(crm, crm.snapshot)]
    assert sorted(scored.table["lead_id"].to_pylist()) == sorted(expected)
    scores = scored.table["score"].to_numpy()
    assert (np.diff(scores) <= 0).all()
    within = np.diff(scores) == 0
    assert (np.diff(scored.table["probability"].to_numpy())[within] <= 0).all()
    assert scored.table.column_names == COLUMNS
    assert set(scored.table["model_version"].to_pylist()) == {demo.model.version}
    np.testing.assert_array_equal(crm.lead_ids[scored.rows], scored.table["lead_id"].to_pylist())


@pytest.mark.parametrize("wanted", ["top", "none", "all"])
def test_reasons_go_to_those_who_are_wanted(score: Score, wanted: ReasonScope) -> None:
    """The model's reasons to the first seven by default; the rules' reasons always to all."""
    table = score(reasons=wanted, top=7).table
    explained = [reasons is not None for reasons in table["model_reasons"].to_pylist()]
    first = [place < 7 for place in range(len(table))]
    expected = {"top": first, "none": [False] * len(table), "all": [True] * len(table)}
    assert explained == expected[wanted]
    assert table["rules_reasons"].null_count == 0


def test_reasons_are_the_contributions_of_the_model(score: Score, demo: Demo, demo_loaded: Loaded) -> None:
    scored = score(reasons="all", to="all.parquet")
    likeliest = json.loads(scored.table["model_reasons"][0].as_py())
    sizes = [abs(reason["weight"]) for reason in likeliest]
    assert sizes == sorted(sizes, reverse=True)

    crm = demo_loaded.crm
    view = ManyLeads(Histories(crm), scored.rows[:1], np.array([crm.snapshot]))
    columns = demo.model.table.compute_many(view)
    explained = demo.model.explain(demo.model.encode(columns))
    contributions = dict(zip(explained.features, explained.contributions[0], strict=True))
    for reason in likeliest:
        assert reason["weight"] == pytest.approx(contributions[reason["code"]], abs=1e-4)
        column = columns[reason["code"]]
        value = column.to_list()[0] if isinstance(column, Texts) else column[0]
        assert reason["value"] == pytest.approx(value) or reason["value"] is None
        assert reason["text"].startswith(demo.model.table.label(reason["code"], "en"))


def test_reasons_read_in_japanese(score: Score, demo: Demo) -> None:
    reasons = json.loads(score(lang="ja").table["model_reasons"][0].as_py())
    for reason in reasons:
        assert reason["text"].startswith(demo.model.table.label(reason["code"], "ja") + "：")


def test_files_and_databases_hold_the_same(
    score: Score, tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the chunks of a database's list lie in the present folder
    url = server.new()
    columns = "lead_id, score, stage, fallback, probability, model_reasons, text, model_version"
    for to in ("a.parquet", "a.csv", f"sqlite:///{tmp_path / 'a.db'}", url):
        score(to=to, top=50)
    with psycopg.connect(url) as database:
        in_postgres = database.execute(f"SELECT {columns} FROM hotlead_scores").fetchall()
    parquet = pq.read_table(tmp_path / "a.parquet").select(columns.split(", "))
    expected = [tuple(row.values()) for row in parquet.to_pylist()]
    texts = pa_csv.ConvertOptions(strings_can_be_null=True)
    in_csv = pa_csv.read_csv(tmp_path / "a.csv", convert_options=texts).select(columns.split(", "))
    with sqlite3.connect(tmp_path / "a.db") as database:
        in_sqlite = database.execute(f"SELECT {columns} FROM hotlead_scores").fetchall()
    assert [tuple(row.values()) for row in in_csv.to_pylist()] == expected
    assert sorted(in_sqlite) == sorted(expected)  # a table has no order
    assert sorted(in_postgres) == sorted(expected)
    assert listing(tmp_path) >= {"a.parquet", "a.csv", "a.db"}
    assert not [path for path in listing(tmp_path) if "scoring" in path]


def shifted(crm: Crm, from_ms: int) -> Crm:
    """The CRM with ten more activities of each lead at and after a moment."""
    a = crm.activities
    assert a.value is not None
    lead = np.repeat(np.arange(len(crm), dtype=np.int32), 10)
    return replace(
        crm,
        activities=replace(
            a,
            lead=np.concatenate([a.lead, lead]),
            type=np.concatenate([a.type, (lead % len(a.types)).astype(np.int16)]),
            time_ms=np.concatenate([a.time_ms, from_ms + np.tile(np.arange(10), len(crm)) * MS_PER_DAY]),
            value=np.concatenate([a.value, np.ones(len(lead))]),
        ),
    )


def test_nothing_after_as_of_changes_a_score(score: Score, demo_loaded: Loaded) -> None:
    as_of = demo_loaded.crm.snapshot - 60 * MS_PER_DAY
    before = score(as_of=as_of, reasons="all", to="a.parquet").table
    after = score(shifted(demo_loaded.crm, as_of), as_of=as_of, reasons="all", to="b.parquet").table
    assert before.to_pylist() == after.to_pylist()
    earlier = shifted(demo_loaded.crm, as_of - MS_PER_DAY)
    assert not score(earlier, as_of=as_of, to="c.parquet").table["probability"].equals(before["probability"])


def test_leads_that_come_or_close_later_are_judged_as_they_stood(score: Score, demo_loaded: Loaded) -> None:
    crm = demo_loaded.crm
    as_of = crm.snapshot - 60 * MS_PER_DAY
    lead_ids = set(score(as_of=as_of).table["lead_id"].to_pylist())
    rows = {lead: row for row, lead in enumerate(crm.lead_ids)}
    closed_since = {i for i in lead_ids if crm.outcomes.closed_at[rows[i]] <= crm.snapshot}
    assert closed_since
    assert all(crm.created[rows[i]] <= as_of < crm.outcomes.closed_at[rows[i]] for i in lead_ids)


def test_small_chunks_make_the_same_list(score: Score, monkeypatch: pytest.MonkeyPatch) -> None:
    full_list, progress_calls = score(reasons="all", to="a.parquet"), []
    monkeypatch.setattr(batch, "CHUNK", 300)
    pieces = score(
        reasons="all",
        to="b.parquet",
        progress=lambda completed, total: progress_calls.append((completed, total)),
    )
    assert pieces.table.to_pylist() == full_list.table.to_pylist()
    rows = full_list.table.num_rows
    assert progress_calls == [(min(start + 300, rows), rows) for start in range(0, rows, 300)]


KILLED = """
import os, signal, sys
import cli
from scoring.decision.scorer import Scorer
from training.lists import batch
batch.CHUNK, write, done = 300, batch._Work._write, []
def until_the_fifth(self, path, leads):
    if len(done) == 4:
        path.with_name(f".{path.name}.0.part").write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)
    write(self, path, leads)
    done.append(path)
batch._Work._write = until_the_fifth
sys.argv = ["hotlead", "score", *sys.argv[1:]]
cli.main()
"""


def killed(demo: Demo, to: str) -> None:
    """Score by the real command, and kill it when four chunks are done."""
    result = subprocess.run(
        [sys.executable, "-c", KILLED, str(demo.crm_toml), "--to", to, "--out", str(demo.out)],
        capture_output=True,
        timeout=180,
        check=False,
    )
    assert result.returncode == -signal.SIGKILL, result.stderr


@pytest.mark.slow
def test_killed_in_the_middle_it_goes_on_where_it_was(
    score: Score, demo: Demo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(demo, str(tmp_path / "scores.parquet"))
    work = tmp_path / ".scores.parquet.scoring"
    finished = {path: path.stat().st_mtime_ns for path in work.glob("0*.parquet")}
    assert len(finished) == 4
    assert not (tmp_path / "scores.parquet").exists()
    monkeypatch.setattr(batch, "CHUNK", 300)
    written = []

    def write(self: Any, path: Path, leads: Any) -> None:
        written.append(path)
        original(self, path, leads)

    original = batch._Work._write
    monkeypatch.setattr(batch._Work, "_write", write)
    went_on = score()
    assert written
    assert not set(written) & set(finished)
    monkeypatch.setattr(batch, "CHUNK", 50_000)
    assert went_on.table.to_pylist() == score(to="anew.parquet").table.to_pylist()
    assert listing(tmp_path) == {"scores.parquet", "anew.parquet"}


def other_attribute(crm: Crm) -> Crm:
    column: Column = crm.attributes["employees"]
    assert not isinstance(column, Texts)
    return replace(crm, attributes={**crm.attributes, "employees": column + 1})


def other_changes(crm: Crm) -> Crm:
    history = crm.changes["budget"]
    changed = replace(history, time_ms=history.time_ms - MS_PER_DAY)
    return replace(crm, changes={**crm.changes, "budget": changed})


def other_type(crm: Crm) -> Crm:
    return replace(crm, activities=replace(crm.activities, type=crm.activities.type[::-1].copy()))


@pytest.mark.parametrize("change", [other_attribute, other_changes, other_type])
def test_chunks_of_other_data_are_not_taken(
    score: Score, demo_loaded: Loaded, tmp_path: Path, change: Callable[[Crm], Crm]
) -> None:
    """The run stops before the list is written; meanwhile the CRM changes."""
    (tmp_path / "scores.parquet").mkdir()
    with pytest.raises(OutsideError):
        score()
    (tmp_path / "scores.parquet").rmdir()
    assert listing(tmp_path) > {".scores.parquet.scoring"}
    crm = change(demo_loaded.crm)
    assert score(crm).table.to_pylist() == score(crm, to="anew.parquet").table.to_pylist()


def test_a_model_that_breaks_leaves_the_whole_list_to_the_rules(
    score: Score, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("no")

    monkeypatch.setattr("scoring.model.model.Model.encode", broken)
    table = score(reasons="all").table
    assert set(table["fallback"].to_pylist()) == {"model_error"}
    assert table["score"].to_pylist() == table["rules_score"].to_pylist()
    assert table["model_reasons"].null_count == len(table)


def test_few_open_leads_are_out_of_range(score: Score) -> None:
    """Ages grow beyond what training saw; that alone is no reason for caution."""
    cautions = score().table["cautions"].to_pylist()
    assert sum("out_of_range" in c for c in cautions) < 0.2 * len(cautions)


def test_no_open_lead_is_said(score: Score, demo_loaded: Loaded) -> None:
    with pytest.raises(DataError, match="no open lead"):
        score(as_of=int(demo_loaded.crm.created.min()) - 1)


def test_registered_model_scores_as_the_trained_one(demo: Demo) -> None:
    assert find_model(demo.out).model.version == demo.model.version
