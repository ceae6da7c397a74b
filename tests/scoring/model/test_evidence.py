from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from features.columns import Texts, encode_texts
from features.crm.load import Loaded
from features.errors import DataError
from scoring.model.evidence import Evidence
from scoring.model.model import EVIDENCE_FILE
from scoring.model.pseudonyms import Pseudonyms, key_file
from tests.conftest import Demo

PSEUDONYMS = Pseudonyms(b"a key of an installation")


def make_evidence() -> Evidence:
    return Evidence(
        lead=np.array([PSEUDONYMS.derive(i) for i in "abc"], dtype=object),
        group=np.array([0, 1, 1], dtype=np.int32),
        moment=np.array([1, 2, 2**60], dtype=np.int64),
        landmark=np.array([0, 7, 0.5], dtype=np.float32),
        won=np.array([True, False, False]),
        amount=np.array([1.5, np.nan, 3.0]),
        scores={"model": np.array([-1.0, 0.0, 2.5])},
        features={"employees": np.array([5.0, np.nan, 7.0]), "channel": encode_texts(["x", None, "紹介"])},
        segments={"channel": encode_texts([None, None, None])},
        key_id=PSEUDONYMS.key_id,
    )


def test_written_and_read_again_it_is_the_same(tmp_path: Path) -> None:
    make_evidence().save(tmp_path / "evidence.parquet")
    read, expected = Evidence.load(tmp_path / "evidence.parquet"), make_evidence()
    for name in ("lead", "group", "moment", "landmark", "won", "amount"):
        np.testing.assert_array_equal(getattr(read, name), getattr(expected, name), err_msg=name)
    assert read.key_id == PSEUDONYMS.key_id
    np.testing.assert_array_equal(read.scores["model"], expected.scores["model"])
    np.testing.assert_array_equal(read.features["employees"], expected.features["employees"])
    channel = read.features["channel"]
    assert isinstance(channel, Texts)
    assert channel.to_list() == ["x", None, "紹介"]
    assert read.segments["channel"].to_list() == [None, None, None]


def test_evidence_of_a_training_names_no_lead(demo: Demo, demo_loaded: Loaded) -> None:
    table = pq.read_table(demo.out / "model" / EVIDENCE_FILE)
    ids = set(demo_loaded.crm.lead_ids)
    pseudonyms = Pseudonyms.load(key_file(demo.out, {}))
    assert set(table["lead"].to_pylist()) <= {pseudonyms.derive(i) for i in ids}
    texts_of_table = {
        value for column in table.columns for value in column.unique().to_pylist() if isinstance(value, str)
    }
    assert not texts_of_table & ids


def test_evidence_holds_all_that_thresholds_and_gates_need(demo: Demo) -> None:
    evidence = Evidence.load(demo.out / "model" / EVIDENCE_FILE)
    assert len(evidence) == demo.model.about["measured_examples"]
    assert set(evidence.features) == set(demo.model.table.names)
    assert set(evidence.segments) == {"channel", "trade", "campaign", "keyword"}
    assert {"model", "linear", "trees", "baseline_logistic", "baseline_lightgbm"} <= set(evidence.scores)
    assert not np.isnan(evidence.amount[evidence.won]).any()


def test_damaged_evidence_is_named(tmp_path: Path) -> None:
    path = tmp_path / "evidence.parquet"
    make_evidence().save(path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"evidence\.parquet.*[Tt]rain again"):
        Evidence.load(path)


def test_the_key_of_the_pseudonyms_is_in_no_other_file(demo: Demo) -> None:
    """Not in a model, in MLflow or in a report."""
    path = key_file(demo.out, {})
    assert path.stat().st_mode & 0o777 == 0o600
    key = path.read_bytes()
    assert [file for file in demo.folder.rglob("*") if file.is_file() and key in file.read_bytes()] == [path]
