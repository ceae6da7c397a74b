from __future__ import annotations

import doctest
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import hotlead
from hotlead.frames import CrmTables, FeatureFrame
from tests.conftest import Demo
from tests.helpers.small_crm import replace_text, small_crm

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def crm(demo: Demo) -> CrmTables:
    return hotlead.read_crm(demo.crm_toml)


@pytest.fixture(scope="module")
def closed(crm: CrmTables) -> FeatureFrame:
    return hotlead.features(crm)


def test_tables_hold_what_was_read(demo: Demo, crm: CrmTables) -> None:
    read = demo.trained.loaded.crm
    assert len(crm.leads) == len(crm.outcomes) == len(read)
    assert crm.outcomes["won"].sum() == read.outcomes.won.sum()
    assert crm.outcomes["won_at"].notna().sum() == read.outcomes.won.sum()
    assert len(crm.activities) == len(read.activities)
    assert set(crm.leads.columns) == set(read.attributes)
    assert str(crm.outcomes["created"].dtype).endswith("Asia/Tokyo]")
    first = crm.outcomes["created"].iloc[0].timestamp() * 1000
    assert first == read.created[0]


def test_findings_are_those_of_the_audit(demo: Demo, crm: CrmTables) -> None:
    assert list(crm.findings["code"]) == [f.code for f in demo.trained.findings]
    assert crm.left_out == demo.trained.left_out
    japanese = hotlead.read_crm(demo.crm_toml, lang="ja")
    assert list(japanese.findings["text"]) == [f.ja for f in demo.trained.findings]


def test_rejects_name_row_column_value_and_reason(tmp_path: Path) -> None:
    crm_toml = small_crm(tmp_path)
    replace_text(tmp_path / "leads.csv", "L0003,2025-", "L0003,once upon a time 2025-")
    [reject] = hotlead.read_crm(crm_toml).rejects.to_dict("records")
    assert (reject["table"], reject["row"], reject["column"]) == ("leads", 4, "created_at")
    assert reject["left_out"] == "row"
    assert not (tmp_path / "hotlead-out").exists()


def test_features_are_those_of_training(demo: Demo, closed: FeatureFrame) -> None:
    data = demo.trained.data
    assert tuple(closed.X.columns) == data.table.names
    assert closed.y is not None
    np.testing.assert_array_equal(closed.y, data.won)
    np.testing.assert_array_equal(closed.groups, data.examples.group)
    np.testing.assert_array_equal(closed.X["employees"], data.columns["employees"])
    milliseconds = [int(moment.timestamp() * 1000) for moment in closed.moments[:50]]
    assert milliseconds == data.examples.moment[:50].tolist()
    frame = closed.frame()
    assert list(frame.columns[:4]) == ["lead_id", "moment", "group", "won"]
    assert len(frame) == len(closed) == len(data)


def test_the_model_predicts_from_the_features_what_training_measured(
    demo: Demo, closed: FeatureFrame
) -> None:
    model = hotlead.load_model("challenger", out=demo.out)
    newest = closed.X.tail(200)
    data = demo.trained.data.take(np.arange(len(closed))[-200:])
    np.testing.assert_array_equal(model.predict_proba(newest)[:, 1], demo.model.probability(data.columns))


def test_scores_of_open_leads_are_those_of_the_list(demo: Demo, crm: CrmTables) -> None:
    open_leads = hotlead.features(crm, "open")
    assert open_leads.y is None
    model = hotlead.load_model("challenger", out=demo.out)
    probability = pd.Series(model.predict_proba(open_leads.X)[:, 1], index=open_leads.lead_ids)
    calls = hotlead.score(demo.crm_toml, reasons="none").set_index("lead_id")
    assert calls["score"].is_monotonic_decreasing
    scored = calls["probability"].dropna()
    np.testing.assert_allclose(probability[scored.index], scored, rtol=0, atol=1e-12)
    assert set(calls.index) == set(open_leads.lead_ids)


