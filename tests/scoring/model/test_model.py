from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from features.columns import Column, take
from features.errors import DataError
from features.table import FeatureTable, Vocabulary
from scoring.model.model import EVIDENCE_FILE, MODEL_FILE, TREES_FILE, Calibration, Encoded, Model
from scoring.model.trees import TreesPart
from tests.conftest import Demo

ROWS = np.arange(500)


@pytest.fixture(scope="module")
def columns(demo: Demo) -> dict[str, Column]:
    """Some examples of the demo."""
    return {name: take(column, ROWS) for name, column in demo.trained.data.columns.items()}


@pytest.fixture(scope="module")
def leads(demo: Demo, columns: dict[str, Column]) -> Encoded:
    return demo.model.encode(columns)


@pytest.fixture
def saved(demo: Demo, tmp_path: Path) -> Path:
    """A folder with the demo's model alone."""
    demo.model.save(tmp_path)
    return tmp_path


def test_prior_and_contributions_add_up_to_the_log_odds(demo: Demo, leads: Encoded) -> None:
    explanation = demo.model.explain(leads)
    assert explanation.features == demo.model.table.names
    assert explanation.contributions.shape == (len(ROWS), len(explanation.features))
    by_hand = explanation.prior + explanation.contributions.sum(axis=1)
    np.testing.assert_allclose(by_hand, demo.model.log_odds(leads), rtol=0, atol=1e-9)
    np.testing.assert_allclose(explanation.log_odds, demo.model.log_odds(leads), rtol=0, atol=1e-9)


def test_reasons_hold_for_each_lead_alone(demo: Demo, leads: Encoded) -> None:
    together = demo.model.explain(leads)
    for row in (0, 7, 499):
        single = demo.model.explain(leads.take(np.array([row])))
        np.testing.assert_allclose(single.contributions[0], together.contributions[row], rtol=0, atol=1e-9)


def test_changing_one_feature_moves_the_line_by_its_own_contribution(
    demo: Demo, columns: dict[str, Column]
) -> None:
    line = replace(demo.model, weights={"points": 0.0, "linear": 0.7, "trees": 0.0})
    place = line.table.names.index("employees")
    before = line.encode(columns)
    after = line.encode({**columns, "employees": np.full(len(ROWS), 300.0)})
    moved = line.explain(after).contributions - line.explain(before).contributions
    np.testing.assert_array_equal(np.delete(moved, place, axis=1), 0)
    np.testing.assert_allclose(moved[:, place], line.log_odds(after) - line.log_odds(before))


def test_one_lead_at_a_time_scores_as_the_table_does(
    demo: Demo, columns: dict[str, Column], leads: Encoded
) -> None:
    values = [c.to_list() if hasattr(c, "to_list") else c.tolist() for c in columns.values()]
    encoded_rows = [demo.model.encode_one([v[row] for v in values]) for row in range(50)]
    np.testing.assert_array_equal(np.vstack([one.matrix for one in encoded_rows]), leads.matrix[:50])
    ranks = np.concatenate([one.rating.rank for one in encoded_rows])
    np.testing.assert_array_equal(ranks, leads.rating.rank[:50])
    assert demo.model.log_odds(encoded_rows[0])[0] == pytest.approx(demo.model.log_odds(leads)[0], abs=1e-9)


def test_saved_and_loaded_it_predicts_the_same(demo: Demo, saved: Path, columns: dict[str, Column]) -> None:
    loaded = Model.load(saved)
    assert loaded.version == demo.model.version
    assert loaded.about == json.loads(json.dumps(demo.model.about))
    assert loaded.table.fingerprint == demo.model.table.fingerprint
    np.testing.assert_allclose(
        loaded.probability(columns), demo.model.probability(columns), rtol=0, atol=1e-9
    )
    assert demo.model.time_to_win is not None
    assert loaded.time_to_win is not None
    matrix = demo.model.encode(columns).matrix
    np.testing.assert_array_equal(
        loaded.time_to_win.quantiles(matrix), demo.model.time_to_win.quantiles(matrix)
    )


def test_folder_holds_texts_and_the_evidence_and_nothing_pickled(demo: Demo) -> None:
    files = sorted(path.name for path in (demo.out / "model").rglob("*"))
    assert files == [EVIDENCE_FILE, MODEL_FILE, TREES_FILE]
    for name in (MODEL_FILE, TREES_FILE):
        assert (demo.out / "model" / name).read_text(encoding="utf-8")


