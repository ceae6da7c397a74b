"""Promotion through the gate, by override, and rollback, on a real MLflow store."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pytest
from numpy.typing import NDArray

from features.crm.load import Loaded
from features.errors import SettingsError
from scoring.decision.scorer import CalibratedModel, Scorer
from scoring.model.evidence import MODEL, POINTS
from scoring.model.model import Model
from scoring.scorecard.load import blank_card
from scoring.scorecard.scorecard import Scorecard
from tests.conftest import Demo
from tests.helpers.small_crm import CARD, replace_text, run, small_crm
from training.fitting.result import RunRecord
from training.lists.batch import ListRequest, score_list
from training.registry.mlflow_store import CHALLENGER, CHAMPION, MODEL_NAME, PREVIOUS, find_model
from training.registry.promotion import promote, rollback
from training.train import publish

Register = Callable[[RunRecord], str]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def registered(out: Path, empty_store: Path) -> Register:
    """Registers the record of a training run in a separate store and returns the version."""

    def register(record: RunRecord) -> str:
        if not out.exists():
            out.mkdir()
            shutil.copyfile(empty_store, out / "mlflow.db")
        return publish(record, out).version

    return register


@pytest.fixture
def aliases(out: Path) -> Callable[[], dict[str, str]]:
    def read_aliases() -> dict[str, str]:
        uri = f"sqlite:///{out.resolve() / 'mlflow.db'}"
        model = mlflow.MlflowClient(uri, uri).get_registered_model(MODEL_NAME)
        return {name: str(version) for name, version in model.aliases.items()}

    return read_aliases


@pytest.fixture
def tags(out: Path) -> Callable[[str], dict[str, str]]:
    def read_tags(version: str) -> dict[str, str]:
        uri = f"sqlite:///{out.resolve() / 'mlflow.db'}"
        version_tags = mlflow.MlflowClient(uri, uri).get_model_version(MODEL_NAME, version).tags
        return {k.removeprefix("hotlead.promoted."): v for k, v in version_tags.items()}

    return read_tags


def trained_and_tried(crm_toml: Path) -> tuple[int, str]:
    """Train by the real command, and try the gate: its exit code and what it says."""
    crm_toml.with_name("scorecard.toml").write_text(CARD, encoding="utf-8")
    assert run("train", crm_toml).returncode == 0
    result = run("promote", crm_toml, "--json")
    return result.returncode, result.stdout


def refused(output: str) -> set[str]:
    return {check["name"] for check in json.loads(output)["checks"] if not check["passed"]}


def test_a_training_on_good_deals_passes(tmp_path: Path) -> None:
    """The counterpart of the refusals below, on the same small CRM."""
    code, output = trained_and_tried(small_crm(tmp_path, leads=4_000))
    assert refused(output) <= {"rules_win_rate"}, output  # so few deals leave that interval wide
    assert code in (0, 6)


def test_a_training_on_shuffled_outcomes_is_refused(tmp_path: Path) -> None:
    crm_toml, deals = small_crm(tmp_path, leads=1_500), tmp_path / "deals.csv"
    header, *rows = deals.read_text("utf-8").splitlines()
    deal_rows = [row.split(",") for row in rows]
    outcomes = np.random.default_rng(3).permutation([row[1] for row in deal_rows])
    lines = [",".join([row[0], str(o), *row[2:]]) for row, o in zip(deal_rows, outcomes, strict=True)]
    deals.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    code, output = trained_and_tried(crm_toml)
    assert code == 6
    assert "base_rate" in refused(output)
    assert "not significantly better" in output


def test_a_training_that_insists_on_a_leak_is_refused(tmp_path: Path) -> None:
    """A column that sales fills when a deal is won, and crm.toml insists on it."""
    crm_toml = small_crm(tmp_path)
    deals = (tmp_path / "deals.csv").read_text("utf-8").splitlines()[1:]
    won = {row.split(",")[0] for row in deals if ",won," in row}
    header, *rows = (tmp_path / "leads.csv").read_text("utf-8").splitlines()
    rows = [f"{row},{'signed' if row.split(',')[0] in won else ''}" for row in rows]
    (tmp_path / "leads.csv").write_text("\n".join([f"{header},contract", *rows]) + "\n", "utf-8")
    leak = 'contract = { kind = "attribute", column = "contract", insist = true }'
    replace_text(crm_toml, "age       =", f"{leak}\nage =")
    code, output = trained_and_tried(crm_toml)
    assert code == 6
    assert "audit" in refused(output)
    assert "contract" in output


def with_scores(record: RunRecord, scores: dict[str, NDArray[np.float64]]) -> RunRecord:
    evidence = replace(record.trained.evidence, scores=scores)
    return replace(record, trained=replace(record.trained, evidence=evidence))


def with_model(record: RunRecord, model: Model) -> RunRecord:
    return replace(record, trained=replace(record.trained, model=model))


def shuffled(record: RunRecord) -> RunRecord:
    """A model whose scores have nothing to do with the outcomes it is judged on."""
    scores = dict(record.trained.evidence.scores)
    scores[MODEL] = np.random.default_rng(0).permutation(scores[MODEL])
    return with_scores(record, scores)


def leaking(record: RunRecord) -> RunRecord:
    """A model that insists on a column which the audit holds for a leak."""
    findings = [{"code": "one_outcome", "severity": "leak", "column": "employees", "used": True}]
    return with_model(record, record.trained.model.with_about(findings=findings))


def worse(record: RunRecord) -> RunRecord:
    """A model that is right less often than the champion, and still better than the rules."""
    scores = dict(record.trained.evidence.scores)
    noise = np.random.default_rng(1).normal(0, 0.7, len(record.trained.evidence))
    scores[MODEL] = scores[MODEL] + noise
    return with_scores(record, scores)


def failed(out: Path, card: Scorecard) -> set[str]:
    promotion = promote(out, card, None, None)
    assert not promotion.promoted
    return {check.name for check in promotion.checks if not check.passed}


def test_the_first_champion_has_only_the_rules_to_beat(
    demo: Demo,
    out: Path,
    registered: Register,
    aliases: Callable[[], dict[str, str]],
    tags: Callable[[str], dict[str, str]],
) -> None:
    version = registered(demo.job.record)
    promotion = promote(out, demo.model.card, None, "sato")
    assert promotion.promoted, [c for c in promotion.checks if not c.passed]
    assert promotion.champion is None
    assert aliases() == {CHAMPION: version}
    written = tags(version)
    assert (written["by"], written["why"]) == ("sato", "passed the gate")
    assert written["at"].endswith("Z")
    assert {c["name"] for c in json.loads(written["gate"])} >= {"audit", "rules_log_loss"}


def test_a_model_of_shuffled_outcomes_is_refused(
    demo: Demo, out: Path, registered: Register, aliases: Callable[[], dict[str, str]]
) -> None:
    version = registered(shuffled(demo.job.record))
    assert failed(out, demo.model.card) >= {"base_rate", "rules_log_loss", "rules_win_rate"}
    assert aliases() == {CHALLENGER: version}


def test_a_model_with_a_leak_is_refused(demo: Demo, out: Path, registered: Register) -> None:
    registered(leaking(demo.job.record))
    assert failed(out, demo.model.card) == {"audit"}


def test_a_model_worse_than_the_champion_is_refused(
    demo: Demo, out: Path, registered: Register, aliases: Callable[[], dict[str, str]]
) -> None:
    champion = registered(demo.job.record)
    promote(out, demo.model.card, None, None)
    challenger = registered(worse(demo.job.record))
    assert "champion_log_loss" in failed(out, demo.model.card)
    assert aliases() == {CHAMPION: champion, CHALLENGER: challenger}


def test_an_equal_model_may_follow_the_champion(
    demo: Demo, out: Path, registered: Register, aliases: Callable[[], dict[str, str]]
) -> None:
    first, second = registered(demo.job.record), None
    promote(out, demo.model.card, None, None)
    second = registered(demo.job.record)
    assert promote(out, demo.model.card, None, None).promoted
    assert aliases() == {CHAMPION: second, PREVIOUS: first}


def test_an_override_is_recorded_with_its_reason(
    demo: Demo, out: Path, registered: Register, tags: Callable[[str], dict[str, str]]
) -> None:
    version = registered(leaking(demo.job.record))
    promotion = promote(out, demo.model.card, "the column is filled on day 1", "suzuki")
    assert promotion.promoted
    assert tags(version)["why"] == "the column is filled on day 1"
    assert tags(version)["by"] == "suzuki"


def test_without_a_scorecard_nothing_is_promoted(demo: Demo, out: Path, registered: Register) -> None:
    registered(demo.job.record)
    assert "scorecard" in failed(out, blank_card())


def test_a_model_that_never_had_a_scorecard_is_promoted_without_one(
    demo: Demo, out: Path, registered: Register, aliases: Callable[[], dict[str, str]]
) -> None:
    record, model = demo.job.record, demo.model
    weights = {"points": 0.0, "linear": 0.5, "trees": 0.5}
    without_card = with_model(record, replace(model, card=blank_card(), points=None, weights=weights))
    scores = {name: s for name, s in record.trained.evidence.scores.items() if name != POINTS}
    version = registered(with_scores(without_card, scores))
    assert promote(out, blank_card(), None, None).promoted
    assert aliases() == {CHAMPION: version}


def test_rollback_restores_the_former_answers_to_the_digit(
    demo: Demo,
    demo_loaded: Loaded,
    out: Path,
    registered: Register,
    tmp_path: Path,
    aliases: Callable[[], dict[str, str]],
    tags: Callable[[str], dict[str, str]],
) -> None:
    def answers() -> list[dict[str, object]]:
        registered_model = find_model(out)
        judge = CalibratedModel.from_evidence(
            registered_model.model, registered_model.evidence, demo.model.card
        )
        scorer = Scorer(demo.model.card, demo_loaded.settings.table, judge, None)
        order = ListRequest(str(tmp_path / "scores.parquet"), demo_loaded.crm.snapshot, "all")
        scored = score_list(
            demo_loaded.crm, scorer, demo_loaded.settings.role_columns, order, lambda a, b: None
        )
        return scored.table.to_pylist()

    first = registered(demo.job.record)
    promote(out, demo.model.card, None, None)
    before = answers()
    line = replace(demo.model, weights={"points": 0.5, "linear": 0.5, "trees": 0.0})
    second = registered(with_model(demo.job.record, line))
    promote(out, demo.model.card, "to be rolled back", None)
    assert answers() != before
    result = rollback(out, "sales complained", "tanaka")
    assert tags(first)["why"] == "passed the gate"  # what was written then stays
    assert tags(first)["hotlead.restored.why"] == "sales complained"
    assert (result.champion, result.previous) == (first, second)
    assert answers() == before
    assert aliases() == {CHAMPION: first, CHALLENGER: second}
    with pytest.raises(SettingsError, match="nothing to roll back to"):
        rollback(out, "once more", None)
    assert answers() == before


def test_nothing_to_roll_back_to_is_said(demo: Demo, out: Path, registered: Register) -> None:
    with pytest.raises(SettingsError, match="No model is registered"):
        rollback(out, "why", None)
    registered(demo.job.record)
    with pytest.raises(SettingsError, match="No model is registered"):
        rollback(out, "why", None)
    promote(out, demo.model.card, None, None)
    with pytest.raises(SettingsError, match="nothing to roll back to"):
        rollback(out, "why", None)


def test_without_a_challenger_promote_says_what_to_do(demo: Demo, out: Path, registered: Register) -> None:
    with pytest.raises(SettingsError, match="hotlead train"):
        promote(out, demo.model.card, None, None)
    registered(demo.job.record)
    promote(out, demo.model.card, None, None)
    with pytest.raises(SettingsError, match="There is no challenger"):
        promote(out, demo.model.card, None, None)


def test_a_champion_that_cannot_be_read_is_a_failed_check(
    demo: Demo, out: Path, registered: Register
) -> None:
    registered(demo.job.record)
    promote(out, demo.model.card, None, None)
    for path in out.rglob("evidence.parquet"):
        path.write_bytes(path.read_bytes()[:-20])
    registered(demo.job.record)
    assert failed(out, demo.model.card) == {"champion_readable"}
    assert promote(out, demo.model.card, "the old one is broken", None).promoted
