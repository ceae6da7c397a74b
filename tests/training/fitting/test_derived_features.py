"""What is derived from raw columns makes the model better, and its reasons name words, never the text."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from features.columns import Texts
from features.crm.load import Loaded
from scoring.decision.reasons import Contribution
from scoring.model.cautions import TrainingRange
from scoring.model.model import Model
from tests.helpers.exports.derived_crm import load_derived
from training.fitting.dataset import Dataset, build_dataset
from training.fitting.fit import fit
from training.fitting.folds import folds_of
from training.fitting.parts.trees import SIZES, TreesRecipe
from training.fitting.recipe import Recipe
from training.fitting.text_words import with_text_words
from training.pyfunc import ScoringModel

EARNING = ("mail", "rank", "interests", "inquiry", "days_to_start")
RECIPE = Recipe(
    strength=0.1,
    trees={"small_trees": TreesRecipe(SIZES["small_trees"], 20, 1)},
    weights={"points": 0.0, "linear": 0.5, "small_trees": 0.5},
)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    return load_derived(tmp_path_factory.mktemp("derived"))


@pytest.fixture(scope="module")
def data(loaded: Loaded) -> Dataset:
    return build_dataset(loaded, (), lambda _: None)


@pytest.fixture(scope="module")
def model(loaded: Loaded, data: Dataset) -> Model:
    return with_text_words(fit(data, RECIPE, 0), loaded)


def without(data: Dataset, name: str) -> Dataset:
    columns = {n: column for n, column in data.columns.items() if n != name}
    return replace(data, table=data.table.without({name}), columns=columns)


def newest_loss(data: Dataset) -> float:
    """Log loss on the newest fifth of a model of the older leads."""
    rows, cut = np.arange(len(data)), len(data) * 4 // 5
    older, newer = data.take(rows[:cut]), data.take(rows[cut:])
    log_odds = (fitted := fit(older, RECIPE, 0)).log_odds(fitted.encode(newer.columns))
    return float(np.mean(np.logaddexp(0.0, np.where(newer.won, -log_odds, log_odds))))


@pytest.mark.parametrize("name", EARNING)
def test_each_derived_attribute_that_tells_something_lowers_the_loss(data: Dataset, name: str) -> None:
    assert newest_loss(data) < newest_loss(without(data, name)) - 0.01


def test_reasons_add_up_to_the_log_odds(data: Dataset, model: Model) -> None:
    leads = model.encode(data.columns)
    np.testing.assert_allclose(model.explain(leads).log_odds, model.log_odds(leads), atol=1e-9)


def test_one_lead_is_encoded_as_in_a_batch(data: Dataset, model: Model) -> None:
    matrix = model.encode(data.columns).matrix
    columns = [c.to_list() if hasattr(c, "to_list") else c.tolist() for c in data.columns.values()]
    for row, values in enumerate(list(zip(*columns, strict=True))[:50]):
        np.testing.assert_array_equal(model.encode_one(values).matrix[0], matrix[row])


def test_trees_never_look_at_n_grams(model: Model) -> None:
    hidden = model.encoding.columns_of({"inquiry"})
    importance = model.trees.booster.feature_importance()
    assert importance.sum() > 0
    assert not importance[hidden].any()
    assert np.any(model.linear.weights[hidden] != 0)


def test_no_fold_lets_trees_see_n_grams(data: Dataset) -> None:
    assert all(len(fold.hidden) > 10 for fold in folds_of(data, 0))


def test_reasons_name_the_words_that_pull_as_the_text_does(data: Dataset, model: Model) -> None:
    column = data.columns["inquiry"]
    shares = model.explain(model.encode(data.columns)).contributions[:, data.table.names.index("inquiry")]
    texts = [
        Contribution("inquiry", value, share).text(model.table, "ja")
        for value, share in zip(column.to_list(), shares, strict=True)  # type: ignore[union-attr]
    ]
    best, worst = texts[int(np.argmax(shares))], texts[int(np.argmin(shares))]
    assert any(word in best for word in ("見積依頼", "quote", "導入時期", "価格"))
    assert any(word in worst for word in ("資料", "thesis", "採用", "質問"))
    assert "␟" not in "".join(texts)


def test_words_of_a_model_are_shared_by_many_leads_and_kept_in_its_file(model: Model, tmp_path: Path) -> None:
    words = model.table.text_words["inquiry"].weights
    assert 5 < len(words) < 200
    model.save(tmp_path)
    loaded = Model.load(tmp_path)
    assert loaded.table.text_words["inquiry"].weights == words
    assert loaded.version == model.version


def test_lists_and_free_texts_are_not_out_of_range(data: Dataset, model: Model) -> None:
    limits = TrainingRange.from_model(model)
    assert not limits.out_of_range(model.encode(data.columns).matrix).any()
    assert not {"interests", "inquiry"} & set(limits.text_names)
    assert {"mail", "rank"} <= set(limits.text_names)


def test_the_registered_model_takes_a_text_or_its_n_grams(
    loaded: Loaded, data: Dataset, model: Model
) -> None:
    frame = pd.DataFrame(
        {name: c.to_list() if isinstance(c, Texts) else c for name, c in data.columns.items()}
    )
    raw = frame.assign(inquiry=loaded.leads["inquiry"].take(pa.array(data.examples.lead)).to_pylist())
    chances = [ScoringModel(model).predict(f)["probability"] for f in (frame, raw)]
    np.testing.assert_array_equal(*chances)