PREDICT_SCRIPT = """
import json, sys
from pathlib import Path

class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("pandas", "sklearn", "mlflow"):
            raise ModuleNotFoundError(name, name=name)

sys.meta_path.insert(0, NotInstalled())
from scoring.model.evidence import Evidence
from scoring.model.model import Model
folder = Path(sys.argv[1])
model = Model.load(folder)
evidence = Evidence.load(folder / "evidence.parquet")
encoded = model.encode(evidence.features)
print(json.dumps([model.probability(evidence.features).tolist(), model.explain(encoded).prior]))
"""


def test_predicts_without_pandas_scikit_learn_and_mlflow(demo: Demo) -> None:
    completed = subprocess.run(
        [sys.executable, "-c", PREDICT_SCRIPT, str(demo.out / "model")],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    probabilities, prior = json.loads(completed.stdout)
    judged = demo.trained.data.take(demo.trained.evaluation.rows)
    expected = demo.model.probability(judged.columns)
    np.testing.assert_allclose(probabilities, expected, rtol=0, atol=1e-9)
    assert prior == pytest.approx(demo.trained.explanation.prior, abs=1e-9)


CHANGES: dict[str, Any] = {
    "weights": lambda m: replace(m, weights={"points": 0.0, "linear": 0.4, "trees": 0.61}),
    "calibration": lambda m: replace(m, calibration=Calibration(0.01, 1.0)),
    "trees": lambda m: replace(m, trees=TreesPart(m.trees.text.replace("max_feature", "max_featur"))),
    "linear": lambda m: replace(m, linear=replace(m.linear, intercept=m.linear.intercept + 1e-6)),
    "time to win": lambda m: replace(m, time_to_win=None),
    "words": lambda m: replace(m, table=FeatureTable(m.table.rows, Vocabulary())),
}


@pytest.mark.parametrize("change", CHANGES)
def test_version_changes_with_what_the_model_is(demo: Demo, change: str) -> None:
    assert CHANGES[change](demo.model).version != demo.model.version


def test_version_does_not_change_with_what_is_said_about_it(demo: Demo) -> None:
    assert demo.model.with_about(note="良い").version == demo.model.version


def remove_key(key: str) -> Any:
    def change(folder: Path) -> None:
        document = json.loads((folder / MODEL_FILE).read_text(encoding="utf-8"))
        del document[key]
        (folder / MODEL_FILE).write_text(json.dumps(document), encoding="utf-8")

    return change


def set_key(key: str, value: object) -> Any:
    def change(folder: Path) -> None:
        document = json.loads((folder / MODEL_FILE).read_text(encoding="utf-8"))
        (folder / MODEL_FILE).write_text(json.dumps(document | {key: value}), encoding="utf-8")

    return change


def truncate_file(name: str) -> Any:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-100])


DAMAGES: dict[str, Any] = {
    "no model.json": lambda f: (f / MODEL_FILE).unlink(),
    "no trees.txt": lambda f: (f / TREES_FILE).unlink(),
    "half of model.json": truncate_file(MODEL_FILE),
    "half of trees.txt": truncate_file(TREES_FILE),
    "not UTF-8": lambda f: (f / MODEL_FILE).write_bytes(b"\xff\xfe"),
    "a list": lambda f: (f / MODEL_FILE).write_text("[1]"),
    "another weight": set_key("weights", {"points": 0.0, "linear": 9.0, "trees": 0.5}),
    "an unknown feature kind": set_key("features", {"a": {"kind": "magic"}}),
    "words of the wrong shape": set_key("words", {"a": 5}),
    "encoding of the wrong shape": set_key("encoding", []),
    **{f"no {k}": remove_key(k) for k in ("version", "features", "encoding", "linear", "weights", "about")},
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_folder_is_refused_in_a_sentence(saved: Path, damage: str) -> None:
    DAMAGES[damage](saved)
    with pytest.raises(DataError, match=rf"^{saved}: .*[Tt]rain again\.$"):
        Model.load(saved)


def test_loaded_model_does_not_depend_on_the_order_of_json(demo: Demo, saved: Path) -> None:
    document = json.loads((saved / MODEL_FILE).read_text(encoding="utf-8"))
    (saved / MODEL_FILE).write_text(json.dumps(dict(reversed(document.items()))), encoding="utf-8")
    assert Model.load(saved).version == demo.model.version