def test_a_time_without_a_zone_is_in_that_of_the_crm(crm: CrmTables) -> None:
    local = hotlead.features(crm, "open", as_of=datetime(2026, 6, 1, 9))
    same = hotlead.features(crm, "open", as_of=datetime(2026, 6, 1, 0, tzinfo=UTC))
    assert list(local.lead_ids) == list(same.lead_ids)
    assert str(local.moments[0]) == "2026-06-01 09:00:00+09:00"


def test_win_rates_have_counts_and_intervals(closed: FeatureFrame) -> None:
    rates = closed.win_rates(closed.X["channel"])
    counts = closed.X["channel"].value_counts()
    assert {name: rates.loc[name, "count"] for name in counts.index} == counts.to_dict()
    assert ((rates["low"] <= rates["win_rate"]) & (rates["win_rate"] <= rates["high"])).all()
    assert rates.index.name == "channel"


def test_win_rates_of_open_leads_are_refused(crm: CrmTables) -> None:
    open_leads = hotlead.features(crm, "open")
    with pytest.raises(ValueError, match="no outcome yet"):
        open_leads.win_rates(open_leads.X["channel"])


@pytest.mark.parametrize("name", ["challenger", "models:/hotlead/1", "folder"])
def test_a_model_is_an_alias_a_uri_or_a_folder(demo: Demo, name: str) -> None:
    model = hotlead.load_model(demo.out / "model" if name == "folder" else name, out=demo.out)
    assert model.version == demo.model.version
    assert model.about["crm"] == "demo"


def test_an_absent_model_is_named(demo: Demo, tmp_path: Path) -> None:
    with pytest.raises(hotlead.HotleadError, match="No model is registered"):
        hotlead.load_model("champion", out=tmp_path)
    with pytest.raises(hotlead.HotleadError, match="No model is registered"):
        hotlead.load_model("models:/hotlead/1", out=tmp_path)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(hotlead.HotleadError, match="no whole model folder"):
        hotlead.load_model(tmp_path / "nothing")


def test_comparison_counts_every_row_once(demo: Demo) -> None:
    comparison = hotlead.compare(demo.crm_toml)
    assert comparison.agreement["count"].sum() == len(demo.trained.evidence)
    assert comparison.agreement.index.names == ["rules", "model"]
    card = demo.model.card
    assert set(comparison.rules["rule"]) == {*card.rows, *card.triggers, *card.exclusions}
    assert comparison.rules["adds"].is_monotonic_increasing


def test_disagreements_have_their_reasons(demo: Demo) -> None:
    comparison = hotlead.compare(demo.crm_toml, lang="ja")
    row = comparison.disagreements.index[0]
    reasons = comparison.reasons(row, "model")
    assert 0 < len(reasons) <= 5
    assert list(reasons.abs()) == sorted(reasons.abs(), reverse=True)
    assert any("぀" <= letter <= "鿿" for letter in "".join(reasons.index))
    assert "<html" in comparison.to_html()


def test_undated_leads_have_ranks_for_times(tmp_path: Path) -> None:
    crm_toml = small_crm(tmp_path)
    text = crm_toml.read_text(encoding="utf-8")
    dated = ("created_at = ", "visits", "age")
    kept_lines = [line for line in text.splitlines() if not line.startswith(dated)]
    crm_toml.write_text("\n".join(kept_lines), encoding="utf-8")
    outcomes = hotlead.read_crm(crm_toml).outcomes
    assert outcomes["created"].dtype == np.int64
    assert set(outcomes["created"]) == {0}


def test_importing_hotlead_loads_no_library_of_training() -> None:
    heavy = ("mlflow", "sklearn", "lightgbm", "optuna", "plotly", "sqlalchemy", "bentoml")
    code = f"import hotlead, sys; print([name for name in {heavy} if name in sys.modules])"
    completed = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert completed.stdout.strip() == "[]"


@pytest.mark.slow
def test_examples_of_the_docstrings_are_true(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = doctest.testmod(hotlead, verbose=False, extraglobs={"hotlead": hotlead})
    assert outcome.failed == 0
    assert outcome.attempted > 10
